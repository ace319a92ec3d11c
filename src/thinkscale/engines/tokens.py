"""The seam to token engines: token ids in, token ids out, one queue, nobody waits for the slowest.

An engine takes requests from the left of a queue whenever it has room and yields each completion as soon
as it is finished. The caller may append to the queue between two completions, so a request that follows from
another (a continuation after "Wait", an answer) enters the running batch at once.

Rejected: `generate(list) -> list`, a barrier that makes a batch wait for its longest trace.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
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
    min_tokens: int = 0
    """No stop id is drawn among the first so many tokens of this request: it is as if they had probability 0."""
    logprobs: bool = False
    """Whether the log-probability of each token is wanted. It costs, so it is asked for only where it is used."""
    follows: str | None = None
    """Key of a finished request that begins alike: an engine may reuse what it computed there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenCompletion:
    """What came of a request. `ids` are without the stop token; `finish` is end, length or error."""

    request: TokenRequest
    ids: tuple[int, ...]
    finish: Finish
    stop_id: int | None = None
    logprobs: tuple[float, ...] = ()
    """Log-probability (nats) of each of `ids`; empty where nobody asked, or the engine does not say.

    Of the model itself: softmax of the raw logits, before temperature, top_p and `min_tokens`. Multiples of
    LOGPROB_STEP, so that sums are exact, in any order."""
    error: str | None = None
    attempts: int = 1
    """Requests that it took, over every process that worked on it since its last draft."""
    usage: Usage | None = None
    """Tokens read and written over all attempts; None where the engine does not count."""
    seconds: float = field(default=0.0, compare=False)
    """From the first sending (in this process: from entering the batch) to the end; 0 where nobody measured."""
    usd: float = 0.0


LOGPROB_STEP = 2.0**-20
LEAST_LOGPROB = -9999.0
"""vLLM's figure for a probability of zero, which JSON cannot carry as infinity."""


def rounded_logprob(value: float) -> float:
    """The multiple of LOGPROB_STEP (1e-6 nats) that is nearest: coarser than what the shape of a batch moves in
    float64, so a resumed run has the values of an undisturbed one."""
    return round(min(max(value, LEAST_LOGPROB), 0.0) / LOGPROB_STEP) * LOGPROB_STEP


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


def load_draft(drafts: Drafts, request: TokenRequest) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """The ids that were saved of a request, as far as it allows, and their log-probabilities where it asks for them.

    Ids whose log-probability was not saved are left out: they are generated again."""
    ids = drafts.load(request.key)[: request.sampling.max_tokens]
    if not request.logprobs:
        return ids, ()
    steps = drafts.load(_logprobs_key(request))[: len(ids)]
    return ids[: len(steps)], tuple(-step * LOGPROB_STEP for step in steps)


def save_draft(drafts: Drafts, request: TokenRequest, ids: Sequence[int], logprobs: Sequence[float]) -> None:
    """Saves both. The log-probabilities go first: a kill between the two costs the ids that have none."""
    if request.logprobs:
        drafts.save(_logprobs_key(request), [round(-value / LOGPROB_STEP) for value in logprobs])
    drafts.save(request.key, ids)


def _logprobs_key(request: TokenRequest) -> str:
    return f"{request.key}/logprobs"


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
