"""The queue of a stage: each request its own state machine, over all lanes, with nothing held but what is in flight.

A request waits, is sent, and either ends or waits again: at once on another lane where the lane was to blame, after a
pause that doubles where it may have been the request. Only requests in flight have a task; those that wait stand in
a list. The event loop runs in a thread of its own, so that a caller that grades or writes never holds up the network;
all that touches a disk (cache, drafts, journal) happens in the caller's thread, so that a slow disk never does either.

Rejected: a task for each row with a semaphore (memory grows with the rows, and a row that waits for its retry keeps its
place); and tenacity, which retries one call by itself, where here the lanes decide together.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.failures import CROWDED, OF_THE_KEY, TRANSIENT, Failure, FailureKind
from thinkscale.engines.remote.lanes import Lane, LaneState, least_full
from thinkscale.engines.remote.pace import backoff_seconds
from thinkscale.engines.remote.spend import Ledger, Reservation
from thinkscale.engines.remote.watch import Watch
from thinkscale.engines.remote.wire import Call, Completion, Dialect, Outcome, Reply, Request
from thinkscale.engines.tokens import DRAFT_TOKENS
from thinkscale.errors import EngineError, SpendCapError
from thinkscale.keys import content_key
from thinkscale.records import Finish

if TYPE_CHECKING:
    import aiohttp


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How patient the queue is. Seconds, unless said otherwise."""

    retries: int = 5
    """Failures of one request, beyond the first, before it is given up. What a lane is to blame for is not counted."""
    most_attempts: int = 50
    """Attempts of one request, whoever is to blame."""
    connect_seconds: float = 10.0
    stall_seconds: float = 120.0
    """Silence, or next to no progress, for longer than this is a failure."""
    patience_seconds: float = 600.0
    """How long every lane may be dead before the stage stops."""
    stream: bool = True


@dataclass(slots=True, eq=False)
class _Job(Generic[Request]):
    """One request on its way."""

    request: Request
    key: str
    reply: Reply
    """What there is of its reply: of the attempt in flight, or what the last one left to the next."""
    attempts: int = 0
    first_sent: float = 0.0
    failures: int = 0
    """Those that may have been the request's own."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    num_drafted: int = 0
    draft_waits: bool = False


@dataclass(frozen=True, slots=True)
class Answered(Generic[Request, Completion]):
    """A request that ended, well or not."""

    request: Request
    reply: Reply
    outcome: Outcome
    completion: Completion


@dataclass(frozen=True, slots=True)
class _Notice:
    text: str


@dataclass(frozen=True, slots=True)
class _Wanted:
    """There is room for more requests."""


_Item: TypeAlias = "Answered[Request, Completion] | _Job[Request] | _Notice | _Wanted | BaseException"
Take: TypeAlias = Callable[[], tuple[Request, Reply] | None]
"""Gives the next request with what is drafted of its reply; None where there is none now."""
Save: TypeAlias = Callable[[str, tuple[int, ...]], None]
"""Keeps the ids of a request's reply so far."""


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

    def run(self, take: Take[Request], save: Save | None = None) -> Iterator[Answered[Request, Completion]]:
        """Requests as they end.

        `take` is asked again after each of them. Raises EngineError where no lane is left, SpendCapError where the
        cap is reached.
        """
        loop: _Loop[Request, Completion] | None = None
        num_taken = num_given = 0
        try:
            while True:
                fresh: list[tuple[Request, Reply]] = []
                while num_taken - num_given < (loop.num_wanted if loop else 1) and (taken := take()):
                    fresh.append(taken)
                    num_taken += 1
                if num_taken == num_given:
                    return
                loop = loop or _Loop(self)
                if fresh:
                    loop.enter(fresh)
                item = loop.items.get()
                if isinstance(item, BaseException):
                    raise item
                if isinstance(item, _Notice):
                    self.notice(item.text)
                elif isinstance(item, _Job):
                    _save(item, save)
                elif isinstance(item, Answered):
                    num_given += 1
                    yield item
        finally:
            unfinished = loop.close() if loop else []
            for job in unfinished:
                if job.reply.finish is None and len(job.reply.ids) > job.num_drafted:
                    _save(job, save)


def _save(job: "_Job[Request]", save: Save | None) -> None:
    job.draft_waits = False
    if save:
        ids = tuple(job.reply.ids)
        save(job.key, ids)
        job.num_drafted = len(ids)


