"""A worker that can be killed: Python libraries run on hostile data, with limits that hold inside C code too.

A module that calls `serving.serve` runs as a process of its own, which loads its libraries once (half a second for
sympy) and then forks a child for each request, in milliseconds. Whatever the request does to the child, the caller gets
a `Reply` that says how it ended. If the loaded process itself is killed, the next request starts it anew.

Nothing outlives the caller: the loaded process ends when its pipe closes or its parent changes, a child when the loaded
process does (on Linux by the kernel; elsewhere at its CPU limit).
"""

import os
import select
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from enum import StrEnum
from types import TracebackType
from typing import cast

from thinkscale.grading.execution import Limits
from thinkscale.keys import JSON
from thinkscale.sandbox.serving import frame, read_frame

START_SECONDS = 120.0
SPARE_SECONDS = 5.0
"""Beyond the wall limit, which the worker keeps itself, before it counts as stuck."""
MAX_FAILED_STARTS = 3
PIPE_BYTES = 4096
"""What a pipe that is ready takes without blocking (POSIX allows no less than 512; Linux has 4096)."""
KEPT_ENVIRONMENT = ("PATH", "PYTHONPATH", "VIRTUAL_ENV", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH")


class Outcome(StrEnum):
    """How a request ended."""

    ANSWERED = "answered"
    CPU_TIME = "cpu_time"
    WALL_TIME = "wall_time"
    """It waited, or the machine was busy: to be asked again alone before it counts."""
    MEMORY = "memory"
    DIED = "died"
    """Killed by a signal that no limit sends, or the worker could not be started."""
    FAILED = "failed"
    """It raised an exception."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What came of one request. `value` is there only where it was answered."""

    outcome: Outcome
    value: JSON = None
    detail: str = ""
    cpu_seconds: float = 0.0


class KillableWorker:
    """The process of one module, started at the first request. One request at a time; not for several threads."""

    def __init__(self, module: str, limits: Limits) -> None:
        """`module` is run with `python -m` and must call `serving.serve`. `limits` hold for each request."""
        self._module = module
        self._limits = limits
        self._process: subprocess.Popen[bytes] | None = None
        self._failed_starts = 0

    def __enter__(self) -> "KillableWorker":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def pid(self) -> int | None:
        """The process id of the loaded process, None before the first request."""
        return self._process.pid if self._process else None

    def close(self) -> None:
        """Ends the process, and a request that may be running."""
        process, self._process = self._process, None
        if process is None:
            return
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        process.kill()
        process.wait()

    def ask(self, body: JSON, limits: Limits | None = None) -> Reply:
        """What the module's handler makes of `body`, under `limits` or the worker's own. Never raises on any `body`."""
        limits = limits or self._limits
        request = frame({"body": body, "limits": asdict(limits)})
        for _ in range(2):
            if self._process is None and not self._start():
                break
            try:
                return self._exchange(request, limits)
            except (OSError, EOFError):
                self.close()
        return Reply(outcome=Outcome.DIED, detail=f"the worker {self._module} does not run")

    def _start(self) -> bool:
        """Whether the process is loaded and ready. A module that fails to load is not tried for ever."""
        if self._failed_starts >= MAX_FAILED_STARTS:
            return False
        environment = {name: os.environ[name] for name in KEPT_ENVIRONMENT if name in os.environ}
        fixed = {"PYTHONHASHSEED": "0", "PYTHONUTF8": "1", "OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", self._module, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment | fixed,
            start_new_session=True,
        )
        try:
            self._receive(time.monotonic() + START_SECONDS)
        except (OSError, EOFError):
            self.close()
            self._failed_starts += 1
            return False
        self._failed_starts = 0
        return True

    def _exchange(self, request: bytes, limits: Limits) -> Reply:
        deadline = time.monotonic() + limits.wall_seconds + SPARE_SECONDS
        try:
            self._send(request, deadline)
            answer = self._receive(deadline)
        except TimeoutError:
            self.close()
            return Reply(outcome=Outcome.WALL_TIME, detail=f"{limits.wall_seconds:g} s of wall time")
        return Reply(
            outcome=Outcome(str(answer["outcome"])),
            value=answer.get("value"),
            detail=str(answer.get("detail", "")),
            cpu_seconds=cast(float, answer["cpu_seconds"]),
        )

    def _send(self, request: bytes, deadline: float) -> None:
        """Writes in pieces that a ready pipe takes at once, so that a worker that has stopped blocks nobody."""
        descriptor = _descriptor(self._process, "stdin")
        left = memoryview(request)
        while left:
            if not select.select([], [descriptor], [], max(0.0, deadline - time.monotonic()))[1]:
                raise TimeoutError
            left = left[os.write(descriptor, left[:PIPE_BYTES]) :]

    def _receive(self, deadline: float) -> dict[str, JSON]:
        descriptor = _descriptor(self._process, "stdout")
        if not select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
            raise TimeoutError
        answer = read_frame(descriptor)
        if not isinstance(answer, dict):
            raise EOFError
        return answer


def _descriptor(process: subprocess.Popen[bytes] | None, name: str) -> int:
    pipe = getattr(process, name)
    if pipe is None:
        raise EOFError
    return int(pipe.fileno())
