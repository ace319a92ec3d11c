"""What the tests of the queue share: pools over loopback servers, on terms that never wait long."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from thinkscale.credentials import ApiKey, Secret
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.cache import RequestCache
from thinkscale.engines.remote.dispatch import Dispatcher
from thinkscale.engines.remote.jobs import Answered, Terms
from thinkscale.engines.remote.lanes import LaneLimits, make_lanes
from thinkscale.engines.remote.openai_chat import OpenAIChat
from thinkscale.engines.remote.opening import Pool
from thinkscale.engines.remote.prices import Price
from thinkscale.engines.remote.spend import Ledger
from thinkscale.engines.remote.wire import Dialect, Reply
from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.records import Message, Sampling

PRICE = Price(input_usd=1.0, cached_input_usd=1.0, output_usd=10.0)
TERMS = Terms(stall_seconds=0.5, connect_seconds=1.0, patience_seconds=2.0)
THINKING, ANSWER = "one two three. " * 8, "It is four."
MOST_TOKENS = 100


def backend() -> ScriptedBackend:
    """Thirty tokens of thinking and three of answer to everything."""
    return ScriptedBackend(lambda _prompt, _seed: ScriptedReply(thinking=THINKING, answer_text=ANSWER), name="toy")


def request(number: int) -> ChatRequest:
    """One question, told from others by its number."""
    messages = (Message(role="user", content=f"question {number}"),)
    return ChatRequest(key=f"r{number}", messages=messages, sampling=Sampling(max_tokens=MOST_TOKENS, seed=number))


def requests(count: int) -> list[ChatRequest]:
    """`count` of them."""
    return [request(number) for number in range(count)]


def api_key(secret: str) -> ApiKey:
    """A key whose name says nothing of its secret."""
    return ApiKey(name=f"KEY_{secret[-1]}", secret=Secret(secret))


@dataclass(kw_only=True)
class Queue:
    """A dispatcher over lanes, with what it told people and what it answered."""

    urls: Sequence[str]
    keys: Sequence[ApiKey] = ()
    terms: Terms = TERMS
    limits: LaneLimits = field(default_factory=LaneLimits)
    ledger: Ledger = field(default_factory=lambda: Ledger(price=None))
    dialect: Dialect[ChatRequest, ChatCompletion] = field(default_factory=lambda: OpenAIChat(model="toy"))
    notices: list[str] = field(default_factory=list)
    answered: list[Answered[ChatRequest, ChatCompletion]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.dispatcher = Dispatcher(
            dialect=self.dialect,
            lanes=make_lanes(self.urls, self.keys, self.limits),
            ledger=self.ledger,
            terms=self.terms,
            meter=Meter(),
            notice=self.notices.append,
        )

    def run(self, asked: Iterable[ChatRequest]) -> list[ChatCompletion]:
        """All completions; those given before an error stay in `answered`."""
        waiting = iter(asked)

        def take() -> tuple[ChatRequest, Reply] | None:
            found = next(waiting, None)
            return None if found is None else (found, Reply())

        for answered in self.dispatcher.run(take):
            self.answered.append(answered)
        return [answered.completion for answered in self.answered]


def pool(*urls: str, cache: RequestCache | None = None, notices: list[str] | None = None, model: str = "toy") -> Pool:
    """What the engines are opened from."""
    return Pool(
        model=model,
        endpoints=urls,
        terms=Terms(stall_seconds=20.0, connect_seconds=1.0, patience_seconds=2.0),
        cache=cache,
        notice=(notices if notices is not None else []).append,
    )
