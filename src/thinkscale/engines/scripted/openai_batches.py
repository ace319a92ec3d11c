"""OpenAI's batch routes: files of rows in, files of results and of errors out."""

import time
from collections.abc import Mapping
from typing import cast

from aiohttp import BodyPartReader, web

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
from thinkscale.engines.scripted.protocol import ServedProtocol
from thinkscale.keys import JSON


class OpenAIBatches:
    """Files and batches of one server. Nothing outlives it."""

    def __init__(self, work: RowWork, protocols: Mapping[str, ServedProtocol], polls: int) -> None:
        """`protocols` by the route that a batch may name."""
        self._work = work
        self._protocols = protocols
        self._polls = polls
        self._files: dict[str, tuple[str, bytes]] = {}
        self._batches: dict[str, Batch] = {}

    def add_routes(self, app: web.Application) -> None:
        """Adds them to `app`."""
        app.router.add_post("/v1/files", self._upload)
        app.router.add_get("/v1/files/{id}/content", self._content)
        app.router.add_get("/v1/files/{id}", self._file)
        app.router.add_post("/v1/batches", self._submit)
        app.router.add_get("/v1/batches", self._list)
        app.router.add_get("/v1/batches/{id}", self._poll)
        app.on_shutdown.append(self._stop)

    async def _stop(self, _app: web.Application) -> None:
        await cancel(tuple(self._batches.values()))

    async def _upload(self, request: web.Request) -> web.Response:
        name, data = "batch.jsonl", None
        async for part in await request.multipart():
            if isinstance(part, BodyPartReader) and part.name == "file":
                name, data = part.filename or name, bytes(await part.read())
        if data is None:
            return _error(400, "the form has no file")
        return web.json_response(self._file_object(self._keep(name, data)))

    def _keep(self, name: str, data: bytes) -> str:
        file_id = f"file-{len(self._files) + 1}"
        self._files[file_id] = (name, data)
        return file_id

    def _file_object(self, file_id: str) -> dict[str, JSON]:
        name, data = self._files[file_id]
        return {
            "id": file_id,
            "object": "file",
            "bytes": len(data),
            "created_at": int(time.time()),
            "filename": name,
            "purpose": "batch",
            "status": "processed",
        }

    async def _file(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        if file_id not in self._files:
            return _error(404, f"No such File object: {file_id}")
        return web.json_response(self._file_object(file_id))

    async def _content(self, request: web.Request) -> web.Response:
        file_id = request.match_info["id"]
        if file_id not in self._files:
            return _error(404, f"No such File object: {file_id}")
        return web.Response(body=self._files[file_id][1], content_type="application/octet-stream")

    async def _submit(self, request: web.Request) -> web.Response:
        try:
            source = parsed(await request.read())
            rows = self._rows(source)
        except RefusedError as error:
            return _error(400, str(error))
        batch = Batch(id=f"batch_{len(self._batches) + 1}", rows=rows, source=source, polls_left=self._polls)
        self._batches[batch.id] = batch
        batch.begin(self._work, self._protocols[str(source["endpoint"])], request_key(request))
        return web.json_response(_batch_object(batch))

    def _rows(self, source: Mapping[str, JSON]) -> list[tuple[str, dict[str, JSON]]]:
        file_id, endpoint = str(source.get("input_file_id")), source.get("endpoint")
        if endpoint not in self._protocols:
            raise RefusedError(f"endpoint {endpoint!r} takes no batch; there are {', '.join(self._protocols)}")
        if file_id not in self._files:
            raise RefusedError(f"No such File object: {file_id}")
        rows: list[tuple[str, dict[str, JSON]]] = []
        for line, text in enumerate(self._files[file_id][1].splitlines(), 1):
            row = parsed(text)
            if row.get("url") != endpoint or not isinstance(row.get("body"), dict) or not row.get("custom_id"):
                raise RefusedError(f"line {line} needs a custom_id, the url {endpoint} and a body")
            rows.append((str(row["custom_id"]), cast(dict[str, JSON], row["body"])))
        require_names(rows)
        return rows

    async def _poll(self, request: web.Request) -> web.Response:
        batch = self._batches.get(request.match_info["id"])
        if batch is None:
            return _error(404, "No such Batch object")
        batch.polls_left -= 1
        if batch.is_done and batch.output_file is None:
            batch.output_file = self._keep("output.jsonl", _output(batch, good=True))
            batch.error_file = (
                self._keep("errors.jsonl", _output(batch, good=False)) if batch.count(good=False) else None
            )
        return web.json_response(_batch_object(batch))

    async def _list(self, _request: web.Request) -> web.Response:
        return web.json_response({"object": "list", **page(self._batches, _batch_object)})


def _output(batch: Batch, *, good: bool) -> bytes:
    return json_lines(
        [
            {
                "id": f"{batch.id}_{at}",
                "custom_id": name,
                "response": {"status_code": status, "request_id": f"{batch.id}-{at}", "body": body},
                "error": None,
            }
            for at, (name, status, body) in enumerate(batch.results)
            if (status == 200) is good
        ]
    )


def _batch_object(batch: Batch) -> dict[str, JSON]:
    done = batch.is_done
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.source["endpoint"],
        "input_file_id": batch.source.get("input_file_id"),
        "completion_window": batch.source.get("completion_window", "24h"),
        "metadata": batch.source.get("metadata"),
        "errors": None,
        "status": "completed" if done else "in_progress",
        "output_file_id": batch.output_file if batch.count(good=True) else None,
        "error_file_id": batch.error_file,
        "created_at": batch.created,
        "expires_at": batch.created + LIFETIME_SECONDS,
        "completed_at": int(time.time()) if done else None,
        "request_counts": {
            "total": len(batch.rows),
            "completed": batch.count(good=True),
            "failed": batch.count(good=False),
        },
    }


def _error(status: int, text: str) -> web.Response:
    error = {"message": text, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=status)
