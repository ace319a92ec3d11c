"""Near-duplicates within one set of texts: pairs of rows that share much, and from them which rows to keep.

Two rows repeat each other where their words are the same, or where they share a stated part of the n-grams of the
smaller one. The pairs (`edges`) are found once; `kept` then decides at any threshold and any order of preference
without a text: rows are taken best first, and a row is kept unless it repeats a row that was kept before. So a dropped
row always repeats the very row that it names, and chains do not grow.

Left out of the count are n-grams that more than 100 different rows have: they are phrases ("where m and n are
relatively prime positive integers"), not evidence. A row with fewer than 5 n-grams left is compared as a whole only. By
counts alone more than 100 near copies of one text, each a little different, look like different questions in one long
wrapping; which of the two they are is told in another way (crowds.py).

The count of shared n-grams is a sum over n-grams, so it is worked out for any part of them (`shared_grams`) and can be
added up: what needs more memory than there is goes by ranges of the hash (stages/near_duplicates.py). Rejected: MinHash
bands, which miss pairs by chance, and connected clusters, in which a chain of small changes joins unlike rows.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np

from thinkscale.curation.crowds import crowded
from thinkscale.curation.edges import MIN_SHARE, Edges
from thinkscale.curation.ngrams import DEFAULT_N, grams
from thinkscale.curation.units import Hashes, Integers, changes
from thinkscale.curation.words import Tokens, whole_keys

DEFAULT_THRESHOLD = 0.5
MAX_ROWS_OF_A_GRAM = 100
MIN_GRAMS = 5
PAIRS_AT_ONCE = 4_000_000
HALF = np.uint64(32)


@dataclass(frozen=True, slots=True)
class Shared:
    """How many n-grams rows `a[k]` < `b[k]` share, pairs ascending; and how many n-grams each row has that count."""

    a: Integers
    b: Integers
    counts: Integers
    num_grams: Integers


@dataclass(frozen=True, slots=True)
class Repeat:
    """A row that is dropped, the kept row that it repeats, and the share of n-grams of the smaller one."""

    row: int
    kept: int
    share: float
    same: bool


def edges(found: Tokens, n: int = DEFAULT_N, min_share: float = MIN_SHARE) -> Edges:
    """The pairs of rows that share at least `min_share`, and those with the same words."""
    firsts = first_copies(whole_keys(found))
    every = grams(found, n)
    originals = firsts[every.rows] == every.rows
    return edges_of(shared_grams(every.hashes[originals], every.rows[originals], found.num_rows), firsts, min_share)


def crowded_rows(found: Tokens, n: int = DEFAULT_N) -> Integers:
    """The rows that may be of a crowd, in the order of `crowds.crowded`. Copies of the same words are left out."""
    firsts = first_copies(whole_keys(found))
    every = grams(found, n)
    originals = firsts[every.rows] == every.rows
    hashes, rows = every.hashes[originals], every.rows[originals]
    order = np.argsort(hashes)
    starts = changes(hashes[order])
    sizes = np.diff(np.append(starts, len(hashes)))
    common = rows[order][np.repeat(sizes > MAX_ROWS_OF_A_GRAM, sizes)]
    count = partial(np.bincount, minlength=found.num_rows)
    return crowded(count(common), count(rows), MIN_GRAMS)


def first_copies(keys: Hashes) -> Integers:
    """For each row the first row with the same key; rows with key 0 (no words) are copies of none."""
    order = np.argsort(keys, kind="stable")
    starts = changes(keys[order])
    firsts = np.empty(len(keys), np.int64)
    firsts[order] = np.repeat(order[starts], np.diff(np.append(starts, len(keys))))
    return np.where(keys == 0, np.arange(len(keys), dtype=np.int64), firsts)


def shared_grams(hashes: Hashes, rows: Integers, num_rows: int) -> Shared:
    """Counts over some n-grams: couples of n-gram and row, none twice, with all rows of each n-gram that is there."""
    order = np.argsort(hashes)
    hashes, rows = hashes[order], rows[order]
    starts = changes(hashes)
    sizes = np.diff(np.append(starts, len(hashes)))
    common = np.repeat(sizes > MAX_ROWS_OF_A_GRAM, sizes)
    num_grams = np.bincount(rows[~common], minlength=num_rows)
    several = (sizes > 1) & (sizes <= MAX_ROWS_OF_A_GRAM)
    packed, counts = _pairs(rows, starts[several], sizes[several])
    return _unpacked(packed, counts, num_grams)


def edges_of(shared: Shared, firsts: Integers, min_share: float = MIN_SHARE) -> Edges:
    """Edges from the counts of shared n-grams and from the copies that `first_copies` found."""
    smaller = np.minimum(shared.num_grams[shared.a], shared.num_grams[shared.b])
    share = shared.counts / np.maximum(smaller, 1)
    near = (share >= min_share) & (smaller >= MIN_GRAMS)
    copies = np.flatnonzero(firsts != np.arange(len(firsts)))
    a = np.concatenate([shared.a[near], firsts[copies]])
    b = np.concatenate([shared.b[near], copies])
    order = np.lexsort((b, a))
    whole = np.concatenate([np.zeros(near.sum(), np.bool_), np.ones(len(copies), np.bool_)])
    return Edges(a[order], b[order], np.concatenate([share[near], np.ones(len(copies))])[order], whole[order])


def kept(found: Edges, order: Iterable[int], threshold: float = DEFAULT_THRESHOLD) -> list[Repeat]:
    """The rows of `order` (row numbers, best first) that repeat one that is kept, in that order; the others are kept.

    Of several kept rows it names the one that holds most of it, the best of equals. Raises ValueError where the
    threshold is no share that the edges can tell.
    """
    if not MIN_SHARE <= threshold <= 1:
        raise ValueError(f"threshold {threshold}: a share of n-grams, at least {MIN_SHARE} and at most 1")
    copies: dict[int, int] = dict(zip(found.b[found.same].tolist(), found.a[found.same].tolist(), strict=True))
    original = {copy: copies.get(first, first) for copy, first in copies.items()}
    near = ~found.same & (found.share >= threshold)
    neighbours: dict[int, list[tuple[int, float]]] = {}
    for a, b, share in zip(found.a[near].tolist(), found.b[near].tolist(), found.share[near].tolist(), strict=True):
        one, other = original.get(a, a), original.get(b, b)
        neighbours.setdefault(one, []).append((other, share))
        neighbours.setdefault(other, []).append((one, share))
    places: dict[int, tuple[int, int]] = {}
    verdicts: dict[int, Repeat] = {}
    repeats = []
    for place, row in enumerate(order):
        text = original.get(row, row)
        if text in verdicts:
            earlier = verdicts[text]
            repeats.append(Repeat(row, earlier.kept, earlier.share, earlier.same))
        elif text in places:
            repeats.append(Repeat(row, places[text][1], 1.0, True))
        else:
            best = max(
                (
                    (share, -places[other][0], places[other][1])
                    for other, share in neighbours.get(text, ())
                    if other in places
                ),
                default=None,
            )
            if best is None:
                places[text] = (place, row)
            else:
                verdicts[text] = Repeat(row, best[2], best[0], False)
                repeats.append(verdicts[text])
    return repeats


def _pairs(rows: Integers, starts: Integers, sizes: Integers) -> tuple[Hashes, Integers]:
    """All pairs of rows within groups that begin at `starts`, packed and counted, some millions at a time."""
    totals = np.cumsum(sizes * (sizes - 1) // 2)
    cuts = np.searchsorted(totals, np.arange(PAIRS_AT_ONCE, totals[-1] if len(totals) else 0, PAIRS_AT_ONCE))
    parts = [
        _counted(_pairs_of_groups(rows, some, widths))
        for some, widths in zip(np.split(starts, cuts), np.split(sizes, cuts), strict=True)
    ]
    if len(parts) == 1:
        return parts[0]
    return _counted(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def _pairs_of_groups(rows: Integers, starts: Integers, sizes: Integers) -> Hashes:
    members = np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())
    later = np.repeat(starts + sizes, sizes) - members - 1
    left = np.repeat(members, later)
    right = left + 1 + np.arange(len(left)) - np.repeat(np.cumsum(later) - later, later)
    return _packed(np.minimum(rows[left], rows[right]), np.maximum(rows[left], rows[right]))


def _packed(a: Integers, b: Integers) -> Hashes:
    return (a.astype(np.uint64) << HALF) | b.astype(np.uint64)


def _unpacked(packed: Hashes, counts: Integers, num_grams: Integers) -> Shared:
    low = np.uint64((1 << 32) - 1)
    return Shared((packed >> HALF).astype(np.int64), (packed & low).astype(np.int64), counts, num_grams)


def _counted(packed: Hashes, counts: Integers | None = None) -> tuple[Hashes, Integers]:
    """Distinct numbers, ascending, with how often each is there, or with the sum of its counts."""
    if counts is None:
        packed = np.sort(packed)
    else:
        order = np.argsort(packed)
        packed, counts = packed[order], counts[order]
    starts = changes(packed)
    if counts is None:
        return packed[starts], np.diff(np.append(starts, len(packed)))
    return packed[starts], np.add.reduceat(counts, starts) if len(starts) else counts
