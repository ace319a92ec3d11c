"""A batch on the loopback server: rows taken whole, answered behind the scenes, and fetched when they are done.

A batch is done when it was asked for `batch_polls` times and its rows are answered. Rows fail by the fault plan and by
`batch_failed_share`; each submission of a row is another attempt, so a row that failed can succeed the next time.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from aiohttp import web

from thinkscale.engines.scripted.asking import RefusedError
from thinkscale.engines.scripted.protocol import ServedProtocol
from thinkscale.keys import JSON

RowWork = Callable[[ServedProtocol, str, Mapping[str, JSON]], Awaitable[tuple[int, dict[str, JSON]]]]
"""Answers one row: protocol, API key and body in, status and body out."""
LIFETIME_SECONDS = 24 * 3600
ROWS_AT_ONCE = 16
"""Rows that are answered before others get their turn."""


@dataclass(slots=True, kw_only=True)
class Batch:
    """One batch."""

    id: str
    rows: list[tuple[str, dict[str, JSON]]]
    """Name and body of each."""
    source: dict[str, JSON]
    """What the batch was made with."""
    polls_left: int
    created: int = field(default_factory=lambda: int(time.time()))
    results: list[tuple[str, int, dict[str, JSON]]] = field(default_factory=list)
    """Name, status and body of each row that is answered."""
    task: asyncio.Task[None] | None = None
    output_file: str | None = None
    error_file: str | None = None

    @property
    def is_done(self) -> bool:
        """Whether its results may be fetched."""
        return self.polls_left <= 0 and len(self.results) == len(self.rows)

    def count(self, *, good: bool) -> int:
        """Answered rows that succeeded, or that failed."""
        return sum((status == 200) is good for _, status, _ in self.results)

    def begin(self, work: RowWork, protocol: ServedProtocol, key: str) -> None:
        """Starts answering its rows."""

        async def answer_rows() -> None:
            for at, (name, body) in enumerate(self.rows, 1):
                self.results.append((name, *await work(protocol, key, body)))
                if at % ROWS_AT_ONCE == 0:
                    await asyncio.sleep(0)

        self.task = asyncio.create_task(answer_rows())


async def cancel(batches: Sequence[Batch]) -> None:
    """Ends the work on batches that are not done."""
    tasks = [batch.task for batch in batches if batch.task]
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def request_key(request: web.Request) -> str:
    """The API key of a request, in either provider's header; empty where it has none."""
    bearer = request.headers.get("Authorization", "")
    return request.headers.get("x-api-key") or bearer.removeprefix("Bearer ").strip()


def parsed(data: bytes) -> dict[str, JSON]:
    """The JSON object in `data`. Raises RefusedError."""
    try:
        found = json.loads(data)
    except ValueError as error:
        raise RefusedError(f"broken JSON: {error}") from error
    if not isinstance(found, dict):
        raise RefusedError("this must be a JSON object")
    return found


def require_names(rows: Sequence[tuple[str, dict[str, JSON]]]) -> None:
    """Raises RefusedError where there are no rows, or two of one name."""
    if not rows:
        raise RefusedError("the batch has no rows")
    if len({name for name, _ in rows}) != len(rows):
        raise RefusedError("custom_id must be unique within a batch")


def json_lines(rows: Sequence[Mapping[str, JSON]]) -> bytes:
    """`rows` as JSON lines."""
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def page(batches: Mapping[str, Batch], stated: Callable[[Batch], dict[str, JSON]]) -> dict[str, JSON]:
    """All batches, the newest first, as one page."""
    names = list(batches)[::-1]
    data: list[JSON] = [stated(batches[name]) for name in names]
    ends = {"first_id": names[0], "last_id": names[-1]} if names else {"first_id": None, "last_id": None}
    return {"data": data, "has_more": False, **ends}
