"""One sequence of the running batch: its tokens, how many of them are cached, and when it is finished."""

import time
from dataclasses import dataclass, field

from thinkscale.engines.tokens import Drafts, TokenCompletion, TokenRequest, load_draft, rounded_logprob
from thinkscale.records import Finish, Usage


@dataclass(frozen=True, slots=True)
class Drawn:
    """A token that a step drew for a row, with its log-probability where the row asks for it."""

    token: int
    logprob: float | None = None


@dataclass(slots=True, eq=False)
class Row:
    """`tokens` are prompt and ids together. The cache holds the first `length`; the next is fed at the next step."""

    request: TokenRequest
    tokens: list[int]
    order: int
    """Rows that came later give way first."""
    length: int = 0
    saved: int = 0
    """How many ids the last draft holds."""
    logprobs: list[float] = field(default_factory=list)
    """Of each id, where the request asks for them."""
    begun: float = field(default_factory=time.monotonic)

    @property
    def ids(self) -> tuple[int, ...]:
        """What was generated."""
        return tuple(self.tokens[len(self.request.prompt) :])

    @property
    def num_ids(self) -> int:
        """How many tokens were generated."""
        return len(self.tokens) - len(self.request.prompt)

    @property
    def missing(self) -> int:
        """Tokens to cache before the one that the next draw follows."""
        return len(self.tokens) - 1 - self.length

    @property
    def is_ending_barred(self) -> bool:
        """Whether the next token may not be one that ends the row."""
        return self.num_ids < self.request.min_tokens

    @property
    def is_full(self) -> bool:
        """Whether the request asks for no more tokens."""
        return self.num_ids >= self.request.sampling.max_tokens


def begin_row(request: TokenRequest, drafts: Drafts, order: int) -> Row:
    """A row behind what was saved of it; ids beyond `max_tokens` are left out."""
    ids, logprobs = load_draft(drafts, request)
    return Row(request, [*request.prompt, *ids], order, saved=len(ids), logprobs=list(logprobs))


def take_token(row: Row, drawn: Drawn) -> TokenCompletion | None:
    """Accounts for a step: one more token is cached, and where that was the last, `drawn` came after it.

    The completion where that ends the row, else None."""
    row.length += 1
    if row.length < len(row.tokens):
        return None
    if drawn.token in row.request.stop_ids:
        return completed(row, Finish.END, stop_id=drawn.token)
    row.tokens.append(drawn.token)
    if drawn.logprob is not None:
        row.logprobs.append(rounded_logprob(drawn.logprob))
    return completed(row, Finish.LENGTH) if row.is_full else None


def completed(row: Row, finish: Finish, stop_id: int | None = None) -> TokenCompletion:
    """The completion of a finished row. Its usage is the same however often the row was interrupted."""
    usage = Usage(prompt_tokens=len(row.request.prompt), completion_tokens=row.num_ids + (stop_id is not None))
    return TokenCompletion(
        request=row.request,
        ids=row.ids,
        finish=finish,
        stop_id=stop_id,
        logprobs=tuple(row.logprobs),
        usage=usage,
        seconds=time.monotonic() - row.begun,
    )


def failed(request: TokenRequest, error: str) -> TokenCompletion:
    """The completion of a request that cannot be met."""
    return TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=error, usage=Usage())


def shared_length(first: list[int], second: list[int]) -> int:
    """How many tokens two sequences share from their beginning."""
    low, high = 0, min(len(first), len(second))
    while low < high:
        middle = (low + high + 1) // 2
        if first[low:middle] == second[low:middle]:
            low = middle
        else:
            high = middle - 1
    return low
