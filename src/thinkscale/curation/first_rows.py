"""The first rows of crowds: their texts, and under each n-gram and answer which of them have both.

What is listed lies in sorted arrays, 11 bytes for each n-gram of a first row. First rows that are new wait in a small
dict until `settle` merges them, since an array cannot be added to cheaply. The texts are arrays of 8 bytes a word.

Rejected: a dict from n-gram and answer to a list, which takes 300 bytes for each n-gram.
"""

from collections.abc import Sequence
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.units import Hashes, Integers
from thinkscale.curation.words import Tokens

MAX_FIRSTS, MOST_FIRSTS = 100, 10_000
"""First rows under one n-gram, and first rows."""
MOST_FIRST_GRAMS = 4_000_000
"""N-grams of all first rows together: ten thousand long texts would not fit into memory."""


class FirstRows:
    """First rows, numbered as they come. A key is an n-gram and an answer."""

    def __init__(self) -> None:
        self.rows: list[int] = []
        self._texts: list[Hashes] = []
        self._keys = np.empty(0, np.uint64)
        """Ascending, once for each first row that is listed under it."""
        self._numbers = np.empty(0, np.uint16)
        self._sizes = np.empty(0, np.uint8)
        """At the first place of a key how many it has."""
        self._waiting: dict[int, list[int]] = {}
        self._num_grams = 0

    @property
    def full(self) -> bool:
        """Whether no more are taken."""
        return len(self.rows) >= MOST_FIRSTS or self._num_grams >= MOST_FIRST_GRAMS

    def sizes(self, keys: Hashes) -> tuple[Integers, Integers]:
        """For each key where its settled first rows begin, and how many there are."""
        if not len(self._keys):
            return np.zeros(len(keys), np.int64), np.zeros(len(keys), np.int64)
        starts = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        return starts, np.where(self._keys[starts] == keys, self._sizes[starts], 0).astype(np.int64)

    def listed(self, starts: Integers, sizes: Integers) -> NDArray[np.uint16]:
        """The numbers of the settled first rows in places that `sizes` gave, one after the other."""
        places = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
        found: NDArray[np.uint16] = self._numbers[places]
        return found

    def waiting(self, keys: Sequence[int]) -> list[int]:
        """The numbers of those under some keys that are not settled, each as often as it has such a key."""
        return list(chain.from_iterable(self._waiting.get(key, ()) for key in keys))

    def texts(self, numbers: Integers) -> Tokens:
        """The texts of some first rows."""
        chosen = [self._texts[number] for number in numbers.tolist()]
        lengths = np.array([len(text) for text in chosen], np.int64)
        return Tokens(np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)]), np.concatenate(chosen))

    def add(self, row: int, text: Hashes, keys: Sequence[int], settled: Sequence[int]) -> None:
        """One more first row; `settled` says how many settled ones each of its keys has."""
        number = len(self.rows)
        self.rows.append(row)
        self._texts.append(text.copy())
        for key, size in zip(keys, settled, strict=True):
            listed = self._waiting.get(key, [])
            if size + len(listed) < MAX_FIRSTS:
                self._waiting[key] = [*listed, number]
                self._num_grams += 1

    def settle(self) -> int:
        """Merges those that wait into the arrays; how many keys they had."""
        if not self._waiting:
            return 0
        sizes = np.array([len(numbers) for numbers in self._waiting.values()], np.int64)
        keys = np.repeat(np.array(list(self._waiting), np.uint64), sizes)
        numbers = np.array(list(chain.from_iterable(self._waiting.values())), np.uint16)
        self._waiting.clear()
        order = np.argsort(keys, kind="stable")
        keys, numbers = keys[order], numbers[order]
        places = np.searchsorted(self._keys, keys, side="right")
        self._numbers = np.insert(self._numbers, places, numbers)
        self._keys = np.insert(self._keys, places, keys)
        starts = np.flatnonzero(np.concatenate([[True], self._keys[1:] != self._keys[:-1]]))
        self._sizes = np.zeros(len(self._keys), np.uint8)
        self._sizes[starts] = np.diff(np.append(starts, len(self._keys)))
        return len(keys)
