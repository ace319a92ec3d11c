"""A server on loopback that speaks OpenAI's and Anthropic's protocols and answers from a script.

It is for rehearsing a run before it is paid for, and for breaking our own client. It listens on 127.0.0.1 only.
"""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

from aiohttp import web

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.anthropic_batches import MessageBatches
from thinkscale.engines.scripted.anthropic_replies import MessagesProtocol
from thinkscale.engines.scripted.asking import Answer, Ask, Backend, RefusedError
from thinkscale.engines.scripted.batches import parsed, request_key
from thinkscale.engines.scripted.delivery import Strike, deliver
from thinkscale.engines.scripted.faults import Fault
from thinkscale.engines.scripted.openai_batches import OpenAIBatches
from thinkscale.engines.scripted.openai_replies import ChatProtocol, CompletionsProtocol
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.protocol import Refusal, ServedProtocol
from thinkscale.engines.scripted.served import Ending, Served, ServerLog
from thinkscale.engines.scripted.service import RefusedWithError, Service
from thinkscale.errors import EngineError

HOST = "127.0.0.1"
MOST_BODY_BYTES = 1 << 30
STOP_SECONDS = 10.0
SETTLE_SECONDS = 30.0
SETTLE_STEP_SECONDS = 0.002
CLOSING_TURNS = 20
"""Of the loop: to make a transport takes two, to close it as many."""
MOST_HANDLERS = 4096
"""Remembered before those of closed connections are dropped."""
ACCEPTING_SECONDS = 0.02
"""For connections that are being accepted when the server is stopped: asyncio loses them where it closes before."""
KEPT_TO_KEYS = ("/v1/files", "/v1/batches", "/v1/messages/batches")


