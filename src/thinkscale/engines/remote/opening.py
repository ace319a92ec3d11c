"""Opens a pool of endpoints: asks them what they serve, and puts dialect, queue, ledger and cache together."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.credentials import ApiKey
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.engines.remote.dispatch import Dispatcher, Terms
from thinkscale.engines.remote.lanes import LaneLimits, make_lanes
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.remote.wire import Completion, Dialect, Request
from thinkscale.errors import ConfigError, DataError, EngineError, ModelError
from thinkscale.keys import canonical_json

if TYPE_CHECKING:
    from thinkscale.engines.chat import ChatCompletion, ChatRequest
    from thinkscale.engines.remote.engine import RemoteChat, RemoteTokens
    from thinkscale.engines.remote.health import Served
    from thinkscale.thinking.formats import Tokenizer

ASK_AGAIN_SECONDS = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """Where a model is served, and on what terms it is asked."""

    model: str
    endpoints: tuple[str, ...]
    """Base URLs."""
    keys: tuple[ApiKey, ...] = ()
    limits: LaneLimits = field(default_factory=LaneLimits)
    terms: Terms = field(default_factory=Terms)
    ledger: Ledger = field(default_factory=lambda: Ledger(price=None))
    cache: RequestCache | None = None
    meter: Meter = field(default_factory=Meter)
    notice: Callable[[str], None] = field(default=lambda _: None)


def open_chat(pool: Pool, dialect: "Dialect[ChatRequest, ChatCompletion]") -> "RemoteChat":
    """The pool as a chat engine. Raises ModelError where the model is not served there, EngineError where no endpoint
    answers within the terms' patience."""
    from thinkscale.engines.remote.engine import Memory, RemoteChat

    found = _survey(pool, dialect.headers)
    place = canonical_json(found.identity)
    memory = Memory(dialect=dialect, model=pool.model, place=place, cache=pool.cache, notice=pool.notice)
    return RemoteChat(name=pool.model, dispatcher=_dispatcher(pool, dialect), memory=memory)


def open_tokens(pool: Pool, tokenizer: "Tokenizer") -> "RemoteTokens":
    """The pool as a token engine, for servers that take and return token ids. Raises as `open_chat`."""
    from thinkscale.engines.remote.engine import Memory, RemoteTokens
    from thinkscale.engines.remote.openai_completions import OpenAICompletions

    dialect = OpenAICompletions(model=pool.model)
    found = _survey(pool, dialect.headers)
    place = canonical_json(found.identity)
    memory = Memory(dialect=dialect, model=pool.model, place=place, cache=pool.cache, notice=pool.notice)
    if found.context_tokens is None:
        raise ModelError(
            f"{pool.endpoints[0]} does not say how long a sequence {pool.model} may be (max_model_len), as vLLM does, "
            "so budgets cannot be planned; use the chat protocol"
        )
    return RemoteTokens(
        name=pool.model,
        tokenizer=tokenizer,
        context_tokens=found.context_tokens,
        dispatcher=_dispatcher(pool, dialect),
        memory=memory,
    )


def _dispatcher(pool: Pool, dialect: Dialect[Request, Completion]) -> Dispatcher[Request, Completion]:
    return Dispatcher(
        dialect=dialect,
        lanes=make_lanes(pool.endpoints, pool.keys, pool.limits),
        ledger=pool.ledger,
        terms=pool.terms,
        meter=pool.meter,
        notice=pool.notice,
    )


def _survey(pool: Pool, headers: Callable[[str | None], Mapping[str, str]]) -> "Served":
    """What the first endpoint that answers serves; waits for one as long as the terms allow."""
    began = time.monotonic()
    key = pool.keys[0].secret.reveal() if pool.keys else None
    told = False
    while True:
        problems = []
        for endpoint in pool.endpoints:
            found = asyncio.run(_ask(pool, endpoint.rstrip("/"), headers(key)))
            if not isinstance(found, str):
                return found
            problems.append(f"{endpoint}: {found}")
        waited = time.monotonic() - began
        if waited + ASK_AGAIN_SECONDS > pool.terms.patience_seconds:
            raise EngineError(f"no endpoint answers: {'; '.join(problems)}. `thinkscale serve` prints how to start one")
        if not told:
            pool.notice(f"waiting up to {pool.terms.patience_seconds:g} s for an endpoint: {'; '.join(problems)}")
            told = True
        time.sleep(ASK_AGAIN_SECONDS)


async def _ask(pool: Pool, endpoint: str, headers: Mapping[str, str]) -> "Served | str":
    """What is served there, or why that cannot be known now. Raises ModelError, EngineError on a final no."""
    from thinkscale.engines.remote.failures import OF_THE_KEY, Failure, FailureKind
    from thinkscale.engines.remote.health import served
    from thinkscale.engines.remote.http import open_session

    async with open_session(connect_seconds=pool.terms.connect_seconds, stall_seconds=30.0) as session:
        try:
            return await served(session, endpoint, headers, pool.model)
        except Failure as failure:
            if failure.kind is FailureKind.BAD_REQUEST:
                raise ModelError(failure.text) from None
            if failure.kind in OF_THE_KEY and len(pool.keys) <= 1:
                raise EngineError(f"{endpoint} refuses the key: {failure.text}") from None
            return failure.text


def read_endpoints(path: Path) -> tuple[str, ...]:
    """The base URLs of a file, one on each line, `#` for comments. Raises DataError where there is none."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: the endpoints in it cannot be read: {error}") from error
    found = [line.split("#", 1)[0].strip() for line in lines]
    urls = tuple(dict.fromkeys(url for url in found if url))
    if not urls:
        raise DataError(f"{path}: there is no endpoint in it; put one base URL on each line")
    return check_endpoints(urls)


def check_endpoints(urls: tuple[str, ...]) -> tuple[str, ...]:
    """`urls`, each once. Raises ConfigError on what is no http address, or holds a user or a key."""
    for url in urls:
        address = url.split("://", 1)
        if len(address) != 2 or address[0] not in ("http", "https") or not address[1].strip("/"):
            raise ConfigError(f"{url!r} is no endpoint; give a base URL such as http://127.0.0.1:8000/v1")
        if "@" in address[1].split("/", 1)[0] or "?" in url:
            raise ConfigError("an endpoint holds no user, password or key; keys come from the environment or a file")
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls))
