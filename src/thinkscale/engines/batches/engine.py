"""A chat engine over a provider's batches: submits, polls, survives a kill, sends only failed rows again.

Some batches are in flight at a time; memory is bounded by their rows. Completions come as batches end. A note is
forgotten only when the caller asks for more behind its last row, so the caller has stored what it was given. Stopping
leaves the batches running and their notes in place.

A row that a note of an earlier run holds is not sent: its result is taken from that batch. A note with rows that
nobody asked for stays, and costs nothing until somebody does.

Rejected: waiting in `asyncio` for everything at once. Batches take minutes to a day; the loop below is a poll.
"""

import asyncio
import secrets
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from thinkscale.engines.batches import outcomes
from thinkscale.engines.batches.notes import Flight, Notes, Row, custom_id, flight_of
from thinkscale.engines.batches.provider import BatchProvider, BatchState, RowResult
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote import http
from thinkscale.engines.remote.failures import CROWDED, TRANSIENT, Failure, FailureKind
from thinkscale.engines.remote.wire import Reply
from thinkscale.errors import EngineError

CONNECT_SECONDS = 30.0
STALL_SECONDS = 300.0
SETTLE_SECONDS = 60.0
"""A batch that was being created when we were killed may be listed late: only then is it taken not to exist."""
MAX_POLL_FAILURES = 1000
"""In a row, for one batch: most of a day at one a minute, since the batch itself needs no network of ours."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchEngine:
    """See ChatEngine. Not to be used within a running event loop."""

    name: str
    provider: BatchProvider
    notes: Notes
    price: outcomes.Price = outcomes.no_price
    """Dollars for prompt tokens, those of them that were cached, and completion tokens."""
    attempts: int = 3
    """Batches that a row is sent in at most."""
    poll_seconds: float = 60.0
    max_batches: int = 4
    """In flight at a time."""
    wait: Callable[[float], None] = time.sleep

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine. Raises EngineError where the provider refuses the key, or a batch as such."""
        with asyncio.Runner() as runner:
            session = runner.run(_session())
            try:
                yield from _Run(self, runner, session, iter(requests)).completions()
            finally:
                runner.run(session.close())


async def _session() -> aiohttp.ClientSession:
    return http.open_session(connect_seconds=CONNECT_SECONDS, stall_seconds=STALL_SECONDS)


@dataclass(slots=True)
class _Load:
    """A batch that is being filled."""

    marker: str
    rows: list[Row] = field(default_factory=list)
    lines: list[bytes] = field(default_factory=list)


