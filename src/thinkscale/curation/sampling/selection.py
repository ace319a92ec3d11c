"""What a sampler is given, and what it gives."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import NamedTuple

KEPT_REASON, DRAWN_REASON, ALL_REASON = "keep_all", "drawn", "all"


class Candidate(NamedTuple):
    """What a sampler needs to know of a row. `source` matters only to a last phase."""

    problem_id: str
    domain: str
    trace_tokens: int
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One selected row. `rank` is its place by length among the `rows_left` of its group when it was drawn, from 1.

    A group is a domain, or all rows where the sampler does not look at domains; then `domains_left` is 0.
    """

    problem_id: str
    domain: str
    order: int
    reason: str
    rank: int = 0
    rows_left: int = 0
    domains_left: int = 0

    @property
    def evidence(self) -> str:
        """The pick in words."""
        if self.reason == KEPT_REASON:
            return "kept by rule before sampling"
        if self.reason == ALL_REASON:
            return "every row that passes the filters is taken"
        if not self.domains_left:
            return f"rank {self.rank} of {self.rows_left} by length, of all domains"
        return f"rank {self.rank} of {self.rows_left} by length in {self.domain}, one of {self.domains_left} domains"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The picks in the order in which they were made."""

    picks: tuple[Pick, ...]
    seed: int


def jaccard(first: Collection[str], second: Collection[str]) -> float:
    """Ids in both, over ids in either; 1 where both are empty."""
    one, other = set(first), set(second)
    return len(one & other) / len(one | other) if one or other else 1.0
