"""The pipe to one sandbox: starting it, sending and receiving whole frames by a deadline, ending it."""

import contextlib
import os
import select
import subprocess
import tempfile
import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO, Self

from thinkscale.sandbox.inside.frames import Header, pack, unpack

STARTING_SECONDS = 60.0
"""A sandbox starts in 50 ms on an idle machine; under the load of many workers it may wait."""
CHUNK = 1 << 20


class LostError(Exception):
    """The sandbox is gone or silent. The message says what it last wrote to its error stream."""


class Channel:
    """A running sandbox. Context manager: on leaving, everything in it is killed."""

    def __init__(self, command: Sequence[str], folder: str | None = None) -> None:
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - open as long as the sandbox
        # No variable of ours reaches even the program that builds the sandbox.
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={},
            cwd=folder or "/",
            start_new_session=True,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._to, self._from = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._to, False)
        os.set_blocking(self._from, False)
        self._received = bytearray()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    def request(self, header: Header, blob: bytes = b"", *, seconds: float) -> tuple[Header, bytes]:
        """Sends a frame and returns the next one that comes. Raises LostError."""
        deadline = time.monotonic() + seconds
        self._send(pack(header, blob), deadline)
        return self.receive(deadline)

    def receive(self, deadline: float) -> tuple[Header, bytes]:
        """The next frame. Raises LostError where none comes before `deadline` (monotonic seconds)."""
        while True:
            try:
                found = unpack(self._received)
            except ValueError as error:
                raise LostError(self._account("it sent what is no frame")) from error
            if found is not None:
                del self._received[: found[2]]
                return found[0], found[1]
            self._wait(self._from, select.POLLIN, deadline)
            data = os.read(self._from, CHUNK)
            if not data:
                raise LostError(self._account("it ended"))
            self._received += data

    def _send(self, data: bytes, deadline: float) -> None:
        rest = memoryview(data)
        while rest:
            self._wait(self._to, select.POLLOUT, deadline)
            try:
                rest = rest[os.write(self._to, rest[:CHUNK]) :]
            except BlockingIOError:
                continue
            except BrokenPipeError as error:
                raise LostError(self._account("it ended")) from error

    def _wait(self, fd: int, event: int, deadline: float) -> None:
        poll = select.poll()
        poll.register(fd, event)
        if not poll.poll(max(deadline - time.monotonic(), 0) * 1000):
            raise LostError(self._account("it did not answer in time"))

    def _account(self, what: str) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(0.2)
        self._errors.seek(0)
        said = self._errors.read(4000).decode(errors="replace").strip()
        return f"{what} (exit status {self._process.poll()}){': ' + said if said else ''}"

    def kill(self) -> None:
        """Ends the sandbox and all that runs in it: with its process 1 the kernel ends the namespace."""
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout, self._errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
