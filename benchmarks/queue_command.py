"""`thinkscale generate` as a process that is watched and may be killed, and what its run directory holds afterwards."""

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from queue_client import questions
from queue_server import MODEL

from thinkscale.records import Finish, Response
from thinkscale.store.run import RunDirectory


@dataclass(frozen=True, slots=True)
class Ended:
    """How the command ended. `memory` is resident MiB by the wall clock."""

    code: int
    seconds: float
    cpu_seconds: float
    peak_mib: float
    memory: tuple[tuple[float, float], ...]
    said: str


@dataclass(frozen=True, slots=True)
class Workplace:
    """A folder with problems, and the command that answers them from the server at `url`."""

    folder: Path
    url: str
    options: tuple[str, ...] = ()

    @property
    def run(self) -> Path:
        """The run directory."""
        return self.folder / "run"

    def start(self, *more: str) -> subprocess.Popen[str]:
        """The command in a process of its own, its messages in `said.txt`."""
        command = [sys.executable, "-m", "thinkscale", "generate", str(self.folder / "problems.jsonl")]
        command += ["--endpoint", self.url, "--model", MODEL, "--out", str(self.run), "--quiet"]
        command += ["--cache", str(self.folder / "cache.db"), *self.options, *more]
        with (self.folder / "said.txt").open("w") as said:
            return subprocess.Popen(command, stdout=said, stderr=said, text=True)

    def finish(self, process: subprocess.Popen[str], step: float = 0.25, most_seconds: float = 600) -> Ended:
        """Waits for the command; it is killed after `most_seconds`."""
        began, memory = time.monotonic(), []
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            seconds = time.monotonic() - began
            if pid:
                break
            memory.append((time.time(), _resident_mib(process.pid)))
            if seconds > most_seconds:
                os.kill(process.pid, signal.SIGKILL)
            time.sleep(step)
        process.returncode = os.waitstatus_to_exitcode(status)
        cpu = usage.ru_utime + usage.ru_stime
        said = (self.folder / "said.txt").read_text()[-2000:]
        return Ended(process.returncode, seconds, cpu, usage.ru_maxrss / 1024, tuple(memory), said)

    def kill_when(self, process: subprocess.Popen[str], due: Callable[[], bool]) -> bool:
        """Kills the command with SIGKILL once `due`; False where it ended before."""
        while process.poll() is None:
            if due():
                os.kill(process.pid, signal.SIGKILL)
                process.wait()
                return True
            time.sleep(0.02)
        return False

    def num_stored(self) -> int:
        """Responses in the journal now."""
        try:
            with RunDirectory.read(self.run) as run:
                return run.journal.num_rows("responses", ["generate"])
        except Exception:  # noqa: BLE001 - no journal yet, or one that is just being made
            return 0

    def generating(self) -> tuple[float, float]:
        """When the stage `generate` began and ended, by the wall clock; a report comes behind it."""
        with RunDirectory.read(self.run) as run:
            stage = run.journal.stage("generate")
        if stage is None:
            return 0.0, 0.0
        return stage.started, stage.finished or time.time()

    def rows(self) -> dict[str, Any]:
        """Counts of what the journal holds."""
        with RunDirectory.read(self.run) as run:
            responses = [(item.problem_id, item.finish, item.error, item.attempts) for item in run.rows(Response)]
            usd = sum(stage.usd for stage in run.journal.stages())
        names = Counter(name for name, *_ in responses)
        reasons = Counter((error or "").split(":", 1)[0] for _, finish, error, _ in responses if finish is Finish.ERROR)
        return {
            "rows": len(responses),
            "problems": len(names),
            "stored_twice": len(responses) - len(names),
            "failures": dict(reasons),
            "attempts": sum(attempts for *_, attempts in responses),
            "usd": usd,
        }


@contextmanager
def workplace(url: str, num_problems: int, *options: str) -> Iterator[Workplace]:
    """A temporary folder with so many problems."""
    with TemporaryDirectory(prefix="thinkscale-bench-") as name:
        write_problems(Path(name), num_problems)
        yield Workplace(Path(name), url, options)


def write_problems(folder: Path, count: int) -> None:
    """`problems.jsonl` with so many different problems."""
    with (folder / "problems.jsonl").open("w") as stream:
        for number, question in enumerate(questions(count)):
            stream.write(json.dumps({"id": f"p{number}", "question": question, "reference": "0"}) + "\n")


def _resident_mib(pid: int) -> float:
    try:
        text = Path(f"/proc/{pid}/statm").read_text()
    except OSError:
        return 0.0
    return round(int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20, 1)
