"""OpenAI's batches: a file of requests, a batch over it, files of results and of errors.

The marker is in the batch's metadata. A file that was uploaded and never made a batch of costs nothing.
"""

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field

import aiohttp

from thinkscale.engines.batches.notes import Flight
from thinkscale.engines.batches.provider import MAX_BYTES, MAX_ROWS, SEARCH_SECONDS, BatchState, RowResult, Search
from thinkscale.engines.remote import http, refusals, shapes
from thinkscale.engines.remote.failures import Failure, FailureKind
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.keys import JSON

MARKER = "thinkscale_marker"
PAGE = 100
_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenAIBatches:
    """See BatchProvider. `base_url` ends where `/files` and `/batches` begin, as in `https://api.openai.com/v1`."""

    dialect: OpenAIChat
    base_url: str
    key: str | None = field(repr=False)
    max_rows: int = MAX_ROWS
    max_bytes: int = MAX_BYTES

    def line(self, custom_id: str, body: Mapping[str, JSON]) -> bytes:
        """A line of the input file."""
        row = {"custom_id": custom_id, "method": "POST", "url": "/v1/chat/completions", "body": dict(body)}
        return json.dumps(row, separators=(",", ":")).encode()

    async def submit(self, session: aiohttp.ClientSession, marker: str, lines: list[bytes]) -> str:
        """Uploads the file, then creates the batch."""
        content = b"\n".join(lines) + b"\n"
        sent = await http.post_file(
            session, f"{self.base_url}/files", headers=self._headers(), content=content, fields={"purpose": "batch"}
        )
        body: dict[str, JSON] = {
            "input_file_id": shapes.required_id(sent),
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {MARKER: marker},
        }
        return shapes.required_id(
            await http.post_json(session, f"{self.base_url}/batches", headers=self._headers(), body=body)
        )

    async def search(self, session: aiohttp.ClientSession, flight: Flight) -> Search:
        """Walks the list of batches, the newest first, back to when the note was made."""
        after = ""
        while True:
            url = f"{self.base_url}/batches?limit={PAGE}{after}"
            page = await http.get_json(session, url, headers=self._headers())
            batches = shapes.rows(page, "data")
            for batch in batches:
                if shapes.table(batch, "metadata").get(MARKER) == flight.marker:
                    return Search(batch_id=shapes.required_id(batch))
                created = shapes.count(batch, "created_at")
                if created is not None and created < flight.since - SEARCH_SECONDS:
                    return Search()
            if not batches or page.get("has_more") is not True:
                return Search()
            after = f"&after={shapes.required_id(batches[-1])}"

    async def poll(self, session: aiohttp.ClientSession, batch_id: str) -> BatchState:
        """A batch over the limit of enqueued tokens is failed as a whole, and worth another attempt."""
        batch = await http.get_json(session, f"{self.base_url}/batches/{batch_id}", headers=self._headers())
        status = shapes.text(batch, "status")
        files = tuple(name for field in ("output_file_id", "error_file_id") if (name := shapes.text(batch, field)))
        failure = _batch_failure(batch) if status == "failed" else None
        if status == "cancelled":
            failure = Failure(FailureKind.BAD_REQUEST, "the batch was cancelled at the provider") if not files else None
        return BatchState(ended=status in _ENDED, files=files, failure=failure)

    async def results(
        self, session: aiohttp.ClientSession, batch_id: str, state: BatchState
    ) -> AsyncGenerator[RowResult, None]:
        """Lines of both files."""
        for name in state.files:
            url = f"{self.base_url}/files/{name}/content"
            async for line in http.get_lines(session, url, headers=self._headers()):
                yield _result(line)

    def _headers(self) -> dict[str, str]:
        return self.dialect.headers(self.key)


def _batch_failure(batch: Mapping[str, JSON]) -> Failure:
    errors = shapes.rows(shapes.table(batch, "errors"), "data")
    said = "; ".join(shapes.text(error, "message") for error in errors[:3]) or "no reason given"
    crowded = any("limit_exceeded" in shapes.text(error, "code") for error in errors)
    kind = FailureKind.RATE_LIMIT if crowded else FailureKind.BAD_REQUEST
    return Failure(kind, f"the batch failed: {said:.250}")


def _result(line: Mapping[str, JSON]) -> RowResult:
    custom_id = shapes.text(line, "custom_id")
    response = shapes.table(line, "response")
    status = shapes.count(response, "status_code")
    if status is not None:
        if status == 200:
            return RowResult(custom_id=custom_id, body=shapes.table(response, "body"))
        return RowResult(custom_id=custom_id, failure=refusals.refusal(status, {}, response.get("body"), now=0))
    error = shapes.table(line, "error")
    code, said = shapes.text(error, "code"), shapes.text(error, "message")
    kind = FailureKind.BAD_REQUEST if code == "batch_cancelled" else FailureKind.SERVER_ERROR
    return RowResult(custom_id=custom_id, failure=Failure(kind, f"{code or 'no result'}: {said:.200}"))
