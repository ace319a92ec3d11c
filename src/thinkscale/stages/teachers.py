"""Opens the engine that a recipe names, as a chat engine: what generate asks for traces, and label for attempts."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from thinkscale.config import (
    AnthropicEngineSettings,
    EndpointSettings,
    EngineSettings,
    GenerateSettings,
    LocalEngineSettings,
    OpenAIEngineSettings,
    RemoteEngineSettings,
    ScriptedEngineSettings,
)
from thinkscale.credentials import ApiKey, exposure_warnings, find_keys
from thinkscale.engines.batches.engine import BatchEngine
from thinkscale.engines.catalogue import open_local, open_scripted, open_tokenizer
from thinkscale.engines.chat import ChatCompletion, ChatEngine, ChatRequest
from thinkscale.engines.conversation import Conversation
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.anthropic_messages import AnthropicMessages
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.engines.remote.dispatch import Terms
from thinkscale.engines.remote.lanes import LaneLimits
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import Pool, check_endpoints, open_chat, open_tokens, read_endpoints
from thinkscale.engines.remote.prices import Price, load_prices, price_of
from thinkscale.engines.remote.spend import Ledger, Reservation
from thinkscale.engines.tokens import NO_DRAFTS, Drafts
from thinkscale.errors import ConfigError, SpendCapError
from thinkscale.keys import JSON
from thinkscale.store.notes import Notes
from thinkscale.thinking.formats import BoundFormat, find_format

USUAL_KEYS = {"api.openai.com": "OPENAI_API_KEY", "api.anthropic.com": "ANTHROPIC_API_KEY"}
"""By host: where a key is looked for if the recipe does not say. Other hosts get none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """How an engine is used by a stage."""

    thinking_format: str
    thinks: bool = True
    student: str | None = None
    """The model whose tokenizer counts what a script says."""
    folder: Path = Path()
    """Where relative paths start."""
    max_spend: float | None = None
    spent_before: float = 0.0
    prices: Path | None = None
    cache: RequestCache | None = None
    batch: bool = False
    notes: Notes | None = None
    drafts: Drafts = NO_DRAFTS
    meter: Meter = field(default_factory=Meter)
    notice: Callable[[str], None] = field(default=lambda _: None)


def open_cache(settings: GenerateSettings, folder: Path) -> RequestCache | None:
    """The cache that the recipe asks for; only engines that cost something have one."""
    if settings.cache == "none" or not isinstance(settings.engine, EndpointSettings):
        return None
    return RequestCache.open(None if settings.cache == "default" else folder / settings.cache)


def open_engine(settings: EngineSettings, asking: Asking) -> ChatEngine:
    """The engine as a chat engine. Raises ConfigError, ModelError, EngineError."""
    if isinstance(settings, ScriptedEngineSettings):
        return _scripted(settings, asking)
    if isinstance(settings, LocalEngineSettings):
        engine = open_local(
            settings.model, dtype=settings.dtype, device=settings.device, batch_size=settings.batch_size
        )
        bound = BoundFormat(find_format(asking.thinking_format), engine.tokenizer)
        return Conversation(engine, bound, thinks=asking.thinks, drafts=asking.drafts)
    if isinstance(settings, OpenAIEngineSettings) and settings.sends_ids:
        if asking.batch:
            raise ConfigError("--batch needs the chat protocol: batch APIs take no token ids")
        tokens = open_tokens(pool_of(settings, asking), open_tokenizer(settings.tokenizer or settings.model))
        bound = BoundFormat(find_format(asking.thinking_format), tokens.tokenizer)
        return Conversation(tokens, bound, thinks=asking.thinks, drafts=asking.drafts)
    return _batches(settings, asking) if asking.batch else open_chat(pool_of(settings, asking), _dialect(settings))


def _scripted(settings: ScriptedEngineSettings, asking: Asking) -> ChatEngine:
    if asking.student is None:
        count: Callable[[str], int] = lambda text: len(text.split())  # noqa: E731 - words, where there is no tokenizer
    else:
        tokenizer = open_tokenizer(asking.student)
        count = lambda text: len(tokenizer.encode(text, add_special_tokens=False))  # noqa: E731
    replay = asking.folder / settings.replay if settings.replay else None
    return open_scripted(
        settings.script,
        count,
        replay=replay,
        tokens_per_second=settings.tokens_per_second,
        concurrency=settings.concurrency,
    )


def _dialect(settings: RemoteEngineSettings) -> OpenAIChat | AnthropicMessages:
    if isinstance(settings, AnthropicEngineSettings):
        return AnthropicMessages(model=settings.model, thinking_budget=settings.thinking_tokens, effort=settings.effort)
    return OpenAIChat(model=settings.model, extra=settings.extra, max_tokens_field=settings.max_tokens_field)


