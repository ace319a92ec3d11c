"""One map over many processes, in order, whose results do not depend on how many there are.

Work is handed out in small chunks; results come back in the order of the items, and only a bounded window of items is
held at a time, so any number of them can be mapped. Two things make the results the same at any load:

- A result that the load may have caused (a wall-clock timeout) says so of itself; its item is then done once more
  while every other process is idle, and that second result counts.
- A process that dies takes its chunk along. The chunk's items are done again one by one; the one that kills its
  process a second time gets the result that `lost` makes, and the others get their own.

Rejected: `concurrent.futures`, whose pool is broken for good by the death of one process, and cannot say which item
killed it; threads, since the rules are Python and share one core; and fork, which copies the locks of running threads.
"""

import multiprocessing
import os
import pickle
import signal
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Generic, TypeAlias, TypeVar

from thinkscale.errors import StageError

Item = TypeVar("Item")
Result = TypeVar("Result")
Work: TypeAlias = Callable[[Item, bool], Result]
"""What is done to one item; the second argument says that nothing else runs beside it."""

CHUNK_ITEMS = 16
CHUNKS_AHEAD = 4
"""Chunks a process may be ahead of the oldest unfinished one: room for rows that take much longer than others."""
CLOSING_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Generic[Item, Result]):
    """A map: everything in it must be picklable, so made of functions at the top of modules and frozen records."""

    open_work: Callable[[], AbstractContextManager[Work[Item, Result]]]
    """Opens what a process needs (models, sandboxes) once, and closes it at the end."""
    settled: Callable[[Result], bool]
    """Whether a result stands. Of one that does not, the item is done once more, alone."""
    lost: Callable[[Item, str], Result]
    """The result of an item that kills its process; the text says how it died."""


def ordered_map(
    job: Job[Item, Result], items: Iterable[Item], workers: int, chunk_items: int = CHUNK_ITEMS
) -> Generator[Result]:
    """The results of `items` in their order. One worker is this process; an error of the work is raised here.

    `chunk_items` are handed out at a time: few where an item is a lot of work.
    """
    if workers > 1:
        with _pool(job, workers, chunk_items) as pool:
            yield from pool.results(iter(items))
        return
    with job.open_work() as work:
        for item in items:
            result = work(item, False)
            yield result if job.settled(result) else work(item, True)


@dataclass(slots=True)
class _Chunk(Generic[Item, Result]):
    items: list[Item]
    results: list[Result] | None = None


class _Process(Generic[Item, Result]):
    """One process with its pipe; `chunk` is what it is busy with."""

    def __init__(self, job: Job[Item, Result]) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.chunk: _Chunk[Item, Result] | None = None
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, job), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, chunk: _Chunk[Item, Result], alone: bool) -> None:
        self.chunk = chunk
        with suppress(ConnectionError):  # it is dead: receive says so
            self.connection.send((chunk.items, alone))

    def receive(self) -> list[Result] | None:
        """Waits for the results of its chunk; None where the process died."""
        self.chunk = None
        try:
            answer = self.connection.recv()
        except (EOFError, OSError):  # OSError: it died while it was sending
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


def _serve(connection: Connection, job: Job[Item, Result]) -> None:
    """What a process does until its pipe is closed. Ctrl-C is for the process that a person started."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    with suppress(EOFError, BrokenPipeError, ConnectionResetError), job.open_work() as work:
        while True:
            items, alone = connection.recv()
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


@dataclass(slots=True)
class _Pool(Generic[Item, Result]):
    job: Job[Item, Result]
    processes: list[_Process[Item, Result]]
    chunk_items: int = CHUNK_ITEMS
    waiting: deque[_Chunk[Item, Result]] = field(default_factory=deque)

    def results(self, items: Iterator[Item]) -> Iterator[Result]:
        window: deque[_Chunk[Item, Result]] = deque()
        more = True
        while more or window:
            while more and len(window) < CHUNKS_AHEAD * len(self.processes):
                chunk: _Chunk[Item, Result] = _Chunk(list(islice(items, self.chunk_items)))
                more = len(chunk.items) == self.chunk_items
                if chunk.items:
                    window.append(chunk)
                    self.waiting.append(chunk)
                    self._hand_out()
            while window and window[0].results is not None:
                yield from self._settled(window.popleft())
            if window:
                self._collect()

    def _hand_out(self) -> None:
        for process in self.processes:
            if process.chunk is None and self.waiting:
                process.send(self.waiting.popleft(), alone=False)

    def _collect(self) -> None:
        """Takes the results that are there, waiting for one at least, and hands out more work."""
        busy = {process.connection: process for process in self.processes if process.chunk is not None}
        for connection in wait(list(busy)):
            self._finish(busy[connection])  # type: ignore[index]  # only connections were waited for
        self._hand_out()

    def _finish(self, process: _Process[Item, Result]) -> None:
        chunk = process.chunk
        assert chunk is not None
        chunk.results = process.receive()
        if chunk.results is None:
            fresh = self._replaced(process)
            chunk.results = [self._alone(fresh, item, alone=False) for item in chunk.items]

    def _settled(self, chunk: _Chunk[Item, Result]) -> Iterator[Result]:
        assert chunk.results is not None
        for item, result in zip(chunk.items, chunk.results, strict=True):
            if self.job.settled(result):
                yield result
                continue
            for process in self.processes:
                if process.chunk is not None:
                    self._finish(process)
            yield self._alone(self.processes[0], item, alone=True)
            self._hand_out()

    def _alone(self, process: _Process[Item, Result], item: Item, alone: bool) -> Result:
        """The result of one item, by `process` or, where that died on an item before, by an idle one."""
        if process not in self.processes:
            process = next(other for other in self.processes if other.chunk is None)
        process.send(_Chunk([item]), alone)
        results = process.receive()
        if results is not None:
            return results[0]
        code = process.process.exitcode
        self._replaced(process)
        return self.job.lost(item, f"the process died on it (exit code {code})")

    def _replaced(self, process: _Process[Item, Result]) -> _Process[Item, Result]:
        process.close()
        fresh = _Process(self.job)
        self.processes[self.processes.index(process)] = fresh
        return fresh


@contextmanager
def _pool(job: Job[Item, Result], workers: int, chunk_items: int = CHUNK_ITEMS) -> Iterator[_Pool[Item, Result]]:
    pool = _Pool(job, [_Process(job) for _ in range(workers)], chunk_items)
    try:
        yield pool
    finally:
        for process in pool.processes:
            process.connection.close()
        for process in pool.processes:
            process.close()
