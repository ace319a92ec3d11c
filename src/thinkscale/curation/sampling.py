"""The sampler of s1 (arXiv 2501.19393, Algorithm 1): uniform over domains, long traces first within a domain.

Kept rows come first. Then, until there are enough: a domain is drawn uniformly among those that have rows left, its
rows are ranked by trace length (longest first, ties by id), a row is drawn with weight 2^-rank, and removed.

s1's notebook departs from its paper, and this follows the paper: there is no second phase with a benchmark-shaped prior
over domains, kept rows are not in the pool, and one seed fixes everything. Rank r is drawn as the number of fair coin
flips up to the first head, drawn again where it exceeds the rows left: 2^-r without floats, the same on every platform.
"""

import random
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from thinkscale.errors import StageError

KEPT_REASON, DRAWN_REASON = "keep_all", "drawn"


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What the sampler needs to know of a row."""

    problem_id: str
    domain: str
    trace_tokens: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Pick:
    """One selected row. `rank` is its place by length among the `rows_left` of its domain when it was drawn, from 1."""

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
        return f"rank {self.rank} of {self.rows_left} by length in {self.domain}, one of {self.domains_left} domains"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The picks in the order in which they were made, exactly as many as asked for."""

    picks: tuple[Pick, ...]
    seed: int


def select(
    candidates: Iterable[Candidate], count: int, seed: int, keep_all: Collection[str] = frozenset()
) -> Selection:
    """`count` rows of `candidates`: all ids in `keep_all`, the rest drawn. The order of the input does not matter.

    Raises StageError where an id comes twice, a kept id is missing, or `count` rows cannot be given. Time O(n log n).
    """
    rows = sorted(candidates, key=lambda row: row.problem_id)
    kept_ids = frozenset(keep_all)
    _check(rows, count, kept_ids)
    picks = [
        Pick(problem_id=row.problem_id, domain=row.domain, order=order, reason=KEPT_REASON)
        for order, row in enumerate(row for row in rows if row.problem_id in kept_ids)
    ]
    pool = _by_domain(row for row in rows if row.problem_id not in kept_ids)
    names = sorted(pool)
    generator = random.Random(seed)
    while len(picks) < count:
        place = generator.randrange(len(names))
        domain = pool[names[place]]
        rank = _rank(generator, len(domain))
        picks.append(
            Pick(
                problem_id=domain[-rank].problem_id,
                domain=names[place],
                order=len(picks),
                reason=DRAWN_REASON,
                rank=rank,
                rows_left=len(domain),
                domains_left=len(names),
            )
        )
        del domain[-rank]
        if not domain:
            del names[place]
    return Selection(picks=tuple(picks), seed=seed)


def _check(rows: list[Candidate], count: int, kept_ids: frozenset[str]) -> None:
    ids = {row.problem_id for row in rows}
    if len(ids) < len(rows):
        raise StageError(f"{len(rows) - len(ids)} of {len(rows)} candidates repeat a problem id; ids must be unique")
    missing = sorted(kept_ids - ids)
    if missing:
        raise StageError(f"{len(missing)} rows to keep are not candidates, for instance {missing[0]}")
    if count < 0 or len(rows) < count:
        raise StageError(f"{count} rows asked for, {len(rows)} candidates; ask for fewer, or collect more")
    if len(kept_ids) > count:
        raise StageError(f"{count} rows asked for, but {len(kept_ids)} are to be kept; ask for more, or keep fewer")


def _by_domain(rows: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Rows of each domain from the last rank to the first: the likely draws are then cheap to remove."""
    pool: dict[str, list[Candidate]] = {}
    for row in rows:
        pool.setdefault(row.domain, []).append(row)
    for domain in pool.values():
        domain.sort(key=lambda row: (-row.trace_tokens, row.problem_id))
        domain.reverse()
    return pool


def _rank(generator: random.Random, rows_left: int) -> int:
    """A rank from 1 to `rows_left`, drawn with probability proportional to 2^-rank."""
    while True:
        rank = 1
        while rank <= rows_left and not generator.getrandbits(1):
            rank += 1
        if rank <= rows_left:
            return rank
