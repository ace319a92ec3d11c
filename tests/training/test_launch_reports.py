"""What processes of a training tell the one that a person started: their events, and the cause of a failure."""

import json
import pickle
from pathlib import Path

import pytest

from thinkscale.errors import DataError, StageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.launch import Call, Lines, killed, raise_cause
from thinkscale.training.log import Entry, TrainingLog, line_of
from thinkscale.training.settings import SftSettings
from thinkscale.training.worker import ERROR, failure_of

LOG = """\
W1121 17:52:26.515000 12901 torch/distributed/elastic/multiprocessing/api.py:1028] Sending process 12933 closing signal
torch.distributed.elastic.multiprocessing.errors.ChildFailedError:
============================================================
thinkscale.training.worker FAILED
------------------------------------------------------------
Failures:
[1]:
  time      : 2026-11-21_17:52:26
  host      : vm
  rank      : 0 (local_rank: 0)
  exitcode  : 1 (pid: 12932)
  error_file: <N/A>
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  time      : 2026-11-21_17:52:26
  host      : vm
  rank      : 3 (local_rank: 3)
  exitcode  : {code} (pid: 12933)
  error_file: <N/A>
============================================================
"""
"""As torchrun 2.13 writes it."""


@pytest.mark.parametrize(
    ("raised", "code", "expected", "message"),
    [
        ({}, "-9", StageError, r"process 3 of 4 was killed by signal 9 \(SIGKILL: often the system, when its memory"),
        ({}, "-11", StageError, r"process 3 of 4 was killed by signal 11; the others were stopped"),
        ({}, "1", StageError, "the 4 processes of the training ended without a result:\nTraceback\nImportError: no"),
        # One waits for another that is gone, and says so in its own words; the cause is the kill.
        ({0: RuntimeError("Connection closed by peer")}, "-9", StageError, "process 3 of 4 was killed by signal 9"),
        ({2: ValueError("odd")}, "1", StageError, "process 2 of 4 failed: ValueError: odd"),
        # What was raised on purpose goes before what others raised in waiting, although that came earlier.
        ({0: RuntimeError("closed"), 1: DataError("row 7 is broken")}, "1", DataError, "^row 7 is broken$"),
        ({0: RuntimeError("closed"), 1: DataError("row 7 is broken")}, "-9", DataError, "^row 7 is broken$"),
    ],
)
def test_the_cause_of_a_failure_is_told_from_what_follows_of_it(
    raised: dict[int, Exception], code: str, expected: type[Exception], message: str, tmp_path: Path
) -> None:
    (tmp_path / "launcher.log").write_text(LOG.format(code=code))
    for rank, text in enumerate(("a warning", "Traceback\nImportError: no libcuda\n")):
        (tmp_path / "logs" / str(rank)).mkdir(parents=True)
        (tmp_path / "logs" / str(rank) / "stderr.log").write_text(text)
    for rank, error in raised.items():
        failure = failure_of(rank, error)
        (tmp_path / ERROR.format(rank)).write_bytes(pickle.dumps(failure))
    with pytest.raises(expected, match=message) as caught:
        raise_cause(tmp_path, 4)
    if "ValueError" in message:
        assert "ValueError: odd" in str(caught.value.__cause__)


def test_events_are_heard_whole_and_in_order(tmp_path: Path) -> None:
    step = Step(step=1, epoch=0.5, loss=2.0, learning_rate=0.1, gradient_norm=1.0, num_tokens=7)
    held_out = HeldOut(step=1, epoch=0.5, num_rows=2, loss=2.5)
    heard: list[object] = []
    call = Call(
        [],
        SftSettings(model="m"),
        tmp_path / "out",
        heard.append,
        on_held_out=heard.append,
        log=TrainingLog(tmp_path / "log", (heard.append,)),
        on_remark=heard.append,
    )
    entry = Entry(record=step)
    lines = [
        json.dumps({"of": "remark", "line": "rows end without an end"}),
        json.dumps({"of": "log", "line": line_of(entry)}),
        json.dumps({"of": "step", "line": line_of(entry)}),
        json.dumps({"of": "held_out", "line": line_of(Entry(record=held_out))}),
    ]
    written = ("\n".join(lines) + "\n").encode()
    path = tmp_path / "events"
    events = Lines(path)
    assert events.new() == []
    for end in range(0, len(written) + 1, 50):  # a line may be read when half of it is written
        path.write_bytes(written[:end])
        for line in events.new():
            call.hear(line)
    path.write_bytes(written)
    for line in events.new():
        call.hear(line)
    assert heard == ["rows end without an end", entry, step, held_out]


def test_the_process_that_a_signal_ended_is_named_and_not_the_survivor_that_lost_its_connection() -> None:
    """What torchrun wrote where process 0 was killed: it saw the survivor's failure first, and stopped process 2."""
    log = """\
Failures:
[1]:
  time      : 2026-01-01_00:00:00
  rank      : 0 (local_rank: 0)
  exitcode  : -9 (pid: 11)
  error_file: <N/A>
[2]:
  rank      : 2 (local_rank: 2)
  exitcode  : -15 (pid: 13)
------------------------------------------------------------
Root Cause (first observed failure):
[0]:
  rank      : 1 (local_rank: 1)
  exitcode  : 1 (pid: 12)
"""
    assert killed(log) == (0, 9)
    assert killed(log.replace("-9", "1")) is None
