"""One HTTP exchange through aiohttp: events of a stream, JSON, lines of a file, and every failure as a Failure.

No retries, no queue, no limits here: those are the queue's. A reply that came whole although a stream was asked for
is given as a single event; each dialect knows a whole reply by its own shape. Redirects are not followed, since
a header with a key would go to wherever they lead. Rejected: `trust_env` of aiohttp, which asks two threads at every
request; a proxy is given to `open_session` instead.

No text of a Failure holds a value of the headers that were sent (`refusals.without_secrets`).
"""

import asyncio
import io
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import aiohttp

from thinkscale.engines.remote import refusals, shapes
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.sse import EventReader
from thinkscale.keys import JSON

MAX_ERROR_BYTES = 64 * 1024
MAX_BODY_BYTES = 256 * 2**20
"""The largest unstreamed reply that is read."""
MAX_LINE_BYTES = 64 * 2**20
LARGE_BODY_BYTES = 2**20
"""From here on a body is sent in pieces, so that the event loop is not held up."""
TAIL_SECONDS = 0.25
"""How long the end of a stream is waited for behind its last event, so that the connection can be used again."""

JSON_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
STREAM_HEADERS = {
    "Content-Type": "application/json",
    "Accept": "text/event-stream",
    "Accept-Encoding": "identity",
}
"""Unpacked: a server that compresses a stream holds events back."""


def open_session(*, connect_seconds: float, stall_seconds: float, proxy: str | None = None) -> aiohttp.ClientSession:
    """A session for a whole pool: any number of connections, no limit on the whole, silence limited to `stall_seconds`.

    To be called in a running event loop; the caller closes it.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_seconds, sock_read=stall_seconds),
        cookie_jar=aiohttp.DummyCookieJar(),
        proxy=proxy,
    )


async def post_events(
    session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str], body: Mapping[str, JSON]
) -> AsyncGenerator[dict[str, JSON], None]:
    """JSON objects of the stream that answers `body`, until `[DONE]` or its end; a whole reply as the only event.

    Raises Failure. An event that carries an `error` is raised, not given. Closing the generator early (with
    `contextlib.aclosing`) closes the connection, so that the server stops generating. Whether the reply is complete
    is for the dialect to check.
    """
    async with _exchange(session, "POST", url, STREAM_HEADERS, headers, _json_bytes(body)) as response:
        if response.content_type != "text/event-stream":
            yield _event(await _whole(response))
            return
        reader = EventReader()
        async for chunk in response.content.iter_any():
            for data in reader.feed(chunk):
                if data == b"[DONE]":
                    await _read_tail(response)
                    return
                yield _event(data)
        for data in reader.end():
            if data != b"[DONE]":
                yield _last_event(data)


async def post_json(
    session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str], body: Mapping[str, JSON]
) -> dict[str, JSON]:
    """The JSON object that answers `body`. Raises Failure."""
    return await post_bytes(session, url, headers=headers, content=_json_bytes(body))


async def post_bytes(
    session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str], content: bytes
) -> dict[str, JSON]:
    """The JSON object that answers a body that is JSON already. Raises Failure."""
    async with _exchange(session, "POST", url, JSON_HEADERS, headers, content) as response:
        return _event(await _whole(response))


async def get_json(session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str]) -> dict[str, JSON]:
    """The JSON object at `url`. Raises Failure."""
    async with _exchange(session, "GET", url, JSON_HEADERS, headers, None) as response:
        return _event(await _whole(response))


async def get_lines(
    session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str]
) -> AsyncGenerator[dict[str, JSON], None]:
    """The JSON objects of the JSONL file at `url`, one at a time: memory holds one line. Raises Failure."""
    async with _exchange(session, "GET", url, {"Accept": "*/*"}, headers, None) as response:
        rest = b""
        async for chunk in response.content.iter_any():
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                if line.strip():
                    yield shapes.decoded(line)
            if len(rest) > MAX_LINE_BYTES:
                raise Failure(FailureKind.MALFORMED, f"a line of more than {MAX_LINE_BYTES >> 20} MiB")
        if rest.strip():
            yield shapes.decoded(rest)


async def post_file(
    session: aiohttp.ClientSession, url: str, *, headers: Mapping[str, str], content: bytes, fields: Mapping[str, str]
) -> dict[str, JSON]:
    """The JSON object that answers a form with `fields` and the JSONL file `content`. Raises Failure."""
    form = aiohttp.FormData()
    for name, value in fields.items():
        form.add_field(name, value)
    form.add_field("file", io.BytesIO(content), filename="batch.jsonl", content_type="application/jsonl")
    async with _exchange(session, "POST", url, {"Accept": "application/json"}, headers, form) as response:
        return _event(await _whole(response))


@asynccontextmanager
async def _exchange(
    session: aiohttp.ClientSession,
    method: str,
    url: str,
    standard: Mapping[str, str],
    headers: Mapping[str, str],
    data: bytes | aiohttp.FormData | None,
) -> AsyncIterator[aiohttp.ClientResponse]:
    """An open answer with a status of 2xx. What goes wrong before it, or while it is read, is raised as a Failure."""
    secrets = refusals.secrets_of(headers)
    payload = io.BytesIO(data) if isinstance(data, bytes) and len(data) > LARGE_BODY_BYTES else data
    sent = {**standard, **headers}
    try:
        with _failures(FailureKind.CONNECTION):
            response = await session.request(method, url, headers=sent, data=payload, allow_redirects=False)
        try:
            with _failures(FailureKind.TORN):
                if not 200 <= response.status < 300:
                    raise await _refusal(response)
                yield response
        finally:
            if not response.content.at_eof():
                response.close()
            response.release()
    except Failure as failure:
        raise refusals.shown(failure, secrets) from None


@contextmanager
def _failures(broken: FailureKind) -> Iterator[None]:
    """Turns aiohttp's exceptions into failures; `broken` is what a lost connection is called here."""
    try:
        yield
    except aiohttp.InvalidURL:
        raise Failure(FailureKind.BAD_REQUEST, "the endpoint's address is no valid URL") from None
    except aiohttp.SocketTimeoutError:
        raise Failure(FailureKind.STALL, "the server sent nothing for longer than it may") from None
    except aiohttp.ConnectionTimeoutError:
        raise Failure(FailureKind.CONNECTION, "no connection in the time allowed") from None
    except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
        raise Failure(broken, f"{type(error).__name__}: {error}") from None


