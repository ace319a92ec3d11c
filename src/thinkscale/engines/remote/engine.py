"""Servers behind an interface of HTTP, as a chat engine and as a token engine: a dialect, the queue and the cache.

The cache is asked before a request enters the queue and filled before its completion is handed on, both in the
caller's thread: no reply is paid twice, whichever run asks for it, and a kill between cache and journal costs nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Generic

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.cache import RequestCache, request_key
from thinkscale.engines.remote.dispatch import Dispatcher, Save, Take
from thinkscale.engines.remote.wire import Completion, Dialect, Outcome, Reply, Request
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest
from thinkscale.errors import StorageError
from thinkscale.keys import JSON
from thinkscale.records import Finish
from thinkscale.thinking.formats import Tokenizer


@dataclass(slots=True, kw_only=True)
class Memory(Generic[Request, Completion]):
    """The cache of one model at one place, in the terms of a dialect. Without a cache it knows nothing."""

    dialect: Dialect[Request, Completion]
    model: str
    place: str
    """What tells the endpoint's model from another of the same name (`health.served`)."""
    cache: RequestCache | None
    notice: Callable[[str], None]

    def recall(self, request: Request) -> Completion | None:
        """The completion of a request that was answered before, at no price."""
        if self.cache is None or (found := self.cache.get(self._key(request))) is None:
            return None
        fields, attempts = found.get("reply"), found.get("attempts")
        if not isinstance(fields, dict) or not isinstance(attempts, int):
            return None
        reply = Reply(**{**fields, "finish": Finish(str(fields["finish"]))})  # type: ignore[arg-type]
        read, written = found["prompt_tokens"], found["completion_tokens"]
        assert isinstance(read, int)
        assert isinstance(written, int)
        outcome = Outcome(attempts=attempts, prompt_tokens=read, completion_tokens=written, usd=0.0)
        return self.dialect.completion(request, reply, outcome)

    def keep(self, request: Request, reply: Reply, outcome: Outcome) -> None:
        """Keeps a good reply. A cache that cannot be written is given up with a notice: the run goes on without it."""
        if self.cache is None or outcome.error is not None:
            return
        kept: dict[str, JSON] = {
            "reply": asdict(reply),
            "attempts": outcome.attempts,
            "prompt_tokens": outcome.prompt_tokens,
            "completion_tokens": outcome.completion_tokens,
        }
        try:
            self.cache.put(self._key(request), kept)
        except StorageError as error:
            self.cache = None
            self.notice(f"the request cache is left out from here on: {error}")

    def _key(self, request: Request) -> str:
        return request_key(self.model, self.place, self.dialect.identity(request))


@dataclass(slots=True, kw_only=True)
class RemoteChat:
    """A pool of endpoints as a chat engine. See ChatEngine."""

    name: str
    dispatcher: Dispatcher[ChatRequest, ChatCompletion]
    memory: Memory[ChatRequest, ChatCompletion]

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """See ChatEngine. Raises EngineError where no lane is left, SpendCapError at the cap."""
        waiting = iter(requests)
        recalled: deque[ChatCompletion] = deque()

        def take() -> tuple[ChatRequest, Reply] | None:
            for request in waiting:
                if (known := self.memory.recall(request)) is None:
                    return request, Reply()
                self.dispatcher.meter.from_cache += 1
                recalled.append(known)
                if len(recalled) >= MOST_RECALLED:
                    break
            return None

        yield from _run(self.dispatcher, self.memory, take, recalled)


@dataclass(slots=True, kw_only=True)
class RemoteTokens:
    """A pool of endpoints that take and give token ids, as a token engine. See TokenEngine."""

    name: str
    tokenizer: Tokenizer
    context_tokens: int
    dispatcher: Dispatcher[TokenRequest, TokenCompletion]
    memory: Memory[TokenRequest, TokenCompletion]

    def complete(self, queue: deque[TokenRequest], drafts: Drafts = NO_DRAFTS) -> Iterator[TokenCompletion]:
        """See TokenEngine. A request that cannot fit the context is a completion with finish `error`."""
        recalled: deque[TokenCompletion] = deque()

        def take() -> tuple[TokenRequest, Reply] | None:
            while queue and len(recalled) < MOST_RECALLED:
                request = queue.popleft()
                if known := self._problem(request) or self.memory.recall(request):
                    self.dispatcher.meter.from_cache += known.error is None
                    recalled.append(known)
                    continue
                return request, Reply(ids=list(drafts.load(request.key))[: request.sampling.max_tokens])
            return None

        yield from _run(self.dispatcher, self.memory, take, recalled, drafts.save)

    def _problem(self, request: TokenRequest) -> TokenCompletion | None:
        needed = len(request.prompt) + request.sampling.max_tokens
        text = ""
        if not request.prompt:
            text = "empty prompt"
        elif needed > self.context_tokens:
            text = f"prompt and max_tokens need {needed} tokens, the model has {self.context_tokens}"
        return TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=text) if text else None


MOST_RECALLED = 64
"""Completions from the cache that are held before they are handed on."""


def _run(
    dispatcher: Dispatcher[Request, Completion],
    memory: Memory[Request, Completion],
    take: Take[Request],
    recalled: deque[Completion],
    save: Save | None = None,
) -> Iterator[Completion]:
    """Completions of the queue and of the cache as they come, until `take` gives nothing more."""
    while True:
        for answered in dispatcher.run(take, save):
            memory.keep(answered.request, answered.reply, answered.outcome)
            yield answered.completion
            while recalled:
                yield recalled.popleft()
        if not recalled:
            return
        while recalled:
            yield recalled.popleft()
