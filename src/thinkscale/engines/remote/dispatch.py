"""The queue of a stage: each request its own state machine, over all lanes, with nothing held but what is in flight.

A request waits, is sent, and either ends or waits again: at once on another lane where the lane was to blame, after a
pause that doubles where it may have been the request. Only requests in flight have a task; those that wait stand in
a list. The event loop runs in a thread of its own, so that a caller that grades or writes never holds up the network;
all that touches a disk (cache, drafts, journal) happens in the caller's thread, so that a slow disk never does either.

Rejected: a task for each row with a semaphore (memory grows with the rows, and a row that waits for its retry keeps its
place); and tenacity, which retries one call by itself, where here the lanes decide together.
"""

import queue
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeAlias

from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.jobs import Answered, Job, Terms
from thinkscale.engines.remote.lanes import Lane
from thinkscale.engines.remote.loop import EngineLoop, Item, Notice
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.remote.wire import Completion, Dialect, Reply, Request

TICK_SECONDS = 0.5

Take: TypeAlias = Callable[[], tuple[Request, Reply] | Answered[Request, Completion] | None]
"""Gives the next request with what is drafted of its reply, or one that needs no server; None where there is none."""
Keep: TypeAlias = Callable[[Answered[Request, Completion]], None]
"""Stores what a server answered. Also called for what is answered, but not handed on, when a run ends early."""
Save: TypeAlias = Callable[[Request, tuple[int, ...], tuple[float, ...]], None]
"""Keeps the ids of a request's reply so far, with their log-probabilities."""


@dataclass(slots=True, kw_only=True)
class Dispatcher(Generic[Request, Completion]):
    """Sends requests over lanes. One run at a time; after an error or `close` it can be run again."""

    dialect: Dialect[Request, Completion]
    lanes: list[Lane]
    ledger: Ledger
    terms: Terms
    meter: Meter
    notice: Callable[[str], None] = field(default=lambda _: None)
    """Told in the caller's thread what a person should know: a key that left, an endpoint that died."""

    def run(
        self,
        take: Take[Request, Completion],
        keep: Keep[Request, Completion] | None = None,
        save: Save[Request] | None = None,
    ) -> Iterator[Answered[Request, Completion]]:
        """Requests as they end.

        `take` is asked again after each of them. Raises EngineError where no lane is left, SpendCapError where the
        cap is reached. All three are called in the caller's thread.
        """
        loop: EngineLoop[Request, Completion] | None = None
        num_taken = num_given = 0
        try:
            while True:
                known: Answered[Request, Completion] | None = None
                fresh: list[tuple[Request, Reply]] = []
                is_dry = False
                while num_taken - num_given < (loop.num_wanted if loop else 1):
                    taken = take()
                    if isinstance(taken, Answered):
                        known = taken
                        break
                    if taken is None:
                        is_dry = True
                        break
                    fresh.append(taken)
                    num_taken += 1
                if fresh:
                    loop = loop or EngineLoop(self.dialect, self.lanes, self.ledger, self.terms, self.meter)
                    loop.enter(fresh)
                elif loop and not is_dry:
                    loop.listen()
                if known:
                    yield known
                    continue
                if loop is None or num_taken == num_given:
                    return
                item = self._next(loop)
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, Notice):
                    self.notice(item.text)
                elif isinstance(item, Job):
                    _save(item, save)
                elif isinstance(item, Answered):
                    num_given += 1
                    if keep:
                        keep(item)
                    yield item
        finally:
            unfinished = loop.close() if loop else []
            for job in unfinished:
                if job.reply.finish is None and len(job.reply.ids) > job.num_drafted:
                    job.put_draft()
                    _save(job, save)
            while loop and keep and not loop.items.empty():
                if isinstance(left := loop.items.get(), Answered):
                    keep(left)

    def _next(self, loop: EngineLoop[Request, Completion]) -> "Item[Request, Completion]":
        """What the loop says next. The meter's clock ticks while there is nothing."""
        while True:
            try:
                return loop.items.get(timeout=TICK_SECONDS)
            except queue.Empty:
                self.meter.tick()


def _save(job: Job[Request], save: Save[Request] | None) -> None:
    draft, job.draft = job.draft, None
    if save and draft is not None:
        save(job.request, *draft)
        job.num_drafted = len(draft[0])
