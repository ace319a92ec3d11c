"""The seam between the loopback server and the protocols that it speaks: bodies in, bodies and events out, pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.asking import Answer, Ask, RefusedError
from thinkscale.keys import JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Why a request gets no answer."""

    kind: FailureKind
    text: str
    retry_after: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """An answer on its way out."""

    id: str
    model: str
    created: int
    """Seconds since 1970."""
    ask: Ask
    answer: Answer
    cached_tokens: int
    reported_tokens: int
    """Completion tokens as the usage states them: others than were sent where counts are to be wrong."""
    extra_choice: bool = False
    """Whether a choice too many is sent."""


class ServedProtocol(Protocol):
    """The server's side of one protocol."""

    def ask(self, body: Mapping[str, JSON]) -> Ask:
        """What the body asks for. Raises RefusedError."""
        ...

    def refusal(self, refusal: Refusal) -> tuple[int, dict[str, JSON]]:
        """Status and body."""
        ...

    def whole(self, said: Said) -> dict[str, JSON]:
        """The body of an unstreamed reply."""
        ...

    def events(self, said: Said) -> Iterator[tuple[bytes, int]]:
        """The events of a stream, each with the tokens that it brings."""
        ...


def text_of(content: JSON) -> str:
    """The text of a message's content: a text, or a list of blocks. Raises RefusedError."""
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        texts = [block.get("text") if isinstance(block, dict) else None for block in content]
        if all(isinstance(text, str) for text in texts):
            return "".join(str(text) for text in texts)
    raise RefusedError("the content of a message must be a text, or a list of text blocks")


def whole_number(body: Mapping[str, JSON], name: str, default: int) -> int:
    """An integer field of a body. Raises RefusedError."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int):
        raise RefusedError(f"{name} must be an integer")
    return value


def number(body: Mapping[str, JSON], name: str, default: float) -> float:
    """A number field of a body. Raises RefusedError."""
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise RefusedError(f"{name} must be a number")
    return float(value)
