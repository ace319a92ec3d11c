"""Supervised fine-tuning of a causal model on rows with an explicit loss mask.

The engine is TRL's SFTTrainer (training/attempt.py, training/trainer.py), loaded when a training begins: this
module imports neither torch nor trl, so that plans and recipes can be read without them.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.errors import ConfigError, MissingExtraError, ModelError
from thinkscale.keys import JSON, combined_key, content_key
from thinkscale.records import Fate, Step
from thinkscale.training.batches import BatchPlan, epoch_batches, padding_fraction, plan_batches
from thinkscale.training.output import check_output
from thinkscale.training.settings import SftSettings, check_settings
from thinkscale.training.tokens import TokenStatistics, TrainingRow, fit_rows, token_statistics

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Where and how often to save what an exact resume needs."""

    folder: Path
    every_steps: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SftResult:
    """What a training did. `hyperparameters` are read off the trainer that ran, not off the settings."""

    out: Path
    steps: tuple[Step, ...]
    fates: tuple[Fate, ...]
    statistics: TokenStatistics
    plan: BatchPlan
    padding_fraction: float
    hyperparameters: Mapping[str, JSON]
    resumed_from_step: int
    seconds: float
    """Wall-clock time of the steps of this call, loading and saving left out."""


def train_sft(
    rows: Sequence[TrainingRow],
    settings: SftSettings,
    out: Path,
    on_step: Callable[[Step], None],
    *,
    checkpoints: Checkpoints | None = None,
) -> SftResult:
    """Trains on `rows` and writes model, tokenizer and `training.json` to the folder `out`, whole or not at all.

    The loss of a step is the mean negative log-likelihood over the trained tokens of its whole effective batch.
    `on_step` gets every step once, in order, in every call: steps that an interrupted call already made and
    saved are replayed from the checkpoint. With `checkpoints`, a killed call is continued by the next one with
    the same rows, settings and base weights, to the same weights; the folder is emptied at the end. Under torchrun
    the first process alone calls `on_step` and writes `out`.

    Raises MissingExtraError, ModelError (base model not usable), DataError (no rows, or over-long ones, see
    `fit_rows`), ConfigError (settings that cannot be met), StageError (the loss is not finite), StorageError.
    """
    check_settings(settings)
    _check_model(settings.model)
    check_output(out)
    plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, _world_size())
    fitted = fit_rows(rows, settings.max_length, settings.over_long)
    statistics = token_statistics(fitted.rows)
    _require_extra()
    from thinkscale.training.attempt import Attempt, run_attempt

    checkpoint_folder = _checkpoint_folder(fitted.rows, settings, checkpoints)
    steps: list[Step] = []

    def record(step: Step) -> None:
        steps.append(step)
        on_step(step)

    attempt = Attempt(
        rows=fitted.rows,
        settings=settings,
        plan=plan,
        out=out,
        checkpoint_folder=checkpoint_folder,
        save_steps=checkpoints.every_steps if checkpoints else None,
    )
    finished = run_attempt(attempt, record)
    if checkpoint_folder is not None:
        shutil.rmtree(checkpoint_folder, ignore_errors=True)
    return SftResult(
        out=out,
        steps=tuple(steps),
        fates=fitted.fates,
        statistics=statistics,
        plan=plan,
        padding_fraction=_padding(fitted.rows, settings, plan),
        hyperparameters=finished.hyperparameters,
        resumed_from_step=finished.resumed_from_step,
        seconds=finished.seconds,
    )


def _require_extra() -> None:
    try:
        import datasets  # noqa: F401
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f'training needs {error.name}, which is not installed; run: pip install "thinkscale[train]"'
        ) from error


def _check_model(model: str) -> None:
    """Raises ModelError naming what a model folder lacks. A Hub id is left to transformers."""
    folder = Path(model)
    if not folder.is_dir():
        if folder.is_absolute() or model.count("/") != 1:
            raise ModelError(f"there is no model folder {model}")
        return
    wanted = {"config.json": ("config.json",), "weights (model.safetensors)": _WEIGHTS}
    wanted["a tokenizer (tokenizer.json)"] = _TOKENIZERS
    missing = [what for what, names in wanted.items() if not any((folder / name).is_file() for name in names)]
    if missing:
        raise ModelError(f"{folder} is not a whole model folder: it lacks {', '.join(missing)}")


def _world_size() -> int:
    """Processes that torchrun started; 1 without it."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def _padding(rows: Sequence[TrainingRow], settings: SftSettings, plan: BatchPlan) -> float:
    lengths = [len(row) for row in rows]
    batches = [
        batch
        for epoch in range(settings.epochs)
        for batch in epoch_batches(
            lengths,
            plan.effective_batch_size,
            settings.seed,
            epoch,
            by_length=settings.by_length,
        )
    ]
    return padding_fraction(lengths, batches, plan.micro_batch_size)


def _checkpoint_folder(
    rows: Sequence[TrainingRow], settings: SftSettings, checkpoints: Checkpoints | None
) -> Path | None:
    """A folder of its own for this very training: the checkpoints of any other are never found in it."""
    if checkpoints is None:
        return None
    if checkpoints.every_steps < 1:
        raise ConfigError(f"checkpoints every {checkpoints.every_steps} steps; it must be at least 1")
    model = Path(settings.model)
    files = [model / name for name in _WEIGHTS if (model / name).is_file()]
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    rows_key = combined_key(content_key(row.problem_id, row.input_ids, row.trained) for row in rows)
    key = content_key(settings, _world_size(), stamps, rows_key)
    return checkpoints.folder / key[:16]
