"""The rules that are measured, each as one function from texts to hits, and a slow reference of s1's."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from curation_data import PoolRow, letters_key, place
from curation_planting import Item

from thinkscale.curation.duplicates import DEFAULT_THRESHOLD, edges, kept
from thinkscale.curation.overlap import Benchmark, Questions, overlaps
from thinkscale.curation.words import DEFAULT, S1, tokens


class Hit(NamedTuple):
    """The text at place `text` hits the item at place `item`."""

    text: int
    item: int
    reason: str
    share: float
    span: str


Rule = Callable[[Sequence[str], Sequence[Item], Sequence[str | None] | None], list[Hit]]
"""Texts, items, and the answers of the texts where they are known."""


def default(texts: Sequence[str], items: Sequence[Item], answers: Sequence[str | None] | None = None) -> list[Hit]:
    """The rule of decontamination where none is named."""
    return _hits(texts, items, DEFAULT, answers)


def s1(texts: Sequence[str], items: Sequence[Item], answers: Sequence[str | None] | None = None) -> list[Hit]:
    """`--rule s1`."""
    return _hits(texts, items, S1, answers)


def _hits(texts: Sequence[str], items: Sequence[Item], rule: str, answers: Sequence[str | None] | None) -> list[Hit]:
    pool = Questions([str(place) for place in range(len(texts))], texts, answers or [None] * len(texts))
    found = overlaps(pool, _benchmarks(items), rule)
    return [Hit(hit.row, int(hit.against_id), hit.reason, hit.share, hit.span) for hit in found]


def _benchmarks(items: Sequence[Item]) -> list[Benchmark]:
    """The items by benchmark, with their places among all as ids."""
    places: dict[str, list[int]] = {}
    for number, item in enumerate(items):
        places.setdefault(item.benchmark, []).append(number)
    return [
        Benchmark(
            name,
            Questions(
                [str(number) for number in found],
                [items[number].question for number in found],
                [items[number].answer or None for number in found],
            ),
        )
        for name, found in places.items()
    ]


def s1_slowly(texts: Sequence[str], items: Sequence[Item], words: int = 8) -> set[tuple[int, int]]:
    """What `--rule s1` must give, as s1 states it: one shared 8-gram of lower-cased words cut at white space."""
    owners: dict[tuple[str, ...], list[int]] = {}
    for number, item in enumerate(items):
        for gram in _grams(item.question, words):
            owners.setdefault(gram, []).append(number)
    return {
        (row, place) for row, text in enumerate(texts) for gram in _grams(text, words) for place in owners.get(gram, ())
    }


def _grams(text: str, words: int) -> set[tuple[str, ...]]:
    parts = text.lower().split()
    return {tuple(parts[start : start + words]) for start in range(len(parts) - words + 1)}


RULES: dict[str, Rule] = {"default": default, "s1": s1}


def duplicates_of(rows: Sequence[PoolRow], labels: Sequence[Mapping[str, str]]) -> dict[str, Any]:
    """What the greedy pass drops by default, which exact copies it leaves, and what it does to pairs that were read."""
    texts = [row.text for row in rows]
    repeats = kept(edges(tokens(texts)), np.arange(len(texts)), DEFAULT_THRESHOLD)
    dropped = {int(repeat.row) for repeat in repeats}
    firsts: dict[str, int] = {}
    copies = [(firsts.setdefault(key, row), row) for row, key in enumerate(map(letters_key, texts)) if key]
    left = [(first, row) for first, row in copies if first != row and row not in dropped]
    places = {place(row): number for number, row in enumerate(rows)}
    read: dict[str, Counter[str]] = {}
    for label in labels:
        counts = read.setdefault(label["drawn"], Counter())
        counts[f"{label['label']} read"] += 1
        counts[f"{label['label']} with a row dropped"] += not dropped.isdisjoint(
            (places[label["pool"]], places[label["item"]])
        )
    return {
        "repeats": len(repeats),
        "repeats_of_the_whole": sum(bool(repeat.same) for repeat in repeats),
        "copies": sum(first != row for first, row in copies),
        "copies_kept": len(left),
        "copies_kept_with_other_signs": sum(_signs(texts[first]) != _signs(texts[row]) for first, row in left),
        "read": {drawn: dict(counts) for drawn, counts in read.items()},
    }


def _signs(text: str) -> str:
    return re.sub(r"[^-+<>=]", "", text)
