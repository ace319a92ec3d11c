"""Crowds: more near copies of one text than rows in which an n-gram still counts as evidence.

`duplicates.py` leaves n-grams of more than 100 rows out of the count, since they are phrases. Of more than 100 near
copies of one text nothing is left to count then, although each is nearly the same as every other. So rows of which many
n-grams are so common are compared once more: not with each other, but with the *first* of each crowd that is known, the
least edited rows first, so that a first row is as near to all as any. A row joins the crowd of a first row where

- both have the same answer (none is an answer too): rows with other answers are other questions in one wrapping;
- one is a small edit of the other (edits.py);
- at least MIN_CROWD rows join in all: a few short questions with one answer in one wrapping are no crowd.

So two members of a crowd differ by two small edits, and crowds do not chain. The work is bounded: a row is compared
with MAX_TRIED first rows, found by the n-grams that they share (first_rows.py). So is the memory: first rows have a
limit, rows come in parts, and of a row that joined 14 bytes are given back, which `stages/crowd_rows.py` puts on the
disk.

Rows are decided in their order, but compared in blocks with the first rows that were known before the block. That
stands where a row shares nothing with a first row of its own block, and is done again where it does.

Rejected: all pairs of a crowd (their number grows by the square), one key for each row from its common n-grams (an edit
in another place makes another key), MinHash bands (they miss by chance), and one row at a time (a third as fast).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.edits import chosen_rows, edit_shares, runs_of
from thinkscale.curation.first_rows import FirstRows
from thinkscale.curation.ngrams import DEFAULT_N, grams
from thinkscale.curation.units import Hashes, Integers, changes, scrambled
from thinkscale.curation.words import Tokens

Counts: TypeAlias = NDArray[np.uint32]

CROWDED = 0.3
"""The part of a row's n-grams that too many rows have, from which on it is compared as one of a crowd."""
LEVELS = 16
NO_LEVEL = 255
"""Of a row that is not compared."""
MIN_CROWD = 20
MAX_TRIED = 5
LEAST_ROWS, MOST_ROWS = 32, 1024
"""Rows in a block: few while many of them become first rows."""
MOST_LISTED = 1_000_000
"""First rows that a block is shown under all its n-grams."""


