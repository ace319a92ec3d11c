"""The loopback server with a real model behind it, and our engine in front of it: HTTP without vLLM."""

import asyncio
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.dispatch import Dispatcher, Terms
from thinkscale.engines.remote.engine import Memory, RemoteTokens
from thinkscale.engines.remote.lanes import LaneLimits, make_lanes
from thinkscale.engines.remote.openai_completions import OpenAICompletions
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.scripted.asking import Answer, Ask, RefusedError
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.pieces import id_pieces
from thinkscale.engines.scripted.server import running_server
from thinkscale.engines.tokens import TokenCompletion, TokenEngine, TokenRequest
from thinkscale.thinking.formats import Tokenizer

MODEL = "lab"
CONTEXT_TOKENS = 1024


def remote_engine(base_url: str, tokenizer: Tokenizer) -> RemoteTokens:
    """Our engine for the lab's model at one endpoint, without keys, price or cache: every token is computed there."""
    dialect = OpenAICompletions(model=MODEL)
    dispatcher: Dispatcher[TokenRequest, TokenCompletion] = Dispatcher(
        dialect=dialect,
        lanes=make_lanes([base_url], [], LaneLimits()),
        ledger=Ledger(None),
        terms=Terms(),
        meter=Meter(),
    )
    memory: Memory[TokenRequest, TokenCompletion] = Memory(
        dialect=dialect, model=MODEL, place="", cache=None, notice=lambda _: None
    )
    return RemoteTokens(
        name=MODEL, tokenizer=tokenizer, context_tokens=CONTEXT_TOKENS, dispatcher=dispatcher, memory=memory
    )


class ModelBackend:
    """See Backend: the local engine computes each reply, one at a time, in a thread."""

    name = MODEL
    root = MODEL

    def __init__(self, engine: TokenEngine) -> None:
        self._engine = engine
        self._lock = threading.Lock()

    async def reply(self, ask: Ask, chunk_tokens: int) -> Answer:
        """See Backend. Only token ids are taken."""
        if not ask.ids:
            raise RefusedError("this server takes token ids")
        request = TokenRequest(key="", prompt=ask.ids, sampling=ask.sampling, stop_ids=ask.stop_ids)
        done = await asyncio.to_thread(self._complete, request)
        ids = done.ids if done.stop_id is None else (*done.ids, done.stop_id)
        pieces = tuple(id_pieces(ids, self._engine.tokenizer, chunk_tokens))
        return Answer(
            pieces=pieces, finish=done.finish, prompt_tokens=len(ask.ids), prompt=ask.ids, stop_id=done.stop_id
        )

    def _complete(self, request: TokenRequest) -> TokenCompletion:
        with self._lock:
            (completion,) = self._engine.complete(deque([request]))
            return completion


class LoopbackServer:
    """The loopback server as a Server: it can be taken down and brought back."""

    def __init__(self, engine: TokenEngine, tokens_per_second: float | None) -> None:
        self._backend = ModelBackend(engine)
        self._speed = tokens_per_second
        self._port = 0
        self._running = ExitStack()
        self.base_url = ""

    def start(self) -> None:
        """See Server."""
        options = ServerOptions(
            port=self._port, tokens_per_second=self._speed, chunk_tokens=16, max_model_len=CONTEXT_TOKENS
        )
        server = self._running.enter_context(running_server(self._backend, options))
        self.base_url = server.url
        self._port = int(server.url.rsplit(":", 1)[1].partition("/")[0])

    def kill(self) -> None:
        """See Server."""
        self._running.close()


@contextmanager
def loopback_server(engine: TokenEngine, tokens_per_second: float | None = None) -> Iterator[LoopbackServer]:
    """A server that runs for the block."""
    server = LoopbackServer(engine, tokens_per_second)
    server.start()
    try:
        yield server
    finally:
        server.kill()
