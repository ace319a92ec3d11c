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


class ChatEngine(Protocol):
    """Answers conversations."""

    @property
    def name(self) -> str:
        """The model's name as it stands in records and keys."""
        ...

    def answer(self, requests: Iterable[ChatRequest]) -> Iterator[ChatCompletion]:
        """One completion for each request, in the order in which they finish; requests are drawn as needed."""
        ...
