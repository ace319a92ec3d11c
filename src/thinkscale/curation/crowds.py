"""Crowds: more near copies of one text than rows in which an n-gram still counts as evidence.

`duplicates.py` leaves n-grams of more than 100 rows out of the count, since they are phrases. Of more than 100 near
copies of one text nothing is left to count then, although each is nearly the same as every other. So rows of which many
n-grams are so common are compared once more: not with each other, but with the *first* of each crowd that is known, the
least edited rows first, so that a first row is as near to all as any. A row joins the crowd of a first row where

- both have the same answer (none is an answer too): rows with other answers are other questions in one wrapping;
- at least MIN_COVERED of the words of the shorter text, and half of the longer one's, are covered by runs of
  COVER_WORDS words or more that both have;
- no more than MAX_EDIT_WORDS words in a row are not covered, but for what the longer one alone says before or after: a
  question in a long wrapping is no edit of another one;
- at least MIN_CROWD rows join in all: a few short questions with one answer in one wrapping are no crowd.

So two members of a crowd differ by two small edits, and crowds do not chain. The work is bounded: a row is compared
with MAX_TRIED first rows, found by the n-grams that they share, of which each lists MAX_FIRSTS at most, and of first
rows there are MOST_FIRSTS at most, about 10 KB each.

Rejected: all pairs of a crowd (their number grows by the square), one key for each row from its common n-grams (an edit
in another place makes another key), and MinHash bands (they miss by chance).
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.ngrams import DEFAULT_N, gram_hashes
from thinkscale.curation.units import Hashes, Integers
from thinkscale.curation.words import Tokens

CROWDED = 0.3
"""The part of a row's n-grams that too many rows have, from which on it is compared as one of a crowd."""
LEVELS = 16
COVER_WORDS = 3
MIN_COVERED, MIN_COVERED_LONGER = 0.75, 0.5
MAX_EDIT_WORDS = 6
MIN_CROWD = 20
MAX_FIRSTS, MOST_FIRSTS = 100, 10_000
MAX_TRIED = 5


@dataclass(frozen=True, slots=True)
class Members:
    """Rows that joined a crowd, each with the first row of it, and the share of the shorter one's words in both."""

    firsts: Integers
    rows: Integers
    share: NDArray[np.float64]


def crowded(common: Integers, num_grams: Integers, min_grams: int) -> Integers:
    """Rows that may be of a crowd, in the order in which they are compared: the least edited ones first, by row.

    `common` of the `num_grams` distinct n-grams of each row are in too many rows to count. How much a row is edited is
    told by the part that is not, in LEVELS steps.
    """
    rows = np.flatnonzero((num_grams >= min_grams) & (common >= CROWDED * num_grams))
    levels = LEVELS * (num_grams[rows] - common[rows]) // num_grams[rows]
    return rows[np.argsort(levels, kind="stable")]


def members(found: Tokens, rows: Integers, answers: Hashes, n: int = DEFAULT_N) -> Members:
    """The crowds of a pool: its words, the rows that `crowded` gives, and the answers of these."""
    crowds = Crowds(n)
    crowds.take(rows.tolist(), chosen_rows(found, rows), answers.tolist())
    return crowds.members()


def chosen_rows(found: Tokens, chosen: Integers) -> Tokens:
    """The words of some texts."""
    lengths = found.lengths[chosen]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = np.arange(offsets[-1]) + np.repeat(found.offsets[:-1][chosen] - offsets[:-1], lengths)
    return Tokens(offsets, found.hashes[places])


@dataclass(slots=True)
class Crowds:
    """The crowds of rows that are shown to it, all at once or part by part, in the order of `crowded`."""

    n: int = DEFAULT_N
    _firsts: list["_Text"] = field(default_factory=list)
    _listed: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """N-gram and answer to the numbers of first rows that have both."""
    _members: list[tuple[int, int, float]] = field(default_factory=list)

    def take(self, rows: Sequence[int], found: Tokens, answers: Sequence[int]) -> None:
        """The next rows: their numbers in the pool, their words, and their answers as numbers."""
        places, hashes = gram_hashes(found, self.n)
        bounds = np.searchsorted(places, found.offsets).tolist()
        offsets = found.offsets.tolist()
        for place, (row, answer) in enumerate(zip(rows, answers, strict=True)):
            text = _Text.of(row, found.hashes[offsets[place] : offsets[place + 1]])
            grams = set(hashes[bounds[place] : bounds[place + 1]].tolist())
            self._place(text, [(gram, answer) for gram in grams])

    def members(self) -> Members:
        """All that joined a crowd that has MIN_CROWD such rows by now, by row."""
        sizes = Counter(first for first, _, _ in self._members)
        joined = sorted((item for item in self._members if sizes[item[0]] >= MIN_CROWD), key=_row)
        firsts, rows, shares = zip(*joined, strict=True) if joined else ((), (), ())
        return Members(np.array(firsts, np.int64), np.array(rows, np.int64), np.array(shares, np.float64))

    def _place(self, text: "_Text", keys: list[tuple[int, int]]) -> None:
        counts = Counter(chain.from_iterable(self._listed.get(key, ()) for key in keys))
        for number in sorted(counts, key=lambda number: (-counts[number], number))[:MAX_TRIED]:
            share = _near(text, self._firsts[number])
            if share:
                self._members.append((self._firsts[number].row, text.row, share))
                return
        if len(self._firsts) == MOST_FIRSTS:
            return
        for key in keys:
            listed = self._listed.setdefault(key, [])
            if len(listed) < MAX_FIRSTS:
                listed.append(len(self._firsts))
        self._firsts.append(text)


def _row(member: tuple[int, int, float]) -> int:
    return member[1]


@dataclass(frozen=True, slots=True)
class _Text:
    """A row, and its runs of COVER_WORDS words: in order, and as a set."""

    row: int
    num_words: int
    runs: list[int]
    every_run: frozenset[int]

    @classmethod
    def of(cls, row: int, words: Hashes) -> "_Text":
        _, hashes = gram_hashes(Tokens(np.array([0, len(words)], np.int64), words), COVER_WORDS)
        runs = hashes.tolist()
        return cls(row, len(words), runs, frozenset(runs))


def _near(one: _Text, other: _Text) -> float:
    """The share of the shorter text's words that both have, 0 where one is no small edit of the other."""
    shorter, longer = (one, other) if one.num_words <= other.num_words else (other, one)
    covered = _covered(shorter, longer)
    share = float(covered.mean())
    if share < MIN_COVERED or _longest_gap(covered) > MAX_EDIT_WORDS:
        return 0.0
    begins, ends = covered[0], covered[-1]
    covered = _covered(longer, shorter)
    inner = np.flatnonzero(covered)
    compared = covered[inner[0] if begins else 0 : inner[-1] + 1 if ends else None]
    if covered.mean() < MIN_COVERED_LONGER or _longest_gap(compared) > MAX_EDIT_WORDS:
        return 0.0
    return share


def _covered(text: _Text, other: _Text) -> NDArray[np.bool_]:
    """Which words stand in a run of COVER_WORDS that the other text has."""
    there = np.fromiter((run in other.every_run for run in text.runs), np.bool_, len(text.runs))
    covered = np.zeros(text.num_words, np.bool_)
    for shift in range(COVER_WORDS):
        covered[shift : shift + len(there)] |= there
    return covered


def _longest_gap(covered: NDArray[np.bool_]) -> int:
    ends = np.flatnonzero(np.concatenate([[True], covered, [True]]))
    return int(np.diff(ends).max()) - 1
