"""The thread that talks to servers: an event loop that sends what may be sent, and waits for whatever is next.

Only requests in flight have a task; those that wait stand in a list. It touches no disk: what must be saved or said
goes to the caller's thread through `items`.
"""

import asyncio
import queue
import threading
import time
from collections import deque
from collections.abc import Coroutine
from contextlib import aclosing, suppress
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING, Any, Generic, TypeAlias

from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.failures import CROWDED, OF_THE_KEY, Failure, FailureKind
from thinkscale.engines.remote.jobs import Answered, Job, Sending, Terms, pause_seconds, settle
from thinkscale.engines.remote.lanes import Lane, LaneState, least_full
from thinkscale.engines.remote.spend import Ledger, cap_reached
from thinkscale.engines.remote.watch import Watch
from thinkscale.engines.remote.wire import Completion, Dialect, Reply, Request
from thinkscale.engines.tokens import DRAFT_TOKENS
from thinkscale.errors import EngineError
from thinkscale.records import Finish

if TYPE_CHECKING:
    import aiohttp

LOOK_SECONDS = 0.1
"""How often stalled calls, servers' lines and dead endpoints are looked for."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What a person should know: a key that left, an endpoint that died."""

    text: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """There is room for more requests."""


Item: TypeAlias = "Answered[Request, Completion] | Job[Request] | Notice | Wanted | BaseException"


