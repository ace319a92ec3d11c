"""The log of a training: every step once, whatever a kill left, with readings worked out from an injected clock."""

import json
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from thinkscale.errors import DataError, StorageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.log import Entry, Speed, TrainingLog, entry_of, line_of, peak_resident_bytes, read_log


def step(number: int, loss: float = 1.0, num_tokens: int = 800, padding: float = 0.2) -> Step:
    return Step(
        step=number,
        epoch=number / 4,
        loss=loss,
        learning_rate=1e-4,
        gradient_norm=0.5,
        num_tokens=num_tokens,
        num_trained_tokens=num_tokens // 2,
        padding=padding,
    )


HELD_OUT = HeldOut(step=2, epoch=0.5, num_rows=7, loss=0.9, token_accuracy=0.5)


def clock_of(*times: float) -> Callable[[], float]:
    """A clock that shows each of `times` once, in order."""
    shown: Iterator[float] = iter(times)
    return lambda: next(shown)


def test_readings_follow_from_the_clock_and_the_records(tmp_path: Path) -> None:
    # made, begun, read at the end of step 1, rested, an evaluation's end, rested, end of step 2, rested
    log = TrainingLog(tmp_path / "log.jsonl", clock=clock_of(0, 100, 104, 104, 110, 110, 112, 112))
    log.begin(speed=Speed(flops_per_token=6e9, peak_flops_per_second=2.4e12))
    log.add_step(step(1), 5_000)
    log.add_held_out(HELD_OUT, 6_000)
    log.add_step(step(2), 7_000)
    one, held, two = (entry.readings for entry in read_log(tmp_path / "log.jsonl"))
    assert one is not None
    assert held is not None
    assert two is not None
    assert (one.seconds, one.tokens_per_second, one.peak_bytes) == (4, 200, 5_000)
    assert one.computed_per_second == pytest.approx(250)  # a fifth of the positions is padding
    assert one.mfu == pytest.approx(0.5)  # 200 tokens/s * 6e9 / 2.4e12
    assert (held.seconds, held.tokens_per_second, held.mfu, held.peak_bytes) == (6, None, None, 6_000)
    assert (two.seconds, two.tokens_per_second) == (2, 400)  # the evaluation is none of its time


def test_a_line_is_flat_and_names_its_kind(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", clock=clock_of(0, 0, 2, 2))
    log.begin()
    log.add_step(step(1), 10)
    row = json.loads((tmp_path / "log.jsonl").read_text(encoding="utf-8"))
    assert (row["kind"], row["step"], row["loss"], row["seconds"]) == ("step", 1, 1.0, 2)
    assert row["mfu"] is None
    assert row["time"].endswith("+00:00")


def test_lines_come_back_as_they_were() -> None:
    for entry in (Entry(record=step(3)), Entry(record=HELD_OUT)):
        assert entry_of(line_of(entry)) == entry


def test_a_resumed_log_has_every_step_once_and_keeps_the_readings_of_the_first_part(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = TrainingLog(path, clock=clock_of(0, 0, 1, 1, 3, 3, 6, 6))
    log.begin()
    for number in (1, 2, 3):
        log.add_step(step(number), 10)
    with path.open("a", encoding="utf-8") as lines:
        lines.write('{"kind": "step", "ste')  # a kill tore the line off
    heard: list[int] = []
    resumed = TrainingLog(path, [lambda entry: heard.append(entry.record.step)], clock=clock_of(9, 9, 19, 19))
    resumed.begin([step(1), step(2)])  # the checkpoint stands at step 2
    resumed.add_step(step(3, loss=0.5), 20)
    entries = read_log(path)
    assert [entry.record for entry in entries] == [step(1), step(2), step(3, loss=0.5)]
    assert [entry.readings.seconds for entry in entries if entry.readings] == [1, 2, 10]
    assert heard == [1, 2, 3]


def test_records_whose_lines_are_lost_or_of_another_training_stand_without_readings(tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    log = TrainingLog(path, clock=clock_of(0, 0, 1, 1))
    log.begin()
    log.add_step(step(1, loss=7.0), 10)
    TrainingLog(path).begin([step(1), HELD_OUT])
    assert read_log(path) == (Entry(record=step(1)), Entry(record=HELD_OUT))


def test_a_log_that_begins_anew_forgets_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "log.jsonl"
    for _ in range(2):
        log = TrainingLog(path)
        log.begin()
        log.add_step(step(1), 10)
    assert len(read_log(path)) == 1
    path.write_text("no log\n", encoding="utf-8")
    TrainingLog(path).begin()
    assert read_log(path) == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[]\n", "line 2: no entry of a training log .neither a step nor an evaluation"),
        ('{"kind": "epoch"}\n', "neither a step nor an evaluation"),
        ('{"kind": "step", "step": 1}\n', "missing"),
        ('{"kind": "step", "colour": 1}\n', "Step has no field colour"),
    ],
)
def test_a_line_that_is_no_entry_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "log.jsonl"
    path.write_text(line_of(Entry(record=step(1))) + line, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_log(path)


def test_a_place_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(StorageError):
        TrainingLog(tmp_path / "file" / "log.jsonl").begin()


def test_padding_alone_or_no_tokens_give_no_rates(tmp_path: Path) -> None:
    log = TrainingLog(tmp_path / "log.jsonl", clock=clock_of(0, 0, 1, 1, 1, 1))
    log.begin(speed=Speed(flops_per_token=1.0, peak_flops_per_second=1.0))
    log.add_step(step(1, num_tokens=0, padding=0.0), 1)
    log.add_step(step(2), 1)  # no time has passed
    for entry in read_log(tmp_path / "log.jsonl"):
        assert entry.readings is not None
        assert (entry.readings.tokens_per_second, entry.readings.mfu) == (None, None)


def test_resident_memory_is_in_bytes_and_never_falls() -> None:
    peaks = [peak_resident_bytes() for _ in range(3)]
    assert peaks[0] > 10 * 1024**2
    assert all(one <= other for one, other in pairwise(peaks))
