"""Sends a reply at its pace, and spoils it where a fault is due.

A stream sleeps only when it is ahead of its pace, and sends what is due in one write: a server that falls behind
catches up instead of falling further.
"""

import asyncio
import json
from collections.abc import Iterator
from dataclasses import dataclass

from aiohttp import web

from thinkscale.engines.scripted.faults import Fault
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.protocol import Said, ServedProtocol
from thinkscale.engines.scripted.served import Ending, Served
from thinkscale.keys import JSON

WRITE_BYTES = 1 << 16
"""Most bytes of one write."""
FIRST_DYING_SECONDS = 0.05
"""The first pause of a slow death; each is twice the one before."""
STREAM_HEADERS = {"Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-cache"}


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault that spoils a reply, `place` of the way into it. Before the first byte in the first half for a stall."""

    fault: Fault | None
    place: float = 0.0

    @property
    def is_silent(self) -> bool:
        """Whether nothing at all is sent."""
        return self.fault is Fault.STALL and self.place < 0.5


async def deliver(
    request: web.Request, protocol: ServedProtocol, said: Said, strike: Strike, served: Served, options: ServerOptions
) -> web.StreamResponse:
    """Sends `said`, streamed where it was asked for, and notes in `served` how far it came."""
    await asyncio.sleep(options.first_token_seconds)
    if strike.is_silent:
        await _hold(request, served, options)
        return web.Response()
    if said.ask.stream:
        return await _Stream(request, said, strike, served, options).send(protocol.events(said))
    return await _whole(request, protocol.whole(said), said, strike, served, options)


async def _hold(request: web.Request, served: Served, options: ServerOptions) -> None:
    """Sends nothing more until the client gives up, or the server does."""
    served.ending = Ending.BROKEN
    await asyncio.sleep(options.stall_seconds)
    _cut(request)


def _cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.close()


class _Stream:
    """One reply as server-sent events."""

    def __init__(
        self, request: web.Request, said: Said, strike: Strike, served: Served, options: ServerOptions
    ) -> None:
        self._request = request
        self._served = served
        self._options = options
        self._fault = strike.fault
        self._total = said.answer.completion_tokens
        self._strike_at = strike.place * self._total
        self._response = web.StreamResponse(headers=dict(STREAM_HEADERS))
        self._buffer = bytearray()
        self._clock = asyncio.get_running_loop().time

    async def send(self, events: Iterator[tuple[bytes, int]]) -> web.StreamResponse:
        await self._response.prepare(self._request)
        begin, made, pause = self._clock(), 0, 0.0
        speed = self._options.tokens_per_second
        for data, num_tokens in events:
            made += num_tokens
            if speed and num_tokens and (early := begin + made / speed - self._clock()) > 0:
                await self._flush()
                await asyncio.sleep(early)
            if self._fault and made >= self._strike_at and (num_tokens or not self._total):
                if self._fault is Fault.SLOW_DEATH:
                    pause = pause * 2 or FIRST_DYING_SECONDS
                    await self._flush()
                    if not await self._pause(pause, begin):
                        return self._response
                elif await self._spoil(data):
                    return self._response
                else:
                    self._served.sent_tokens += num_tokens
                    continue
            self._buffer += data
            self._served.sent_tokens += num_tokens
            if len(self._buffer) >= WRITE_BYTES:
                await self._flush()
        await self._flush()
        await self._response.write_eof()
        return self._response

    async def _flush(self) -> None:
        if self._buffer:
            data, self._buffer = bytes(self._buffer), bytearray()
            await self._response.write(data)

    async def _pause(self, seconds: float, begin: float) -> bool:
        """Sleeps, and says whether the stream may go on; a dying one is cut at last."""
        self._served.ending = Ending.BROKEN
        left = begin + self._options.stall_seconds - self._clock()
        await asyncio.sleep(min(seconds, max(0.0, left)))
        if seconds >= left:
            _cut(self._request)
        return seconds < left

    async def _spoil(self, data: bytes) -> bool:
        """Strikes at the event `data`; True where nothing can follow."""
        self._served.ending = Ending.BROKEN
        fault, half = self._fault, data[: len(data) // 2]
        if fault is Fault.MALFORMED:
            self._buffer += half.rstrip() + b"\n\n"
            self._fault = None
            return False
        if fault is Fault.TORN_STREAM:
            self._buffer += half
            await self._flush()
            _cut(self._request)
            return True
        await self._flush()
        await _hold(self._request, self._served, self._options)
        return True


async def _whole(
    request: web.Request,
    body: dict[str, JSON],
    said: Said,
    strike: Strike,
    served: Served,
    options: ServerOptions,
) -> web.StreamResponse:
    """Sends an unstreamed reply when a stream of it would have ended."""
    tokens = said.answer.completion_tokens
    if options.tokens_per_second:
        await asyncio.sleep(tokens / options.tokens_per_second)
    served.sent_tokens = tokens
    data = json.dumps(body, separators=(",", ":")).encode()
    if strike.fault is None:
        return web.Response(body=data, content_type="application/json")
    served.ending = Ending.BROKEN
    half = data[: max(1, len(data) // 2)]
    if strike.fault is Fault.MALFORMED:
        return web.Response(body=half, content_type="application/json")
    response = web.StreamResponse(headers={"Content-Type": "application/json", "Content-Length": str(len(data))})
    await response.prepare(request)
    if strike.fault is Fault.SLOW_DEATH:
        await _dribble(response, data, options.stall_seconds)
    await response.write(half)
    if strike.fault is Fault.STALL:
        await asyncio.sleep(options.stall_seconds)
    _cut(request)
    return response


async def _dribble(response: web.StreamResponse, data: bytes, most_seconds: float) -> None:
    """Sends ever later bytes of `data` until time is over; it never comes to the end."""
    pause, spent = FIRST_DYING_SECONDS, 0.0
    for at in range(len(data) // 2):
        if spent + pause > most_seconds:
            break
        await response.write(data[at : at + 1])
        await asyncio.sleep(pause)
        spent, pause = spent + pause, pause * 2
