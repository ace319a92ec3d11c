"""Whether one text is a small edit of another, for many pairs of texts at once: the comparison of crowds.py.

Texts are given by their *runs* of COVER_WORDS words, as numbers (ngrams.py). A word is covered where it stands in a run
that the other text of the pair has too. Two texts are small edits of each other where

- at least MIN_COVERED of the words of the shorter text, and half of the longer one's, are covered;
- no more than MAX_EDIT_WORDS words in a row are not covered, but for what the longer one alone says before or after: a
  question in a long wrapping is no edit of another one.

A thousand pairs take some 15 milliseconds. Rejected: one pair at a time with Python's sets, which takes ten times as
long and a hundred bytes of memory for each word of a text that is compared with others.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.ngrams import gram_hashes
from thinkscale.curation.units import Hashes, Integers, scrambled
from thinkscale.curation.words import Tokens

COVER_WORDS = 3
MIN_COVERED, MIN_COVERED_LONGER = 0.75, 0.5
MAX_EDIT_WORDS = 6


def runs_of(found: Tokens) -> Tokens:
    """The runs of each text, in order: one fewer for each word of a run but the first than the text has words."""
    _, hashes = gram_hashes(found, COVER_WORDS)
    counts = np.maximum(found.lengths - COVER_WORDS + 1, 0)
    return Tokens(np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]), hashes)


def chosen_rows(found: Tokens, chosen: Integers) -> Tokens:
    """The words of some texts."""
    lengths = found.lengths[chosen]
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    places = np.arange(offsets[-1]) + np.repeat(found.offsets[:-1][chosen] - offsets[:-1], lengths)
    return Tokens(offsets, found.hashes[places])


def edit_shares(ones: Tokens, others: Tokens) -> NDArray[np.float64]:
    """For each pair of texts the share of the shorter one's words that both have, 0 where they are no small edit.

    Both are what `runs_of` gives, with as many texts.
    """
    found = np.zeros(ones.num_rows)
    if not len(found):
        return found
    mine = _Cover.of(ones, others)
    likely = np.flatnonzero(mine.shares >= MIN_COVERED_LONGER)
    if not len(likely):
        return found
    mine = mine.chosen(likely)
    theirs = _Cover.of(chosen_rows(others, likely), chosen_rows(ones, likely))
    swapped = ones.lengths[likely] > others.lengths[likely]
    shorter, longer = mine.exchanged(theirs, swapped), theirs.exchanged(mine, swapped)
    alone_before = np.where(shorter.before > 0, longer.before, 0)
    alone_after = np.where(shorter.after > 0, longer.after, 0)
    edits = np.max([shorter.before, shorter.inner, shorter.after, alone_before, longer.inner, alone_after], axis=0)
    near = (shorter.shares >= MIN_COVERED) & (longer.shares >= MIN_COVERED_LONGER) & (edits <= MAX_EDIT_WORDS)
    found[likely] = np.where(near, shorter.shares, 0)
    return found


@dataclass(frozen=True, slots=True)
class _Cover:
    """Of each text the share of covered words; how many words in a row are not, before the first covered one, at most
    between two, and after the last. Where none is covered, `before` and `after` are all words."""

    shares: NDArray[np.float64]
    before: Integers
    inner: Integers
    after: Integers

    @classmethod
    def of(cls, texts: Tokens, others: Tokens) -> "_Cover":
        """How each text is covered by the other text of its pair."""
        num_words = texts.lengths + COVER_WORDS - 1
        marks = np.cumsum(num_words + 1) - num_words - 1  # before the words of each text lies a mark
        covered = np.zeros(int(num_words.sum()) + len(marks) + 1, np.bool_)
        places = np.repeat(marks + 1 - texts.offsets[:-1], texts.lengths) + np.arange(len(texts.hashes))
        places = places[_there(texts, others)]
        for shift in range(COVER_WORDS):
            covered[places + shift] = True
        shares = np.add.reduceat(covered, marks, dtype=np.int64) / num_words
        covered[marks] = covered[-1] = True
        stops = np.flatnonzero(covered)
        gaps = np.diff(stops) - 1
        firsts = np.searchsorted(stops, marks)
        lasts = np.append(firsts[1:], len(gaps)) - 1
        before, after = gaps[firsts], gaps[lasts]
        gaps[firsts] = gaps[lasts] = 0
        return cls(shares, before, np.maximum.reduceat(gaps, firsts), after)

    def chosen(self, places: Integers) -> "_Cover":
        return _Cover(self.shares[places], self.before[places], self.inner[places], self.after[places])

    def exchanged(self, other: "_Cover", where: NDArray[np.bool_]) -> "_Cover":
        """This cover, but the other one of the same pair `where` it says so."""
        return _Cover(
            np.where(where, other.shares, self.shares),
            np.where(where, other.before, self.before),
            np.where(where, other.inner, self.inner),
            np.where(where, other.after, self.after),
        )


def _there(texts: Tokens, others: Tokens) -> NDArray[np.bool_]:
    """Which runs the other text of the pair has."""
    known, asked = np.sort(_of_pairs(others)), _of_pairs(texts)
    if not len(known):
        return np.zeros(len(asked), np.bool_)
    places = np.searchsorted(known, asked)
    found: NDArray[np.bool_] = known[np.minimum(places, len(known) - 1)] == asked
    return found


def _of_pairs(texts: Tokens) -> Hashes:
    """Runs with the number of their pair mixed in: equal for equal runs of one pair alone."""
    numbers = scrambled(np.arange(1, texts.num_rows + 1, dtype=np.uint64))
    return texts.hashes ^ np.repeat(numbers, texts.lengths)
