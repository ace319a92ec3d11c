"""Opens a pool of endpoints: asks them what they serve, and puts dialect, queue, ledger and cache together."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.credentials import ApiKey
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.engines.remote.dispatch import Dispatcher
from thinkscale.engines.remote.engine import Memory, RemoteChat, RemoteTokens
from thinkscale.engines.remote.jobs import Terms
from thinkscale.engines.remote.lanes import LaneLimits, make_lanes
from thinkscale.engines.remote.openai_completions import OpenAICompletions
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.remote.wire import Completion, Dialect, Request
from thinkscale.errors import ConfigError, DataError, EngineError, ModelError
from thinkscale.keys import canonical_json
from thinkscale.thinking.formats import Tokenizer

if TYPE_CHECKING:
    import aiohttp

    from thinkscale.engines.remote.health import Served

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


def open_chat(pool: Pool, dialect: Dialect[ChatRequest, ChatCompletion]) -> RemoteChat:
    """The pool as a chat engine. Raises ModelError where the model is not served there, EngineError where no endpoint
    answers within the terms' patience."""
    found = survey(pool, dialect.headers)
    return RemoteChat(
        name=pool.model, dispatcher=_dispatcher(pool, dialect, found), memory=_memory(pool, dialect, found)
    )


def open_memory(pool: Pool, dialect: Dialect[ChatRequest, ChatCompletion]) -> Memory[ChatRequest, ChatCompletion]:
    """The cache alone, for engines that send in another way. Raises as `open_chat`."""
    return _memory(pool, dialect, survey(pool, dialect.headers))


def open_tokens(pool: Pool, tokenizer: Tokenizer) -> RemoteTokens:
    """The pool as a token engine, for servers that take and return token ids. Raises as `open_chat`."""
    dialect = OpenAICompletions(model=pool.model)
    found = survey(pool, dialect.headers)
    if found.served.context_tokens is None:
        raise ModelError(
            f"{pool.endpoints[0]} does not say how long a sequence {pool.model} may be (max_model_len), as vLLM does, "
            "so budgets cannot be planned; use the chat protocol"
        )
    return RemoteTokens(
        name=pool.model,
        tokenizer=tokenizer,
        context_tokens=found.served.context_tokens,
        dispatcher=_dispatcher(pool, dialect, found),
        memory=_memory(pool, dialect, found),
    )


def _memory(pool: Pool, dialect: Dialect[Request, Completion], found: "Survey") -> Memory[Request, Completion]:
    place = canonical_json(found.served.identity)
    return Memory(dialect=dialect, model=pool.model, place=place, cache=pool.cache, notice=pool.notice)


def _dispatcher(pool: Pool, dialect: Dialect[Request, Completion], found: "Survey") -> Dispatcher[Request, Completion]:
    lanes = make_lanes(pool.endpoints, pool.keys, pool.limits)
    for lane in lanes:
        if lane.endpoint in found.problems:
            lane.die(found.problems[lane.endpoint], time.monotonic())
    return Dispatcher(
        dialect=dialect,
        lanes=lanes,
        ledger=pool.ledger,
        terms=pool.terms,
        meter=pool.meter,
        notice=pool.notice,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What the endpoints of a pool say of the model."""

    served: "Served"
    problems: Mapping[str, str]
    """Why an endpoint cannot be used yet, by its address."""


def survey(pool: Pool, headers: Callable[[str | None], Mapping[str, str]]) -> Survey:
    """Asks every endpoint at once; waits for the first as long as the terms allow, and starts without the others.

    Raises ModelError where one of them serves other models only, EngineError where none answers or a key is refused.
    """
    began = time.monotonic()
    told = False
    while True:
        answers = asyncio.run(_ask_all(pool, headers))
        problems = {endpoint: found for endpoint, found in answers.items() if isinstance(found, str)}
        served = [(endpoint, found) for endpoint, found in answers.items() if not isinstance(found, str)]
        if served:
            _tell(pool, served, problems)
            return Survey(served=served[0][1], problems=problems)
        text = "; ".join(f"{endpoint}: {problem}" for endpoint, problem in problems.items())
        if time.monotonic() - began + ASK_AGAIN_SECONDS > pool.terms.patience_seconds:
            raise EngineError(f"no endpoint answers: {text}. `thinkscale serve` prints how to start one")
        if not told:
            pool.notice(f"waiting up to {pool.terms.patience_seconds:g} s for an endpoint: {text}")
            told = True
        time.sleep(ASK_AGAIN_SECONDS)


def _tell(pool: Pool, served: "Sequence[tuple[str, Served]]", problems: Mapping[str, str]) -> None:
    """Notices about endpoints that are away, or that say other things of the model than the first."""
    for endpoint, problem in problems.items():
        pool.notice(f"{endpoint}: does not answer yet ({problem}); the others begin without it")
    first = served[0][1]
    for endpoint, found in served[1:]:
        if (found.identity, found.context_tokens) != (first.identity, first.context_tokens):
            pool.notice(f"{endpoint} says other things of {pool.model} than {served[0][0]}: perhaps another model")


async def _ask_all(pool: Pool, headers: Callable[[str | None], Mapping[str, str]]) -> "dict[str, Served | str]":
    from thinkscale.engines.remote.http import open_session

    keys: list[str | None] = [key.secret.reveal() for key in pool.keys] or [None]
    endpoints = [endpoint.rstrip("/") for endpoint in pool.endpoints]
    of_keys = [headers(key) for key in keys]
    async with open_session(connect_seconds=pool.terms.connect_seconds, stall_seconds=30.0) as session:
        answers = await asyncio.gather(*(_ask(session, endpoint, of_keys, pool.model) for endpoint in endpoints))
    return dict(zip(endpoints, answers, strict=True))


async def _ask(
    session: "aiohttp.ClientSession", endpoint: str, headers: Sequence[Mapping[str, str]], model: str
) -> "Served | str":
    """What is served there, or why that cannot be known now. Raises ModelError, EngineError on a final no."""
    from thinkscale.engines.remote.failures import OF_THE_KEY, Failure, FailureKind
    from thinkscale.engines.remote.health import served

    for of_one_key in headers:
        try:
            return await served(session, endpoint, of_one_key, model)
        except Failure as failure:
            if failure.kind is FailureKind.BAD_REQUEST:
                raise ModelError(failure.text) from None
            text = failure.text
            if failure.kind not in OF_THE_KEY:
                return text
    raise EngineError(f"{endpoint} refuses {'every' if len(headers) > 1 else 'the'} key: {text}")


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
        if "@" in address[1].split("/", 1)[0] or "?" in url or "#" in url:
            raise ConfigError("an endpoint holds no user, password or key; keys come from the environment or a file")
    return tuple(dict.fromkeys(url.rstrip("/") for url in urls))
