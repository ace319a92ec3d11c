"""Overlap of texts by shared word n-grams: the index that decontamination and duplicate removal ask.

The unit is s1's (data/decontaminate_util.py): the lower-cased text cut at white space, n = 8; one shared n-gram is a
hit. s1 never sees texts shorter than n words and lets punctuation break a match; so texts that are the same after
`whole_key` are a hit too, whatever their length.

An n-gram gets its number from a sorted table of pairs of shorter grams, doubling up from single words, so equal numbers
mean equal words: there are no hash collisions to verify, and memory is a few integers per word.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Integers: TypeAlias = NDArray[np.int64]

DEFAULT_N = 8
BATCH_DOCUMENTS = 5_000
NGRAM_OVERLAP, WHOLE_QUESTION = "ngram_overlap", "whole_question"

KEY_PARTS = re.compile(r"[^\W\d_]+|\d+(?:\.\d+)*|[+<=>^]|-+|(?<=[\w)}])[*/](?=[\w({\\])|(?<=\d)!|(?<=\b[a-z])!")
HYPHEN = re.compile(r"(?<=[^\W\d])-+(?=[^\W\d])|-{2,}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A text with an id that is unique among its kind."""

    id: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """The text `id` shares the words `span` with the indexed text `against_id`."""

    id: str
    against_id: str
    reason: str
    span: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GramTables:
    """Numbers for words and, level by level, for pairs of grams; `sizes[k]` is how many numbers level k has."""

    n: int
    vocabulary: dict[str, int]
    shifts: tuple[int, ...]
    sizes: tuple[int, ...]
    pairs: tuple[Integers, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NgramIndex:
    """Indexed documents: `owners[starts[g]:starts[g + 1]]` are the positions of those that hold n-gram g."""

    documents: tuple[Document, ...]
    tables: GramTables
    starts: Integers
    owners: Integers
    by_key: dict[str, list[int]]


def words_of(text: str) -> list[str]:
    """The words that n-grams are made of: lower case, cut at white space, nothing else changed (s1's rule)."""
    return text.lower().split()


def whole_key(text: str) -> str:
    """The text without case, spacing and punctuation. Signs that change a formula stay: `x + 1` is not `x - 1`."""
    key = "".join(KEY_PARTS.findall(text.casefold()))
    return HYPHEN.sub("", key) if "-" in key else key


def build_index(documents: Iterable[Document], n: int = DEFAULT_N) -> NgramIndex:
    """An index of `documents` by their n-grams of words. `n` is at least 1."""
    kept = tuple(documents)
    tables, grams = _number(kept, n)
    owners = np.repeat(np.arange(len(kept), dtype=np.int64), [len(part) for part in grams])
    numbers = np.concatenate([*grams, np.empty(0, np.int64)])
    couples = np.unique(numbers * max(1, len(kept)) + owners)
    numbers, owners = np.divmod(couples, max(1, len(kept)))
    starts = np.searchsorted(numbers, np.arange(tables.sizes[-1] + 1, dtype=np.int64))
    by_key: dict[str, list[int]] = {}
    for position, document in enumerate(kept):
        by_key.setdefault(whole_key(document.text), []).append(position)
    by_key.pop("", None)
    return NgramIndex(documents=kept, tables=tables, starts=starts, owners=owners, by_key=by_key)


def find_hits(index: NgramIndex, documents: Iterable[Document]) -> Iterator[Hit]:
    """All hits of `documents` against the index, one for each pair, in order of the documents, then of the index."""
    remaining = iter(documents)
    while batch := list(islice(remaining, BATCH_DOCUMENTS)):
        overlaps = _overlaps(index, batch)
        for document, positions in zip(batch, overlaps, strict=True):
            same = index.by_key.get(whole_key(document.text), [])
            for position in sorted({*positions, *same}):
                yield _hit(document, index.documents[position], position in same, index.tables.n)


def shared_span(text: str, other: str, n: int = DEFAULT_N) -> str:
    """The longest run of at least n words that both texts have, the first in `text` of equal ones; empty if none."""
    words, places = words_of(text), _places(other, n)
    best = (0, 0)
    runs: dict[int, int] = {}
    for start in range(len(words) - n + 1):
        here = places.get(tuple(words[start : start + n]), ())
        runs = {place: runs.get(place - 1, n - 1) + 1 for place in here}
        for length in runs.values():
            best = max(best, (length, -(start + n - length)))
    return " ".join(words[-best[1] : -best[1] + best[0]])


def distinct_grams(documents: Sequence[Document], n: int) -> tuple[Integers, Integers]:
    """Each document's distinct n-grams as two sorted arrays: position of the document, number of the n-gram."""
    tables, grams = _number(documents, n)
    owners = np.repeat(np.arange(len(documents), dtype=np.int64), [len(part) for part in grams])
    size = tables.sizes[-1]
    positions, numbers = np.divmod(np.unique(owners * size + np.concatenate([*grams, np.empty(0, np.int64)])), size)
    return positions, numbers


@lru_cache(maxsize=2048)
def _places(text: str, n: int) -> dict[tuple[str, ...], list[int]]:
    """Where each n-gram of `text` starts. Many hits are against the same few texts, hence the cache."""
    words = words_of(text)
    places: dict[tuple[str, ...], list[int]] = {}
    for start in range(len(words) - n + 1):
        places.setdefault(tuple(words[start : start + n]), []).append(start)
    return places


def _hit(document: Document, other: Document, same: bool, n: int) -> Hit:
    span = " ".join(words_of(document.text)) if same else shared_span(document.text, other.text, n)
    return Hit(id=document.id, against_id=other.id, reason=WHOLE_QUESTION if same else NGRAM_OVERLAP, span=span)


def _number(documents: Sequence[Document], n: int) -> tuple[GramTables, list[Integers]]:
    """Tables that number all n-grams of `documents`, and the numbers of each document's n-grams in order."""
    if n < 1:
        raise ValueError(f"n-grams of {n} words: n is at least 1")
    vocabulary: dict[str, int] = {}
    words = [
        [vocabulary.setdefault(word, len(vocabulary)) for word in words_of(document.text)] for document in documents
    ]
    numbers = _joined(words)
    width, shifts, sizes, pairs = 1, [], [max(1, len(vocabulary))], []
    while width < n:
        shift = min(width, n - width)
        table, numbers = np.unique(_paired(numbers, shift, sizes[-1]), return_inverse=True)
        width += shift
        shifts.append(shift)
        pairs.append(table)
        sizes.append(max(1, len(table)))
    tables = GramTables(n=n, vocabulary=vocabulary, shifts=tuple(shifts), sizes=tuple(sizes), pairs=tuple(pairs))
    return tables, _split(numbers, [len(part) for part in words], n)


def _look_up(tables: GramTables, documents: Sequence[Document]) -> list[Integers]:
    """The numbers of each document's n-grams by existing tables, -1 for those that the tables do not have."""
    words = [[tables.vocabulary.get(word, -1) for word in words_of(document.text)] for document in documents]
    numbers = _joined(words)
    for shift, size, table in zip(tables.shifts, tables.sizes, tables.pairs, strict=False):
        paired = _paired(numbers, shift, size)
        paired[(numbers[: len(paired)] < 0) | (numbers[shift:] < 0)] = -1
        places = np.minimum(np.searchsorted(table, paired), len(table) - 1)
        numbers = np.where(table[places] == paired, places, -1) if len(table) else np.full(len(paired), -1)
    return _split(numbers, [len(part) for part in words], tables.n)


def _joined(words: Sequence[Sequence[int]]) -> Integers:
    return np.fromiter((word for part in words for word in part), dtype=np.int64)


def _paired(numbers: Integers, shift: int, size: int) -> Integers:
    """One number for each pair (numbers[i], numbers[i + shift]); `size` is above all of `numbers`."""
    return numbers[: max(0, len(numbers) - shift)] * size + numbers[shift:]


def _split(numbers: Integers, num_words: Sequence[int], n: int) -> list[Integers]:
    """The n-grams of each document out of those of all joined: the ones that cross an end are left out."""
    parts, start = [], 0
    for length in num_words:
        parts.append(numbers[start : start + max(0, length - n + 1)])
        start += length
    return parts


def _overlaps(index: NgramIndex, documents: Sequence[Document]) -> list[list[int]]:
    """For each document the positions of the indexed ones with which it shares an n-gram."""
    grams = _look_up(index.tables, documents)
    askers = np.repeat(np.arange(len(documents), dtype=np.int64), [len(part) for part in grams])
    numbers = np.concatenate([*grams, np.empty(0, np.int64)])
    askers, numbers = askers[numbers >= 0], numbers[numbers >= 0]
    counts = index.starts[numbers + 1] - index.starts[numbers]
    firsts = np.repeat(index.starts[numbers] - np.cumsum(counts) + counts, counts)
    owners = index.owners[firsts + np.arange(len(firsts), dtype=np.int64)]
    size = max(1, len(index.documents))
    found: list[list[int]] = [[] for _ in documents]
    for couple in np.unique(np.repeat(askers, counts) * size + owners).tolist():
        found[couple // size].append(couple % size)
    return found
