"""What a report says of a run's trainings: records of the journal, readings of the log, the model's account."""

from collections.abc import Iterator
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Fate, HeldOut, Step
from thinkscale.reporting.training import TrainingFacts, facts_of_log, readings_of
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.store.atomic import read_json
from thinkscale.store.run import RunDirectory
from thinkscale.training.log import Readings, read_log
from thinkscale.training.output import MARKER

NAMES = {"train": "training"}
"""Stage that trains, to what its figures are called."""


def training_log(run: Path, stage: str) -> Path:
    """Where the log of a training stage lies in a run directory. It holds clock readings, which no table may."""
    return run / "logs" / f"{stage}.jsonl"


def trainings_of(run: RunDirectory) -> Iterator[TrainingFacts]:
    """Each training of the run that made a step. A run of old has the steps alone."""
    for stage, name in NAMES.items():
        steps = tuple(run.rows(Step, stage))
        if steps:
            yield TrainingFacts(
                name=name,
                steps=steps,
                held_out=tuple(run.rows(HeldOut, stage)),
                readings=logged_readings(training_log(run.path, stage), steps),
                account=account_of(student_checkpoint(run.path)),
                fates=tuple(run.rows(Fate, stage)),
            )


def facts_of_model(model: Path) -> TrainingFacts | None:
    """What the log beside a model folder and the account in it tell; None where there is neither."""
    folder = model.resolve()
    log, account = folder.with_name(folder.name + ".steps.jsonl"), account_of(model)
    if log.is_file():
        return facts_of_log(read_log(log), account)
    return TrainingFacts(steps=(), account=account) if account else None


def account_of(model: Path) -> dict[str, JSON]:
    """`training.json` of a model folder; empty where there is none that can be read."""
    try:
        found = read_json(model / MARKER)
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def logged_readings(path: Path, steps: tuple[Step, ...]) -> dict[int, Readings]:
    """By step, what a log says of these very steps; nothing where it is missing or was meddled with."""
    try:
        entries = read_log(path)
    except DataError:
        return {}
    known = {step.step: step for step in steps}
    return readings_of([entry for entry in entries if known.get(entry.record.step) == entry.record])
