"""One map over many processes, in order, whose results do not depend on how many there are.

Work is handed out in small chunks; results come back in the order of the items, and only a bounded window of items is
held at a time, so any number of them can be mapped. Two things make the results the same at any load:

- A result that the load may have caused (a wall-clock timeout) says so of itself; its item is then done once more
  while every other process is idle, and that second result counts.
- A process that dies takes its chunk along. The chunk's items are done again one by one; the one that kills its
  process a second time gets the result that `lost` makes, and the others get their own.

Rejected: `concurrent.futures`, whose pool is broken for good by the death of one process, and cannot say which item
killed it; threads, since the rules are Python and share one core; and fork, which copies the locks of running threads.

To start a process costs about half a second of processor time, so one map may leave its processes to the next (`Crew`).
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import wait
from typing import Any, Generic

from thinkscale.cluster.processes import Chunk, Here, Item, Job, Process, Result

CHUNK_ITEMS = 16
CHUNKS_AHEAD = 4
"""Chunks a process may be ahead of the oldest unfinished one: room for rows that take much longer than others."""


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
class _Pool(Generic[Item, Result]):
    job: Job[Item, Result]
    processes: list[Process[Item, Result]]
    chunk_items: int = CHUNK_ITEMS
    ahead: bool = False
    """Items take long to come: a busy process gets its next chunk early, or it would wait for the item after that."""
    waiting: deque[Chunk[Item, Result]] = field(default_factory=deque)

    def results(self, items: Iterator[Item]) -> Iterator[Result]:
        window: deque[Chunk[Item, Result]] = deque()
        more = True
        while more or window:
            while more and len(window) < CHUNKS_AHEAD * len(self.processes):
                chunk: Chunk[Item, Result] = Chunk(list(islice(items, self.chunk_items)))
                more = len(chunk.items) == self.chunk_items
                if chunk.items:
                    window.append(chunk)
                    self.waiting.append(chunk)
                    self._collect(0)  # items may take long to come: whoever is done meanwhile gets the next one
                    self._hand_out_ahead()
            while window and window[0].results is not None:
                yield from self._settled(window.popleft())
            if window:
                self._collect()

    def _hand_out(self) -> None:
        for process in self.processes:
            if process.chunk is None and self.waiting:
                process.send(self.waiting.popleft(), alone=False)

    def _hand_out_ahead(self) -> None:
        for process in self.processes if self.ahead else ():
            if process.chunk is not None and self.waiting and process.offer(self.waiting[0]):
                self.waiting.popleft()

    def _collect(self, timeout: float | None = None) -> None:
        """Takes the results that are there, waiting for one at least if there is no timeout; hands out more work."""
        busy = {process.connection: process for process in self.processes if process.chunk is not None}
        for connection in wait(list(busy), timeout) if busy else ():
            self._finish(busy[connection])  # type: ignore[index]  # only connections were waited for
        self._hand_out()

    def _finish(self, process: Process[Item, Result]) -> None:
        chunk, ahead = process.chunk, process.ahead
        assert chunk is not None
        chunk.results = process.receive()
        if chunk.results is None:
            if ahead is not None:
                self.waiting.appendleft(ahead)
            fresh = self._replaced(process)
            chunk.results = [self._alone(fresh, item, alone=False) for item in chunk.items]

    def _settled(self, chunk: Chunk[Item, Result]) -> Iterator[Result]:
        assert chunk.results is not None
        for item, result in zip(chunk.items, chunk.results, strict=True):
            if self.job.settled(result):
                yield result
                continue
            for process in self.processes:
                while process.chunk is not None:
                    self._finish(process)
            yield self._alone(self.processes[0], item, alone=True)
            self._hand_out()

    def _alone(self, process: Process[Item, Result], item: Item, alone: bool) -> Result:
        """The result of one item, by `process` or, where that died on an item before, by an idle one."""
        if process not in self.processes:
            process = next(other for other in self.processes if other.chunk is None)
        process.send(Chunk([item]), alone)
        results = process.receive()
        if results is not None:
            return results[0]
        code = process.exit_code()
        self._replaced(process)
        return self.job.lost(item, f"the process died on it (exit code {code})")

    def _replaced(self, process: Process[Item, Result]) -> Process[Item, Result]:
        process.close()
        fresh = Process(self.job)
        self.processes[self.processes.index(process)] = fresh
        return fresh


@contextmanager
def _pool(job: Job[Item, Result], workers: int, chunk_items: int = CHUNK_ITEMS) -> Iterator[_Pool[Item, Result]]:
    with closed_at_the_end([Process(job) for _ in range(workers)]) as processes:
        yield _Pool(job, processes, chunk_items)


@contextmanager
def closed_at_the_end(processes: list[Process[Item, Result]]) -> Iterator[list[Process[Item, Result]]]:
    """The list, which may get other processes meanwhile; those that are in it then are ended."""
    try:
        yield processes
    finally:
        for process in processes:
            process.connection.close()
        for process in processes:
            process.close()


class Crew:
    """Processes that stay for several maps, one after the other. Made by `crew`."""

    def __init__(self, processes: list[Process[Any, Any]]) -> None:
        self._processes = processes
        self._busy = False

    def map(self, job: Job[Item, Result], items: Iterable[Item], workers: int, chunk_items: int) -> Generator[Result]:
        """`ordered_map` over at most `workers` of the processes. Raises RuntimeError within another map of theirs."""
        if self._busy:
            raise RuntimeError("one map at a time: take all results of the one before")
        self._busy = True
        some = self._processes[:workers]
        for process in some:
            process.job = job
        try:
            yield from _Pool(job, some, chunk_items, ahead=not isinstance(items, Sized)).results(iter(items))
        finally:
            self._busy = False
            for process in some:
                if process.chunk is not None:  # nobody will take what it is busy with
                    process.close()
            fresh = (type(process)() if process.chunk is not None else process for process in some)
            self._processes[: len(some)] = fresh


@contextmanager
def crew(workers: int, prepare: Callable[[], object] | None = None) -> Iterator[Crew]:
    """`workers` processes, of which this one is the first: the others call `prepare` as soon as they are there.

    What kills another process costs its item a second try; what kills this one ends all.
    """
    others = [Process[Any, Any](None, prepare) for _ in range(workers - 1)]
    with closed_at_the_end([Here[Any, Any](), *others]) as processes:
        yield Crew(processes)
