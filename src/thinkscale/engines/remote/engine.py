"""Servers behind an interface of HTTP, as a chat engine and as a token engine: a dialect, the queue and the cache.

The cache is asked before a request enters the queue and filled before its completion is handed on, both in the
caller's thread: no reply is paid twice, whichever run asks for it, and a kill between cache and journal costs nothing.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Generic

from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.remote.cache import RequestCache, request_key
from thinkscale.engines.remote.dispatch import Dispatcher
from thinkscale.engines.remote.jobs import Answered
from thinkscale.engines.remote.wire import Completion, Dialect, Outcome, Reply, Request
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest, load_draft, save_draft
from thinkscale.errors import StorageError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Usage
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

    def recall(self, request: Request) -> Answered[Request, Completion] | None:
        """What a request was answered with before, at no price. A stored reply of another shape is as good as none."""
        if self.cache is None or (found := self.cache.get(self._key(request))) is None:
            return None
        try:
            reply = Reply(**{**found["reply"], "finish": Finish(found["reply"]["finish"])})  # type: ignore[call-overload, dict-item, index, arg-type]
            attempts, read, written = (
                int(str(found[name])) for name in ("attempts", "prompt_tokens", "completion_tokens")
            )
        except (KeyError, TypeError, ValueError):
            return None
        outcome = Outcome(attempts=attempts, prompt_tokens=read, completion_tokens=written, usd=0.0)
        return Answered(request, reply, outcome, self.dialect.completion(request, reply, outcome))

    def keep(self, answered: Answered[Request, Completion]) -> None:
        """Keeps a good reply. A cache that cannot be written is given up with a notice: the run goes on without it."""
        request, reply, outcome = answered.request, answered.reply, answered.outcome
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

        def take() -> tuple[ChatRequest, Reply] | Answered[ChatRequest, ChatCompletion] | None:
            if (request := next(waiting, None)) is None:
                return None
            known = self.memory.recall(request)
            self.dispatcher.meter.from_cache += known is not None
            return known or (request, Reply())

        with closing(self.dispatcher.run(take, self.memory.keep)) as run:  # type: ignore[type-var]  # it is a generator
            for answered in run:
                yield answered.completion


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
        drafted: dict[str, int] = {}

        def take() -> tuple[TokenRequest, Reply] | Answered[TokenRequest, TokenCompletion] | None:
            if not queue:
                return None
            request = queue.popleft()
            if problem := self._problem(request):
                return problem
            known = self.memory.recall(request)
            self.dispatcher.meter.from_cache += known is not None
            if known:
                return known
            ids, logprobs = load_draft(drafts, request)
            if ids:
                drafted[request.key] = len(ids)
            return request, Reply(ids=list(ids), logprobs=list(logprobs))

        with closing(self.dispatcher.run(take, self.memory.keep, partial(save_draft, drafts))) as run:  # type: ignore[type-var]
            for answered in run:
                yield _with_draft(answered.completion, drafted.pop(answered.request.key, 0))

    def _problem(self, request: TokenRequest) -> Answered[TokenRequest, TokenCompletion] | None:
        needed = len(request.prompt) + request.sampling.max_tokens
        if not request.prompt:
            text = "empty prompt"
        elif needed > self.context_tokens:
            text = f"prompt and max_tokens need {needed} tokens, the model has {self.context_tokens}"
        else:
            return None
        outcome = Outcome(attempts=0, prompt_tokens=0, completion_tokens=0, usd=0.0, error=text)
        completion = TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=text)
        return Answered(request, Reply(), outcome, completion)


def _with_draft(completion: TokenCompletion, num_drafted: int) -> TokenCompletion:
    """Counts what an earlier start read and wrote, as far as it was saved."""
    if not num_drafted or completion.usage is None:
        return completion
    usage = Usage(
        prompt_tokens=completion.usage.prompt_tokens + len(completion.request.prompt),
        completion_tokens=completion.usage.completion_tokens + num_drafted,
    )
    return replace(completion, usage=usage)