class _Run:
    """One call of `answer`."""

    def __init__(
        self, engine: BatchEngine, runner: asyncio.Runner, session: aiohttp.ClientSession, source: Iterator[ChatRequest]
    ) -> None:
        self.engine = engine
        self.provider = engine.provider
        self.runner = runner
        self.session = session
        self.source = source
        self.waiting: deque[Row] = deque()
        """Rows to be sent before any new one."""
        self.refused: deque[ChatCompletion] = deque()
        """Of rows that cannot be sent at all."""
        self.flights: dict[str, Flight] = {}
        self.places: dict[str, tuple[str, int]] = {}
        """Where the rows of earlier notes are: key to marker and place."""
        self.crowded = False
        """The provider takes no further batch before the next poll."""
        self.num_crowded = 0

    def completions(self) -> Iterator[ChatCompletion]:
        self._load()
        while True:
            self.crowded = False
            self._send()
            while self.refused:
                yield self.refused.popleft()
            active = self._active()
            if not active and not self.waiting:
                return
            landed = False
            for flight in active:
                state = self._poll(flight)
                if state is not None and state.ended:
                    yield from self._land(flight, state)
                    landed = landed or not flight.rows
            if not landed or self.crowded:
                self.engine.wait(self.engine.poll_seconds)

    def _active(self) -> list[Flight]:
        return [flight for flight in self.flights.values() if flight.rows]

    def _do(self, work: Coroutine[object, object, Result]) -> Result:
        return self.runner.run(work)

    def _load(self) -> None:
        """Where two notes hold a row, it failed in the earlier one: the later attempt counts."""
        for note in self.engine.notes.load():
            flight = flight_of(note)
            self.flights[flight.marker] = flight
            for place, key in enumerate(flight.keys):
                if key is None:
                    continue
                other = self.places.get(key)
                if other and self.flights[other[0]].attempts[other[1]] >= flight.attempts[place]:
                    flight.keys[place] = None
                    continue
                if other:
                    self.flights[other[0]].keys[other[1]] = None
                self.places[key] = (flight.marker, place)
        for flight in list(self.flights.values()):
            if flight.is_finished:
                self._forget(flight)

    def _send(self) -> None:
        """Fills and submits batches while there are rows and room."""
        while not self.crowded and len(self._active()) < self.engine.max_batches:
            load = self._fill()
            if not load.rows:
                return
            self._submit(load)

    def _fill(self) -> _Load:
        load, size = _Load(secrets.token_hex(8)), 0
        while len(load.rows) < self.provider.max_rows and (row := self._next_row()):
            line = self._line(custom_id(load.marker, len(load.rows)), row)
            if line is None:
                continue
            if load.rows and size + len(line) > self.provider.max_bytes:
                self.waiting.appendleft(row)
                break
            load.rows.append(row)
            load.lines.append(line)
            size += len(line) + 1
        return load

    def _line(self, name: str, row: Row) -> bytes | None:
        """The row as it is sent; where it cannot be, its completion is put aside."""
        try:
            call = self.provider.dialect.call(row.request, Reply(), stream=False)
        except Failure as failure:
            self.refused.append(outcomes.completion(self.provider.dialect, row, Reply(), str(failure)))
            return None
        return self.provider.line(name, call.body)

    def _next_row(self) -> Row | None:
        """The next row to be sent. Those that an earlier batch holds are handed to it on the way."""
        if self.waiting:
            return self.waiting.popleft()
        for request in self.source:
            held = self.places.pop(request.key, None)
            if held is None:
                return Row(request=request)
            flight, place = self.flights[held[0]], held[1]
            flight.rows[place] = Row(request=request, attempts=flight.attempts[place])
        return None

    def _submit(self, load: _Load) -> None:
        """Notes the batch, creates it, notes its id. Whatever is unsure afterwards is left to `_poll`."""
        for row in load.rows:
            row.attempts += 1
        flight = Flight(
            marker=load.marker,
            since=time.time(),
            keys=[row.request.key for row in load.rows],
            attempts=[row.attempts for row in load.rows],
            rows=dict(enumerate(load.rows)),
        )
        self.flights[flight.marker] = flight
        self._save(flight)
        self._leave_origins(load.rows)
        try:
            flight.batch_id = self._do(self.provider.submit(self.session, load.marker, load.lines))
        except Failure as failure:
            if failure.kind not in TRANSIENT:
                self._forget(flight)
                raise EngineError(f"{self.engine.name}: the provider refuses the batch ({failure})") from failure
            if failure.kind in CROWDED:
                self.crowded = True
                self.num_crowded += 1
                self._take_back(flight)
                if self.num_crowded >= MAX_POLL_FAILURES:
                    raise EngineError(f"{self.engine.name}: the provider takes no batch ({failure})") from failure
        else:
            self.num_crowded = 0
            self._save(flight)

    def _leave_origins(self, rows: list[Row]) -> None:
        """The rows are in a new note: those of the batches in which they failed need not hold them."""
        touched: dict[str, Flight] = {}
        for row in rows:
            if row.origin is not None:
                marker, place = row.origin
                touched[marker] = self.flights[marker]
                touched[marker].keys[place] = None
                row.origin = None
        for flight in touched.values():
            self._close(flight)

    def _take_back(self, flight: Flight) -> None:
        """The batch does not exist: its rows wait again, and this attempt was none."""
        for row in flight.rows.values():
            row.attempts -= 1
            self.waiting.append(row)
        for key in flight.keys:
            if key is not None and self.places.get(key, ("",))[0] == flight.marker:
                del self.places[key]
        self._forget(flight)

    def _poll(self, flight: Flight) -> BatchState | None:
        """Where the batch stands, None where that cannot be said now."""
        try:
            if flight.batch_id is None and not self._found(flight):
                return None
            assert flight.batch_id is not None
            state = self._do(self.provider.poll(self.session, flight.batch_id))
        except Failure as failure:
            return self._unanswered(flight, failure)
        if not state.ended:
            flight.num_failures = 0
        return state

    def _found(self, flight: Flight) -> bool:
        """Whether the batch of a note without an id exists. If it surely does not, its rows wait again."""
        search = self._do(self.provider.search(self.session, flight))
        if search.batch_id is not None:
            flight.batch_id = search.batch_id
            self._save(flight)
            return True
        if search.decided and time.time() - flight.since >= SETTLE_SECONDS:
            self._take_back(flight)
        return False

    def _unanswered(self, flight: Flight, failure: Failure) -> BatchState | None:
        flight.num_failures += 1
        if failure.kind in TRANSIENT and flight.num_failures < MAX_POLL_FAILURES:
            return None
        if failure.kind is FailureKind.BAD_REQUEST and flight.batch_id is not None:
            gone = Failure(FailureKind.SERVER_ERROR, f"the provider does not know the batch any more ({failure.text})")
            return BatchState(ended=True, failure=gone)
        raise EngineError(f"{self.engine.name}: batch {flight.batch_id} cannot be asked for ({failure})") from failure

    def _land(self, flight: Flight, state: BatchState) -> Iterator[ChatCompletion]:
        """Completions of an ended batch; rows that failed and may be sent again wait."""
        if state.failure is None:
            try:
                yield from self._results(flight, state)
            except Failure as failure:
                gone = self._unanswered(flight, failure)
                if gone is None:
                    return
                state = gone
        missing = state.failure or Failure(FailureKind.SERVER_ERROR, "the batch ended without a result for this row")
        turned_away = missing.kind is FailureKind.RATE_LIMIT and len(self._active()) > 1
        self.crowded = self.crowded or turned_away
        for place, row in list(flight.rows.items()):
            del flight.rows[place]
            row.attempts -= turned_away  # there was no room beside other batches: nothing was tried
            yield from self._settle(flight, place, row, RowResult(custom_id="", failure=missing))
        self._close(flight)

    def _results(self, flight: Flight, state: BatchState) -> Iterator[ChatCompletion]:
        """Completions of the rows that have a result. Raises Failure where they cannot all be read."""
        assert flight.batch_id is not None
        results = self.provider.results(self.session, flight.batch_id, state)
        try:
            while (result := self._do(_next(results))) is not None:
                place = flight.place_of(result.custom_id)
                row = flight.rows.pop(place, None) if place is not None else None
                if place is not None and row is not None:
                    yield from self._settle(flight, place, row, result)
        finally:
            self._do(results.aclose())

    def _settle(self, flight: Flight, place: int, row: Row, result: RowResult) -> Iterator[ChatCompletion]:
        """The row's completion, or nothing where it is to be sent again."""
        dialect = self.provider.dialect
        reply, failure = outcomes.read(dialect, self.engine.price, row, result)
        if failure is not None and failure.kind in TRANSIENT and row.attempts < self.engine.attempts:
            row.origin = (flight.marker, place)
            self.waiting.append(row)
            return
        yield outcomes.completion(dialect, row, reply, str(failure) if failure else None)
        flight.keys[place] = None

    def _save(self, flight: Flight) -> None:
        self.engine.notes.save(flight.marker, flight.note())

    def _close(self, flight: Flight) -> None:
        """Forgets a finished note; else notes which rows are."""
        if flight.is_finished:
            self._forget(flight)
        else:
            self._save(flight)

    def _forget(self, flight: Flight) -> None:
        del self.flights[flight.marker]
        self.engine.notes.forget(flight.marker)


async def _next(results: AsyncIterator[RowResult]) -> RowResult | None:
    return await anext(results, None)
