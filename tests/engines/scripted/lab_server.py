"""The lab's real model behind the loopback server: what the HTTP path is compared with the local engine by."""

import asyncio
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress

from thinkscale.engines.catalogue import open_local
from thinkscale.engines.scripted.asking import Answer, Ask, RefusedError
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.pieces import id_pieces
from thinkscale.engines.scripted.server import ReplayServer, running_server
from thinkscale.engines.tokens import TokenCompletion, TokenEngine, TokenRequest
from thinkscale.records import Finish

Waiting = tuple[TokenRequest, "asyncio.Future[TokenCompletion]"]


class LocalBackend:
    """Answers raw completions with a local engine; requests that come together run in one batch."""

    def __init__(self, engine: TokenEngine, name: str | None = None) -> None:
        self._engine = engine
        self._name = name or engine.name
        self._pending: deque[Waiting] = deque()
        self._worker = ThreadPoolExecutor(1)
        self._runs: set[asyncio.Future[None]] = set()
        self._count = 0

    @property
    def name(self) -> str:
        return self._name

    @property
    def root(self) -> str:
        return self._name

    async def reply(self, ask: Ask, chunk_tokens: int) -> Answer:
        if ask.messages:
            raise RefusedError("this server answers raw completions only")
        tokenizer = self._engine.tokenizer
        eos = tokenizer.eos_token_id
        assert eos is not None
        self._count += 1
        request = TokenRequest(
            key=str(self._count),
            prompt=ask.ids or tuple(tokenizer.encode(ask.text or "", add_special_tokens=False)),
            sampling=ask.sampling,
            stop_ids=(*ask.stop_ids, eos),
            min_tokens=ask.min_tokens,
            logprobs=ask.logprobs,
        )
        completion = await self._completed(request)
        if completion.finish is Finish.ERROR:
            raise RefusedError(completion.error or "the engine failed")
        ids = completion.ids if completion.stop_id is None else (*completion.ids, completion.stop_id)
        return Answer(
            pieces=tuple(id_pieces(ids, tokenizer, chunk_tokens)),
            finish=completion.finish,
            prompt_tokens=len(request.prompt),
            prompt=request.prompt,
            stop_id=None if completion.stop_id == eos else completion.stop_id,
            # The engine tells nothing of the stop token, and a client has no use for what a server tells of it.
            logprobs=(*completion.logprobs, *[-1.0] * (len(ids) - len(completion.ids))) if ask.logprobs else None,
        )

    async def _completed(self, request: TokenRequest) -> TokenCompletion:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[TokenCompletion] = loop.create_future()
        self._pending.append((request, future))
        run = loop.run_in_executor(self._worker, self._run)
        self._runs.add(run)
        run.add_done_callback(self._runs.discard)
        return await future

    def _run(self) -> None:
        """One engine run over all that waits, also over what comes while it runs, be it from a server started since."""
        queue: deque[TokenRequest] = deque()
        futures: dict[str, asyncio.Future[TokenCompletion]] = {}

        def take() -> None:
            while self._pending:
                request, future = self._pending.popleft()
                futures[request.key] = future
                queue.append(request)

        def settle(future: "asyncio.Future[TokenCompletion]", completion: TokenCompletion) -> None:
            if not future.done():
                future.set_result(completion)

        take()
        for completion in self._engine.complete(queue):
            future = futures.pop(completion.request.key)
            with suppress(RuntimeError):  # the server that asked has been taken down
                future.get_loop().call_soon_threadsafe(settle, future, completion)
            take()

    def close(self) -> None:
        self._worker.shutdown(wait=True, cancel_futures=True)


@contextmanager
def lab_server(options: ServerOptions | None = None, engine: TokenEngine | None = None) -> Iterator[ReplayServer]:
    """The lab's model (or `engine`) behind a running server."""
    opened = engine or open_local("lab", dtype="float64", device="cpu", batch_size=16)
    backend = LocalBackend(opened)
    try:
        with running_server(backend, options or ServerOptions(max_model_len=opened.context_tokens)) as server:
            yield server
    finally:
        backend.close()
