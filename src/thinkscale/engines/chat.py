"""The seam to chat engines: messages in, thinking and answer out, for teachers behind an interface of messages."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from thinkscale.records import Finish, Message, Sampling, Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatRequest:
    """One conversation to be answered."""

    key: str
    messages: tuple[Message, ...]
    sampling: Sampling


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletion:
    """The answer to a request. A failure is a completion with finish `error` and its reason, never an exception."""

    request: ChatRequest
    thinking: str
    answer_text: str
    finish: Finish
    thinking_tokens: int = 0
    answer_tokens: int = 0
    usage: Usage = field(default_factory=Usage)
    error: str | None = None
    attempts: int = 1
    seconds: float = 0.0
    """From the first sending to the end; 0 where nobody measured, or the reply came from the cache."""
    usd: float = 0.0
    """Price of all attempts; 0 where the model has no price, or the reply came from the cache."""


class ChatEngine(Protocol):
    """Answers conversations. `answer` raises EngineError where the engine as a whole is of no more use."""

    @property
    def name(self) -> str:
        """The model's name as it stands in records and keys."""
        ...

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """One completion for each request, in the order in which they finish; requests are drawn as needed."""
        ...
