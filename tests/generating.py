"""A teacher that answers from a script, problems for it, and `thinkscale generate` as it is typed."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from thinkscale import cli, pipeline
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.script import ScriptedReply
from thinkscale.engines.scripted.server import ReplayServer, running_server

MODEL = "teacher"


def says(prompt: str, seed: int) -> ScriptedReply:
    """Different for each question and each sample."""
    return ScriptedReply(thinking=f"{prompt} I think of {seed}. " * 4, answer_text=f"The answer is {seed % 97}.")


@contextmanager
def teacher(options: ServerOptions | None = None) -> Iterator[ReplayServer]:
    """`says` behind the loopback server."""
    with running_server(ScriptedBackend(says, name=MODEL), options) as server:
        yield server


def write_problems(path: Path, number: int) -> Path:
    rows = [
        {"id": f"q{index}", "question": f"What is {index} + 1?", "answer": str(index + 1)} for index in range(number)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def asking(problems: Path, server: ReplayServer, out: Path, *more: str) -> tuple[str, ...]:
    """The arguments of the command that asks `server`."""
    return ("generate", str(problems), "--endpoint", server.url, "--model", MODEL, "--out", str(out), *more)


CHILDREN: list[subprocess.Popen[str]] = []
"""Every process that `started` began; `end_children` is for the end of a test."""


def end_children() -> None:
    """Kills what a failed test left running."""
    for child in CHILDREN:
        if child.poll() is None:
            child.kill()
        child.communicate()
    CHILDREN.clear()


def started(*arguments: str, **options: object) -> subprocess.Popen[str]:
    """The command as a process of its own."""
    made: subprocess.Popen[str] = subprocess.Popen(  # type: ignore[call-overload]
        [sys.executable, "-m", "thinkscale", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )
    CHILDREN.append(made)
    return made


class Terminal:
    """The command within this process: what it prints, and its exit code.

    Without `reports` no report is drawn at a run's end, which takes longer than a small run itself.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *, reports: bool = False
    ) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys
        if not reports:
            monkeypatch.setattr(pipeline, "report", lambda _context: None)

    def type(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        self._monkeypatch.setattr(sys, "argv", ["thinkscale", *arguments])
        self._capsys.readouterr()
        before = signal.getsignal(signal.SIGTERM)
        code = 0
        try:
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            signal.signal(signal.SIGTERM, before)
        said = self._capsys.readouterr()
        return code, said.out, said.err

    def done(self, *arguments: str) -> str:
        """The output of a command that must succeed."""
        code, out, err = self.type(*arguments)
        assert code == 0, err
        return out

    def refused(self, *arguments: str, code: int = 2) -> str:
        """The message of a command that must fail with `code`, without a traceback."""
        found, _, err = self.type(*arguments)
        assert found == code, err
        assert "Traceback" not in err
        return err


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Terminal:
    """The command in an empty folder, with a cache of its own and no keys."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "HF_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    return Terminal(monkeypatch, capsys)
