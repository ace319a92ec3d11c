"""Near-duplicates within one set of texts: which rows to keep, and for each dropped row the kept one that it repeats.

Two rows are duplicates where their `whole_key` is the same, or where they share at least `threshold` of the n-grams of
the smaller one. Rows are taken in the order given, which is the order of preference: a row is kept unless it repeats a
row that was kept before. So a dropped row always repeats the very row that it names, and chains do not grow.

Left out of the count are n-grams that more than 100 different rows have: they are phrases ("where m and n are
relatively prime positive integers"), not evidence. A row with fewer than 5 n-grams left is compared by `whole_key`
only.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from thinkscale.curation.ngrams import (
    DEFAULT_N,
    NGRAM_OVERLAP,
    WHOLE_QUESTION,
    Document,
    distinct_grams,
    shared_span,
    whole_key,
    words_of,
)

DEFAULT_THRESHOLD = 0.5
MAX_ROWS_OF_A_GRAM = 100
MIN_GRAMS = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Duplicate:
    """A dropped row, the kept row that it repeats, the share of n-grams, and the longest run of words in both."""

    id: str
    kept_id: str
    reason: str
    containment: float
    span: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A kept row and the rows dropped for it."""

    kept_id: str
    dropped: tuple[Duplicate, ...]


def duplicates(
    documents: Iterable[Document], n: int = DEFAULT_N, threshold: float = DEFAULT_THRESHOLD
) -> list[Cluster]:
    """Clusters of two rows or more, in the order of their kept rows; `threshold` is a share above 0, up to 1.

    75,000 questions take seconds and about a gigabyte.
    """
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold {threshold}: a share of n-grams is above 0 and at most 1")
    rows = tuple(documents)
    keys = [whole_key(row.text) for row in rows]
    first = {key: position for position, key in reversed(list(enumerate(keys))) if key}
    distinct = [position for position, key in enumerate(keys) if key and first[key] == position]
    repeats = _repeats([rows[position] for position in distinct], n, threshold)
    kept_of = {distinct[row]: (distinct[kept], share) for row, (kept, share) in repeats.items()}
    dropped: dict[int, list[Duplicate]] = {}
    for position, key in enumerate(keys):
        original = first.get(key, position)
        kept, share = kept_of.get(original, (original, 1.0))
        if kept != position:
            dropped.setdefault(kept, []).append(_duplicate(rows[position], rows[kept], kept == original, share, n))
    return [Cluster(kept_id=rows[kept].id, dropped=tuple(dropped[kept])) for kept in sorted(dropped)]


def _duplicate(row: Document, kept: Document, same: bool, share: float, n: int) -> Duplicate:
    span = " ".join(words_of(row.text)) if same else shared_span(row.text, kept.text, n)
    reason = WHOLE_QUESTION if same else NGRAM_OVERLAP
    return Duplicate(id=row.id, kept_id=kept.id, reason=reason, containment=share, span=span)


def _repeats(rows: list[Document], n: int, threshold: float) -> dict[int, tuple[int, float]]:
    """For each row to drop: the kept row that holds most of it (the earliest of equals), and the share."""
    sets, num_grams = _telling_grams(rows, n)
    holders: dict[int, list[int]] = {}
    repeats: dict[int, tuple[int, float]] = {}
    for position, grams in enumerate(sets):
        if num_grams[position] < MIN_GRAMS:
            continue
        shared = Counter[int]()
        for gram in grams:
            shared.update(holders.get(gram, ()))
        best = max(
            ((count / min(num_grams[position], num_grams[kept]), -kept) for kept, count in shared.items()),
            default=(0.0, 0),
        )
        if best[0] >= threshold:
            repeats[position] = (-best[1], best[0])
            continue
        for gram in grams:
            holders.setdefault(gram, []).append(position)
    return repeats


def _telling_grams(rows: list[Document], n: int) -> tuple[list[list[int]], list[int]]:
    """For each row the n-grams that 2 to 100 rows have, and the number of its n-grams that at most 100 rows have."""
    positions, numbers = distinct_grams(rows, n)
    rows_of_gram = np.bincount(numbers)[numbers] if len(numbers) else numbers
    telling = rows_of_gram <= MAX_ROWS_OF_A_GRAM
    num_grams = np.bincount(positions[telling], minlength=len(rows))
    shared = telling & (rows_of_gram > 1)
    ends = np.searchsorted(positions[shared], np.arange(1, len(rows)))
    return [part.tolist() for part in np.split(numbers[shared], ends)], num_grams.tolist()
