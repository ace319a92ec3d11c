"""The seam to token engines: token ids in, token ids out, one queue, nobody waits for the slowest.

An engine takes requests from the left of a queue whenever it has room and yields each completion as soon
as it is finished. The caller may append to the queue between two completions, so a request that follows from
another (a continuation after "Wait", an answer) enters the running batch at once.

Rejected: `generate(list) -> list`, a barrier that makes a batch wait for its longest trace.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from thinkscale.records import Finish, Sampling, Usage
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
    attempts: int = 1
    """Requests that it took, over every process that worked on it since its last draft."""
    usage: Usage | None = None
    """Tokens read and written over all attempts; None where the engine does not count."""
    seconds: float = 0.0
    """From the first sending to the end; 0 where nobody measured."""
    usd: float = 0.0


class Drafts(Protocol):
    """Where an engine keeps what it has of a long completion: a killed one goes on from its last saved token."""

    def load(self, key: str) -> tuple[int, ...]:
        """The ids that were saved last for this request; empty where none were."""
        ...

    def save(self, key: str, ids: Sequence[int]) -> None:
        """Replaces what is saved. A draft is forgotten when its completion is stored."""
        ...


class NoDrafts:
    """For work that is cheap to do again."""

    def load(self, key: str) -> tuple[int, ...]:
        """Nothing was saved."""
        return ()

    def save(self, key: str, ids: Sequence[int]) -> None:
        """Keeps nothing."""


NO_DRAFTS = NoDrafts()
DRAFT_TOKENS = 512
"""An engine saves a draft each time it has grown by this much: the most that a kill costs of one trace."""


class TokenEngine(Protocol):
    """Generates from token ids."""

    name: str
    """The model's name as it stands in records and keys."""
    tokenizer: Tokenizer
    context_tokens: int
    """The longest sequence that the model was made for, prompt included."""

    def complete(self, queue: deque[TokenRequest], drafts: Drafts = NO_DRAFTS) -> Iterator[TokenCompletion]:
        """Completions in the order in which they finish, until queue and batch are empty.

        A request with a draft goes on behind it: the completion's ids begin with the draft's, and `max_tokens`
        counts them. Drafts may be saved from another thread.
        """
        ...