class _Loop(Generic[Request, Completion]):
    """The thread with the event loop. Everything but `enter`, `items`, `num_wanted` and `close` belongs to it."""

    def __init__(self, owner: Dispatcher[Request, Completion]) -> None:
        self.owner = owner
        self.items: queue.SimpleQueue[_Item[Request, Completion]] = queue.SimpleQueue()
        self.num_wanted = 1
        self._ready: deque[_Job[Request]] = deque()
        self._delayed: list[tuple[float, int, _Job[Request]]] = []
        self._tasks: dict[asyncio.Task[None], _Sending[Request]] = {}
        self._numbers = count()
        self._session: aiohttp.ClientSession | None = None
        self._stopping = asyncio.Event()
        self._wake: asyncio.TimerHandle | None = None
        self._asked = False
        self._over = False
        self._alive_at = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._broken)
        self._want()
        self._thread = threading.Thread(target=self._main, name="thinkscale-engine", daemon=True)
        self._thread.start()

    # What the caller's thread calls

    def enter(self, requests: list[tuple[Request, Reply]]) -> None:
        """Hands requests in."""
        self._asked = False
        self._loop.call_soon_threadsafe(self._enter, requests)

    def close(self) -> list[_Job[Request]]:
        """Ends everything in flight and the thread. Returns the jobs that did not end."""
        with suppress(RuntimeError):  # the loop ended by itself
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        return [*(sending.job for sending in self._tasks.values()), *self._ready, *(job for _, _, job in self._delayed)]

    # The thread

    def _main(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._serve())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            self.items.put(error)
        finally:
            self._loop.close()

    async def _serve(self) -> None:
        from thinkscale.engines.remote.http import open_session

        terms = self.owner.terms
        self._session = open_session(connect_seconds=terms.connect_seconds, stall_seconds=terms.stall_seconds)
        health = asyncio.ensure_future(self._look_after_lanes())
        try:
            await self._stopping.wait()
        finally:
            running = [health, *self._tasks]
            for task in running:
                task.cancel()
            in_flight = dict(self._tasks)
            await asyncio.gather(*running, return_exceptions=True)
            self._tasks = in_flight
            await self._session.close()

    def _stop(self, error: Exception) -> None:
        """Ends the run with an error, behind the completions that are there already."""
        if not self._over:
            self._over = True
            self.items.put(error)

    def _broken(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """A mistake of ours in a callback: it must not leave the caller waiting for ever."""
        error = context.get("exception")
        self._stop(error if isinstance(error, Exception) else RuntimeError(str(context.get("message"))))

    def _enter(self, requests: list[tuple[Request, Reply]]) -> None:
        for request, before in requests:
            job = _Job(request, self.owner.dialect.key_of(request), before, num_drafted=len(before.ids))
            self._ready.append(job)
        self._pump()

    def _pump(self) -> None:
        """Sends what can be sent now, and sees to it that it is called again when more can be."""
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heappop(self._delayed)[2])
        while self._ready and not self._over:
            lane = least_full(self.owner.lanes, now)
            if lane is None or not self._send(self._ready[0], lane, now):
                break
            self._ready.popleft()
        self._want()
        self._wake_later(now)

    def _send(self, job: _Job[Request], lane: Lane, now: float) -> bool:
        """Sends a request on a lane, unless its price does not fit under the cap now."""
        job.reply = self.owner.dialect.renew(job.reply)
        try:
            call = self.owner.dialect.call(job.request, job.reply, stream=self.owner.terms.stream)
        except Failure as failure:  # the protocol cannot say this
            self._complete(job, str(failure))
            return True
        if call.max_tokens <= 0:  # the last attempt was torn behind its last token
            job.reply.finish = Finish.LENGTH
            self._complete(job, None)
            return True
        reservation = self.owner.ledger.reserve(call.prompt_tokens, call.max_tokens)
        if reservation is None:
            if self.owner.ledger.exhausted:
                self._stop(_cap_reached(self.owner.ledger))
            return False
        number = next(self._numbers)
        expected = lane.expected_tokens(call.prompt_tokens, call.max_tokens)
        lane.sent(number, expected, now)
        job.first_sent = job.first_sent or now
        job.attempts += 1
        meter = self.owner.meter
        meter.attempts += 1
        meter.retries += job.attempts > 1
        sending = _Sending(job, lane, call, number, now, expected, reservation, Watch(self.owner.terms.stall_seconds))
        task = self._loop.create_task(self._attempt(sending))
        self._tasks[task] = sending
        task.add_done_callback(self._ended)
        meter.in_flight = len(self._tasks)
        return True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self._stop(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        if not self._stopping.is_set():
            self.owner.meter.in_flight = len(self._tasks)
            self._pump()

    async def _attempt(self, sending: "_Sending[Request]") -> None:
        job, dialect = sending.job, self.owner.dialect
        failure: Failure | None = None
        before = len(job.reply.ids)
        try:
            await self._exchange(sending, job.reply)
            dialect.check(job.request, job.reply)
        except Failure as caught:
            failure = None if self._is_whole(job, caught) else caught
        except asyncio.CancelledError:
            if not sending.is_stuck:
                raise
            failure = Failure(FailureKind.STALL, f"next to no progress in {self.owner.terms.stall_seconds:g} s")
        finally:
            self._settle(sending, before, failure)
        self._after(sending, failure)

    def _is_whole(self, job: _Job[Request], failure: Failure) -> bool:
        """Whether the reply had come before its connection broke: it is paid for, and good."""
        if job.reply.finish is None or failure.kind not in (FailureKind.TORN, FailureKind.STALL):
            return False
        try:
            self.owner.dialect.check(job.request, job.reply)
        except Failure:
            return False
        return True

    async def _exchange(self, sending: "_Sending[Request]", reply: Reply) -> None:
        from thinkscale.engines.remote.http import post_events

        assert self._session is not None
        job, lane, call, dialect, meter = sending.job, sending.lane, sending.call, self.owner.dialect, self.owner.meter
        secret = lane.key.secret.reveal() if lane.key else None
        url, headers = lane.endpoint + call.path, dialect.headers(secret)
        counted = 0
        async with aclosing(post_events(self._session, url, headers=headers, body=call.body)) as events:
            async for event in events:
                if not sending.heard:
                    sending.heard = True
                    lane.started(sending.number, time.monotonic())
                    self._pump()
                dialect.take(reply, event)
                written = len(reply.ids) or reply.num_pieces
                if written > counted:
                    meter.completion_tokens += written - counted
                    counted = written
                if len(reply.ids) - job.num_drafted >= DRAFT_TOKENS and not job.draft_waits:
                    job.draft_waits = True
                    self.items.put(job)

    def _settle(self, sending: "_Sending[Request]", before: int, failure: Failure | None) -> None:
        """Counts what the attempt cost, whatever became of it."""
        job, reply, call = sending.job, sending.job.reply, sending.call
        prompt = completion = 0
        if sending.heard:
            prompt = call.prompt_tokens if reply.prompt_tokens is None else reply.prompt_tokens
            received = max(len(reply.ids) - before, reply.num_pieces)
            completion = received if reply.completion_tokens is None else max(reply.completion_tokens, received)
        if sending.heard:
            job.usd += self.owner.ledger.settle(sending.reservation, prompt, reply.cached_tokens, completion)
        else:
            self.owner.ledger.release(sending.reservation)
        job.prompt_tokens += prompt
        job.completion_tokens += completion
        now = time.monotonic()
        if failure is not None and failure.kind in CROWDED:
            sending.lane.failed(sending.number, failure, sending.at, now)
        sending.lane.ended(sending.number, sending.expected, prompt + completion, now)
        self.owner.meter.spent_usd = self.owner.ledger.spent_usd

    def _after(self, sending: "_Sending[Request]", failure: Failure | None) -> None:
        """Where the request goes from here."""
        job, lane, now = sending.job, sending.lane, time.monotonic()
        if failure is None:
            lane.succeeded(job.reply.completion_tokens or len(job.reply.ids))
            self._complete(job, None)
            return
        if failure.kind not in CROWDED:
            self._tell(lane.failed(sending.number, failure, sending.at, now))
        if failure.kind in OF_THE_KEY:
            self._ready.appendleft(job)
            self._check_lanes()
            return
        terms = self.owner.terms
        lane_to_blame = failure.kind in CROWDED or failure.kind is FailureKind.CONNECTION
        job.failures += not lane_to_blame
        hopeless = failure.kind not in TRANSIENT or job.failures > terms.retries or job.attempts >= terms.most_attempts
        if hopeless:
            self._complete(job, str(failure) + (f" (after {job.attempts} attempts)" if job.attempts > 1 else ""))
            return
        jitter = int(content_key(job.key, job.attempts)[:8], 16) / 2**32
        wait = backoff_seconds(min(job.attempts, 8), jitter)
        if failure.retry_after:
            wait = max(wait, failure.retry_after)
        heappush(self._delayed, (now + wait, next(self._numbers), job))

    def _complete(self, job: _Job[Request], error: str | None) -> None:
        outcome = Outcome(
            attempts=job.attempts,
            prompt_tokens=job.prompt_tokens,
            completion_tokens=job.completion_tokens,
            seconds=time.monotonic() - job.first_sent if job.first_sent else 0.0,
            usd=job.usd,
            error=error,
        )
        completion = self.owner.dialect.completion(job.request, job.reply, outcome)
        self.items.put(Answered(job.request, job.reply, outcome, completion))

    # Looking after the whole

    async def _look_after_lanes(self) -> None:
        """Every tenth of a second: stalled calls, servers' lines, dead endpoints; wakes the queue."""
        probes: set[asyncio.Task[None]] = set()
        while True:
            await asyncio.sleep(0.1)
            now = time.monotonic()
            for task, sending in list(self._tasks.items()):
                if not sending.is_stuck and sending.watch.is_stuck(sending.job.reply.num_pieces, now):
                    sending.is_stuck = True
                    task.cancel()
            for lane in self.owner.lanes:
                lane.window.look(now)
                if lane.state is LaneState.DEAD and lane.probe_at <= now:
                    lane.probe_at = float("inf")
                    probe = asyncio.ensure_future(self._probe(lane))
                    probes.add(probe)
                    probe.add_done_callback(probes.discard)
            self._check_lanes()
            self._pump()

    async def _probe(self, lane: Lane) -> None:
        from thinkscale.engines.remote.health import problem_of

        assert self._session is not None
        secret = lane.key.secret.reveal() if lane.key else None
        problem = await problem_of(self._session, lane.endpoint, self.owner.dialect.headers(secret))
        self._tell(lane.probed(problem, time.monotonic()))

    def _check_lanes(self) -> None:
        """Stops the run where no lane can carry on."""
        lanes = self.owner.lanes
        retired = [lane for lane in lanes if lane.state is LaneState.RETIRED]
        if len(retired) == len(lanes):
            reasons = "; ".join(f"{lane.name}: {lane.reason}" for lane in retired)
            self._stop(EngineError(f"no API key is left to go on with: {reasons}. What was answered is stored"))
        elif any(lane.state is LaneState.OPEN for lane in lanes):
            self._alive_at = time.monotonic()
        elif time.monotonic() - self._alive_at > self.owner.terms.patience_seconds:
            reasons = "; ".join(f"{lane.name}: {lane.reason}" for lane in lanes if lane.state is LaneState.DEAD)
            waited = f"{self.owner.terms.patience_seconds:g} s"
            self._stop(EngineError(f"no endpoint has answered for {waited}: {reasons}. What was answered is stored"))

    def _tell(self, text: str | None) -> None:
        if text:
            self.items.put(_Notice(text))

    def _want(self) -> None:
        """How many requests the caller should have handed in: what may be in flight, and a few that wait."""
        open_lanes = [lane for lane in self.owner.lanes if lane.state is LaneState.OPEN]
        limit = sum(int(lane.window.limit) for lane in open_lanes)
        self.owner.meter.limit, self.owner.meter.lanes = limit, len(open_lanes)
        self.num_wanted = limit + max(16, limit // 4) + len(self._delayed)
        if not self._ready and not self._asked and limit > len(self._tasks):
            self._asked = True
            self.items.put(_Wanted())

    def _wake_later(self, now: float) -> None:
        """Calls the queue again when the first allowance or retry is due, if that is sooner than its steady look."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        due = [self._delayed[0][0]] if self._delayed else []
        if self._ready:
            due += [now + wait for lane in self.owner.lanes if (wait := lane.wait_seconds(now)) > 0]
        if due and min(due) - now < 0.1:
            self._wake = self._loop.call_at(max(min(due), now + 0.001), self._pump)


@dataclass(slots=True, eq=False)
class _Sending(Generic[Request]):
    """One attempt in flight."""

    job: _Job[Request]
    lane: Lane
    call: Call
    number: int
    at: float
    expected: float
    reservation: Reservation
    watch: Watch
    heard: bool = False
    """The server has begun to answer."""
    is_stuck: bool = False
    """It was given up, and is being ended."""


def _cap_reached(ledger: Ledger) -> SpendCapError:
    return SpendCapError(
        f"the spend cap of {ledger.cap_usd:g} USD is reached: {ledger.spent_usd:.4f} USD are spent, and the next "
        "request might cross it. What was answered is stored; the same command with a higher --max-spend goes on"
    )
