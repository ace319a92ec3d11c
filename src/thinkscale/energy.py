"""What a stretch of work takes beside tokens: seconds of the clock, and joules where the machine says them.

Two sources, both of the whole machine and not of this process alone:

- RAPL, the counters of Intel's and AMD's processors, as Linux shows them (/sys/class/powercap; often readable for root
  only). They wrap, so they are read at short intervals.
- NVML, the driver's library of NVIDIA GPUs: millijoules since the driver was loaded (Volta and newer).

Readings go to the journal as events of kind `meter`, one a minute and one at the end, so a kill loses a minute at most.
They are clock readings of a kind and stand in no table. Where nothing can be read the events hold seconds alone.

Rejected: sampling `nvidia-smi` (a process each time, and power instead of energy), and pynvml (a dependency for four
calls).
"""

import ctypes
import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread
from typing import Protocol

POWERCAP = Path("/sys/class/powercap")
KIND = "meter"
READ_SECONDS = 10.0
"""RAPL's counter wraps after some minutes at full power at the earliest."""
WRITE_SECONDS = 60.0


class Diary(Protocol):
    """Where readings are kept: the journal."""

    def add_event(self, stage: str, kind: str, text: str) -> None:
        """Adds one line."""


@dataclass(frozen=True, slots=True)
class Counter:
    """A counter of energy that only grows, but for its wrapping."""

    name: str
    """`rapl` or `nvml`."""
    joules: Callable[[], float]
    wraps_at_joules: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumption:
    """What a stage took, over all of its invocations."""

    seconds: float
    joules: Mapping[str, float]
    """By source; a source that could not be read is absent."""


def counters() -> list[Counter]:
    """Every counter of this machine that can be read now."""
    return [*rapl_counters(POWERCAP), *nvml_counters()]


def rapl_counters(powercap: Path) -> Iterator[Counter]:
    """The packages' counters under `powercap`, without their parts, which the packages include."""
    for zone in sorted(powercap.glob("*-rapl:*")):
        if zone.name.count(":") != 1 or not _text(zone / "name").startswith("package"):
            continue
        most = _text(zone / "max_energy_range_uj")
        if _text(zone / "energy_uj").isdigit() and most.isdigit():
            yield Counter("rapl", _microjoules(zone / "energy_uj"), int(most) / 1e6)


def _microjoules(path: Path) -> Callable[[], float]:
    return lambda: int(path.read_text()) / 1e6


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:  # not there, or for root only: the counter does not count
        return ""


def nvml_counters(library: str = "libnvidia-ml.so.1") -> Iterator[Counter]:
    """One counter for each GPU that the driver shows and that counts its energy."""
    try:
        nvml = ctypes.CDLL(library)
    except OSError:  # no driver
        return
    number = ctypes.c_uint()
    if nvml.nvmlInit_v2() or nvml.nvmlDeviceGetCount_v2(ctypes.byref(number)):
        return
    for index in range(number.value):
        device = ctypes.c_void_p()
        if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)):
            continue
        try:
            _millijoules(nvml, device)
        except OSError:
            continue
        yield Counter("nvml", _gpu_joules(nvml, device))


def _gpu_joules(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> Callable[[], float]:
    return lambda: _millijoules(nvml, device) / 1e3


def _millijoules(nvml: ctypes.CDLL, device: ctypes.c_void_p) -> int:
    value = ctypes.c_ulonglong()
    status = nvml.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(value))
    if status:
        raise OSError(f"NVML gives no energy: status {status}")
    return value.value


@dataclass(slots=True)
class Meter:
    """Adds up what counters say, from its making on. A counter that fails is left out from then on."""

    found: list[Counter]
    clock: Callable[[], float] = time.monotonic
    _joules: list[float] = field(init=False)
    _last: list[float | None] = field(init=False)
    _since: float = field(init=False)

    def __post_init__(self) -> None:
        self._joules = [0.0] * len(self.found)
        self._last = [_reading(counter) for counter in self.found]
        self._since = self.clock()

    def read(self) -> None:
        """Takes every counter's reading; at least once in each round of a counter that wraps."""
        for place, counter in enumerate(self.found):
            last = self._last[place]
            now = None if last is None else _reading(counter)
            self._last[place] = now
            if last is None or now is None:
                continue
            wrapped = counter.wraps_at_joules or 0.0
            self._joules[place] += now - last if now >= last else now - last + wrapped

    def taken(self) -> Consumption:
        """What was taken since the last call (or the making)."""
        self.read()
        now = self.clock()
        joules: dict[str, float] = {}
        for counter, value, last in zip(self.found, self._joules, self._last, strict=True):
            if last is not None:
                joules[counter.name] = joules.get(counter.name, 0.0) + value
        seconds = now - self._since
        self._joules = [0.0] * len(self.found)
        self._since = now
        return Consumption(seconds=seconds, joules=joules)


def _reading(counter: Counter) -> float | None:
    try:
        return counter.joules()
    except (OSError, ValueError):  # it went away, or is no number any more
        return None


@contextmanager
def metered(diary: Diary, stage: str) -> Iterator[None]:
    """Measures its body; the readings become events of `stage` in the diary."""
    meter = Meter(counters())
    stop = Event()

    def write() -> None:
        taken = meter.taken()
        joules = {name: round(value, 3) for name, value in taken.joules.items()}
        diary.add_event(stage, KIND, json.dumps({"seconds": round(taken.seconds, 3), "joules": joules}))

    def watch() -> None:
        written = time.monotonic()
        while not stop.wait(READ_SECONDS):
            if time.monotonic() - written < WRITE_SECONDS:
                meter.read()
            else:
                write()
                written = time.monotonic()

    thread = Thread(target=watch, name="energy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()
        write()


def consumption(texts: list[str]) -> Consumption | None:
    """The sum of a stage's `meter` events by their texts; None where there is none.

    A source counts only where every event has it: a sum over half of the time would be taken for the whole.
    """
    if not texts:
        return None
    events = [json.loads(text) for text in texts]
    names = set.intersection(*(set(event["joules"]) for event in events))
    return Consumption(
        seconds=sum(event["seconds"] for event in events),
        joules={name: sum(event["joules"][name] for event in events) for name in sorted(names)},
    )
