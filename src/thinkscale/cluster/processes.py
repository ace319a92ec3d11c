"""One of the processes that work on items: another one, begun by spawn, or this one by a thread of its own.

Both answer chunks of items through a pipe in the order in which they are sent; another process that dies takes what it
is busy with along, and is noticed by its end of the pipe.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Generic, TypeAlias, TypeVar

from thinkscale.errors import StageError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work: TypeAlias = Callable[[Item, bool], Result]
"""What is done to one item; the second argument says that nothing else runs beside it."""

CLOSING_SECONDS = 5.0
SMALL_BYTES = 16_384
"""A message that a pipe holds, whoever reads it when."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[Item, Result]):
    """A map: everything in it must be picklable, so made of functions at the top of modules and frozen records."""

    open_work: Callable[[], AbstractContextManager[Work[Item, Result]]]
    """Opens what a process needs (models, sandboxes) once, and closes it at the end."""
    settled: Callable[[Result], bool]
    """Whether a result stands. Of one that does not, the item is done once more, alone."""
    lost: Callable[[Item, str], Result]
    """The result of an item that kills its process; the text says how it died."""


@dataclass(slots=True)
class Chunk(Generic[Item, Result]):
    items: list[Item]
    results: list[Result] | None = None


class Process(Generic[Item, Result]):
    """One process with its pipe; `chunk` is what it is busy with, `ahead` what it has been given to do next, `job` what
    chunks are sent for from now on."""

    def __init__(self, job: Job[Item, Result] | None = None, prepare: Callable[[], object] | None = None) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.chunk: Chunk[Item, Result] | None = None
        self.ahead: Chunk[Item, Result] | None = None
        self.job = job
        self._opened: Job[Item, Result] | None = None
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, prepare), daemon=True)
        self.process.start()
        theirs.close()

    def exit_code(self) -> int | None:
        return self.process.exitcode

    def send(self, chunk: Chunk[Item, Result], alone: bool) -> None:
        self.chunk = chunk
        job = self.job if self.job is not self._opened else None
        with suppress(ConnectionError):  # it is dead: receive says so
            self.connection.send((job, chunk.items, alone))
        self._opened = self.job

    def offer(self, chunk: Chunk[Item, Result]) -> bool:
        """Gives it `chunk` to do next while it is busy; not where it has one, nor a large one: it may be sending itself
        and not read before that was taken."""
        message = b"" if self.ahead else pickle.dumps((None, chunk.items, False))
        if not 0 < len(message) <= SMALL_BYTES:
            return False
        self.ahead = chunk
        with suppress(ConnectionError):
            self.connection.send_bytes(message)
        return True

    def receive(self) -> list[Result] | None:
        """Waits for the results of its chunk; None where the process died."""
        self.chunk, self.ahead = self.ahead, None
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):  # OSError: it died while it was sending
            self.chunk = None
            self.process.join(CLOSING_SECONDS)
            return None
        if isinstance(answer, Exception):
            raise answer
        results: list[Result] = answer
        return results

    def close(self) -> None:
        """Ends the process, at once where nobody will take what it is busy with."""
        self.connection.close()
        if self.chunk is not None:
            self.process.kill()
        self.process.join(CLOSING_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(connection: Connection, prepare: Callable[[], object] | None) -> None:
    """What a process does until its pipe is closed. Ctrl-C is for the process that a person started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if prepare is not None:
        prepare()
    _answer(connection)


def _answer(connection: Connection) -> None:
    with connection, suppress(EOFError, BrokenPipeError, ConnectionResetError), ExitStack() as opened:
        while True:
            job, items, alone = connection.recv()
            if job is not None:
                opened.close()
                work = opened.enter_context(job.open_work())
            try:
                connection.send([work(item, alone) for item in items])
            except Exception as error:  # noqa: BLE001 (raised again in the process that asked)
                connection.send(_portable(error))


def _portable(error: Exception) -> Exception:
    """`error`, or its text where it does not survive the way: one that holds a socket, or takes two arguments."""
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 (pickling runs the error's own code)
        return StageError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """Ends this process with the one that started it: a killed one closes pipes, but a chunk may take minutes."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)


class Here(Process[Item, Result]):
    """This process as one of several: a thread that answers as another process would, and has all imports."""

    def __init__(self) -> None:
        self.connection, theirs = multiprocessing.get_context("spawn").Pipe()
        self.chunk = self.ahead = self.job = self._opened = None
        self.thread = threading.Thread(target=_answer, args=(theirs,), daemon=True)
        self.thread.start()

    def offer(self, chunk: Chunk[Item, Result]) -> bool:
        """Never: while who hands out is busy, so is this process."""
        return False

    def close(self) -> None:
        """Waits for the end of what it is busy with: a thread cannot be ended."""
        self.connection.close()
        self.thread.join()

    def exit_code(self) -> int | None:
        return None
