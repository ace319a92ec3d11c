"""The seam between the queue and a protocol: requests become calls, events of a stream become replies.

A dialect is pure: it opens no connection and reads no clock, so each is tested on recorded bytes. The queue knows
no protocol. Rejected: the providers' own clients. They retry, time out and queue by themselves, where a stage needs
one place that does; and their objects cost more processor time than the journal (docs/engines.md has the figures).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from thinkscale.keys import JSON
from thinkscale.records import Finish

Request = TypeVar("Request")
Completion = TypeVar("Completion")
Asked_contra = TypeVar("Asked_contra", contravariant=True)
Made_co = TypeVar("Made_co", covariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One HTTP request, ready to be sent to any endpoint of a pool."""

    path: str
    """Behind the endpoint's base URL, such as `/chat/completions`."""
    body: Mapping[str, JSON]
    prompt_tokens: int
    """Tokens that it makes the server read: exact for token ids, else an estimate from above."""
    max_tokens: int
    """Most tokens that it lets the server write."""


@dataclass(slots=True, kw_only=True)
class Reply:
    """What a server has said so far. It outlives an attempt only where the next one can go on from `ids`."""

    thinking: str = ""
    text: str = ""
    ids: list[int] = field(default_factory=list)
    logprobs: list[float] = field(default_factory=list)
    """Of each of `ids`, where the server said so for all of them; else fewer."""
    finish: Finish | None = None
    """None until the server said why it stopped."""
    stop_id: int | None = None
    prompt_tokens: int | None = None
    """As the server counts them; None where it did not say. Cached ones are included."""
    cached_tokens: int = 0
    """Prompt tokens that the server read from its cache."""
    cache_written_tokens: int = 0
    """Prompt tokens that the server wrote to its cache because it was asked to."""
    completion_tokens: int | None = None
    """As the server counts them, thinking included; None where it did not say."""
    thinking_tokens: int | None = None
    num_pieces: int = 0
    """Events that brought text or ids: a lower bound of the tokens written where the server did not count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How a request ended: after how many attempts, at what price, and why it failed where it did."""

    attempts: int
    prompt_tokens: int
    """Over all attempts."""
    completion_tokens: int
    seconds: float = 0.0
    """From the first sending to the end."""
    usd: float
    """Over all attempts; 0 where the model has no price, or the reply came from the cache."""
    error: str | None = None


class Dialect(Protocol[Asked_contra, Made_co]):
    """One protocol. Every method is pure but for `take` and `take_whole`, which fill the reply."""

    def headers(self, key: str | None) -> dict[str, str]:
        """Headers of every call with this API key."""
        ...

    def key_of(self, request: Asked_contra) -> str:
        """The caller's name for the request."""
        ...

    def identity(self, request: Asked_contra) -> JSON:
        """All of the request that decides its reply: what the cache is keyed by, beside model and endpoint."""
        ...

    def call(self, request: Asked_contra, before: Reply, *, stream: bool) -> Call:
        """What to send. `before` holds the ids of earlier attempts to go on from; it is empty in other dialects."""
        ...

    def take(self, reply: Reply, event: Mapping[str, JSON]) -> None:
        """Folds one event of a stream into the reply. Raises Failure."""
        ...

    def take_whole(self, reply: Reply, body: Mapping[str, JSON]) -> None:
        """Folds an unstreamed reply, or a result of a batch, into the reply. Raises Failure."""
        ...

    def check(self, request: Asked_contra, reply: Reply) -> None:
        """Raises Failure where a finished reply lacks its finish or contradicts itself."""
        ...

    def renew(self, reply: Reply) -> Reply:
        """What an attempt leaves to the next: the ids where the protocol can go on from them, else nothing."""
        ...

    def completion(self, request: Asked_contra, reply: Reply, outcome: Outcome) -> Made_co:
        """The completion for the caller; with `outcome.error` one with finish `error`."""
        ...
