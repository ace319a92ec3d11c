"""Killable workers: every ending is seen for what it is, and nothing outlives its caller."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.grading.execution import Limits
from thinkscale.keys import JSON
from thinkscale.sandbox.workers import KillableWorker, Outcome, Reply

PROJECT = Path(__file__).resolve().parent.parent.parent
MODULE = "tests.sandbox.worker_probe"
LIMITS = Limits(cpu_seconds=0.3, wall_seconds=5.0, memory_bytes=1 << 29)
linux_only = pytest.mark.skipif(sys.platform != "linux", reason="the kernel keeps this limit on Linux")


@pytest.fixture(scope="module")
def worker() -> Iterator[KillableWorker]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(PROJECT))
        patch.setenv("A_SECRET", "hidden")
        with KillableWorker(MODULE, LIMITS) as opened:
            assert opened.ask(["echo", 1]).value == 1
            yield opened


def ending(reply: Reply) -> tuple[Outcome, str]:
    return reply.outcome, reply.detail


def alive(pid: int) -> bool:
    """Whether the process runs; one that is dead but not yet collected does not."""
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def gone_within(pid: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    return not alive(pid)


@pytest.mark.parametrize("value", ["text", "\ud800 lone", "\0 null", "é" * 1000, 12, [1, {"a": None}], "x" * 1_000_000])
def test_a_request_and_its_answer_pass_unchanged(worker: KillableWorker, value: JSON) -> None:
    reply = worker.ask(["echo", value])
    assert (reply.outcome, reply.value) == (Outcome.ANSWERED, value)
    assert reply.cpu_seconds < 0.3


@pytest.mark.parametrize("deed", ["spin", "large_power", "swallow"])
def test_cpu_time_ends_a_request_in_python_and_in_c(worker: KillableWorker, deed: str) -> None:
    started = time.monotonic()
    reply = worker.ask([deed, None])
    assert ending(reply) == (Outcome.CPU_TIME, "0.3 s of CPU time")
    assert 0.2 < reply.cpu_seconds < 0.6
    assert time.monotonic() - started < 4


def test_wall_time_ends_what_waits_and_is_no_cpu_time(worker: KillableWorker) -> None:
    reply = worker.ask(["sleep", 30], Limits(cpu_seconds=0.3, wall_seconds=0.3))
    assert ending(reply) == (Outcome.WALL_TIME, "0.3 s of wall time")


@linux_only
def test_memory_is_bounded(worker: KillableWorker) -> None:
    patient = Limits(cpu_seconds=20, wall_seconds=60, memory_bytes=1 << 29)
    assert worker.ask(["allocate", None], patient).outcome is Outcome.MEMORY


def test_output_is_bounded(worker: KillableWorker) -> None:
    small = Limits(cpu_seconds=0.3, wall_seconds=5.0, output_bytes=1_000)
    assert worker.ask(["many", 900], small).outcome is Outcome.ANSWERED
    assert worker.ask(["many", 1_000_000], small).outcome is Outcome.DIED


@pytest.mark.parametrize(
    ("deed", "argument", "name"),
    [
        ("evaluate", "1 + 1", "PermissionError: a worker compiles no text"),
        ("write", "/tmp/written-by-a-worker", "PermissionError: a worker opens no file for writing"),
        ("connect", None, "PermissionError: a worker has no socket"),
        ("spawn", None, "PermissionError: a worker has no subprocess.Popen"),
        ("recurse", None, "RecursionError"),
        ("not_json", None, "TypeError"),
        ("unknown", None, "KeyError"),
    ],
)
def test_what_a_request_may_not_do_fails_by_name(worker: KillableWorker, deed: str, argument: JSON, name: str) -> None:
    reply = worker.ask([deed, argument])
    assert reply.outcome is Outcome.FAILED
    assert reply.detail.startswith(name)


def test_a_death_is_seen_and_the_next_request_is_served(worker: KillableWorker) -> None:
    loaded = worker.pid
    assert ending(worker.ask(["signal", int(signal.SIGSEGV)])) == (Outcome.DIED, "killed by SIGSEGV")
    assert ending(worker.ask(["crash", 7])) == (Outcome.DIED, "ended without an answer, status 7")
    assert worker.ask(["echo", "still there"]).value == "still there"
    assert worker.pid == loaded


def test_no_request_sees_what_another_left(worker: KillableWorker) -> None:
    assert [worker.ask(["remember", "x"]).value for _ in range(3)] == [1, 1, 1]


def test_a_request_has_no_descriptors_but_its_own_and_no_environment(worker: KillableWorker) -> None:
    assert worker.ask(["descriptors", None]).value == [0, 1, 2, 3]
    assert "A_SECRET" not in str(worker.ask(["environment", None]).value)


def test_requests_take_milliseconds(worker: KillableWorker) -> None:
    started = time.monotonic()
    for _ in range(50):
        worker.ask(["echo", None])
    assert (time.monotonic() - started) / 50 < 0.05


def test_a_killed_loaded_process_is_started_anew(worker: KillableWorker) -> None:
    before = worker.pid
    assert before is not None
    os.kill(before, signal.SIGKILL)
    assert worker.ask(["echo", "again"]).value == "again"
    assert worker.pid != before


def test_a_stopped_loaded_process_counts_as_wall_time(worker: KillableWorker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.sandbox.workers.SPARE_SECONDS", 0.2)
    assert worker.pid is not None
    os.kill(worker.pid, signal.SIGSTOP)
    assert worker.ask(["echo", "x" * 300_000], Limits(wall_seconds=0.1)).outcome is Outcome.WALL_TIME
    assert worker.ask(["echo", "again"]).value == "again"


def test_a_module_that_does_not_load_is_said_and_not_tried_for_ever(capfd: pytest.CaptureFixture[str]) -> None:
    with KillableWorker("thinkscale.no_such_module", LIMITS) as broken:
        replies = [broken.ask(["echo", 1]) for _ in range(5)]
    assert {ending(reply) for reply in replies} == {(Outcome.DIED, "the worker thinkscale.no_such_module does not run")}
    assert capfd.readouterr().err.count("No module named") == 3


CALLER = """
import sys, time
from thinkscale.grading.execution import Limits
from thinkscale.sandbox.workers import KillableWorker
worker = KillableWorker({module!r}, Limits(cpu_seconds=60, wall_seconds=60))
print(worker.ask(["pid", None]).value, worker.pid, flush=True)
worker.ask(["{deed}", 60])
"""


@linux_only
@pytest.mark.parametrize("deed", ["spin", "sleep"])
def test_nothing_outlives_a_caller_that_is_killed(deed: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    code = CALLER.format(module=MODULE, deed=deed)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as caller:
        assert caller.stdout is not None
        loaded = int(caller.stdout.readline().split()[1])
        children = Path(f"/proc/{loaded}/task/{loaded}/children")
        while not (child := children.read_text().split()):
            time.sleep(0.02)
        caller.kill()
    assert gone_within(loaded, 5)
    assert gone_within(int(child[0]), 5)


@linux_only
def test_a_child_dies_with_its_loaded_process(worker: KillableWorker) -> None:
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    code = CALLER.format(module=MODULE, deed="spin")
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as caller:
        assert caller.stdout is not None
        loaded = int(caller.stdout.readline().split()[1])
        children = Path(f"/proc/{loaded}/task/{loaded}/children")
        while not (child := children.read_text().split()):
            time.sleep(0.02)
        os.kill(loaded, signal.SIGKILL)
        assert gone_within(int(child[0]), 5)
        caller.kill()
