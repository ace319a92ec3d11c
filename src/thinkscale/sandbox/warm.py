"""A sandbox that is kept warm: started when first needed, again after it was lost, and emptied between programs."""

import contextlib
import tempfile
import time
from collections.abc import Callable

from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.sandbox.answers import printable
from thinkscale.sandbox.channel import STARTING_SECONDS, Channel, LostError
from thinkscale.sandbox.inside.frames import Header
from thinkscale.sandbox.inside.server import PREFIX
from thinkscale.sandbox.isolation import Isolation

GRACE_SECONDS = 30.0
"""How much longer than a program's own limit its sandbox may be silent before it counts as lost."""
ATTEMPTS = 2
MAX_DETAIL = 2_000


class WarmSandbox:
    """One sandbox process with at most one program in it. Every LostError leaves it ended, to be started anew."""

    def __init__(self, isolation: Isolation, disk_bytes: int) -> None:
        self._isolation = isolation
        self._disk_bytes = disk_bytes
        self._channel: Channel | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._held: str | None = None

    def hold(self, source: str) -> str | None:
        """Makes `source` the program that is held; the reason where it does not compile. Raises LostError."""
        if self._held == source:
            return None
        self.release()
        answer, _ = self._exchange({"op": "open"}, source.encode("utf-8", "surrogatepass"), STARTING_SECONDS)
        if answer.get("opened"):
            self._held = source
            return None
        if "closed" in answer:  # the process that compiled it died
            self._settle(answer)
            return "the compiler died or hung on it"
        self._settle(self._receive())
        return printable(str(answer.get("detail", "")))

    def request(self, header: Header, blob: bytes, limits: Limits) -> tuple[Header, bytes]:
        """A frame to the program that is held, and the answer. Raises LostError."""
        answer, value = self._exchange(header, blob, limits.wall_seconds + GRACE_SECONDS)
        if "closed" in answer:
            self.kill()
            raise LostError(f"the process that served the program ended with {answer['closed']}")
        return answer, value

    def release(self) -> None:
        """Closes the program that is held; a sandbox that cannot be emptied is ended."""
        if self._held is None:
            return
        self._held = None
        with contextlib.suppress(LostError):
            self._settle(self._exchange({"op": "close"}, b"", GRACE_SECONDS)[0])

    def _settle(self, closed: Header) -> None:
        if not closed.get("clean"):
            self.kill()

    def _exchange(self, header: Header, blob: bytes, seconds: float) -> tuple[Header, bytes]:
        try:
            return self._started().request(header, blob, seconds=seconds)
        except LostError:
            self.kill()
            raise

    def _receive(self) -> Header:
        try:
            return self._started().receive(time.monotonic() + STARTING_SECONDS)[0]
        except LostError:
            self.kill()
            raise

    def _started(self) -> Channel:
        if self._channel is None:
            if not self._isolation.contained:
                self._folder = tempfile.TemporaryDirectory(prefix=PREFIX)
            folder = self._folder.name if self._folder else None
            self._channel = Channel(self._isolation.command(disk_bytes=self._disk_bytes), folder)
        return self._channel

    def kill(self) -> None:
        """Ends the sandbox and all that runs in it."""
        if self._channel is not None:
            self._channel.kill()
        if self._folder is not None:
            with contextlib.suppress(OSError):
                self._folder.cleanup()
        self._channel, self._folder, self._held = None, None, None


def with_attempts(body: Callable[[], Execution]) -> Execution:
    """Tries again where the sandbox was lost; a second loss is the ending SANDBOX."""
    lost = ""
    for _ in range(ATTEMPTS):
        try:
            return body()
        except LostError as error:
            lost = str(error)
    return Execution(ending=Ending.SANDBOX, detail=lost[-MAX_DETAIL:])