def pool_of(settings: RemoteEngineSettings, asking: Asking) -> Pool:
    """Endpoints, keys, limits and money of an engine behind HTTP. Raises ConfigError, DataError."""
    ledger = Ledger(
        price=_price(settings.model, asking),
        cap_usd=asking.max_spend,
        spent_usd=asking.spent_before,
        model=settings.model,
        batch=asking.batch,
    )
    meter = asking.meter
    meter.priced, meter.max_spend_usd, meter.spent_usd = ledger.price is not None, asking.max_spend, ledger.spent_usd
    endpoints = _endpoints(settings, asking.folder)
    return Pool(
        model=settings.model,
        endpoints=endpoints,
        keys=_keys(settings, endpoints, asking),
        limits=LaneLimits(
            most_in_flight=settings.max_in_flight,
            requests_per_minute=settings.requests_per_minute,
            tokens_per_minute=settings.tokens_per_minute,
        ),
        terms=Terms(
            retries=settings.retries,
            connect_seconds=settings.connect_seconds,
            stall_seconds=settings.stall_seconds,
            patience_seconds=settings.patience_seconds,
            stream=settings.stream,
        ),
        ledger=ledger,
        cache=asking.cache,
        meter=meter,
        notice=asking.notice,
    )


def _price(model: str, asking: Asking) -> Price | None:
    return price_of(model, load_prices(asking.prices) if asking.prices else None)


def _endpoints(settings: RemoteEngineSettings, folder: Path) -> tuple[str, ...]:
    if isinstance(settings, OpenAIEngineSettings) and settings.endpoints_file:
        return read_endpoints(folder / settings.endpoints_file)
    return check_endpoints(settings.endpoints)


def _keys(settings: EndpointSettings, endpoints: Iterable[str], asking: Asking) -> tuple[ApiKey, ...]:
    """The keys of the rotation; none for servers of one's own, unless the recipe names a variable or a file."""
    file = asking.folder / settings.key_file if settings.key_file else None
    hosts = {endpoint.split("://", 1)[1].split("/", 1)[0] for endpoint in endpoints}
    usual = next((USUAL_KEYS[host] for host in hosts if host in USUAL_KEYS), None)
    variable = settings.key_variable or usual
    for warning in exposure_warnings(file):
        asking.notice(warning)
    if file is None and variable is None:
        return ()
    return find_keys(variable or os.devnull, file)


def _batches(settings: RemoteEngineSettings, asking: Asking) -> ChatEngine:
    """The provider's batch API, with the worst case of each row set aside under the cap before it is submitted."""
    from thinkscale.engines.batches.anthropic import AnthropicBatches
    from thinkscale.engines.batches.openai import OpenAIBatches

    assert asking.notes is not None
    pool = pool_of(settings, asking)
    dialect, url = _dialect(settings), pool.endpoints[0]
    key = pool.keys[0].secret.reveal() if pool.keys else None
    provider = (
        AnthropicBatches(dialect=dialect, base_url=url, key=key)
        if isinstance(dialect, AnthropicMessages)
        else OpenAIBatches(dialect=dialect, base_url=url, key=key)
    )
    price = pool.ledger.price
    cost = partial(price.usd, batch=True) if price else (lambda *_tokens: 0.0)
    engine = BatchEngine(name=settings.model, provider=provider, notes=BatchNotes(asking.notes), price=cost)
    return CappedBatches(engine, pool.ledger, dialect, asking.meter)


@dataclass(frozen=True, slots=True)
class BatchNotes:
    """Notes of batches in the journal, under keys of their own. See engines.batches.notes."""

    notes: Notes

    def load(self) -> list[dict[str, JSON]]:
        """See Notes of batches."""
        found = [self.notes.load(key) for key in self.notes.keys("batch:")]
        return [note for note in found if isinstance(note, dict)]

    def save(self, key: str, note: dict[str, JSON]) -> None:
        """See Notes of batches."""
        self.notes.save(f"batch:{key}", note)

    def forget(self, key: str) -> None:
        """See Notes of batches."""
        self.notes.forget(f"batch:{key}")


@dataclass(frozen=True, slots=True)
class CappedBatches:
    """A batch engine that stops taking rows where the next might cross the cap."""

    engine: BatchEngine
    ledger: Ledger
    dialect: OpenAIChat | AnthropicMessages
    meter: Meter

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine. Raises SpendCapError behind the rows that were taken."""
        from thinkscale.engines.remote.wire import Reply

        held: dict[str, Reservation] = {}
        stopped = False

        def affordable() -> Iterator[ChatRequest]:
            nonlocal stopped
            for request in requests:
                call = self.dialect.call(request, Reply(), stream=False)
                reservation = self.ledger.reserve(call.prompt_tokens, call.max_tokens)
                if reservation is None:
                    stopped = True
                    return
                held[request.key] = reservation
                yield request

        with closing(self.engine.answer(affordable())) as completions:  # type: ignore[type-var]  # it is a generator
            for completion in completions:
                if reservation := held.pop(completion.request.key, None):
                    usage = completion.usage
                    self.ledger.settle(reservation, usage.prompt_tokens, 0, usage.completion_tokens)
                self.meter.completion_tokens += completion.usage.completion_tokens
                self.meter.spent_usd = self.ledger.spent_usd
                yield completion
        if stopped:
            raise SpendCapError(
                f"the spend cap of {self.ledger.cap_usd:g} USD is reached: {self.ledger.spent_usd:.4f} USD are spent. "
                "What was answered is stored; the same command with a higher --max-spend goes on"
            )
