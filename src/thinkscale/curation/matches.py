"""Which n-grams of a pool are in some benchmark, and what they amount to for each pair of a row and an item.

The index holds the n-grams of the benchmarks; the pool streams by it. Most n-grams of a pool are in no benchmark, so a
table of the leading bits turns them away before the search. An n-gram's every place is kept, so that the longest run of
words that two texts share comes out of sorting, without looking at a text again.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.ngrams import EveryGram, every_gram
from thinkscale.curation.units import Hashes, Integers, changes, distinct
from thinkscale.curation.words import Tokens

FILTER_BITS = 22


@dataclass(frozen=True, slots=True)
class Index:
    """Items by n-gram: `items[starts[g]:starts[g + 1]]` hold n-gram `hashes[g]`, at the words `places`."""

    n: int
    num_items: int
    hashes: Hashes
    starts: Integers
    items: Integers
    places: Integers
    num_grams: Integers
    """Distinct n-grams of each item."""
    leading: NDArray[np.bool_]
    """Whether any n-gram has these leading bits."""


@dataclass(frozen=True, slots=True)
class Places:
    """Places of rows where an n-gram of the index stands: row, number of the first word in it, number of the n-gram."""

    rows: Integers
    places: Integers
    grams: Integers

    def where(self, chosen: NDArray[np.bool_]) -> "Places":
        """Those that are chosen."""
        return Places(self.rows[chosen], self.places[chosen], self.grams[chosen])


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of a row and an item, ascending: distinct n-grams in both, the longest run of words and where it starts."""

    rows: Integers
    items: Integers
    shared: Integers
    span_starts: Integers
    span_words: Integers

    def where(self, chosen: NDArray[np.bool_]) -> "Pairs":
        """Those that are chosen."""
        return Pairs(
            self.rows[chosen],
            self.items[chosen],
            self.shared[chosen],
            self.span_starts[chosen],
            self.span_words[chosen],
        )


def index_of(found: Tokens, n: int) -> Index:
    """The index of items given as words."""
    every = every_gram(found, n)
    order = np.argsort(every.hashes, kind="stable")
    ordered, items = every.hashes[order], every.rows[order]
    firsts = changes(ordered)
    leading = np.zeros(1 << FILTER_BITS, np.bool_)
    leading[(ordered >> np.uint64(64 - FILTER_BITS)).astype(np.int64)] = True
    return Index(
        n=n,
        num_items=found.num_rows,
        hashes=ordered[firsts],
        starts=np.append(firsts, len(ordered)),
        items=items,
        places=every.places[order] - found.offsets[items],
        num_grams=every.num_grams,
        leading=leading,
    )


def places_of(index: Index, found: Tokens, every: EveryGram) -> Places:
    """The places in rows where n-grams of the index stand; `every` is all n-grams of the rows."""
    which, numbers = known(index, every.hashes)
    rows = every.rows[which]
    return Places(rows, every.places[which] - found.offsets[rows], numbers)


def known(index: Index, hashes: Hashes) -> tuple[Integers, Integers]:
    """Which of `hashes` the index has, and the numbers of these."""
    likely = np.flatnonzero(index.leading[(hashes >> np.uint64(64 - FILTER_BITS)).astype(np.int64)])
    numbers = np.searchsorted(index.hashes, hashes[likely])
    there = numbers < len(index.hashes)
    there[there] = index.hashes[numbers[there]] == hashes[likely[there]]
    return likely[there], numbers[there]


def rows_of_grams(found: Places, num_rows: int, chosen: NDArray[np.bool_]) -> Integers:
    """How many distinct n-grams of those chosen each row has."""
    size = len(chosen)
    rows, grams = np.divmod(distinct(found.rows * size + found.grams), max(1, size))
    return np.bincount(rows[chosen[grams]], minlength=num_rows)


def couples(index: Index, found: Places) -> tuple[Integers, Integers, Integers]:
    """Each row, item, and n-gram that both have, once, ascending."""
    size = max(1, len(index.hashes))
    rows, grams = np.divmod(distinct(found.rows * size + found.grams), size)
    which, entries = _postings(index, grams)
    triples = distinct((rows[which] * index.num_items + index.items[entries]) * size + grams[which])
    pairs, grams = np.divmod(triples, size)
    rows, items = np.divmod(pairs, max(1, index.num_items))
    return rows, items, grams


def pairs_of(index: Index, found: Places) -> Pairs:
    """All pairs of a row and an item that share an n-gram."""
    which, entries = _postings(index, found.grams)
    pairs = found.rows[which] * index.num_items + index.items[entries]
    starts = found.places[which]
    shifts = starts - index.places[entries]
    order = np.lexsort((starts, shifts, pairs))
    pairs, starts, shifts = pairs[order], starts[order], shifts[order]
    firsts = changes(pairs, shifts, starts - np.arange(len(starts)))
    lengths = np.diff(np.append(firsts, len(pairs))) + index.n - 1
    runs = np.lexsort((starts[firsts], -lengths, pairs[firsts]))
    best = runs[changes(pairs[firsts][runs])]
    rows, items, _ = couples(index, found)
    numbers = rows * index.num_items + items
    heads = changes(numbers)
    return Pairs(
        rows=rows[heads],
        items=items[heads],
        shared=np.diff(np.append(heads, len(numbers))),
        span_starts=starts[firsts][best],
        span_words=lengths[best],
    )


def _postings(index: Index, grams: Integers) -> tuple[Integers, Integers]:
    """For each of `grams` all its entries in the index: which of `grams`, and the position of the entry."""
    counts = index.starts[grams + 1] - index.starts[grams]
    which = np.repeat(np.arange(len(grams), dtype=np.int64), counts)
    return which, np.arange(len(which)) + np.repeat(index.starts[grams] - np.cumsum(counts) + counts, counts)
