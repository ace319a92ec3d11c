"""What a training is doing right now, for progress lines, for `status`, and for how long it still takes."""

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from thinkscale.keys import JSON
from thinkscale.progress import Progress, Task
from thinkscale.records import HeldOut, Step
from thinkscale.training.log import Entry, TrainingLog
from thinkscale.training.trackers import TrackedRun, Trackers

WINDOW = 20
"""Steps over which speed is a mean: rows of unlike length make single ones jump."""
GIB = 1024**3


@dataclass(slots=True)
class LiveReadings:
    """The newest step and evaluation, and the speed of the last steps. A listener of a TrainingLog."""

    step: Step | None = None
    held_out: HeldOut | None = None
    _window: deque[Entry] = field(default_factory=lambda: deque(maxlen=WINDOW))
    _pauses: deque[float] = field(default_factory=lambda: deque(maxlen=WINDOW))
    """Seconds of evaluations since the step that stands at the same place of the window."""

    def take(self, entry: Entry) -> None:
        """A new entry, or one that a resumed training had before."""
        if isinstance(entry.record, HeldOut):
            self.held_out = entry.record
            if entry.readings and self._pauses:
                self._pauses[-1] += entry.readings.seconds
            return
        self.step = entry.record
        if entry.readings:
            self._window.append(entry)
            self._pauses.append(0.0)

    def seconds_left(self, done: int, total: int | None) -> float | None:
        """For the steps to come, at the mean of the last ones with their evaluations; None before there is one."""
        spent = [entry.readings.seconds for entry in self._window if entry.readings]
        if total is None or not spent:
            return None
        return (total - done) * (sum(spent) + sum(self._pauses)) / len(spent)

    def reading(self, done: int, total: int | None) -> dict[str, JSON]:
        """The gauges as they stand in the journal; empty before the first step."""
        if self.step is None:
            return {}
        step = self.step
        row: dict[str, JSON] = {"step": step.step, "epoch": step.epoch, "loss": step.loss}
        row |= {"learning_rate": step.learning_rate, "gradient_norm": step.gradient_norm, **self._speed()}
        if step.chosen_reward is not None and step.rejected_reward is not None:
            row |= {"margin": step.chosen_reward - step.rejected_reward, "reward_accuracy": step.reward_accuracy}
        if self.held_out is not None:
            row |= {"held_out_loss": self.held_out.loss, "held_out_step": self.held_out.step}
        return row

    def text(self, done: int, total: int | None) -> str:
        """The same for a person."""
        return training_text(self.reading(done, total))

    def _speed(self) -> dict[str, JSON]:
        readings = [entry.readings for entry in self._window if entry.readings]
        seconds = sum(item.seconds for item in readings)
        if not readings or seconds <= 0:
            return {}
        tokens = sum(entry.record.num_tokens for entry in self._window if isinstance(entry.record, Step))
        known = [item.mfu * item.seconds for item in readings if item.mfu is not None]
        return {
            "tokens_per_second": tokens / seconds if tokens else None,
            "mfu": sum(known) / seconds if len(known) == len(readings) else None,
            "peak_bytes": max((item.peak_bytes for item in readings if item.peak_bytes is not None), default=None),
        }


def training_text(row: dict[str, JSON]) -> str:
    """The gauges as a person reads them: `loss 1.234, held out 1.301, lr 1.0e-05, 5,120 tok/s, MFU 41%, 61.2 GiB`."""
    forms: dict[str, Callable[[float], str]] = {
        "loss": lambda value: f"loss {_places(value)}",
        "margin": lambda value: f"margin {value:+.3f}",
        "held_out_loss": lambda value: f"held out {_places(value)}",
        "learning_rate": lambda value: f"lr {value:.1e}",
        "tokens_per_second": lambda value: f"{value:,.0f} tok/s",
        "mfu": lambda value: f"MFU {value:.0%}",
        "peak_bytes": lambda value: f"{value / GIB:.1f} GiB",
    }
    found = [(form, row.get(name)) for name, form in forms.items()]
    return ", ".join(form(value) for form, value in found if isinstance(value, (int, float)))


def _places(loss: float) -> str:
    return f"{loss:.3f}" if abs(loss) >= 0.01 else f"{loss:.2g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """A training that is looked at: hand `on_step` and `log` to the trainer."""

    log: TrainingLog
    task: Task

    def on_step(self, _step: Step) -> None:
        """Counts the step and shows it, if it is time to."""
        self.task.advance()


@contextmanager
def watched(
    progress: Progress, stage: str, total: int, unit: str, path: Path, log_to: Sequence[str], tracked: TrackedRun
) -> Iterator[Watch]:
    """Progress, a log at `path`, and the trackers of `log_to` for one training, as long as the block runs.

    Raises MissingExtraError where a tracker is not installed.
    """
    live, trackers = LiveReadings(), Trackers(log_to, tracked, progress.say)
    with progress.task(stage, total, unit, gauges=live) as task:
        task.left = live.seconds_left
        try:
            yield Watch(log=TrainingLog(path, (live.take, trackers.take)), task=task)
        finally:
            trackers.close()
