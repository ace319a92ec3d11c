"""export: training examples or pairs as files of another tool, with the configuration that it runs as it is."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from thinkscale.commands.example_rows import read_examples, recipe_of_run
from thinkscale.commands.pair_rows import holds_pairs, read_pairs
from thinkscale.commands.prefer import preference_settings
from thinkscale.config import PreferSettings, Recipe, TrainingSection, TrainSettings
from thinkscale.errors import ConfigError, DataError
from thinkscale.handover.pairs import METHODS, PAIR_SHAPES, PAIR_TARGETS, Preferring, written_pair
from thinkscale.handover.rows import SHAPES, written
from thinkscale.handover.tools import DATA_NAME, TARGETS, Training, command_of
from thinkscale.keys import JSON
from thinkscale.thinking.formats import find_format
from thinkscale.training.output import publishing


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions:
    """What an export needs beside its examples. What is None comes from the run's recipe, else from the defaults."""

    model: str | None = None
    thinking_format: str | None = None
    gpus: int = 1
    micro_batch_size: int = 1
    template: str | None = None
    method: str | None = None
    """sft, dpo or simpo; None: dpo for a table of pairs, else sft."""


def export(source: Path, to: str, out: Path, options: ExportOptions) -> str:
    """Writes the examples or pairs of a run, or of a table, for the tool `to` into the new folder `out`; says what.

    Raises ConfigError on an unknown tool, a folder that is there already, or settings that do not fit; DataError where
    there are no rows or the tool's format cannot hold one.
    """
    if to not in TARGETS:
        raise ConfigError(f"--to {to}: there is no such target; there are {', '.join(TARGETS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already; give an empty folder or a new one with --out")
    method = options.method or ("dpo" if holds_pairs(source) else "sft")
    if method == "sft":
        return _export_examples(source, to, out, options)
    if method in METHODS:
        return _export_pairs(source, to, out, method, options)
    raise ConfigError(f"--method {method}: there is no such method; there are sft, {', '.join(METHODS)}")


def _export_examples(source: Path, to: str, out: Path, options: ExportOptions) -> str:
    target, recipe = TARGETS[to], recipe_of_run(source)
    settings = recipe.train if recipe and recipe.train else TrainSettings()
    files = target.files(_training(recipe, settings, options)) if target.command else {}
    thinking_format = find_format(options.thinking_format or _format(recipe))
    rows = (SHAPES[target.shape](written(example, thinking_format)) for example in read_examples(source))
    count = _write(out, rows, files, "examples to export; the stage `select` makes them")
    return _said(out, f"{count:,} examples", to, command_of(target.command, options.gpus))


def _export_pairs(source: Path, to: str, out: Path, method: str, options: ExportOptions) -> str:
    target, recipe = PAIR_TARGETS[to], recipe_of_run(source)
    section = PreferSettings.model_validate({"method": method})
    files: Mapping[str, JSON] = {}
    if target.files:
        training = _training(recipe, section, options)
        asked = preference_settings(section, training.model, training.seed)
        files = target.files(
            Preferring(
                training=training,
                method=method,
                beta=asked.beta,
                gamma=asked.gamma,
                loss_type=asked.loss_type,
                label_smoothing=asked.label_smoothing,
                sft_weight=asked.sft_weight,
            )
        )
    thinking_format = find_format(options.thinking_format or _format(recipe))
    rows = (PAIR_SHAPES[target.shape](written_pair(pair, thinking_format)) for pair in read_pairs(source))
    count = _write(out, rows, files, "pairs to export")
    return _said(out, f"{count:,} pairs", to, command_of(target.command, options.gpus))


def _format(recipe: Recipe | None) -> str:
    return recipe.student.thinking_format if recipe and recipe.student else "s1"


def _training(recipe: Recipe | None, settings: TrainingSection, options: ExportOptions) -> Training:
    model = options.model or (recipe.student.model if recipe and recipe.student else None)
    if model is None:
        raise ConfigError("which model is to be trained is not known; name it with --model")
    return Training(
        model=model,
        epochs=settings.epochs,
        effective_batch_size=settings.effective_batch_size,
        micro_batch_size=options.micro_batch_size,
        learning_rate=settings.learning_rate,
        warmup_ratio=settings.warmup_ratio,
        weight_decay=settings.weight_decay,
        adam_betas=settings.adam_betas,
        max_gradient_norm=settings.max_gradient_norm,
        max_length=settings.max_length,
        seed=recipe.seed if recipe else 42,
        gpus=options.gpus,
        template=options.template,
    )


def _write(out: Path, rows: Iterable[dict[str, JSON]], files: Mapping[str, JSON], what: str) -> int:
    with publishing(out) as folder:
        count = _write_rows(folder / DATA_NAME, rows)
        if not count:
            raise DataError(f"there are no {what}")
        for name, content in files.items():
            (folder / name).write_text(_text(name, content), encoding="utf-8")
    return count


def _write_rows(path: Path, rows: Iterable[dict[str, JSON]]) -> int:
    count = 0
    with path.open("w", encoding="utf-8") as file:
        for row in rows:
            file.write(json.dumps(row, ensure_ascii=False) + "\n")
            count += 1
    return count


def _text(name: str, content: JSON) -> str:
    if name.endswith(".json"):
        return json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True)


def _said(out: Path, what: str, to: str, command: str) -> str:
    said = f"{what} for {to} are in {out}"
    return f"{said}. To train on them:\n  cd {out} && {command}" if command else said
