"""A run that is killed, stopped, cut off or out of disk goes on by itself, pays nothing twice, and ends alike."""

import hashlib
import random
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from tests.generating import MODEL, Terminal, asking, end_children, says, started, teacher, write_problems
from tests.ports import lasting_port
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.faults import Fault, FaultPlan
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.served import Ending
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.engines.tokens import DRAFT_TOKENS
from thinkscale.errors import RunDirectoryError
from thinkscale.records import Finish, Response
from thinkscale.store.run import RunDirectory

MARKERS = 64
"""More than the marks of thinking take, which count neither as thinking nor as answer."""
SLOW = ServerOptions(tokens_per_second=150, capacity=8, queue=True)
"""A few responses are in flight at any time, for about half a second each."""


@pytest.fixture(autouse=True)
def own_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    end_children()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Terminal:
    return Terminal(monkeypatch, capsys)


def wait_until(holds: Callable[[], bool], child: subprocess.Popen[str], seconds: float = 240) -> None:
    """Waits while the child runs; fails where it ended before."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert child.poll() is None, child.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)


def num_done(server: ReplayServer) -> int:
    return server.log.endings[Ending.DONE]


def has_note(run: Path) -> bool:
    """Whether a draft or a batch is noted."""
    try:
        with RunDirectory.read(run) as stored:
            return bool(stored.journal.query("SELECT 1 FROM notes WHERE stage = 'generate'"))
    except RunDirectoryError:  # it is not there yet
        return False


def table_hash(run: Path) -> str:
    return hashlib.sha256((run / "responses.parquet").read_bytes()).hexdigest()


@pytest.mark.parametrize("number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow)])
def test_a_signal_ends_the_run_with_a_message_and_the_same_command_goes_on(
    terminal: Terminal, tmp_path: Path, number: signal.Signals
) -> None:
    problems, run = write_problems(tmp_path / "p.jsonl", 24), tmp_path / "run"
    with teacher(SLOW) as server:
        arguments = asking(problems, server, run, "--cache", "none")
        child = started(*arguments)
        wait_until(lambda: num_done(server) >= 8, child)
        child.send_signal(number)
        _, said = child.communicate(timeout=20)
        assert child.returncode == 1
        assert "stopped; what was finished is stored, and the same command goes on from there" in said
        assert "Traceback" not in said
        with RunDirectory.read(run) as stored:
            kept = stored.journal.done_units("generate")
        assert 1 <= len(kept) < 24
        before = num_done(server)
        terminal.done(*arguments)
        # What was answered but not yet handed over when the signal came may be asked for again; no stored row is.
        assert num_done(server) - before == 24 - len(kept)
    with teacher() as server:
        terminal.done(*asking(problems, server, tmp_path / "undisturbed", "--cache", "none"))
    assert table_hash(run) == table_hash(tmp_path / "undisturbed")


@pytest.mark.slow
def test_a_server_that_goes_away_and_comes_back_costs_what_was_in_flight(terminal: Terminal, tmp_path: Path) -> None:
    problems, run = write_problems(tmp_path / "p.jsonl", 24), tmp_path / "run"
    port = lasting_port()
    with teacher(replace(SLOW, port=port)) as server:
        child = started(*asking(problems, server, run, "--cache", "none"))
        wait_until(lambda: num_done(server) >= 8, child)
    first = num_done(server)
    time.sleep(0.2)
    assert child.poll() is None
    with teacher(ServerOptions(port=port)) as again:
        _out, said = child.communicate(timeout=60)
        assert child.returncode == 0, said
        assert first + num_done(again) <= 24 + 1
    with teacher() as server:
        terminal.done(*asking(problems, server, tmp_path / "undisturbed", "--cache", "none"))
    with RunDirectory.read(run) as stored, RunDirectory.read(tmp_path / "undisturbed") as other:
        found = [(item.key, item.thinking, item.answer_text, item.finish) for item in stored.rows(Response, "generate")]
        expected = [
            (item.key, item.thinking, item.answer_text, item.finish) for item in other.rows(Response, "generate")
        ]
    assert found == expected


def test_a_full_disk_stops_the_run_and_what_was_stored_counts(terminal: Terminal, tmp_path: Path) -> None:
    problems, run = write_problems(tmp_path / "p.jsonl", 200), tmp_path / "run"

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))

    def wordy(prompt: str, seed: int) -> ScriptedReply:
        # Hashes do not compress: 200 of these do not fit.
        text = "".join(hashlib.sha256(f"{prompt} {seed} {part}".encode()).hexdigest() for part in range(60))
        return ScriptedReply(thinking=text, answer_text="1")

    with running_server(ScriptedBackend(wordy, name=MODEL)) as server:
        arguments = asking(problems, server, run, "--cache", "none")
        child = started(*arguments, preexec_fn=small_disk)
        _, said = child.communicate(timeout=60)
        assert child.returncode == 1, said
        assert "Traceback" not in said
        assert "could not be written" in said or "disk" in said
        with RunDirectory.read(run) as stored:
            kept = len(stored.journal.done_units("generate"))
        assert 5 < kept < 200
        before = num_done(server)
        terminal.done(*arguments)
        assert num_done(server) - before == 200 - kept


@pytest.mark.slow
def test_a_long_trace_goes_on_from_its_last_saved_token(terminal: Terminal, tmp_path: Path) -> None:
    from thinkscale.engines.catalogue import open_tokenizer

    tokenizer = open_tokenizer("lab")

    def long(prompt: str, seed: int) -> ScriptedReply:
        return ScriptedReply(thinking=f"{seed} + 1 = 2. " * 200, answer_text="2")

    problems, run = write_problems(tmp_path / "p.jsonl", 1), tmp_path / "run"
    backend = ScriptedBackend(long, name=MODEL, tokenizer=tokenizer)
    options = ("--tokenizer", "lab", "--max-tokens", "20000", "--cache", "none")
    with running_server(backend, ServerOptions(tokens_per_second=4000)) as server:
        arguments = asking(problems, server, run, *options)
        child = started(*arguments)

        wait_until(lambda: has_note(run), child)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        terminal.done(*arguments)
        _torn, rest = server.settled().attempts
    with RunDirectory.read(run) as stored:
        (response,) = stored.rows(Response, "generate")
    assert response.finish is Finish.END
    assert response.thinking.count(" + 1 = 2.") == 200
    whole = response.thinking_tokens + response.answer_tokens
    # A draft is saved every 512 tokens: that much is in the prompt of the second attempt, and is not written again.
    assert rest.prompt_tokens > DRAFT_TOKENS
    assert rest.sent_tokens <= whole - DRAFT_TOKENS + MARKERS


def test_a_kill_while_batches_are_out_submits_nothing_twice(terminal: Terminal, tmp_path: Path) -> None:
    problems, run = write_problems(tmp_path / "p.jsonl", 6), tmp_path / "run"
    batch = ("--batch", "--set", "generate.batch_poll_seconds=0.04", "--cache", "none")
    with teacher(ServerOptions(batch_polls=30)) as server:
        arguments = asking(problems, server, run, *batch)
        child = started(*arguments)

        wait_until(lambda: has_note(run), child)
        time.sleep(0.2)
        child.send_signal(signal.SIGKILL)
        child.communicate()
        message = terminal.refused(*asking(problems, server, run, "--cache", "none"))
        assert "batches of this run are with the provider" in message
        terminal.done(*arguments)
        assert server.settled().num_requests == 6
        assert len(server.settled().attempts) == 6
    with RunDirectory.read(run) as stored:
        assert [item.attempts for item in stored.rows(Response, "generate")] == [1] * 6


def test_only_the_failed_rows_of_a_batch_are_sent_again(terminal: Terminal, tmp_path: Path) -> None:
    problems, run = write_problems(tmp_path / "p.jsonl", 30), tmp_path / "run"
    batch = ("--batch", "--set", "generate.batch_poll_seconds=0.02", "--cache", "none", "--max-failures", "1")
    with teacher(ServerOptions(batch_failed_share=0.3)) as server:
        terminal.done(*asking(problems, server, run, *batch))
        with RunDirectory.read(run) as stored:
            attempts = [item.attempts for item in stored.rows(Response, "generate")]
        assert sum(attempts) == len(server.settled().attempts)
        assert 30 < sum(attempts) < 60
        assert attempts.count(1) > 10


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_run_killed_at_random_instants_has_the_same_table_and_asks_for_nothing_twice(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 120)
    with teacher() as server:
        child = started(*asking(problems, server, tmp_path / "undisturbed", "--samples", "2", "--cache", "none"))
        child.communicate()
        assert child.returncode == 0
    rng = random.Random(42)
    run, num_kills = tmp_path / "killed", 0
    options = ServerOptions(tokens_per_second=150, capacity=8, queue=True)
    with teacher(options) as server:
        arguments = asking(problems, server, run, "--samples", "2", "--cache", "none")
        for target in (0, *sorted(rng.sample(range(1, 230), 8))):
            child = started(*arguments)
            with suppress(AssertionError):  # it came to its end before
                wait_until(lambda: num_done(server) >= target, child)  # noqa: B023 - it is called before the next
                time.sleep(rng.uniform(0, 0.2))
            num_kills += child.poll() is None
            child.kill()
            child.communicate()
        child = started(*arguments)
        _, said = child.communicate(timeout=200)
        assert child.returncode == 0, said
        answered = num_done(server)
    assert num_kills >= 5
    # A kill costs what was in flight, and what had come but was not stored yet: eight at a time are answered.
    assert 240 <= answered <= 240 + 16 * num_kills
    assert table_hash(run) == table_hash(tmp_path / "undisturbed")


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_faulty_server_and_kills_leave_a_whole_table(tmp_path: Path) -> None:
    problems = write_problems(tmp_path / "p.jsonl", 150)
    shares = dict.fromkeys(
        (Fault.RATE_LIMIT, Fault.SERVER_ERROR, Fault.OVERLOADED, Fault.TORN_STREAM, Fault.MALFORMED), 0.05
    )
    options = ServerOptions(
        tokens_per_second=300, capacity=12, queue=True, faults=FaultPlan(shares=shares), retry_after_seconds=0.05
    )
    rng = random.Random(7)
    run = tmp_path / "run"
    with running_server(ScriptedBackend(says, name=MODEL), options) as server:
        for target in sorted(rng.sample(range(10, 130), 5)):
            child = started(*asking(problems, server, run, "--cache", "none"))
            wait_until(lambda: num_done(server) >= target, child)  # noqa: B023 - it is called before the next
            child.kill()
            child.communicate()
        child = started(*asking(problems, server, run, "--cache", "none"))
        _, said = child.communicate(timeout=200)
        assert child.returncode == 0, said
    with RunDirectory.read(run) as stored:
        responses = list(stored.rows(Response, "generate"))
    assert len({item.key for item in responses}) == len(responses) == 150
    assert all(item.finish is Finish.END or item.error for item in responses)