@dataclass(frozen=True, slots=True)
class Members:
    """Rows that joined a crowd, each with the first row of it, and the share of the shorter one's words in both."""

    firsts: Integers
    rows: Integers
    share: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows of one part that joined: with the number of a first row, whose crowd may turn out too small."""

    numbers: NDArray[np.uint16]
    rows: NDArray[np.uint32]
    share: NDArray[np.float64]


def edit_levels(common: Integers | Counts, num_grams: Integers | Counts, min_grams: int) -> NDArray[np.uint8]:
    """How much each row is edited, in LEVELS steps, and NO_LEVEL where it cannot be of a crowd.

    `common` of the `num_grams` distinct n-grams of each row are in too many rows to count. How much a row is edited is
    told by the part that is not.
    """
    levels = np.full(len(common), NO_LEVEL, np.uint8)
    rows = np.flatnonzero((num_grams >= min_grams) & (common >= CROWDED * num_grams))
    every = num_grams[rows].astype(np.int64)
    levels[rows] = LEVELS * (every - common[rows]) // every
    return levels


def crowded(common: Integers, num_grams: Integers, min_grams: int) -> Integers:
    """Rows that may be of a crowd, in the order in which they are compared: the least edited ones first, by row."""
    levels = edit_levels(common, num_grams, min_grams)
    rows = np.flatnonzero(levels != NO_LEVEL)
    return rows[np.argsort(levels[rows], kind="stable")]


def members(found: Tokens, rows: Integers, answers: Hashes, n: int = DEFAULT_N) -> Members:
    """The crowds of a pool: its words, the rows that `crowded` gives, and the answers of these."""
    crowds = Crowds(n)
    return crowds.members_among(crowds.take(rows, chosen_rows(found, rows), answers))


class Crowds:
    """The crowds of rows that are shown to it, all at once or part by part, in the order of `crowded`."""

    def __init__(self, n: int = DEFAULT_N) -> None:
        self.n = n
        self.firsts = FirstRows()
        self.num_joined = np.zeros(0, np.int64)
        """Of each first row so far."""
        self._rows_at_once = LEAST_ROWS

    def take(self, rows: Integers, found: Tokens, answers: Hashes) -> Joined:
        """The next rows: their numbers in the pool, their words, and their answers as numbers."""
        every = grams(found, self.n)
        keys = every.hashes ^ scrambled(answers)[every.rows]
        bounds = np.searchsorted(every.rows, np.arange(len(rows) + 1))
        texts = runs_of(found)
        numbers, share = np.full(len(rows), -1, np.int64), np.zeros(len(rows))
        low = 0
        while low < len(rows):
            self.firsts.settle()
            high = min(low + self._rows_at_once, len(rows))
            starts, sizes = self.firsts.sizes(keys[bounds[low] : bounds[high]])
            listed = np.concatenate([[0], np.cumsum(sizes)])[bounds[low : high + 1] - bounds[low]]
            high = low + max(1, int(np.searchsorted(listed, MOST_LISTED, side="right")) - 1)
            block = _Block(
                rows[low:high],
                chosen_rows(texts, np.arange(low, high)),
                keys[bounds[low] : bounds[high]],
                bounds[low : high + 1] - bounds[low],
                starts[: bounds[high] - bounds[low]],
                sizes[: bounds[high] - bounds[low]],
            )
            known = len(self.firsts.rows)
            numbers[low:high], share[low:high] = block.joined(self.firsts)
            self._adapt(len(self.firsts.rows) - known, high - low)
            low = high
        joined = np.flatnonzero(numbers >= 0)
        sizes = np.bincount(numbers[joined], minlength=len(self.firsts.rows))
        sizes[: len(self.num_joined)] += self.num_joined
        self.num_joined = sizes
        return Joined(numbers[joined].astype(np.uint16), rows[joined].astype(np.uint32), share[joined])

    def members_among(self, some: Joined) -> Members:
        """Those that joined a crowd that has MIN_CROWD such rows by now, by row."""
        return of_large_crowds(some, np.array(self.firsts.rows, np.int64), self.num_joined)

    def _adapt(self, num_new: int, num_rows: int) -> None:
        if 8 * num_new > num_rows:
            self._rows_at_once = max(LEAST_ROWS, self._rows_at_once // 2)
        elif 16 * num_new <= num_rows:
            self._rows_at_once = min(MOST_ROWS, self._rows_at_once * 2)


def of_large_crowds(some: Joined, firsts: Integers, num_joined: Integers) -> Members:
    """Those whose crowd has MIN_CROWD rows besides its first, by row; `firsts` are the first rows by their numbers."""
    order = np.argsort(some.rows)
    order = order[num_joined[some.numbers[order]] >= MIN_CROWD]
    return Members(firsts[some.numbers[order]], some.rows[order].astype(np.int64), some.share[order])


@dataclass(frozen=True, slots=True)
class _Block:
    """Rows with their runs and keys; of each key where its first rows are listed, and how many they are."""

    rows: Integers
    texts: Tokens
    keys: Hashes
    bounds: Integers
    starts: Integers
    sizes: Integers

    def joined(self, firsts: FirstRows) -> tuple[Integers, NDArray[np.float64]]:
        """For each row the number of the first row that it joins, -1 for none, and the share; adds new first rows."""
        candidates = self._candidates(firsts)
        numbers, share = self._compared(firsts, candidates)
        anew = False
        for place in range(len(self.rows)):
            if numbers[place] >= 0 and not anew:
                continue
            part = slice(self.bounds[place], self.bounds[place + 1])
            keys = self.keys[part].tolist()
            if anew and (waiting := firsts.waiting(keys)):
                numbers[place], share[place] = self._compared_anew(place, waiting, candidates, firsts)
            if numbers[place] < 0 and not firsts.full:
                text = self.texts.hashes[self.texts.offsets[place] : self.texts.offsets[place + 1]]
                firsts.add(int(self.rows[place]), text, keys, self.sizes[part].tolist())
                anew = True
            elif numbers[place] < 0 and not anew:
                break
        return numbers, share

    def _candidates(self, firsts: FirstRows) -> "_Candidates":
        of_keys = np.repeat(np.arange(len(self.rows), dtype=np.int64), np.diff(self.bounds))
        packed = np.repeat(of_keys, self.sizes) << 16 | firsts.listed(self.starts, self.sizes)
        packed = np.sort(packed)
        at = changes(packed) if len(packed) else np.empty(0, np.int64)
        return _Candidates(packed[at] >> 16, packed[at] & 0xFFFF, np.diff(np.append(at, len(packed))))

    def _compared(self, firsts: FirstRows, candidates: "_Candidates") -> tuple[Integers, NDArray[np.float64]]:
        """The same among the settled first rows alone."""
        numbers, share = np.full(len(self.rows), -1, np.int64), np.zeros(len(self.rows))
        best = candidates.best()
        rank = np.arange(len(best.rows)) - np.searchsorted(best.rows, best.rows)
        for tried in (rank == 0, rank > 0):  # most rows that join do so at once
            chosen = np.flatnonzero(tried & (numbers[best.rows] < 0))
            if not len(chosen):
                break
            shares = edit_shares(chosen_rows(self.texts, best.rows[chosen]), firsts.texts(best.numbers[chosen]))
            near = np.flatnonzero(shares)
            near = near[changes(best.rows[chosen[near]])] if len(near) else near
            numbers[best.rows[chosen[near]]] = best.numbers[chosen[near]]
            share[best.rows[chosen[near]]] = shares[near]
        return numbers, share

    def _compared_anew(
        self, place: int, waiting: Sequence[int], candidates: "_Candidates", firsts: FirstRows
    ) -> tuple[int, float]:
        """The same for one row that shares n-grams with first rows of its own block."""
        low, high = np.searchsorted(candidates.rows, [place, place + 1])
        settled = zip(candidates.numbers[low:high].tolist(), candidates.counts[low:high].tolist(), strict=True)
        counts = Counter(dict(settled))
        counts.update(waiting)
        best = sorted(counts, key=lambda number: (-counts[number], number))[:MAX_TRIED]
        text = chosen_rows(self.texts, np.full(len(best), place))
        shares = edit_shares(text, firsts.texts(np.array(best)))
        near = np.flatnonzero(shares)
        return (best[near[0]], float(shares[near[0]])) if len(near) else (-1, 0.0)


@dataclass(frozen=True, slots=True)
class _Candidates:
    """Rows of a block and numbers of first rows with which they share `counts` n-grams."""

    rows: Integers
    numbers: Integers
    counts: Integers

    def best(self) -> "_Candidates":
        """Those that are tried, by row: the MAX_TRIED with which a row shares most, the first of equals."""
        order = np.lexsort((self.numbers, -self.counts, self.rows))
        rows = self.rows[order]
        order = order[np.arange(len(rows)) - np.searchsorted(rows, rows) < MAX_TRIED]
        return _Candidates(self.rows[order], self.numbers[order], self.counts[order])
