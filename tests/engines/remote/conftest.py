"""A server that answers with given bytes, and exchanges with it."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field

from thinkscale.engines.remote import http
from thinkscale.keys import JSON

HEADERS = {"Authorization": "Bearer sk-secret-0123456789-wxyz"}


def answer(body: bytes, *, status: str = "200 OK", kind: str = "application/json", more: str = "") -> bytes:
    """A whole HTTP answer with a length."""
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def stream(*pieces: bytes, ended: bool = True) -> list[bytes]:
    """A chunked stream of events, each piece a chunk of its own; without `ended` it breaks off."""
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = [f"{len(piece):x}\r\n".encode() + piece + b"\r\n" for piece in pieces]
    return [head, *chunks, *([b"0\r\n\r\n"] if ended else [])]


@dataclass
class Seen:
    """What the server was sent, and how often a connection was made to it, or closed from the other side."""

    url: str = ""
    requests: list[bytes] = field(default_factory=list)
    num_connections: int = 0
    left: asyncio.Event = field(default_factory=asyncio.Event)


@asynccontextmanager
async def serving(pieces: Sequence[bytes], *, holds: bool = False, keeps: bool = False) -> AsyncIterator[Seen]:
    """A server on loopback that answers each request with `pieces`, and then closes.

    With `holds` it says nothing more and waits until the client leaves; with `keeps` it takes the next request.
    """
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.num_connections += 1
        try:
            while head := await _request(reader):
                seen.requests.append(head)
                for piece in pieces:
                    writer.write(piece)
                    await writer.drain()
                    await asyncio.sleep(0)
                if holds and not await reader.read(1):
                    seen.left.set()
                if not keeps:
                    break
        except (ConnectionError, asyncio.IncompleteReadError):
            seen.left.set()
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    seen.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"
    try:
        yield seen
    finally:
        server.close()


async def _request(reader: asyncio.StreamReader) -> bytes:
    head = b""
    while line := await reader.readline():
        head += line
        if line == b"\r\n":
            break
    sizes = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
    return head + (await reader.readexactly(int(sizes[0].split(b":")[1])) if sizes else b"")


async def events_of(url: str, *, stall_seconds: float = 5) -> list[dict[str, JSON]]:
    """All events that `url` answers with."""
    async with http.open_session(connect_seconds=5, stall_seconds=stall_seconds) as session:
        found = http.post_events(session, url, headers=HEADERS, body={"stream": True})
        async with aclosing(found):
            return [event async for event in found]


async def exchange(pieces: Sequence[bytes], *, holds: bool = False, stall_seconds: float = 5) -> list[dict[str, JSON]]:
    """The events of a server that answers with `pieces`."""
    async with serving(pieces, holds=holds) as seen:
        return await events_of(seen.url, stall_seconds=stall_seconds)
