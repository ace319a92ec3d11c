"""The log of a training: a line of JSON for each step and each evaluation, with the readings of clock and memory.

A line is the record's own fields beside `kind` (`step` or `held_out`) and its readings, so that a loss curve is one
filter away in any tool. The log is no truth of a run: its records are the journal's as well, and what only the log
knows (seconds, memory) differs from run to run, which no table may do. A training that goes on from a checkpoint
rewrites the log to the records that the checkpoint holds, so a step stands in it once, whatever a kill left behind.
Rejected: readings in the tables, and a file that is only ever appended to and cleaned by its readers.
"""

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from pathlib import Path

from thinkscale.errors import DataError, EncodingError
from thinkscale.keys import JSON
from thinkscale.records import HeldOut, Step, from_row, to_row
from thinkscale.store.atomic import write_text, writing

_KINDS: dict[str, type[Step] | type[HeldOut]] = {"step": Step, "held_out": HeldOut}


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """What clock and memory said of one step or evaluation. None where it is not known."""

    time: str
    """When it ended, in UTC (ISO 8601)."""
    seconds: float
    """How long it took; evaluations and checkpoints are left out of the steps'."""
    tokens_per_second: float | None = None
    """Of the rows' own tokens, over all processes."""
    computed_per_second: float | None = None
    """Of all positions, padding included."""
    mfu: float | None = None
    """Model FLOPs utilization: the share of the devices' peak that the rows' own tokens need (arXiv 2204.02311, B)."""
    peak_bytes: int | None = None
    """The most memory of one process: on a GPU what tensors held in this step, on a CPU what the process ever held."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line. `readings` is None where a checkpoint knew the record and the log had lost its line."""

    record: Step | HeldOut
    readings: Readings | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Speed:
    """What a token costs, and what the devices could do: known once a model is loaded."""

    flops_per_token: float
    peak_flops_per_second: float
    """Of all devices of the training together, at its precision."""


class TrainingLog:
    """Writes the log of one training to `path`, and tells `listeners` of each new entry. Only one process may.

    Raises StorageError where the disk does not take it.
    """

    def __init__(
        self,
        path: Path,
        listeners: Sequence[Callable[[Entry], None]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.path = path
        self.listeners = tuple(listeners)
        self._clock = clock
        self._last = clock()
        self._speed: Speed | None = None

    def begin(self, done: Iterable[Step | HeldOut] = (), speed: Speed | None = None) -> None:
        """Starts the log anew with the records that are `done` already, each with the readings of its old line."""
        known = {_place(entry.record): entry for entry in _left_behind(self.path)}
        entries = []
        for record in done:
            old = known.get(_place(record))
            entries.append(old if old and old.record == record else Entry(record=record))
        with writing(self.path):
            self.path.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.path, "".join(map(line_of, entries)))
        for entry in entries:
            self.tell(entry)
        self._speed = speed
        self.rest()

    def rest(self) -> None:
        """What took time until now belongs to no step: loading, an evaluation, a checkpoint."""
        self._last = self._clock()

    def add_step(self, step: Step, peak_bytes: int) -> None:
        """A step has just ended."""
        seconds = self._seconds()
        rate = step.num_tokens / seconds if step.num_tokens and seconds > 0 else None
        speed = self._speed
        self._add(
            Entry(
                record=step,
                readings=Readings(
                    time=_now(),
                    seconds=seconds,
                    tokens_per_second=rate,
                    computed_per_second=rate / (1 - step.padding) if rate and step.padding < 1 else None,
                    mfu=rate * speed.flops_per_token / speed.peak_flops_per_second if rate and speed else None,
                    peak_bytes=peak_bytes,
                ),
            )
        )

    def add_held_out(self, held_out: HeldOut, peak_bytes: int) -> None:
        """An evaluation has just ended."""
        readings = Readings(time=_now(), seconds=self._seconds(), peak_bytes=peak_bytes)
        self._add(Entry(record=held_out, readings=readings))

    def tell(self, entry: Entry) -> None:
        """Tells the listeners of an entry; also for those that another process wrote."""
        for listener in self.listeners:
            listener(entry)

    def _add(self, entry: Entry) -> None:
        with writing(self.path), self.path.open("a", encoding="utf-8") as lines:
            lines.write(line_of(entry))
        self.tell(entry)
        self.rest()

    def _seconds(self) -> float:
        return self._clock() - self._last


def _left_behind(path: Path) -> tuple[Entry, ...]:
    """The entries of an earlier log at `path`; none where it is no log that can be read, since it is replaced."""
    try:
        return read_log(path)
    except DataError:
        return ()


def line_of(entry: Entry) -> str:
    """The entry as one line of JSON, with its end."""
    kind = "step" if isinstance(entry.record, Step) else "held_out"
    readings = {} if entry.readings is None else asdict(entry.readings)
    return json.dumps({"kind": kind, **to_row(entry.record), **readings}, allow_nan=False) + "\n"


def entry_of(line: str) -> Entry:
    """The entry that `line_of` made `line` of. Raises ValueError."""
    row: JSON = json.loads(line)
    if not isinstance(row, dict) or (kind := _KINDS.get(str(row.pop("kind", "")))) is None:
        raise ValueError("neither a step nor an evaluation")
    clocked = {field.name: row.pop(field.name) for field in fields(Readings) if field.name in row}
    try:
        readings = Readings(**clocked) if clocked else None  # type: ignore[arg-type]  # as line_of wrote them
        return Entry(record=from_row(kind, row), readings=readings)
    except (EncodingError, TypeError) as error:
        raise ValueError(str(error)) from error


def read_log(path: Path) -> tuple[Entry, ...]:
    """The whole lines of a log, in order; a last line that a kill tore off is left out.

    Raises DataError where `path` cannot be read or another line is no entry.
    """
    return tuple(_entries(path))


def _entries(path: Path) -> Iterator[Entry]:
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from error
    for number, line in enumerate(lines, 1):
        if not line.endswith("\n"):
            return
        try:
            yield entry_of(line)
        except ValueError as error:
            raise DataError(f"{path}, line {number}: no entry of a training log ({error})") from error


def peak_resident_bytes() -> int:
    """The most memory that this process ever held, as the system counts it."""
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _place(record: Step | HeldOut) -> tuple[type, int]:
    return type(record), record.step


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
