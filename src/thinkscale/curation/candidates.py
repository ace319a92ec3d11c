"""The pairs of a pool's row and a benchmark's item that may overlap, gathered part by part of the pool.

What is held between parts is rows that share something telling with an item, not the pool: once an n-gram has shown
that it is boilerplate, rows that share nothing else are let go. The final counts leave out boilerplate by what the
whole pool showed, so parts and their order change nothing.
"""

from collections.abc import Iterator
from copy import copy
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.matches import (
    Index,
    Pairs,
    Places,
    couples,
    index_of,
    known,
    pairs_of,
    places_of,
    rows_of_grams,
)
from thinkscale.curation.ngrams import EveryGram, every_gram, gram_hashes
from thinkscale.curation.notation import SIGNS
from thinkscale.curation.units import Hashes, Integers, changes, distinct
from thinkscale.curation.words import S1, Tokens, token_hash, whole_keys, without

MIN_SHARED = 4
"""N-grams that a pair shares at least, or all that the smaller text has."""
RELATED = 0.75
"""A row that has a smaller part of every item with an n-gram counts against that n-gram."""
UNRELATED_ROWS = 3
BOILERPLATE_ITEMS = 5
"""An n-gram is boilerplate where more unrelated rows, or more different items, have it."""
LONG_SPAN = 40
"""Words of a run that many items may share and that is evidence all the same: the set-up of a series of questions. The
longest run in a labelled pair of different problems is 36."""
SHORT_WORDS = 4
"""Items of fewer words are compared as a whole only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """A row and an item, what they share of what they have, and the longest run of words in both.

    N-grams are distinct ones without boilerplate, or under `long` with that of many items. Under the others words are
    counted: `same`, all are the same; `signs`, n or more are and only signs differ; `inside`, the item has fewer than n
    and the row has them all in a run.
    """

    row: int
    item: int
    same: bool = False
    signs: bool = False
    inside: bool = False
    long: bool = False
    shared: int = 0
    row_grams: int
    item_grams: int
    span_start: int
    span_words: int


@dataclass(frozen=True, slots=True)
class _Part:
    """What is kept of some rows, of which the first is row `first` of the pool.

    `rows` are those that share n-grams with an item, numbered from 0; `places` and `num_grams` are of these alone, and
    `places` number them by their place in `rows`.
    """

    first: int
    rows: Integers
    places: Places
    num_grams: Integers
    others: list[Candidate]


@dataclass(frozen=True, slots=True)
class Gathered:
    """What a search keeps of the rows that it has looked at, without its index of the items."""

    unrelated: Integers
    parts: tuple[_Part, ...]
    num_rows: int


class Search:
    """Items given as words, looked for in rows given as words, under a rule of `words.RULES`."""

    def __init__(self, items: Tokens, rule: str, n: int) -> None:
        self._rule, self._items, self._n = rule, items, n
        self._index = index_of(items, n)
        self._keys = _Keys.of(items)
        self._bare_keys = _Keys.of(_without_signs(items, n))
        self._unrelated = np.zeros(len(self._index.hashes), np.int64)
        self._common = _rows_of_each(self._index, self._keys.hashes) > (
            BOILERPLATE_ITEMS if rule != S1 else len(items.offsets)
        )
        short = np.flatnonzero((items.lengths >= SHORT_WORDS) & (items.lengths < n))
        self._short = short if rule != S1 else short[:0]
        self._openings = index_of(_openings(items, self._short), SHORT_WORDS)
        self._parts: list[_Part] = []
        self._num_rows = 0

    def fresh(self) -> "Search":
        """A search for the same items that has seen nothing; what never changes is shared."""
        made = copy(self)
        made._unrelated = np.zeros_like(self._unrelated)
        made._parts, made._num_rows = [], 0
        return made

    def look(self, rows: Tokens, every: EveryGram | None = None, keys: Hashes | None = None) -> list[int]:
        """Takes the next rows; returns which of them, numbered from 0, may overlap. `every` are their n-grams, `keys`
        their `whole_keys`."""
        every = every or every_gram(rows, self._n)
        places, num_grams = places_of(self._index, rows, every), every.num_grams
        others: list[Candidate] = []
        if self._rule != S1:
            self._unrelated += _unrelated_rows(self._index, places, num_grams)
            others = [*self._same(rows, whole_keys(rows) if keys is None else keys), *self._inside(rows)]
        chosen = np.zeros(rows.num_rows, np.bool_)
        chosen[self._pairs(places, num_grams).rows] = True
        chosen[self._long(places).rows] = True
        near = np.flatnonzero(chosen)
        held = places.where(chosen[places.rows])
        held = replace(held, rows=np.searchsorted(near, held.rows))
        self._parts.append(_Part(self._num_rows, near, held, num_grams[near], others))
        self._num_rows += rows.num_rows
        chosen[[other.row for other in others]] = True
        return np.flatnonzero(chosen).tolist()

    def gathered(self) -> Gathered:
        """For another search for the same items, perhaps in another process, to join."""
        return Gathered(self._unrelated, tuple(self._parts), self._num_rows)

    def join(self, other: Gathered) -> None:
        """Takes rows that another search looked at as if it had looked at them itself, now."""
        self._unrelated = self._unrelated + other.unrelated
        self._parts += [replace(part, first=part.first + self._num_rows) for part in other.parts]
        self._num_rows += other.num_rows

    def candidates(self) -> Iterator[Candidate]:
        """Pairs of all rows that were looked at: first those that share n-grams, part by part, then short ones."""
        index, boilerplate = self._index, self._boilerplate
        of_items = Places(index.items, index.places, np.repeat(np.arange(len(boilerplate)), np.diff(index.starts)))
        item_grams = _telling(index.num_grams, rows_of_grams(of_items, index.num_items, boilerplate))
        for part in self._parts:
            row_grams = _telling(part.num_grams, rows_of_grams(part.places, len(part.num_grams), boilerplate))
            numbers = part.first + part.rows
            pairs = self._pairs(part.places, part.num_grams)
            yield from _candidates(numbers, pairs, row_grams[pairs.rows], item_grams[pairs.items])
            runs = self._long(part.places)
            for pair in _candidates(numbers, runs, part.num_grams[runs.rows], index.num_grams[runs.items]):
                yield replace(pair, long=True)
            yield from (replace(other, row=other.row + part.first) for other in part.others)

    @property
    def _boilerplate(self) -> NDArray[np.bool_]:
        return self._common | (self._unrelated > UNRELATED_ROWS)

    def _long(self, places: Places) -> Pairs:
        """Pairs with a long run of n-grams of which some are of many items, none of many unrelated rows."""
        told = places.where(self._unrelated[places.grams] <= UNRELATED_ROWS)
        pairs = pairs_of(self._index, told.where(np.isin(told.rows, told.rows[self._common[told.grams]])))
        return pairs.where(pairs.span_words >= LONG_SPAN)

    def _pairs(self, places: Places, num_grams: Integers) -> Pairs:
        """Pairs that share enough, by what is known of boilerplate so far: later it can only be fewer."""
        pairs = pairs_of(self._index, places.where(~self._boilerplate[places.grams]))
        if self._rule == S1:
            return pairs
        return pairs.where(
            pairs.shared
            >= np.minimum(MIN_SHARED, np.minimum(num_grams[pairs.rows], self._index.num_grams[pairs.items]))
        )

    def _same(self, rows: Tokens, keys: Hashes) -> Iterator[Candidate]:
        """Rows whose words are all those of an item, or all but signs."""
        bare = _without_signs(rows, self._n)
        for pairs, same in ((self._keys.pairs(keys), True), (self._bare_keys.pairs(whole_keys(bare)), False)):
            for row, item in pairs:
                words = int(rows.lengths[row])
                yield Candidate(
                    row=row, item=item, same=same, signs=not same, shared=int((rows if same else bare).lengths[row]),
                    row_grams=words, item_grams=int(self._items.lengths[item]), span_start=0, span_words=words,
                )  # fmt: skip

    def _inside(self, rows: Tokens) -> Iterator[Candidate]:
        """Rows that have all words of a short item in a run, and more."""
        starts, hashes = gram_hashes(rows, SHORT_WORDS)
        which, numbers = known(self._openings, hashes)
        found = np.searchsorted(rows.offsets, starts[which], side="right") - 1
        for start, row, number in zip(starts[which].tolist(), found.tolist(), numbers.tolist(), strict=True):
            for short in self._openings.items[slice(*self._openings.starts[number : number + 2])].tolist():
                item = int(self._short[short])
                words = int(self._items.lengths[item])
                end = start + words
                if (
                    words < rows.lengths[row]
                    and end <= rows.offsets[row + 1]
                    and _equal(rows.hashes[start:end], self._items, item)
                ):
                    yield Candidate(
                        row=row, item=item, inside=True, shared=words, row_grams=int(rows.lengths[row]),
                        item_grams=words, span_start=start - int(rows.offsets[row]), span_words=words,
                    )  # fmt: skip


def _candidates(numbers: Integers, pairs: Pairs, row_grams: Integers, item_grams: Integers) -> Iterator[Candidate]:
    """`numbers` are those of the rows that `pairs` count from 0."""
    columns = (
        numbers[pairs.rows],
        pairs.items,
        pairs.shared,
        row_grams,
        item_grams,
        pairs.span_starts,
        pairs.span_words,
    )
    for row, item, shared, of_row, of_item, start, words in zip(*(column.tolist() for column in columns), strict=True):
        yield Candidate(
            row=row, item=item, shared=shared, row_grams=of_row, item_grams=of_item, span_start=start, span_words=words
        )


@dataclass(frozen=True, slots=True)
class _Keys:
    """The whole keys of items, and the order that sorts them."""

    hashes: Hashes
    order: Integers

    @classmethod
    def of(cls, items: Tokens) -> "_Keys":
        hashes = whole_keys(items)
        return cls(hashes, np.argsort(hashes, kind="stable"))

    def pairs(self, keys: Hashes) -> Iterator[tuple[int, int]]:
        """Row and item with the same key; texts without words have none. `keys` are those of the rows."""
        ordered = self.hashes[self.order]
        low, high = np.searchsorted(ordered, keys), np.searchsorted(ordered, keys, side="right")
        for row in np.flatnonzero((low < high) & (keys != 0)).tolist():
            yield from ((row, item) for item in self.order[low[row] : high[row]].tolist())


def _without_signs(found: Tokens, n: int) -> Tokens:
    """Texts without signs; those of which fewer than n words are left have none."""
    signs = np.isin(found.hashes, np.array([token_hash(sign) for sign in SIGNS + "-!'"], np.uint64))
    before = np.concatenate([np.zeros(1, np.int64), np.cumsum(signs)])[found.offsets]
    few = found.lengths - np.diff(before) < n
    return without(found, signs | np.repeat(few, found.lengths))


def _equal(words: Hashes, items: Tokens, item: int) -> bool:
    return np.array_equal(words, items.hashes[items.offsets[item] : items.offsets[item + 1]])


def _openings(items: Tokens, chosen: Integers) -> Tokens:
    """The first words of some items."""
    places = items.offsets[:-1][chosen][:, None] + np.arange(SHORT_WORDS)
    return Tokens(np.arange(len(chosen) + 1, dtype=np.int64) * SHORT_WORDS, items.hashes[places.ravel()])


def _telling(num_grams: Integers, boilerplate: Integers) -> Integers:
    """N-grams without boilerplate; at least half of all, so that a few telling ones are never the whole of a text."""
    telling: Integers = np.maximum(num_grams - boilerplate, (num_grams + 1) // 2)
    return telling


def _rows_of_each(index: Index, keys: Hashes) -> Integers:
    """How many different items have each n-gram."""
    texts: Integers = np.unique(keys, return_inverse=True)[1]
    size = len(index.hashes)
    numbers = np.repeat(np.arange(size, dtype=np.int64), np.diff(index.starts))
    return np.bincount(distinct(texts[index.items] * size + numbers) % max(1, size), minlength=size)


def _unrelated_rows(index: Index, places: Places, num_grams: Integers) -> Integers:
    """For each n-gram how many rows have it that have less than RELATED of every item with it."""
    size = len(index.hashes)
    rows, items, grams = couples(index, places)
    pairs = rows * index.num_items + items
    firsts = changes(pairs)
    shared = np.diff(np.append(firsts, len(pairs)))
    share = shared / np.maximum(1, np.minimum(num_grams[rows[firsts]], index.num_grams[items[firsts]]))
    related = np.repeat(share >= RELATED, shared)
    having = distinct(rows * size + grams)
    having_related = distinct((rows * size + grams)[related])
    return np.bincount(having % max(1, size), minlength=size) - np.bincount(
        having_related % max(1, size), minlength=size
    )
