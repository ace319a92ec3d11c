"""export: training examples as files of another tool, with the configuration that it runs as it is."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import yaml

from thinkscale.commands.example_rows import read_examples, recipe_of_run
from thinkscale.config import Recipe, TrainSettings
from thinkscale.errors import ConfigError, DataError
from thinkscale.handover.rows import SHAPES, written
from thinkscale.handover.tools import DATA_NAME, TARGETS, Target, Training, command_of
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


def export(source: Path, to: str, out: Path, options: ExportOptions) -> str:
    """Writes the examples of a run, or of a table, for the tool `to` into the new folder `out`; says what was written.

    Raises ConfigError on an unknown tool, a folder that is there already, or settings that do not fit; DataError where
    there are no examples or the tool's format cannot hold one.
    """
    if to not in TARGETS:
        raise ConfigError(f"--to {to}: there is no such target; there are {', '.join(TARGETS)}")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ConfigError(f"{out} is there already; give an empty folder or a new one with --out")
    target, recipe = TARGETS[to], recipe_of_run(source)
    files = target.files(_training(recipe, options)) if target.command else {}
    thinking_format = find_format(options.thinking_format or _format(recipe))
    rows = (SHAPES[target.shape](written(example, thinking_format)) for example in read_examples(source))
    count = _write(out, rows, files)
    return _said(out, count, to, target, options.gpus)


def _format(recipe: Recipe | None) -> str:
    return recipe.student.thinking_format if recipe and recipe.student else "s1"


def _training(recipe: Recipe | None, options: ExportOptions) -> Training:
    settings = recipe.train if recipe and recipe.train else TrainSettings()
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


def _write(out: Path, rows: Iterable[dict[str, JSON]], files: Mapping[str, JSON]) -> int:
    with publishing(out) as folder:
        count = _write_rows(folder / DATA_NAME, rows)
        if not count:
            raise DataError("there are no examples to export; the stage `select` makes them")
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


def _said(out: Path, count: int, to: str, target: Target, gpus: int) -> str:
    said = f"{count:,} examples for {to} are in {out}"
    command = command_of(target, gpus)
    return f"{said}. To train on them:\n  cd {out} && {command}" if command else said
