"""Progress of long work: a live bar on a terminal, plain lines otherwise, and always a line for `status` to read."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from thinkscale.keys import JSON

PUBLISH_SECONDS = 0.5
PLAIN_SECONDS = 10.0


class Publisher(Protocol):
    """Where progress is stored for a second terminal; the run directory is one."""

    def set_progress(
        self,
        stage: str,
        done: int,
        total: int,
        unit_name: str,
        seconds_left: float | None = None,
        gauges: dict[str, JSON] | None = None,
    ) -> None: ...


class Gauges(Protocol):
    """What is shown beside the count: what an engine is doing right now."""

    def reading(self, done: int, total: int | None) -> dict[str, JSON]:
        """Numbers by name, for other programs."""
        ...

    def text(self, done: int, total: int | None) -> str:
        """The same for a person."""
        ...


@dataclass(slots=True)
class Task:
    """The work of one stage: `done` of `total` units; `total` is None where nobody knows until the end."""

    stage: str
    unit: str
    total: int | None
    done: int
    show: Callable[["Task", bool], None]
    started: float = field(default_factory=time.monotonic)
    at_start: int = 0
    shown: float = 0.0
    gauges: Gauges | None = None
    left: Callable[[int, int | None], float | None] | None = None
    """Seconds to the end from `done` and `total`, where somebody knows better than the mean rate tells."""

    def advance(self, count: int = 1) -> None:
        """Counts `count` more units as done."""
        self.done += count
        self.look()

    def look(self) -> None:
        """Shows how things stand, if it is time to."""
        now = time.monotonic()
        if now - self.shown >= PUBLISH_SECONDS:
            self.shown = now
            self.show(self, False)

    @property
    def rate(self) -> float:
        """Units a second since this process began the task."""
        elapsed = time.monotonic() - self.started
        return (self.done - self.at_start) / elapsed if elapsed > 0 else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Expected seconds to the end, None where they cannot be told (yet)."""
        if self.left is not None:
            return self.left(self.done, self.total)
        return (self.total - self.done) / self.rate if self.total is not None and self.rate > 0 else None


class Progress:
    """Shows tasks one after the other on standard error, and publishes them."""

    def __init__(self, publisher: Publisher | None = None, *, quiet: bool = False) -> None:
        self._publisher = publisher
        self._quiet = quiet
        self._live = sys.stderr.isatty() and not quiet
        self._last_line = 0.0

    def say(self, text: str) -> None:
        """One plain line, for a person."""
        if not self._quiet:
            sys.stderr.write(text + "\n")
            sys.stderr.flush()

    @contextmanager
    def task(
        self, stage: str, total: int | None, unit: str, done: int = 0, gauges: Gauges | None = None
    ) -> Iterator[Task]:
        """A task that is shown while the block runs. `done` units were finished by an earlier process."""
        task = Task(stage, unit, total, done, self._plain, at_start=done, gauges=gauges)
        self._publish(task)
        try:
            with self._bar(task) if self._live else nullcontext():
                self._last_line = time.monotonic()
                yield task
        finally:
            self._publish(task)
        self.say(f"{stage}: {task.done:,} {unit} in {duration(time.monotonic() - task.started)}")

    @contextmanager
    def _bar(self, task: Task) -> Iterator[None]:
        from rich.console import Console, RenderableType
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn
        from rich.progress import Progress as RichProgress
        from rich.text import Text

        class Bar(RichProgress):
            """With what is going on in a line of its own: beside the bar it would not fit into 80 columns."""

            doing = ""

            def get_renderables(self) -> Iterator[RenderableType]:
                yield from super().get_renderables()
                if self.doing:
                    yield Text(f"{'':>10} {self.doing}", style="dim", no_wrap=True, overflow="ellipsis")

        columns = (
            TextColumn("{task.description:>10}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[rate]}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[left]}"),
        )
        with Bar(*columns, console=Console(stderr=True), transient=True, expand=True) as bar:
            handle = bar.add_task(task.stage, total=task.total, completed=task.done, rate="", left="")

            def show(task: Task, _final: bool) -> None:
                rate = "" if task.gauges else f"{task.rate:,.0f} {task.unit}/s"
                left = "" if task.seconds_left is None else f"about {duration(task.seconds_left)} left"
                bar.doing = task.gauges.text(task.done, task.total) if task.gauges else ""
                bar.update(handle, completed=task.done, total=task.total, rate=rate, left=left)
                self._publish(task)

            task.show = show
            yield

    def _plain(self, task: Task, _final: bool) -> None:
        self._publish(task)
        now = time.monotonic()
        if now - self._last_line < PLAIN_SECONDS:
            return
        self._last_line = now
        left = "" if task.seconds_left is None else f", about {duration(task.seconds_left)} left"
        of_total = "" if task.total is None else f" of {task.total:,}"
        doing = f", {text}" if task.gauges and (text := task.gauges.text(task.done, task.total)) else ""
        self.say(f"{task.stage}: {task.done:,}{of_total} {task.unit}, {task.rate:,.1f}/s{doing}{left}")

    def _publish(self, task: Task) -> None:
        if self._publisher:
            gauges = task.gauges.reading(task.done, task.total) if task.gauges else None
            total = task.total or task.done
            self._publisher.set_progress(task.stage, task.done, total, task.unit, task.seconds_left, gauges)


def duration(seconds: float) -> str:
    """Seconds as a person reads them: `0.4 s`, `12 s`, `3 min 20 s`, `2 h 5 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"