class EngineLoop(Generic[Request, Completion]):
    """The thread with its event loop. All but `enter`, `listen`, `items`, `num_wanted` and `close` is its own."""

    def __init__(
        self, dialect: Dialect[Request, Completion], lanes: list[Lane], ledger: Ledger, terms: Terms, meter: Meter
    ) -> None:
        """Starts the thread."""
        self._dialect, self._lanes, self._ledger, self._terms, self._meter = dialect, lanes, ledger, terms, meter
        self.items: queue.SimpleQueue[Item[Request, Completion]] = queue.SimpleQueue()
        self.num_wanted = 1
        self._ready: deque[Job[Request]] = deque()
        self._delayed: list[tuple[float, int, Job[Request]]] = []
        self._tasks: dict[asyncio.Task[None], Sending[Request]] = {}
        self._numbers = count()
        self._session: aiohttp.ClientSession | None = None
        self._stopping = asyncio.Event()
        self._wake: asyncio.TimerHandle | None = None
        self._asked = False
        self._over = False
        self._alive_at = time.monotonic()
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._broken)
        self._watching: set[asyncio.Task[None]] = set()
        for lane in lanes:
            lane.probe_at = min(lane.probe_at, time.monotonic() + lane.probe_seconds)  # an earlier run ended in a probe
        self._want()
        self._thread = threading.Thread(target=self._main, name="thinkscale-engine", daemon=True)
        self._thread.start()

    # What the caller's thread calls

    def enter(self, requests: list[tuple[Request, Reply]]) -> None:
        """Hands requests in."""
        self._asked = False
        self._loop.call_soon_threadsafe(self._enter, requests)

    def listen(self) -> None:
        """The caller has given what is wanted now, and more may be asked of it."""
        self._asked = False

    def close(self) -> list[Job[Request]]:
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

        terms = self._terms
        self._session = open_session(connect_seconds=terms.connect_seconds, stall_seconds=terms.stall_seconds)
        self._start(self._look_after_lanes())
        try:
            await self._stopping.wait()
        finally:
            running = [*self._watching, *self._tasks]
            for task in running:
                task.cancel()
            in_flight = dict(self._tasks)
            await asyncio.gather(*running, return_exceptions=True)
            self._tasks = in_flight
            for sending in in_flight.values():
                if sending.reservation.is_open:  # cancelled before its first step: nothing was sent
                    self._settle(sending, None)
            self._meter.in_flight = 0
            await self._session.close()

    def _start(self, work: Coroutine[None, None, None]) -> None:
        """Runs what looks after lanes. A mistake of ours in it ends the run."""
        task = self._loop.create_task(work)
        self._watching.add(task)
        task.add_done_callback(self._watched)

    def _watched(self, task: "asyncio.Task[None]") -> None:
        self._watching.discard(task)
        if not task.cancelled() and (error := task.exception()):
            self._stop(error if isinstance(error, Exception) else RuntimeError(repr(error)))

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
            job = Job(request, self._dialect.key_of(request), before, num_drafted=len(before.ids))
            self._ready.append(job)
        self._pump()

    def _pump(self) -> None:
        """Sends what can be sent now, and sees to it that it is called again when more can be."""
        now = time.monotonic()
        while self._delayed and self._delayed[0][0] <= now:
            self._ready.append(heappop(self._delayed)[2])
        while self._ready and not self._over:
            lane = least_full(self._lanes, now)
            if lane is None or not self._send(self._ready[0], lane, now):
                break
            self._ready.popleft()
        self._want()
        self._wake_later(now)

    def _send(self, job: Job[Request], lane: Lane, now: float) -> bool:
        """Sends a request on a lane, unless its price does not fit under the cap now."""
        job.reply = self._dialect.renew(job.reply)
        try:
            call = self._dialect.call(job.request, job.reply, stream=self._terms.stream)
        except Failure as failure:  # the protocol cannot say this
            self._complete(job, str(failure))
            return True
        if call.max_tokens <= 0:  # the last attempt was torn behind its last token
            job.reply.finish = Finish.LENGTH
            self._complete(job, None)
            return True
        reservation = self._ledger.reserve(call.prompt_tokens, call.max_tokens)
        if reservation is None:
            if self._ledger.exhausted:
                self._stop(cap_reached(self._ledger))
            return False
        number = next(self._numbers)
        expected = lane.expected_tokens(call.prompt_tokens, call.max_tokens)
        lane.sent(number, expected, now)
        job.first_sent = job.first_sent or now
        job.attempts += 1
        self._meter.attempts += 1
        self._meter.retries += job.attempts > 1
        watch = Watch(self._terms.stall_seconds)
        sending = Sending(job, lane, call, number, now, expected, reservation, watch, len(job.reply.ids))
        task = self._loop.create_task(self._attempt(sending))
        self._tasks[task] = sending
        task.add_done_callback(self._ended)
        self._meter.in_flight = len(self._tasks)
        return True

    def _ended(self, task: "asyncio.Task[None]") -> None:
        self._tasks.pop(task, None)
        if not task.cancelled() and (error := task.exception()):
            self._stop(error if isinstance(error, Exception) else RuntimeError(repr(error)))
        if not self._stopping.is_set():
            self._meter.in_flight = len(self._tasks)
            self._pump()

    async def _attempt(self, sending: Sending[Request]) -> None:
        job = sending.job
        failure: Failure | None = None
        try:
            await self._exchange(sending)
            self._dialect.check(job.request, job.reply)
            _refuse_keys(sending)
        except Failure as caught:
            failure = None if self._is_whole(job, caught) else caught
        except asyncio.CancelledError:
            if not sending.is_stuck:
                raise
            failure = Failure(FailureKind.STALL, f"next to no progress in {self._terms.stall_seconds:g} s")
        finally:
            self._settle(sending, failure)
        self._after(sending, failure)

    def _is_whole(self, job: Job[Request], failure: Failure) -> bool:
        """Whether the reply had come before its connection broke: it is paid for, and good."""
        if job.reply.finish is None or failure.kind not in (FailureKind.TORN, FailureKind.STALL):
            return False
        try:
            self._dialect.check(job.request, job.reply)
        except Failure:
            return False
        return True

    async def _exchange(self, sending: Sending[Request]) -> None:
        from thinkscale.engines.remote.http import post_events

        assert self._session is not None
        job, lane, call = sending.job, sending.lane, sending.call
        reply = job.reply
        secret = lane.key.secret.reveal() if lane.key else None
        url, headers = lane.endpoint + call.path, self._dialect.headers(secret)
        async with aclosing(post_events(self._session, url, headers=headers, body=call.body)) as events:
            async for event in events:
                if not sending.heard:
                    sending.heard = True
                    self._meter.open_prompt_tokens += call.prompt_tokens
                    lane.started(sending.number, time.monotonic())
                    self._pump()
                self._dialect.take(reply, event)
                sending.count(self._meter)
                if reply.finish is None and job.draft is None and len(reply.ids) - job.num_drafted >= DRAFT_TOKENS:
                    job.put_draft()
                    self.items.put(job)

    def _settle(self, sending: Sending[Request], failure: Failure | None) -> None:
        tokens = settle(sending, failure, self._ledger, self._meter)
        now = time.monotonic()
        if failure is not None and failure.kind in CROWDED:  # the window counts it as in flight until it is told
            sending.lane.failed(sending.number, failure, sending.at, now)
        sending.lane.ended(sending.number, sending.expected, tokens, now)

    def _after(self, sending: Sending[Request], failure: Failure | None) -> None:
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
        elsewhere = any(other.state is LaneState.OPEN for other in self._lanes if other is not lane)
        wait = pause_seconds(job, failure, self._terms, has_grown=sending.has_grown, elsewhere=elsewhere)
        if wait is None:
            self._complete(job, str(failure) + (f" (after {job.attempts} attempts)" if job.attempts > 1 else ""))
        else:
            heappush(self._delayed, (now + wait, next(self._numbers), job))

    def _complete(self, job: Job[Request], error: str | None) -> None:
        outcome = job.outcome(error, time.monotonic())
        completion = self._dialect.completion(job.request, job.reply, outcome)
        self.items.put(Answered(job.request, job.reply, outcome, completion))

    # Looking after the whole

    async def _look_after_lanes(self) -> None:
        """Every tenth of a second: stalled calls, servers' lines, dead endpoints; wakes the queue."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            now = time.monotonic()
            for task, sending in list(self._tasks.items()):
                if not sending.is_stuck and sending.watch.is_stuck(sending.job.reply.num_pieces, now):
                    sending.is_stuck = True
                    task.cancel()
            for lane in self._lanes:
                lane.window.look(now)
                if lane.state is LaneState.DEAD and lane.probe_at <= now:
                    lane.probe_at = float("inf")
                    self._start(self._probe(lane))
            self._check_lanes()
            self._pump()

    async def _probe(self, lane: Lane) -> None:
        from thinkscale.engines.remote.health import problem_of

        assert self._session is not None
        secret = lane.key.secret.reveal() if lane.key else None
        problem = await problem_of(self._session, lane.endpoint, self._dialect.headers(secret))
        self._tell(lane.probed(problem, time.monotonic()))

    def _check_lanes(self) -> None:
        """Stops the run where no lane can carry on."""
        lanes = self._lanes
        retired = [lane for lane in lanes if lane.state is LaneState.RETIRED]
        if len(retired) == len(lanes):
            reasons = "; ".join(f"{lane.name}: {lane.reason}" for lane in retired)
            self._stop(EngineError(f"no API key is left to go on with: {reasons}. What was answered is stored"))
        elif any(lane.state is LaneState.OPEN for lane in lanes):
            self._alive_at = time.monotonic()
        elif time.monotonic() - self._alive_at > self._terms.patience_seconds:
            reasons = "; ".join(f"{lane.name}: {lane.reason}" for lane in lanes if lane.state is LaneState.DEAD)
            waited = f"{self._terms.patience_seconds:g} s"
            self._stop(EngineError(f"no endpoint has answered for {waited}: {reasons}. What was answered is stored"))

    def _tell(self, text: str | None) -> None:
        if text:
            self.items.put(Notice(text))

    def _want(self) -> None:
        """How many requests the caller should have handed in: what may be in flight, and a few that wait."""
        open_lanes = [lane for lane in self._lanes if lane.state is LaneState.OPEN]
        limit = sum(int(lane.window.limit) for lane in open_lanes)
        self._meter.limit, self._meter.lanes = limit, len(open_lanes)
        self.num_wanted = limit + max(16, limit // 4) + len(self._delayed)
        if not self._ready and not self._asked and limit > len(self._tasks):
            self._asked = True
            self.items.put(Wanted())

    def _wake_later(self, now: float) -> None:
        """Calls the queue again when the first allowance or retry is due, if that is sooner than its steady look."""
        if self._wake is not None:
            self._wake.cancel()
            self._wake = None
        due = [self._delayed[0][0]] if self._delayed else []
        if self._ready:
            due += [now + wait for lane in self._lanes if (wait := lane.wait_seconds(now)) > 0]
        if due and min(due) - now < LOOK_SECONDS:
            self._wake = self._loop.call_at(max(min(due), now + 0.001), self._pump)


def _refuse_keys(sending: Sending[Request]) -> None:
    """A server that writes the key into its reply would have it stored in tables and caches."""
    if sending.lane.key is None:
        return
    secret, reply = sending.lane.key.secret.reveal(), sending.job.reply
    if secret in reply.text or secret in reply.thinking:
        raise Failure(FailureKind.MALFORMED, "the reply holds the API key")