class ReplayServer:
    """The routes of a service. `running_server` runs one in a thread, `serve` in the loop that calls it."""

    def __init__(self, backend: Backend, options: ServerOptions) -> None:
        self.service = Service(backend, options)
        self.url = ""
        """Base URL with /v1, known once it listens."""

    @property
    def log(self) -> ServerLog:
        """What it has served."""
        return self.service.log

    def settled(self, seconds: float = SETTLE_SECONDS) -> ServerLog:
        """The log once each attempt that has begun is in it: a client has its answer a moment before that.

        For another thread than the server's. Raises TimeoutError.
        """
        ends = time.monotonic() + seconds
        while self.log.open:
            if time.monotonic() > ends:
                raise TimeoutError(f"{self.log.open} attempts did not end within {seconds:g} s")
            time.sleep(SETTLE_STEP_SECONDS)
        return self.log

    def application(self) -> web.Application:
        """The routes as an aiohttp application."""
        app = web.Application(client_max_size=MOST_BODY_BYTES, middlewares=[self._require_key])
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/v1/models", self._models)
        protocols: dict[str, ServedProtocol] = {
            "/v1/completions": CompletionsProtocol(),
            "/v1/chat/completions": ChatProtocol(self.service.options.thinking_field),
        }
        polls = self.service.options.batch_polls
        OpenAIBatches(self.service.batch_row, protocols, polls).add_routes(app)
        MessageBatches(self.service.batch_row, polls).add_routes(app)
        for route, protocol in {**protocols, "/v1/messages": MessagesProtocol()}.items():
            app.router.add_post(route, _Route(self.service, route, protocol).handle)
        return app

    @web.middleware
    async def _require_key(
        self, request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        """Keeps files and batches to valid keys; the routes of prompts look for themselves, and log it."""
        keys = self.service.options.keys
        if keys and request_key(request) not in keys and request.path.startswith(KEPT_TO_KEYS):
            protocol = MessagesProtocol() if "messages" in request.path else CompletionsProtocol()
            status, body = protocol.refusal(Refusal(kind=FailureKind.REFUSED_KEY, text="Incorrect API key provided."))
            return web.json_response(body, status=status)
        return await handler(request)

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _metrics(self, _request: web.Request) -> web.Response:
        return web.Response(text=self.service.log.metrics(self.service.backend.name))

    async def _models(self, _request: web.Request) -> web.Response:
        model = {
            "id": self.service.backend.name,
            "object": "model",
            "created": int(time.time()),
            "owned_by": "thinkscale",
            "root": self.service.backend.root,
            "max_model_len": self.service.options.max_model_len,
        }
        return web.json_response({"object": "list", "data": [model]})


class _Route:
    """One route that answers prompts."""

    def __init__(self, service: Service, route: str, protocol: ServedProtocol) -> None:
        self._service = service
        self._route = route
        self._protocol = protocol

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answers one request, or says why not."""
        key = request_key(request)
        try:
            body = parsed(await request.read())
            ask = self._protocol.ask(body)
        except RefusedError as error:
            return self._refused(key, Refusal(kind=FailureKind.BAD_REQUEST, text=str(error)))
        served = self._service.begin(self._route, key, ask)
        answer: Answer | None = None
        try:
            answer = await self._service.answer(key, ask, served)
            return await self._in_slot(request, str(body.get("model", "")), ask, answer, served)
        except RefusedWithError as error:
            response = self._refused(key, error.refusal)
            served.status, served.ending = response.status, Ending.REFUSED
            return response
        finally:
            self._service.end(key, served, answer)

    async def _in_slot(
        self, request: web.Request, model: str, ask: Ask, answer: Answer, served: Served
    ) -> web.StreamResponse:
        service = self._service
        await service.take_slot(served)
        try:
            place = service.options.faults.place(served.request, served.attempt)
            said = service.said(ask, answer, model or service.backend.name, served, place)
            spoils = served.fault not in (None, Fault.WRONG_COUNTS)
            strike = Strike(served.fault if spoils else None, place)
            response = await deliver(request, self._protocol, said, strike, served, service.options)
        finally:
            service.free_slot()
        if served.ending is not Ending.BROKEN:
            served.ending = Ending.BROKEN if served.fault else Ending.DONE
        return response

    def _refused(self, key: str, refusal: Refusal) -> web.Response:
        status, body = self._protocol.refusal(refusal)
        headers = self._service.limit_headers(key)
        if refusal.retry_after is not None:
            headers["Retry-After"] = f"{refusal.retry_after:.3f}".rstrip("0").rstrip(".")
        return web.json_response(body, status=status, headers=headers)


async def serve(server: ReplayServer, stop: asyncio.Event, ready: Callable[[], object]) -> None:
    """Listens on loopback until `stop` is set, then drops what is in flight; calls `ready` when `url` is known.

    Raises EngineError where it cannot listen.
    """
    runner = web.AppRunner(server.application(), handler_cancellation=True, access_log=None, shutdown_timeout=0.05)
    await runner.setup()
    assert runner.server is not None
    make_handler, handlers = runner.server, list[asyncio.Protocol]()

    def handler() -> asyncio.Protocol:
        if len(handlers) >= MOST_HANDLERS:
            handlers[:] = [one for one in handlers if getattr(one, "transport", None) is not None]
        handlers.append(made := make_handler())
        return made

    options = server.service.options
    try:
        try:
            listener = await asyncio.get_running_loop().create_server(handler, HOST, options.port, backlog=4096)
        except OSError as error:
            raise EngineError(f"cannot listen on {HOST}:{options.port}: {error.strerror or error}") from error
        server.url = f"http://{HOST}:{listener.sockets[0].getsockname()[1]}/v1"
        ready()
        await stop.wait()
        for socket in listener.sockets:
            asyncio.get_running_loop().remove_reader(socket)
        await asyncio.sleep(ACCEPTING_SECONDS)
        listener.close()
    finally:
        open_now = _transports(handlers)  # once they are closed nobody names those that still have something to send
        await runner.cleanup()
        for _ in range(CLOSING_TURNS):
            for transport in {*open_now, *_transports(handlers)}:  # some were accepted while the server stopped
                transport.abort()
            await asyncio.sleep(0)


def _transports(handlers: Sequence[asyncio.Protocol]) -> set[asyncio.Transport]:
    """Those that are open and known to their handlers."""
    found = (getattr(handler, "transport", None) for handler in handlers)
    return {transport for transport in found if transport is not None}


@contextmanager
def running_server(backend: Backend, options: ServerOptions | None = None) -> Iterator[ReplayServer]:
    """A server in a thread of its own; `url` and `log` are there inside the block. Raises EngineError."""
    server = ReplayServer(backend, options or ServerOptions())
    ready, failed = threading.Event(), list[Exception]()
    loop, stop = asyncio.new_event_loop(), asyncio.Event()

    def work() -> None:
        try:
            loop.run_until_complete(serve(server, stop, ready.set))
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller's thread raises it
            failed.append(error)
        finally:
            loop.run_until_complete(loop.shutdown_asyncgens())
            loop.close()
            ready.set()

    thread = threading.Thread(target=work, name="replay server", daemon=True)
    thread.start()
    ready.wait()
    try:
        if failed:
            raise failed[0]
        yield server
    finally:
        if thread.is_alive() and not loop.is_closed():
            loop.call_soon_threadsafe(stop.set)
        thread.join(STOP_SECONDS)
