"""Which rows to keep of a pool with millions of edges: the greedy pass of curation/duplicates, in whole arrays.

`curation.duplicates.kept` takes rows best first, one at a time. Here all rows are decided whose better neighbours are
decided, round by round: a row is dropped where a better neighbour is kept, and kept where all of them are dropped. The
outcome is the same, since a row's fate hangs on better rows alone; rounds are as many as the longest chain of falling
neighbours, in practice a few dozen at most. Columns are named anew in place and are joined one at a time: 7.5 million
rows with 5.4 million edges take 223 MiB and 2.5 seconds.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.edges import MIN_SHARE, Edges
from thinkscale.curation.units import Integers

Narrow: TypeAlias = NDArray[np.int32]
Number = TypeVar("Number", np.int32, np.float64)

NOBODY = np.iinfo(np.int32).max
"""The rank of a text of which no row is left."""
AT_ONCE = 1 << 20
"""Pairs that are worked on at a time: what is worked out of them is wider than what is held."""


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
    firsts, copies, left, right, shares = _taken(parts, threshold)
    there = np.zeros(len(ranks), np.bool_)
    for column in (firsts, copies, left, right):
        there[column] = True
    rows = np.flatnonzero(there).astype(np.int32)
    places = np.cumsum(there, dtype=np.int32)
    places -= 1
    del there
    text = texts(len(rows), places[firsts], places[copies])
    del firsts, copies
    for column in (left, right):
        _renamed(column, places)
        _renamed(column, text)
    del places
    order = _dense(ranks[rows])
    best = _best(text, order)
    end = _ordered(left, right, shares, best)
    keeper, share = _decided(left[:end], right[:end], shares[:end], best)
    del left, right, shares
    found = _repeats(text, order, best, keeper, share)
    return replace(found, rows=rows[found.rows].astype(np.int64), kept=rows[found.kept].astype(np.int64))


def _renamed(column: Narrow, names: Narrow) -> None:
    """Each number becomes its name, in place."""
    for start in range(0, len(column), AT_ONCE):
        column[start : start + AT_ONCE] = names[column[start : start + AT_ONCE]]


def _dense(ranks: NDArray[np.integer]) -> Narrow:
    """The same order, counted from 0; -1 for ranks below 0."""
    asked = np.flatnonzero(ranks >= 0)
    dense = np.full(len(ranks), -1, np.int32)
    dense[asked[np.argsort(ranks[asked])]] = np.arange(len(asked), dtype=np.int32)
    return dense


def _best(text: Narrow, ranks: Narrow) -> Narrow:
    """The lowest rank among the rows that each text stands for."""
    best = np.full(len(ranks), NOBODY, np.int32)
    asked = np.flatnonzero(ranks >= 0)
    np.minimum.at(best, text[asked], ranks[asked])
    return best


def _ordered(left: Narrow, right: Narrow, shares: NDArray[np.float64], best: Narrow) -> int:
    """Puts the better text of each pair to the left, in place, without pairs that decide nothing; how many are left."""
    end = 0
    for start in range(0, len(shares), AT_ONCE):
        one, other, near = (column[start : start + AT_ONCE] for column in (left, right, shares))
        swapped = best[one] > best[other]
        low, high = np.where(swapped, other, one), np.where(swapped, one, other)
        real = (one != other) & (best[high] < NOBODY)
        some = slice(end, end + int(real.sum()))
        left[some], right[some], shares[some] = low[real], high[real], near[real]
        end = some.stop
    return end


def _repeats(text: Narrow, ranks: Narrow, best: Narrow, keeper: Narrow, share: NDArray[np.float64]) -> Repeats:
    """The rows that are not the best of their text, or whose text repeats another one (`keeper`, -1 for none)."""
    asked = np.flatnonzero(ranks >= 0).astype(np.int32)
    row_of_rank = np.empty(len(asked), np.int32)
    row_of_rank[ranks[asked]] = asked
    found = []
    for start in range(0, max(1, len(asked)), AT_ONCE):
        rows = asked[start : start + AT_ONCE]
        mine = text[rows]
        same = keeper[mine] < 0
        kept = row_of_rank[best[np.where(same, mine, keeper[mine])]]
        dropped = kept != rows
        found.append((rows[dropped], kept[dropped], np.where(same, 1.0, share[mine])[dropped], same[dropped]))
    rows, kept, shares, same = (np.concatenate(column) for column in zip(*found, strict=True))
    return Repeats(rows.astype(np.int64), kept.astype(np.int64), shares, same)


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
    return _whole(firsts), _whole(copies), _whole(left), _whole(right), _whole(shares)


def _whole(parts: list[NDArray[Number]]) -> NDArray[Number]:
    """All parts as one; the list is empty then, so that there is one column twice at most."""
    whole = np.concatenate(parts)
    parts.clear()
    return whole


def _decided(
    better: Narrow, worse: Narrow, shares: NDArray[np.float64], best: Narrow
) -> tuple[Narrow, NDArray[np.float64]]:
    """For each text the kept text that it repeats (-1: it is kept itself), and their share."""
    undecided, kept = np.zeros(len(best), np.bool_), np.ones(len(best), np.bool_)
    undecided[worse] = True
    kept[worse] = False
    open_better, open_worse = better, worse
    while len(open_worse):
        undecided[open_worse[kept[open_better]]] = False
        live = undecided[open_worse] & (undecided[open_better] | kept[open_better])
        open_better, open_worse = open_better[live], open_worse[live]
        waiting = np.zeros(len(best), np.bool_)
        waiting[open_worse] = True
        kept[undecided & ~waiting] = True
        undecided &= waiting
    chosen = np.flatnonzero(kept[better] & ~kept[worse]).astype(np.int32)
    most, first = np.zeros(len(best)), np.full(len(best), NOBODY, np.int32)
    np.maximum.at(most, worse[chosen], shares[chosen])
    chosen = chosen[shares[chosen] == most[worse[chosen]]]
    np.minimum.at(first, worse[chosen], best[better[chosen]])
    chosen = chosen[best[better[chosen]] == first[worse[chosen]]]
    keeper = np.full(len(best), -1, np.int32)
    keeper[worse[chosen]] = better[chosen]
    return keeper, most
