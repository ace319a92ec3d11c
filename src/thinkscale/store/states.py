"""What a journal says about stages: records for status, plan and resume. Times are seconds since 1970."""

from dataclasses import dataclass
from enum import StrEnum

from thinkscale.keys import JSON


class StageState(StrEnum):
    """What a stage that is about to run finds."""

    NEW = "new"
    RESUMED = "resumed"
    """Begun before under the same identity and not finished."""
    DONE = "done"


class StoredState(StrEnum):
    """What the journal holds of a stage that was begun."""

    RUNNING = "running"
    DONE = "done"


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage that was begun. `fingerprint` is empty and `finished` None until it is done."""

    name: str
    state: StoredState
    identity: dict[str, JSON]
    fingerprint: str
    position: int
    started: float
    finished: float | None
    num_units: int
    unit_seconds: float
    """Sum over the committed units; more than the clock's where units run side by side."""
    usd: float
    """What the committed units cost."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage is: `done` of `total` things called `unit_name`."""

    stage: str
    done: int
    total: int
    unit_name: str
    started: float
    updated: float
    seconds_left: float | None
    gauges: dict[str, JSON]
    """What the stage's engine was doing (engines/meter.py); empty where it has none."""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of a run's diary."""

    time: float
    stage: str
    kind: str
    text: str
