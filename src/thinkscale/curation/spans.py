"""The words that show what two texts share: a run that both have, for many pairs of texts at once.

Texts are compared by their words at white space, in lower case, as numbers (`words.spaced_words`). Where two texts
begin or end alike is told for all pairs at once; only the longest run within is sought pair by pair, in texts with a
character for each word, which Python compares some ten times as fast as lists.
"""

from collections.abc import Iterator, Sequence

import numpy as np

from thinkscale.curation.units import Hashes, Integers, changes, grouped
from thinkscale.curation.words import Tokens, spaced_words

MOST_WORDS, WORDS_AT_ONCE = 250_000, 500_000
"""Of a text that are looked at, and of pairs that are looked at together: with one pair more they all differ at most as
much as Unicode has characters."""
SURE_WORDS = 8
"""A common beginning or end of so many words is evidence enough; the longest run of all takes ten times as long."""
SURROGATES = 0xD800, 0x800
"""The first of the numbers that are no characters, and how many they are."""


def common_runs(texts: Sequence[str], firsts: Integers, seconds: Integers) -> list[slice]:
    """For each pair, given as places in `texts`, a run of words that both have, as a part of the first: their common
    beginning or end, whichever is longer, where it has at least SURE_WORDS words; else the longest run of at least two,
    the earliest of equals."""
    found = spaced_words(texts)
    lengths = np.minimum(found.lengths, MOST_WORDS)
    totals = np.cumsum(lengths[firsts] + lengths[seconds])
    cuts = np.searchsorted(totals, np.arange(WORDS_AT_ONCE, totals[-1] if len(totals) else 0, WORDS_AT_ONCE))
    runs: list[slice] = []
    for one, other in zip(np.split(firsts, cuts), np.split(seconds, cuts), strict=True):
        runs += _runs(found, lengths, one, other)
    return runs


def _runs(found: Tokens, lengths: Integers, firsts: Integers, seconds: Integers) -> list[slice]:
    starts, ends = found.offsets[:-1], found.offsets[:-1] + lengths - 1
    most = np.minimum(lengths[firsts], lengths[seconds])
    ahead = _alike(found.hashes, starts[firsts], starts[seconds], most, 1)
    behind = _alike(found.hashes, ends[firsts], ends[seconds], most, -1)
    begins = ahead >= behind
    start = np.where(begins, 0, lengths[firsts] - behind)
    runs = list(map(slice, start.tolist(), np.where(begins, ahead, lengths[firsts]).tolist()))
    unsure = np.flatnonzero(np.maximum(ahead, behind) < SURE_WORDS)
    rows = np.stack([firsts[unsure], seconds[unsure]], axis=1).ravel()
    texts = _lettered(found.hashes, starts[rows], lengths[rows])
    for place, one, other in zip(unsure.tolist(), texts, texts, strict=True):
        runs[place] = longest_run(one, other)
    return runs


def _alike(words: Hashes, one: Integers, other: Integers, most: Integers, step: int) -> Integers:
    """How many words are the same from two places on, stepping ahead or back, of at most so many."""
    pairs = np.repeat(np.arange(len(most)), most)
    places = np.arange(len(pairs)) - np.repeat(np.cumsum(most) - most, most)
    differ = np.flatnonzero(words[one[pairs] + step * places] != words[other[pairs] + step * places])
    firsts = differ[changes(pairs[differ])]
    alike = most.copy()
    alike[pairs[firsts]] = places[firsts]
    return alike


def _lettered(words: Hashes, starts: Integers, lengths: Integers) -> Iterator[str]:
    """Texts with a character for each of their words, the same for the same word."""
    ends = np.cumsum(lengths)
    numbers, _ = grouped(words[np.repeat(starts - ends + lengths, lengths) + np.arange(lengths.sum())])
    first, many = SURROGATES
    numbers += many * (numbers >= first)
    letters = numbers.astype("<u4").tobytes().decode("utf-32-le")
    return (letters[end - length : end] for end, length in zip(ends.tolist(), lengths.tolist(), strict=True))


def longest_run(first: str, second: str) -> slice:
    """The longest run of at least two characters that both have, as a part of the first: the earliest of equals."""
    start, stop, wanted = 0, 0, 2
    for place in range(len(first) - 1):
        while first[place : place + wanted] in second and place + wanted <= len(first):
            start, stop, wanted = place, place + wanted, wanted + 1
    return slice(start, stop)