async def _refusal(response: aiohttp.ClientResponse) -> Failure:
    said = (await response.content.read(MAX_ERROR_BYTES)).decode(errors="replace")
    try:
        body: JSON = json.loads(said)
    except (ValueError, RecursionError):
        body = said or response.reason or ""
    headers = {name.lower(): value for name, value in response.headers.items()}
    return refusals.refusal(response.status, headers, body, now=time.time())


async def _whole(response: aiohttp.ClientResponse) -> bytes:
    pieces, size = [], 0
    async for chunk in response.content.iter_any():
        pieces.append(chunk)
        size += len(chunk)
        if size > MAX_BODY_BYTES:
            raise Failure(FailureKind.MALFORMED, f"a reply of more than {MAX_BODY_BYTES >> 20} MiB")
    return b"".join(pieces)


async def _read_tail(response: aiohttp.ClientResponse) -> None:
    """Reads what stands behind the last event, so that the connection goes back to the pool; never waits long."""
    try:
        async with asyncio.timeout(TAIL_SECONDS):
            while not response.content.at_eof():
                await response.content.readany()
    except (TimeoutError, aiohttp.ClientError, OSError):
        return  # the reply is complete: how its connection ends is of no interest


def _event(data: bytes) -> dict[str, JSON]:
    event = shapes.decoded(data)
    if "error" in event and (failure := refusals.failure_in(event)):
        raise failure
    return event


def _last_event(data: bytes) -> dict[str, JSON]:
    """An event that the end of the stream closed: where it is no JSON, the stream was torn."""
    try:
        return _event(data)
    except Failure as failure:
        if failure.kind is FailureKind.MALFORMED:
            raise Failure(FailureKind.TORN, "the stream ended within an event") from None
        raise


def _json_bytes(body: Mapping[str, JSON]) -> bytes:
    return json.dumps(body, separators=(",", ":")).encode()
