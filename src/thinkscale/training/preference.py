"""Training on preferences: DPO and SimPO on pairs with explicit masks.

The engine is TRL's DPOTrainer, and our own SimPO beside it (training/preference_trainer.py), loaded when a training
begins: this module imports neither torch nor trl.
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
from thinkscale.training.pairs import STAGE, PairRow, PairStatistics, fit_pairs, pair_statistics
from thinkscale.training.preference_settings import Method, PreferenceSettings, check_preference
from thinkscale.training.settings import check_settings
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


@dataclass(frozen=True, slots=True, kw_only=True)
class PreferenceResult:
    """What a training did. `hyperparameters` are read off the trainer that ran, not off the settings."""

    out: Path
    steps: tuple[Step, ...]
    held_out: tuple[HeldOut, ...]
    fates: tuple[Fate, ...]
    statistics: PairStatistics
    """Of the pairs that were trained on."""
    plan: BatchPlan
    hyperparameters: Mapping[str, JSON]
    parameters: Mapping[str, JSON]
    """`num_parameters` of the published model, and `num_trained` of the trained ones or of the adapters."""
    remarks: tuple[str, ...]
    """What is worth knowing of pairs, model and outcome, and is no error (training/remarks.py)."""
    resumed_from_step: int
    seconds: float
    """Wall-clock time of the steps of this call, loading and saving left out."""


def train_preference(
    rows: Sequence[PairRow],
    settings: PreferenceSettings,
    out: Path,
    on_step: Callable[[Step], None],
    *,
    on_held_out: Callable[[HeldOut], None] | None = None,
    checkpoints: Checkpoints | None = None,
    log: TrainingLog | None = None,
    on_remark: Callable[[str], None] | None = None,
) -> PreferenceResult:
    """Trains on pairs and writes model, tokenizer and `training.json` to the folder `out`, whole or not at all.

    The loss of a step is the mean over the pairs of its whole effective batch, however they are divided. DPO compares
    with the model as it is before the first step; nothing of it is kept in memory but two numbers a pair. `on_step`,
    `on_held_out`, `on_remark`, `checkpoints` and what is raised: as in `train_sft`.
    """
    check_settings(settings)
    check_model(settings.model)
    check_outputs(out, settings)
    plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, world_size())
    check_preference(settings, plan)
    fitted = fit_pairs(rows, settings.max_length, settings.over_long, settings.unusable)
    split = split_held_out(fitted.rows, settings.held_out_rows, settings.seed, _prompt_of, stage=STAGE)
    statistics = pair_statistics(split.trained)
    refuse_what_cannot_fit(settings, [row.num_tokens for row in split.trained], plan.world_size)
    require_extra()
    from thinkscale.training.attempt import Attempt, Listeners, run_attempt
    from thinkscale.training.preference_trainer import build_preference_trainer

    folder = checkpoint_folder(settings, checkpoints, combined_key(content_key(row) for row in fitted.rows))
    save_steps = checkpoints.every_steps if checkpoints else None
    steps: list[Step] = []
    measured: list[HeldOut] = []
    attempt = Attempt(
        settings=settings,
        plan=plan,
        out=out,
        lengths=tuple(len(ids) for row in split.trained for ids in row.sequences),
        data=_account(settings, statistics),
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
    build = partial(build_preference_trainer, split.trained, split.held_out, settings, plan, save_steps)
    finished = run_attempt(attempt, build, listeners)
    forget(folder)
    return PreferenceResult(
        out=out,
        steps=tuple(steps),
        held_out=tuple(measured),
        fates=(*fitted.fates, *split.fates),
        statistics=statistics,
        plan=plan,
        hyperparameters=finished.hyperparameters,
        parameters=finished.parameters,
        remarks=finished.remarks,
        resumed_from_step=finished.resumed_from_step,
        seconds=finished.seconds,
    )


def _prompt_of(row: PairRow) -> tuple[int, ...]:
    return row.prompt_ids


def _account(settings: PreferenceSettings, statistics: PairStatistics) -> dict[str, JSON]:
    """What `training.json` says of method and pairs."""
    of_method: dict[str, JSON] = (
        {"loss_type": settings.loss_type} if settings.method is Method.DPO else {"gamma": settings.gamma}
    )
    return {
        "method": settings.method.value,
        "beta": settings.beta,
        **of_method,
        "label_smoothing": settings.label_smoothing,
        "sft_weight": settings.sft_weight,
        "num_pairs": statistics.num_pairs,
        "num_tokens": statistics.num_tokens,
        "num_trained_tokens": statistics.num_trained_tokens,
    }
