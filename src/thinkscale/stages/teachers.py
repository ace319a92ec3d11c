"""Opens the engine that a recipe names, as a chat engine: what generate asks for traces, and label for attempts."""

import os
import time
from collections import deque
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
from thinkscale.engines.remote.engine import Memory
from thinkscale.engines.remote.jobs import Answered, Terms
from thinkscale.engines.remote.lanes import LaneLimits
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import Pool, check_endpoints, open_chat, open_memory, open_tokens, read_endpoints
from thinkscale.engines.remote.prices import Price, load_prices, price_of
from thinkscale.engines.remote.spend import Ledger, Reservation, cap_reached
from thinkscale.engines.remote.wire import Outcome, Reply
from thinkscale.engines.tokens import NO_DRAFTS, Drafts
from thinkscale.errors import ConfigError
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
    batch_poll_seconds: float = 60.0
    notes: Notes | None = None
    drafts: Drafts = NO_DRAFTS
    meter: Meter = field(default_factory=Meter)
    notice: Callable[[str], None] = field(default=lambda _: None)


def check_teacher(settings: GenerateSettings, folder: Path) -> None:
    """Refuses what can be known to be wrong before a run begins. Raises ConfigError, DataError."""
    if settings.batch:
        _require_batches(settings.engine)
    if isinstance(settings.engine, EndpointSettings):
        prices = folder / settings.prices if settings.prices else None
        pool_of(settings.engine, Asking(thinking_format="", folder=folder, max_spend=settings.max_spend, prices=prices))


def _require_batches(settings: EngineSettings) -> None:
    """Raises ConfigError where the engine has no batch API, or one that would be used in part only."""
    if not isinstance(settings, EndpointSettings):
        raise ConfigError(f"--batch: the engine `{settings.type}` has no batch API; leave it out")
    if isinstance(settings, OpenAIEngineSettings) and settings.sends_ids:
        raise ConfigError("--batch needs the chat protocol: batch APIs take no token ids. Leave out --tokenizer")
    if len(settings.endpoints) > 1 or (isinstance(settings, OpenAIEngineSettings) and settings.endpoints_file):
        raise ConfigError("--batch works with one endpoint, the provider's; give only that")


def _require_no_batches(asking: Asking) -> None:
    """Raises ConfigError where batches of this run are out: their rows would be asked for, and paid, once more."""
    if asking.notes is not None and (found := asking.notes.keys("batch:")):
        raise ConfigError(
            f"{len(found)} batches of this run are with the provider. Run it with --batch to take what they bring; "
            "--fresh gives them up"
        )


def open_engine(settings: EngineSettings, asking: Asking) -> ChatEngine:
    """The engine as a chat engine. Raises ConfigError, ModelError, EngineError."""
    if asking.batch:
        _require_batches(settings)
    else:
        _require_no_batches(asking)
    if isinstance(settings, ScriptedEngineSettings):
        return _scripted(settings, asking)
    if isinstance(settings, LocalEngineSettings):
        engine = open_local(
            settings.model,
            dtype=settings.dtype,
            device=settings.device,
            batch_size=settings.batch_size,
            cache_tokens=settings.cache_tokens,
        )
        bound = BoundFormat(find_format(asking.thinking_format), engine.tokenizer)
        return Conversation(engine, bound, thinks=asking.thinks, drafts=asking.drafts)
    if isinstance(settings, OpenAIEngineSettings) and settings.sends_ids:
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
    price = ledger.price
    meter.price = (lambda read, written: price.usd(read, 0, written, batch=asking.batch)) if price else None
    meter.max_spend_usd, meter.spent_usd = asking.max_spend, ledger.spent_usd
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
    if len(pool.keys) > 1:
        asking.notice(f"batches are made with one key, {pool.keys[0].name}; the others are not used")
    engine = BatchEngine(
        name=settings.model,
        provider=provider,
        notes=BatchNotes(asking.notes),
        price=cost,
        poll_seconds=asking.batch_poll_seconds,
        wait=partial(_wait, asking.meter),
    )
    return PaidBatches(engine, pool.ledger, open_memory(pool, dialect), asking.meter)


def _wait(meter: Meter, seconds: float) -> None:
    """Waits for the next poll, and lets others see how things stand."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, 0.5))
        meter.tick()


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
class PaidBatches:
    """A batch engine that pays for no request twice, and stops taking rows where the next might cross the cap."""

    engine: BatchEngine
    ledger: Ledger
    memory: Memory[ChatRequest, ChatCompletion]
    meter: Meter

    @property
    def name(self) -> str:
        """The model's name."""
        return self.engine.name

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine. Raises SpendCapError behind the rows that were taken."""
        held: dict[str, Reservation] = {}
        recalled: deque[ChatCompletion] = deque()
        is_over_cap = False

        def unpaid() -> Iterator[ChatRequest]:
            nonlocal is_over_cap
            for request in requests:
                if known := self.memory.recall(request):
                    recalled.append(known.completion)
                    continue
                call = self.memory.dialect.call(request, Reply(), stream=False)
                reservation = self.ledger.reserve(call.prompt_tokens, call.max_tokens)
                if reservation is None:
                    is_over_cap = True
                    return
                held[request.key] = reservation
                yield request

        with closing(self.engine.answer(unpaid())) as completions:  # type: ignore[type-var]  # it is a generator
            for completion in completions:
                self._pay(completion, held.pop(completion.request.key, None))
                yield completion
                while recalled:
                    yield self._given(recalled.popleft())
        while recalled:
            yield self._given(recalled.popleft())
        if is_over_cap:
            raise cap_reached(self.ledger)

    def _given(self, completion: ChatCompletion) -> ChatCompletion:
        self.meter.from_cache += 1
        return completion

    def _pay(self, completion: ChatCompletion, reservation: Reservation | None) -> None:
        usage = completion.usage
        if reservation:
            self.ledger.settle(reservation, usage.prompt_tokens, 0, usage.completion_tokens)
        self.meter.completion_tokens += usage.completion_tokens
        self.meter.spent_usd = self.ledger.spent_usd
        if completion.error is None:
            self.memory.keep(Answered(completion.request, _reply_of(completion), _outcome_of(completion), completion))


def _reply_of(completion: ChatCompletion) -> Reply:
    """A reply that gives this completion again."""
    return Reply(
        thinking=completion.thinking,
        text=completion.answer_text,
        finish=completion.finish,
        completion_tokens=completion.thinking_tokens + completion.answer_tokens,
        thinking_tokens=completion.thinking_tokens,
    )


def _outcome_of(completion: ChatCompletion) -> Outcome:
    return Outcome(
        attempts=completion.attempts,
        prompt_tokens=completion.usage.prompt_tokens,
        completion_tokens=completion.usage.completion_tokens,
        usd=completion.usd,
    )
