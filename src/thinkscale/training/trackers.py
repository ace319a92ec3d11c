"""Experiment trackers beside the log: trackio and Weights & Biases, asked for by name and never loaded otherwise.

Both take a run with project, name and config, then values with a step, through one small seam. They are guests: one
that fails (no network, no account) is said so once and left out from then on, and the training goes on. A training
that continues from a checkpoint begins a new run there and sends the steps before it again, so that each of its runs
is a whole curve; `group` holds them together. Rejected: the report_to of transformers, whose callbacks stop a training
when they fail, log what has no place in ours, and ask at the terminal for an account.
"""

import importlib.util
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from sys import stderr
from threading import Thread
from typing import Any, Protocol

from thinkscale.credentials import redact
from thinkscale.errors import MissingExtraError
from thinkscale.keys import JSON
from thinkscale.records import Step
from thinkscale.store.provenance import without_folders
from thinkscale.training.log import Entry

OPENING_SECONDS, FINISHING_SECONDS = 30, 60
"""How long a tracker may keep a training waiting at its begin and end."""
PROJECT = "thinkscale"
NAMES: Mapping[str, str] = {
    "epoch": "epoch",
    "loss": "loss",
    "learning_rate": "learning_rate",
    "gradient_norm": "grad_norm",
    "num_tokens": "num_tokens",
    "num_trained_tokens": "num_trained_tokens",
    "padding": "padding",
    "token_accuracy": "token_accuracy",
    "chosen_reward": "rewards/chosen",
    "rejected_reward": "rewards/rejected",
    "reward_accuracy": "rewards/accuracies",
    "seconds": "seconds",
    "tokens_per_second": "tokens_per_second",
    "computed_per_second": "computed_per_second",
    "mfu": "mfu",
    "peak_bytes": "peak_bytes",
}
"""Field of a record or reading to what trackers call it, behind `train/` or `eval/` as transformers does."""


class Tracker(Protocol):
    """A run of a tracker, as trackio's and wandb's both are."""

    def log(self, values: dict[str, float], step: int) -> None: ...

    def finish(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedRun:
    """What a tracker is told of a training."""

    name: str
    """Of the run's or the model's folder."""
    config: Mapping[str, JSON]
    """Settings in force; folders of the machine are cut to their last part."""
    project: str = PROJECT


class Trackers:
    """The trackers of one training; a listener of its TrainingLog. Opened by the first entry.

    Raises MissingExtraError at once where one is not installed.
    """

    def __init__(self, names: Sequence[str], run: TrackedRun, warn: Callable[[str], None]) -> None:
        for name in names:
            if importlib.util.find_spec(name) is None:
                raise MissingExtraError(
                    f"log_to names {name}, which is not installed; run: pip install {name}, or leave it out"
                )
        self._waiting = tuple(names)
        self._run = replace(run, config={key: _without_folders(value) for key, value in run.config.items()})
        self._warn = warn
        self._open: dict[str, Tracker] = {}

    def take(self, entry: Entry) -> None:
        """Sends one step or evaluation."""
        for name in self._waiting:
            self._guarded(name, lambda name=name: self._begin(name))  # type: ignore[misc]  # bound now, not later
        self._waiting = ()
        for name, tracker in tuple(self._open.items()):
            self._guarded(name, lambda tracker=tracker: tracker.log(values_of(entry), step=entry.record.step))  # type: ignore[misc]

    def close(self) -> None:
        """Ends the runs. One that cannot send what it has within a minute is left to its own files."""
        for name, tracker in tuple(self._open.items()):
            ending = Thread(target=self._guarded, args=(name, tracker.finish), daemon=True)
            ending.start()
            ending.join(FINISHING_SECONDS)
            if ending.is_alive():
                self._warn(f"{name} has not sent everything in {FINISHING_SECONDS} s; what it keeps lies in its folder")
        self._open.clear()

    def _begin(self, name: str) -> None:
        with redirect_stdout(stderr):  # standard output is the command's result
            self._open[name] = OPENERS[name](self._run)

    def _guarded(self, name: str, act: Callable[[], None]) -> None:
        try:
            act()
        except Exception as error:  # noqa: BLE001 - foreign code, and no tracker is worth a training
            self._open.pop(name, None)
            said = redact(str(error)).strip().splitlines() or [type(error).__name__]
            self._warn(f"{name} failed and is left out from here on ({said[0][:200]}); the training goes on")


def values_of(entry: Entry) -> dict[str, float]:
    """The numbers of an entry under the trackers' names; the reward margin is worked out."""
    side = "train" if isinstance(entry.record, Step) else "eval"
    row = asdict(entry.record) | (asdict(entry.readings) if entry.readings else {})
    values = {f"{side}/{NAMES[key]}": float(value) for key, value in row.items() if key in NAMES and value is not None}
    if entry.record.chosen_reward is not None and entry.record.rejected_reward is not None:
        values[f"{side}/rewards/margins"] = entry.record.chosen_reward - entry.record.rejected_reward
    return values


def _trackio(run: TrackedRun) -> Tracker:
    """A local run of trackio, or one on a Space where TRACKIO_SPACE_ID names it."""
    trackio: Any = importlib.import_module("trackio")
    opened: Tracker = trackio.init(
        project=run.project,
        name=_started(run),
        group=run.name,
        space_id=os.environ.get("TRACKIO_SPACE_ID"),
        config=dict(run.config),
        embed=False,
    )
    return opened


def _wandb(run: TrackedRun) -> Tracker:
    """A run of wandb; WANDB_MODE, WANDB_PROJECT, WANDB_NAME, WANDB_RUN_GROUP and WANDB_DIR decide where they are set.

    It leaves the terminal alone: what it captures there would be our progress bar.
    """
    wandb: Any = importlib.import_module("wandb")
    opened: Tracker = wandb.init(
        project=None if "WANDB_PROJECT" in os.environ else run.project,
        name=None if "WANDB_NAME" in os.environ else _started(run),
        group=None if "WANDB_RUN_GROUP" in os.environ else run.name,
        config=dict(run.config),
        settings={"console": "off", "init_timeout": OPENING_SECONDS, "login_timeout": OPENING_SECONDS},
    )
    return opened


OPENERS: Mapping[str, Callable[[TrackedRun], Tracker]] = {"trackio": _trackio, "wandb": _wandb}


def _without_folders(value: JSON) -> JSON:
    if isinstance(value, dict):
        return {key: _without_folders(item) for key, item in value.items()}
    return without_folders(value) if isinstance(value, str) else value


def _started(run: TrackedRun) -> str:
    """The name with the second of now: both trackers would mix two runs of one name."""
    return f"{run.name}-{datetime.now(UTC):%Y%m%d-%H%M%S}"
