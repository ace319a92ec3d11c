"""Anthropic's batch routes: a list of requests in, JSON lines of results out."""

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import cast

from aiohttp import web

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.anthropic_replies import MessagesProtocol
from thinkscale.engines.scripted.asking import RefusedError
from thinkscale.engines.scripted.batches import (
    LIFETIME_SECONDS,
    Batch,
    RowWork,
    cancel,
    json_lines,
    page,
    parsed,
    request_key,
    require_names,
)
from thinkscale.engines.scripted.protocol import Refusal
from thinkscale.keys import JSON


class MessageBatches:
    """Batches of one server. Nothing outlives it."""

    def __init__(self, work: RowWork, polls: int) -> None:
        self._work = work
        self._polls = polls
        self._protocol = MessagesProtocol()
        self._batches: dict[str, Batch] = {}

    def add_routes(self, app: web.Application) -> None:
        """Adds them to `app`."""
        app.router.add_post("/v1/messages/batches", self._submit)
        app.router.add_get("/v1/messages/batches", self._list)
        app.router.add_get("/v1/messages/batches/{id}", self._poll)
        app.router.add_get("/v1/messages/batches/{id}/results", self._results)
        app.on_shutdown.append(self._stop)

    async def _stop(self, _app: web.Application) -> None:
        await cancel(tuple(self._batches.values()))

    async def _submit(self, request: web.Request) -> web.Response:
        try:
            rows = _message_rows(parsed(await request.read()))
        except RefusedError as error:
            status, body = self._protocol.refusal(Refusal(kind=FailureKind.BAD_REQUEST, text=str(error)))
            return web.json_response(body, status=status)
        batch = Batch(
            id=f"msgbatch_{len(self._batches) + 1}",
            rows=rows,
            source={
                "endpoint": "/v1/messages",
                "results_url": f"{request.scheme}://{request.host}/v1/messages/batches",
            },
            polls_left=self._polls,
        )
        self._batches[batch.id] = batch
        batch.begin(self._work, self._protocol, request_key(request))
        return web.json_response(_message_batch_object(batch))

    async def _poll(self, request: web.Request) -> web.Response:
        batch = self._batches.get(request.match_info["id"])
        if batch is None:
            return _missing()
        batch.polls_left -= 1
        return web.json_response(_message_batch_object(batch))

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response(page(self._batches, _message_batch_object))

    async def _results(self, request: web.Request) -> web.Response:
        batch = self._batches.get(request.match_info["id"])
        if batch is None or not batch.is_done:
            return _missing()
        lines: list[dict[str, JSON]] = [
            {"custom_id": name, "result": _message_result(status, body)} for name, status, body in batch.results
        ]
        return web.Response(body=json_lines(lines), content_type="application/x-jsonl")


def _message_rows(body: Mapping[str, JSON]) -> list[tuple[str, dict[str, JSON]]]:
    requests = body.get("requests")
    rows = [
        (str(item["custom_id"]), cast(dict[str, JSON], item["params"]))
        for item in (requests if isinstance(requests, list) else [])
        if isinstance(item, dict) and item.get("custom_id") and isinstance(item.get("params"), dict)
    ]
    if not isinstance(requests, list) or len(rows) != len(requests):
        raise RefusedError("requests: each needs a custom_id and params")
    require_names(rows)
    return rows


def _stamp(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _message_batch_object(batch: Batch) -> dict[str, JSON]:
    done = batch.is_done
    return {
        "id": batch.id,
        "type": "message_batch",
        "processing_status": "ended" if done else "in_progress",
        "request_counts": {
            "processing": 0 if done else len(batch.rows),
            "succeeded": batch.count(good=True) if done else 0,
            "errored": batch.count(good=False) if done else 0,
            "canceled": 0,
            "expired": 0,
        },
        "created_at": _stamp(batch.created),
        "expires_at": _stamp(batch.created + LIFETIME_SECONDS),
        "ended_at": _stamp(time.time()) if done else None,
        "archived_at": None,
        "cancel_initiated_at": None,
        "results_url": f"{batch.source['results_url']}/{batch.id}/results" if done else None,
    }


def _message_result(status: int, body: dict[str, JSON]) -> dict[str, JSON]:
    if status == 200:
        return {"type": "succeeded", "message": body}
    return {"type": "errored", "error": body}


def _missing() -> web.Response:
    error = {"type": "not_found_error", "message": "there is no such batch, or it has not ended"}
    return web.json_response({"type": "error", "error": error}, status=404)
