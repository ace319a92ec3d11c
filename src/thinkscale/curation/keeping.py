"""Which rows to keep of a pool with millions of edges: the greedy pass of curation/duplicates, in whole arrays.

`curation.duplicates.kept` takes rows best first, one at a time. Here all rows are decided whose better neighbours are
decided, round by round: a row is dropped where a better neighbour is kept, and kept where all of them are dropped. The
outcome is the same, since a row's fate hangs on better rows alone; rounds are as many as the longest chain of falling
neighbours, in practice a few dozen at most. It takes about 50 bytes for each row and each pair instead of some 300, and
a fifth of the time.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.edges import MIN_SHARE, Edges
from thinkscale.curation.units import Integers

Narrow: TypeAlias = NDArray[np.int32]

NOBODY = np.iinfo(np.int32).max
"""The rank of a text of which no row is left."""


@dataclass(frozen=True, slots=True)
class Repeats:
    """Rows that are dropped, ascending, each with the kept row that it repeats; the fields of `duplicates.Repeat`."""

    rows: Integers
    kept: Integers
    share: NDArray[np.float64]
    same: NDArray[np.bool_]


def repeats(parts: Iterable[Edges], ranks: NDArray[np.integer], threshold: float) -> Repeats:
    """The rows that repeat a kept one. `ranks` of all rows are distinct, lowest best; below 0 a row is not asked about.

    Raises ValueError where the threshold is no share that the edges can tell, and for 2^31 rows or more.
    """
    if len(ranks) > NOBODY:
        raise ValueError(f"{len(ranks)} rows: at most {NOBODY} are decided at once")
    if not MIN_SHARE <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: a share of n-grams, at least {MIN_SHARE} and at most 1")
    *pairs, shares = _taken(parts, threshold)
    rows = np.unique(np.concatenate(pairs))
    for place, column in enumerate(pairs):
        pairs[place] = np.searchsorted(rows, column).astype(np.int32)
    found = _among(pairs, shares, _dense(ranks[rows]))
    return replace(found, rows=rows[found.rows].astype(np.int64), kept=rows[found.kept].astype(np.int64))


def _dense(ranks: NDArray[np.integer]) -> Narrow:
    """The same order, counted from 0; -1 for ranks below 0."""
    asked = np.flatnonzero(ranks >= 0)
    dense = np.full(len(ranks), -1, np.int32)
    dense[asked[np.argsort(ranks[asked])]] = np.arange(len(asked), dtype=np.int32)
    return dense


def _among(pairs: Sequence[Narrow], shares: NDArray[np.float64], ranks: Narrow) -> Repeats:
    """The same among the rows that have an edge, numbered from 0: memory is theirs, not that of all rows."""
    copies_of, copies, left, right = pairs
    text = texts(len(ranks), copies_of, copies)
    left, right = text[left], text[right]
    apart = left != right
    left, right, shares = left[apart], right[apart], shares[apart]
    asked = np.flatnonzero(ranks >= 0).astype(np.int32)
    best = np.full(len(ranks), NOBODY, np.int32)
    np.minimum.at(best, text[asked], ranks[asked])
    row_of_rank = np.empty(len(asked), np.int32)
    row_of_rank[ranks[asked]] = asked
    better, worse = np.where(best[left] < best[right], left, right), np.where(best[left] < best[right], right, left)
    there = best[worse] < NOBODY
    better, worse, shares = better[there], worse[there], shares[there]
    keeper, share = _decided(better, worse, shares, best)
    mine = text[asked]
    same = keeper[mine] < 0
    kept = row_of_rank[best[np.where(same, mine, keeper[mine])]]
    dropped = kept != asked
    rows = asked[dropped].astype(np.int64)
    return Repeats(rows, kept[dropped].astype(np.int64), np.where(same, 1.0, share[mine])[dropped], same[dropped])


def texts(num_rows: int, copies_of: Narrow, copies: Narrow) -> Narrow:
    """The row that stands for each row: the first of its copies, and of that the first of its crowd, if it has any."""
    text = np.arange(num_rows, dtype=np.int32)
    text[copies] = copies_of
    return text[text]


def _taken(parts: Iterable[Edges], threshold: float) -> tuple[Narrow, Narrow, Narrow, Narrow, NDArray[np.float64]]:
    """First rows and their copies, then the near pairs and their shares."""
    firsts, copies, left, right = ([np.empty(0, np.int32)] for _ in range(4))
    shares = [np.empty(0, np.float64)]
    for part in parts:
        near = ~part.same & (part.share >= threshold)
        for column, values in (
            (firsts, part.a[part.same]),
            (copies, part.b[part.same]),
            (left, part.a[near]),
            (right, part.b[near]),
        ):
            column.append(values.astype(np.int32))
        shares.append(part.share[near])
    ends = [np.concatenate(column) for column in (firsts, copies, left, right)]
    return ends[0], ends[1], ends[2], ends[3], np.concatenate(shares)


def _decided(
    better: Narrow, worse: Narrow, shares: NDArray[np.float64], best: Narrow
) -> tuple[Narrow, NDArray[np.float64]]:
    """For each text the kept text that it repeats (-1: it is kept itself), and their share."""
    undecided, kept = np.zeros(len(best), np.bool_), np.ones(len(best), np.bool_)
    undecided[worse] = True
    kept[worse] = False
    open_better, open_worse = better, worse
    while len(open_worse):
        beaten = open_worse[kept[open_better]]
        undecided[beaten] = False
        live = undecided[open_worse] & (undecided[open_better] | kept[open_better])
        open_better, open_worse = open_better[live], open_worse[live]
        waiting = np.zeros(len(best), np.bool_)
        waiting[open_worse] = True
        kept[undecided & ~waiting] = True
        undecided &= waiting
    keeper, share = np.full(len(best), -1, np.int32), np.zeros(len(best))
    chosen = np.flatnonzero(kept[better] & ~kept[worse])
    order = chosen[np.lexsort((best[better[chosen]], -shares[chosen], worse[chosen]))]
    firsts = order[np.concatenate([[True], worse[order][1:] != worse[order][:-1]])[: len(order)]]
    keeper[worse[firsts]] = better[firsts]
    share[worse[firsts]] = shares[firsts]
    return keeper, share
