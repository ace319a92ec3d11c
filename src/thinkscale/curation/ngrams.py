"""N-grams of words as numbers: every one with its place, or the distinct ones of each row.

The number of an n-gram is a polynomial of the numbers of its words modulo 2^64, mixed, so equal words give equal
numbers in every process and on every platform, and different words give different ones but for one chance in 2^60
at most: among a billion distinct n-grams that is less than one wrong match. Rejected: numbers by a sorted table of all
pairs of grams (no collisions at all), which must hold the whole pool at once; and shingles of characters, of which a
text has five times as many.
"""

from dataclasses import dataclass

import numpy as np

from thinkscale.curation.units import MULTIPLIER, Hashes, Integers, scrambled
from thinkscale.curation.words import Tokens

DEFAULT_N = 8
"""s1's length (data/decontaminate_util.py), also that of most published decontaminations of reasoning data."""


@dataclass(frozen=True, slots=True)
class Grams:
    """N-grams of rows: `hashes[k]` is one of row `rows[k]`, and rows ascend."""

    rows: Integers
    hashes: Hashes


def gram_hashes(found: Tokens, n: int) -> tuple[Integers, Hashes]:
    """Every n-gram in order: the place of its first word in `found.hashes`, and its number.

    None reaches from one row into the next. Raises ValueError where `n` is below 1.
    """
    if n < 1:
        raise ValueError(f"n-grams of {n} words: n is at least 1")
    counts = np.maximum(found.lengths - n + 1, 0)
    firsts = np.cumsum(counts) - counts
    places = np.repeat(found.offsets[:-1] - firsts, counts) + np.arange(counts.sum())
    return places, scrambled(_summed(found.hashes, n)[places])


def _summed(hashes: Hashes, n: int) -> Hashes:
    """At each place the sum of the next n numbers, each times a power of MULTIPLIER, doubling up by the bits of n."""
    total, width = np.zeros(len(hashes) + 1, np.uint64), 0
    part, power = hashes, 1
    while True:
        if n & power:
            size = max(0, min(len(total), len(part) - width))
            total = total[:size] * np.uint64(pow(int(MULTIPLIER), power, 1 << 64)) + part[width : width + size]
            width += power
        if width == n:
            return total
        size = max(0, len(part) - power)
        part = part[:size] * np.uint64(pow(int(MULTIPLIER), power, 1 << 64)) + part[power : power + size]
        power *= 2


@dataclass(frozen=True, slots=True)
class EveryGram:
    """Every n-gram of rows in order: `hashes[k]` is of row `rows[k]` and begins at word `places[k]` of all words."""

    rows: Integers
    places: Integers
    hashes: Hashes
    again: Integers
    """Positions of those that their row had before, ascending."""
    num_grams: Integers
    """Distinct ones of each row."""

    @property
    def distinct(self) -> Grams:
        """The distinct n-grams of each row, in the order of their first places."""
        if not len(self.again):
            return Grams(self.rows, self.hashes)
        first = np.ones(len(self.rows), np.bool_)
        first[self.again] = False
        return Grams(self.rows[first], self.hashes[first])


def every_gram(found: Tokens, n: int = DEFAULT_N) -> EveryGram:
    """The n-grams of texts given as words. Raises ValueError where `n` is below 1."""
    places, hashes = gram_hashes(found, n)
    counts = np.maximum(found.lengths - n + 1, 0)
    rows = np.repeat(np.arange(found.num_rows, dtype=np.int64), counts)
    again = repeated(rows, hashes, found.num_rows)
    return EveryGram(rows, places, hashes, again, counts - np.bincount(rows[again], minlength=found.num_rows))


def grams(found: Tokens, n: int = DEFAULT_N) -> Grams:
    """The distinct n-grams of each row, in the order of their first places."""
    return every_gram(found, n).distinct


def repeated(rows: Integers, hashes: Hashes, num_rows: int) -> Integers:
    """Positions of n-grams that their row had before.

    Rows that may have one show in one sort of row and leading bits together; only those are looked at in full.
    """
    bits = 64 - max(1, num_rows).bit_length()
    packed = np.sort((rows.astype(np.uint64) << np.uint64(bits)) | (hashes >> np.uint64(64 - bits)))
    suspects = np.zeros(num_rows, np.bool_)
    suspects[(packed[1:][packed[1:] == packed[:-1]] >> np.uint64(bits)).astype(np.int64)] = True
    looked = np.flatnonzero(suspects[rows])
    order = looked[np.lexsort((looked, hashes[looked], rows[looked]))]
    same = (rows[order][1:] == rows[order][:-1]) & (hashes[order][1:] == hashes[order][:-1])
    return np.sort(order[1:][same])
