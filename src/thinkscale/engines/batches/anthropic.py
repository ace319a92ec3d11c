"""Anthropic's message batches: the requests in the body, the results in one file.

A batch has no place for a marker of ours, but its results name the custom ids, which begin with it. So a batch that
may be ours and has not ended leaves a search undecided: its rows are not sent again before it has.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime

import aiohttp

from thinkscale.engines.batches.notes import Flight
from thinkscale.engines.batches.provider import MAX_BYTES, MAX_ROWS, SEARCH_SECONDS, BatchState, RowResult, Search
from thinkscale.engines.remote import http, refusals, shapes
from thinkscale.engines.remote.anthropic_messages import AnthropicMessages
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.keys import JSON

PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class AnthropicBatches:
    """See BatchProvider. `base_url` is the server alone, as in `https://api.anthropic.com`."""

    dialect: AnthropicMessages
    base_url: str
    key: str | None = field(repr=False)
    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES

    def line(self, custom_id: str, body: Mapping[str, JSON]) -> bytes:
        """An item of `requests`."""
        return json.dumps({"custom_id": custom_id, "params": dict(body)}, separators=(",", ":")).encode()

    async def submit(self, session: aiohttp.ClientSession, marker: str, lines: list[bytes]) -> str:
        """The body is put together from lines that are JSON already."""
        content = b'{"requests":[' + b",".join(lines) + b"]}"
        batch = await http.post_bytes(session, self._url(), headers=self._headers(), content=content)
        return shapes.required_id(batch)

    async def search(self, session: aiohttp.ClientSession, flight: Flight) -> Search:
        """Walks the list of batches, the newest first, back to when the note was made."""
        after, decided = "", True
        while True:
            url = f"{self._url()}?limit={PAGE}{after}"
            page = await http.get_json(session, url, headers=self._headers())
            batches = shapes.rows(page, "data")
            for batch in batches:
                if _created(batch) < flight.since - SEARCH_SECONDS:
                    return Search(decided=decided)
                if _num_rows(batch) != len(flight.keys):
                    continue
                if shapes.text(batch, "processing_status") != "ended":
                    decided = False
                elif await self._is_of(session, shapes.required_id(batch), flight):
                    return Search(batch_id=shapes.required_id(batch))
            if not batches or page.get("has_more") is not True:
                return Search(decided=decided)
            after = f"&after_id={shapes.required_id(batches[-1])}"

    async def _is_of(self, session: aiohttp.ClientSession, batch_id: str, flight: Flight) -> bool:
        async with aclosing(self.results(session, batch_id, BatchState(ended=True))) as results:
            async for result in results:
                return flight.place_of(result.custom_id) is not None
        return False

    async def poll(self, session: aiohttp.ClientSession, batch_id: str) -> BatchState:
        """A batch ends only when each of its rows did."""
        batch = await http.get_json(session, f"{self._url()}/{batch_id}", headers=self._headers())
        return BatchState(ended=shapes.text(batch, "processing_status") == "ended")

    async def results(
        self, session: aiohttp.ClientSession, batch_id: str, state: BatchState
    ) -> AsyncGenerator[RowResult, None]:
        """From an address of our own making: the key does not go where `results_url` leads."""
        url = f"{self._url()}/{batch_id}/results"
        async with aclosing(http.get_lines(session, url, headers=self._headers())) as lines:
            async for line in lines:
                yield _result(line)

    def _url(self) -> str:
        return f"{self.base_url}/v1/messages/batches"

    def _headers(self) -> dict[str, str]:
        return self.dialect.headers(self.key)


def _created(batch: Mapping[str, JSON]) -> float:
    try:
        return datetime.fromisoformat(shapes.text(batch, "created_at")).timestamp()
    except ValueError as error:
        raise Failure(FailureKind.MALFORMED, "a batch without a time of creation") from error


def _num_rows(batch: Mapping[str, JSON]) -> int:
    return sum(item for item in shapes.table(batch, "request_counts").values() if isinstance(item, int))


def _result(line: Mapping[str, JSON]) -> RowResult:
    custom_id, result = shapes.text(line, "custom_id"), shapes.table(line, "result")
    match shapes.text(result, "type"):
        case "succeeded":
            return RowResult(custom_id=custom_id, body=shapes.table(result, "message"))
        case "errored":
            failure = refusals.failure_in(shapes.table(result, "error"))
            return RowResult(
                custom_id=custom_id, failure=failure or Failure(FailureKind.SERVER_ERROR, "errored without a reason")
            )
        case "canceled":
            failure = Failure(FailureKind.BAD_REQUEST, "the batch was cancelled at the provider")
            return RowResult(custom_id=custom_id, failure=failure)
        case other:
            return RowResult(custom_id=custom_id, failure=Failure(FailureKind.SERVER_ERROR, other or "no result"))
