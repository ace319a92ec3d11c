"""Joules and seconds of a stretch of work: the kernel's files, counters that wrap, and what is kept of them."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.energy import KIND, Counter, Meter, consumption, metered, nvml_counters, rapl_counters
from thinkscale.store.journal import Journal


def zone(folder: Path, name: str, microjoules: int, most: int, kind: str = "intel-rapl:0") -> Path:
    path = folder / kind
    path.mkdir(parents=True)
    (path / "name").write_text(f"{name}\n")
    (path / "energy_uj").write_text(f"{microjoules}\n")
    (path / "max_energy_range_uj").write_text(f"{most}\n")
    return path


def test_packages_count_and_their_parts_do_not(tmp_path: Path) -> None:
    package = zone(tmp_path, "package-0", 5_000_000, 262_143_328_850)
    zone(tmp_path, "core", 1, 10, "intel-rapl:0:0")
    zone(tmp_path, "psys", 1, 10, "intel-rapl:1")
    (counter,) = rapl_counters(tmp_path)
    assert (counter.name, counter.joules(), counter.wraps_at_joules) == ("rapl", 5.0, 262_143.32885)
    (package / "energy_uj").write_text("7500000")
    assert counter.joules() == 7.5


def test_a_counter_that_cannot_be_read_does_not_count(tmp_path: Path) -> None:
    path = zone(tmp_path, "package-0", 1, 10)
    (path / "energy_uj").unlink()
    assert list(rapl_counters(tmp_path)) == []
    assert list(rapl_counters(tmp_path / "nowhere")) == []


def test_without_the_drivers_library_there_are_no_gpus() -> None:
    assert list(nvml_counters("libthinkscale-has-no-such-library.so")) == []


def readings(*values: float) -> Counter:
    left: Iterator[float] = iter(values)
    return Counter("rapl", lambda: next(left), wraps_at_joules=100.0)


def test_a_counter_that_wrapped_goes_on_where_it_was() -> None:
    clock = iter([10.0, 25.0])
    meter = Meter([readings(90.0, 98.0, 4.0)], clock=lambda: next(clock))
    meter.read()
    taken = meter.taken()
    assert taken.joules == {"rapl": 14.0}  # 8 to the turn's 98, 2 to 100, 4 behind it
    assert taken.seconds == 15.0


def test_two_packages_are_one_source_and_one_that_fails_takes_the_source_along() -> None:
    clock = iter([0.0, 1.0, 2.0])
    meter = Meter([readings(1.0, 3.0, 4.0), readings(5.0, 6.0)], clock=lambda: next(clock))
    assert meter.taken().joules == {"rapl": 3.0}

    def broken() -> float:
        raise OSError

    meter = Meter([Counter("rapl", broken)], clock=lambda: 0.0)
    assert meter.taken().joules == {}


def test_a_source_counts_only_where_it_was_read_all_the_time() -> None:
    whole = json.dumps({"seconds": 60.0, "joules": {"rapl": 30.0, "nvml": 400.0}})
    half = json.dumps({"seconds": 20.0, "joules": {"nvml": 100.0}})
    found = consumption([whole, half])
    assert found is not None
    assert (found.seconds, found.joules) == (80.0, {"nvml": 500.0})
    assert consumption([]) is None


def fail_late() -> None:
    time.sleep(0.02)
    raise RuntimeError("the body")


def test_what_the_body_took_is_kept_in_the_journal_also_where_it_fails(tmp_path: Path) -> None:
    with Journal.open(tmp_path / "journal.db") as journal:
        with pytest.raises(RuntimeError, match="the body"), metered(journal, "evaluate"):
            fail_late()
        events = [event for event in journal.events("evaluate") if event.kind == KIND]
    found = consumption([event.text for event in events])
    assert found is not None
    assert found.seconds >= 0.02
