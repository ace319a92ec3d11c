"""Drawing rows: kept rows first, then one after the other, by the sampler's rules for domain and row.

Rows are ranked by trace length within their domain, longest first, ties by id; a drawn row is taken out, so that ranks
are always among the rows that are left. One seed fixes everything, and the order of the input does not matter.

s1's notebook departs from its paper (arXiv 2501.19393, Algorithm 1): rows that are kept by rule stay in its pool, so
that drawing one does nothing; its generator has no seed, and its domains stand in the order of a set. None of that is
done here. Its benchmark-shaped second phase is there where it is asked for (`LastPhase`).
"""

import random
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from fractions import Fraction
from itertools import accumulate
from math import lcm

from thinkscale.curation.patterns import fits
from thinkscale.curation.sampling.chance import below, halving_rank, power_sums, weighted
from thinkscale.curation.sampling.quotas import quotas
from thinkscale.curation.sampling.samplers import SAMPLERS, Domains, Sampler, Within
from thinkscale.curation.sampling.selection import ALL_REASON, DRAWN_REASON, KEPT_REASON, Candidate, Pick, Selection
from thinkscale.errors import StageError

EVERYWHERE = ""
"""The one group of a sampler that does not look at domains."""


def select(
    candidates: Iterable[Candidate],
    count: int,
    seed: int,
    keep_all: Collection[str] = frozenset(),
    sampler: Sampler = SAMPLERS["s1"],
) -> Selection:
    """`count` rows of `candidates`: all ids in `keep_all`, the rest drawn. Under Within.EVERY all of them.

    Raises StageError where an id comes twice, a kept id is missing, or `count` rows cannot be given. Time O(n log n).
    """
    rows = sorted(candidates, key=lambda row: row.problem_id)
    kept_ids = frozenset(keep_all)
    every = sampler.within is Within.EVERY
    _check(rows, len(rows) if every else count, kept_ids)
    kept = [row for row in rows if row.problem_id in kept_ids]
    picks = [_taken(row, order, KEPT_REASON) for order, row in enumerate(kept)]
    free = [row for row in rows if row.problem_id not in kept_ids]
    if every:
        picks += [_taken(row, order, ALL_REASON) for order, row in enumerate(free, len(kept))]
    else:
        picks += _drawn(_Pool(free, kept, sampler, count - len(kept), random.Random(seed)), len(kept))
    return Selection(picks=tuple(picks), seed=seed)


def _taken(row: Candidate, order: int, reason: str) -> Pick:
    return Pick(problem_id=row.problem_id, domain=row.domain, order=order, reason=reason)


class _Pool:
    """Rows by group, each from the last rank to the first: the likely draws are then cheap to remove."""

    def __init__(
        self, free: list[Candidate], kept: list[Candidate], sampler: Sampler, count: int, generator: random.Random
    ) -> None:
        self.sampler, self.count, self.generator = sampler, count, generator
        self.groups: dict[str, list[Candidate]] = {}
        for row in free:
            self.groups.setdefault(EVERYWHERE if sampler.domains is Domains.IGNORED else row.domain, []).append(row)
        for group in self.groups.values():
            group.sort(key=lambda row: (-row.trace_tokens, row.problem_id))
            group.reverse()
        self.room = {name: len(group) for name, group in self.groups.items()}
        if sampler.domains is Domains.BALANCED:
            self.room = quotas(self.room, Counter(row.domain for row in kept), count, generator)
        self.names = sorted(name for name, room in self.room.items() if room)
        self.last_weights = _last_weights(sampler, [*free, *kept])

    def rank_rule(self) -> Callable[[int], int]:
        """Draws a rank among so many rows."""
        if self.sampler.within is Within.LONGEST:
            return lambda rows: 1
        if self.sampler.within is Within.HALVING:
            return lambda rows: halving_rank(self.generator, rows)
        sums = power_sums(self.sampler.exponent, max(map(len, self.groups.values()), default=0))
        return lambda rows: weighted(self.generator, sums, rows)

    def place(self, rows_missing: int) -> int:
        """Draws a place in `names`."""
        if self.sampler.domains is Domains.IGNORED:
            return 0
        phase = self.sampler.last_phase
        if phase and rows_missing <= phase.count:
            weights = [self.last_weights.get(name, 0) for name in self.names]
            if any(weights):
                return weighted(self.generator, [0, *accumulate(weights)], len(weights)) - 1
        return below(self.generator, len(self.names))


def _drawn(pool: _Pool, first: int) -> Iterable[Pick]:
    rank_of = pool.rank_rule()
    for number in range(pool.count):
        place = pool.place(pool.count - number)
        name = pool.names[place]
        group = pool.groups[name]
        rank = rank_of(len(group))
        row = group[-rank]
        yield Pick(
            problem_id=row.problem_id,
            domain=row.domain,
            order=first + number,
            reason=DRAWN_REASON,
            rank=rank,
            rows_left=len(group),
            domains_left=0 if pool.sampler.domains is Domains.IGNORED else len(pool.names),
        )
        del group[-rank]
        pool.room[name] -= 1
        if not pool.room[name]:
            del pool.names[place]


def _last_weights(sampler: Sampler, rows: list[Candidate]) -> Mapping[str, int]:
    """Whole-number weights of the domains in the last phase. StageError where a source has no candidates."""
    if sampler.last_phase is None:
        return {}
    shares: dict[str, Fraction] = {}
    for source, share in sampler.last_phase.shares.items():
        domains = Counter(row.domain for row in rows if fits(row.source, source))
        if not domains:
            raise StageError(f"select.last_phase: no candidate is of the source {source!r}; there are {_sources(rows)}")
        for domain, number in domains.items():
            shares[domain] = shares.get(domain, Fraction(0)) + share * number / domains.total()
    scale = lcm(*(share.denominator for share in shares.values()))
    return {domain: int(share * scale) for domain, share in shares.items()}


def _sources(rows: list[Candidate]) -> str:
    return ", ".join(sorted({row.source for row in rows})) or "none"


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
