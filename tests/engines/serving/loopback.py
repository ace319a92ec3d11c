"""The loopback server with a real model behind it, and our engine in front of it: HTTP without vLLM."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from tests.engines.scripted.lab_server import LocalBackend
from tests.ports import lasting_port
from thinkscale.engines.remote.engine import RemoteTokens
from thinkscale.engines.remote.opening import Pool, open_tokens
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.engines.tokens import TokenEngine
from thinkscale.thinking.formats import Tokenizer

MODEL = "lab"
CONTEXT_TOKENS = 1024


def remote_engine(base_url: str, tokenizer: Tokenizer) -> RemoteTokens:
    """Our engine for the lab's model at one endpoint, without keys, price or cache: every token is computed there."""
    return open_tokens(Pool(model=MODEL, endpoints=(base_url,)), tokenizer)


class LoopbackServer:
    """The loopback server as a Server: it can be taken down and brought back."""

    def __init__(self, engine: TokenEngine, tokens_per_second: float | None) -> None:
        self._backend = LocalBackend(engine, MODEL)
        self._speed = tokens_per_second
        self._port = lasting_port()
        self._running = ExitStack()
        self.base_url = ""

    def start(self) -> None:
        """See Server."""
        options = ServerOptions(
            port=self._port, tokens_per_second=self._speed, chunk_tokens=16, max_model_len=CONTEXT_TOKENS
        )
        server = self._running.enter_context(running_server(self._backend, options))
        self.base_url = server.url

    def kill(self) -> None:
        """See Server."""
        self._running.close()

    def close(self) -> None:
        """Ends the server for good."""
        self.kill()
        self._backend.close()


@contextmanager
def loopback_server(engine: TokenEngine, tokens_per_second: float | None = None) -> Iterator[LoopbackServer]:
    """A server that runs for the block."""
    server = LoopbackServer(engine, tokens_per_second)
    server.start()
    try:
        yield server
    finally:
        server.close()
