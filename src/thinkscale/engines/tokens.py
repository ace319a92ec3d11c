"""The seam to token engines: token ids in, token ids out, one queue, nobody waits for the slowest.

An engine takes requests from the left of a queue whenever it has room and yields each completion as soon
as it is finished. The caller may append to the queue between two completions, so a request that follows from
another (a continuation after "Wait", an answer) enters the running batch at once.

Rejected: `generate(list) -> list`, a barrier that makes a batch wait for its longest trace.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from thinkscale.records import Finish, Sampling
from thinkscale.thinking.formats import Tokenizer


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """One continuation. The random number for the token at position p depends on (sampling.seed, p) alone."""

    key: str
    """The caller's name for it; comes back with the completion."""
    prompt: tuple[int, ...]
    sampling: Sampling
    stop_ids: tuple[int, ...]
    follows: str | None = None
    """Key of a finished request that begins alike: an engine may reuse what it computed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCompletion:
    """What came of a request. `ids` are without the stop token; `finish` is end, length or error."""

    request: TokenRequest
    ids: tuple[int, ...]
    finish: Finish
    stop_id: int | None = None
    error: str | None = None


class TokenEngine(Protocol):
    """Generates from token ids."""

    name: str
    """The model's name as it stands in records and keys."""
    tokenizer: Tokenizer
    context_tokens: int
    """The longest sequence that the model was made for, prompt included."""

    def complete(self, queue: deque[TokenRequest]) -> Iterator[TokenCompletion]:
        """Completions in the order in which they finish, until queue and batch are empty."""
        ...
