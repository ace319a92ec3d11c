"""Supervised fine-tuning of a causal model on rows with an explicit loss mask.

The engine is TRL's SFTTrainer (training/attempt.py, training/trainer.py), loaded when a training begins: this
module imports neither torch nor trl, so that plans and recipes can be read without them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from thinkscale.keys import JSON, combined_key, content_key
from thinkscale.records import Fate, HeldOut, Step
from thinkscale.training.batches import BatchPlan, plan_batches
from thinkscale.training.fit import refuse_what_cannot_fit
from thinkscale.training.held_out import split_held_out
from thinkscale.training.log import TrainingLog
from thinkscale.training.settings import SftSettings, check_settings
from thinkscale.training.starting import (
    Checkpoints,
    both,
    check_model,
    check_outputs,
    checkpoint_folder,
    forget,
    require_extra,
    world_size,
)
from thinkscale.training.tokens import TokenStatistics, TrainingRow, fit_rows, token_statistics


@dataclass(frozen=True, slots=True, kw_only=True)
class SftResult:
    """What a training did. `hyperparameters` are read off the trainer that ran, not off the settings."""

    out: Path
    steps: tuple[Step, ...]
    held_out: tuple[HeldOut, ...]
    """The rows that are not trained on, measured before, during and after; none where no row is held out."""
    fates: tuple[Fate, ...]
    statistics: TokenStatistics
    plan: BatchPlan
    padding_fraction: float
    hyperparameters: Mapping[str, JSON]
    parameters: Mapping[str, JSON]
    """`num_parameters` of the published model, and `num_trained` of the trained ones or of the adapters."""
    remarks: tuple[str, ...]
    """What is worth knowing of rows, model and outcome, and is no error (training/remarks.py)."""
    resumed_from_step: int
    seconds: float
    """Wall-clock time of the steps of this call, loading and saving left out."""


def train_sft(
    rows: Sequence[TrainingRow],
    settings: SftSettings,
    out: Path,
    on_step: Callable[[Step], None],
    *,
    on_held_out: Callable[[HeldOut], None] | None = None,
    checkpoints: Checkpoints | None = None,
    log: TrainingLog | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> SftResult:
    """Trains on `rows` and writes model, tokenizer and `training.json` to the folder `out`, whole or not at all.

    Where rows are held out, the weights that `keep` does not name lie beside it (see `other_output`).

    The loss of a step is the mean negative log-likelihood over the trained tokens of its whole effective batch.
    `on_remark` is told before the first step what is worth knowing. `on_step` gets every step once, in order, in
    every call: steps that an interrupted call already made and saved are replayed from the checkpoint; `on_held_out`
    likewise gets every measurement of the held-out rows. With `checkpoints`, a killed call is continued by the next
    one with the same rows, settings and base weights, to the same weights; the folder is emptied at the end. Under
    torchrun the first process alone reports and writes.

    Raises MissingExtraError, ModelError (base model not usable), DataError (no rows, or over-long ones, see
    `fit_rows`), ConfigError (settings that cannot be met, a GPU that is too small), StageError (the loss is not
    finite, memory ran out), StorageError.
    """
    check_settings(settings)
    check_model(settings.model)
    check_outputs(out, settings)
    plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, world_size())
    fitted = fit_rows(rows, settings.max_length, settings.over_long)
    split = split_held_out(fitted.rows, settings.held_out_rows, settings.seed, prompt_of)
    statistics = token_statistics(split.trained)
    lengths = tuple(len(row) for row in split.trained)
    refuse_what_cannot_fit(settings, lengths, world_size())
    require_extra()
    from thinkscale.training.attempt import Attempt, Listeners, run_attempt
    from thinkscale.training.supervised import build_sft_trainer

    rows_key = combined_key(content_key(row.problem_id, row.input_ids, row.trained) for row in fitted.rows)
    folder = checkpoint_folder(settings, checkpoints, rows_key)
    save_steps = checkpoints.every_steps if checkpoints else None
    steps: list[Step] = []
    measured: list[HeldOut] = []
    attempt = Attempt(
        settings=settings,
        plan=plan,
        out=out,
        lengths=lengths,
        data=_account(statistics),
        num_held_out=len(split.held_out),
        checkpoint_folder=folder,
        save_steps=save_steps,
    )
    listeners = Listeners(
        on_step=both(steps.append, on_step),
        on_held_out=both(measured.append, on_held_out),
        log=log,
        on_remark=on_remark,
    )
    build = partial(build_sft_trainer, split.trained, split.held_out, settings, plan, save_steps)
    finished = run_attempt(attempt, build, listeners)
    forget(folder)
    return SftResult(
        out=out,
        steps=tuple(steps),
        held_out=tuple(measured),
        fates=(*fitted.fates, *split.fates),
        statistics=statistics,
        plan=plan,
        padding_fraction=padding_of(steps),
        hyperparameters=finished.hyperparameters,
        parameters=finished.parameters,
        remarks=finished.remarks,
        resumed_from_step=finished.resumed_from_step,
        seconds=finished.seconds,
    )


def prompt_of(row: TrainingRow) -> tuple[int, ...]:
    """The tokens before the first that is trained."""
    return row.input_ids[: row.trained.index(True)] if True in row.trained else row.input_ids


def _account(statistics: TokenStatistics) -> dict[str, JSON]:
    return {
        "num_rows": statistics.num_rows,
        "num_tokens": statistics.num_tokens,
        "num_trained_tokens": statistics.num_trained_tokens,
    }


def padding_of(steps: Sequence[Step]) -> float:
    """The share of all computed positions that held no token; 0 where nothing was computed."""
    computed = sum(step.num_tokens / (1 - step.padding) for step in steps)
    return 1 - sum(step.num_tokens for step in steps) / computed if computed else 0.0
