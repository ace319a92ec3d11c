"""Near-duplicates of a pool of any size, in bounded memory: the edges of curation/duplicates, bit for bit.

    rows -> (n-gram, row), (whole text, row)   one share of rows at a time, spilled in order of the hashes
         -> copies                             one range of whole texts at a time
         -> (pair of rows, count)              one range of n-grams at a time, spilled in order of the pairs
         -> edges                              one range of pairs at a time, ascending

What an n-gram says of a pair is added up, and addition does not care how the n-grams were shared out, so the edges do
not depend on the number of shares, ranges, workers, or on where they work. What is held for the whole pool is 9 bytes
for each row: its n-grams, those of them that do not count, and whether it is a copy.

Each process stays within a number of MiB, from which the sizes of shares and ranges follow (Limits). A range is chosen
after its n-grams have been counted; within it pairs are made so many at a time.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinkscale.cluster import HERE, Backend, Partition, connected, map_partitions
from thinkscale.cluster.spill import BUCKETS, KeyRange, SpillRoom
from thinkscale.curation.crowds import edit_levels
from thinkscale.curation.duplicates import MAX_ROWS_OF_A_GRAM, MIN_GRAMS, Shared, edges_of, first_copies, shared_grams
from thinkscale.curation.edges import MIN_SHARE, Edges
from thinkscale.curation.ngrams import DEFAULT_N, EveryGram, every_gram
from thinkscale.curation.words import DEFAULT, Hashes, Integers, tokens, whole_keys
from thinkscale.errors import ConfigError
from thinkscale.stages.rooms import MAX_ROWS, Rooms, spilling
from thinkscale.stages.shares import Share, shares, texts_of
from thinkscale.store.atomic import writing

Rows: TypeAlias = NDArray[np.uint32]

BASE_MIB = 200
"""A process before it has read a text: Python, numpy, polars, pyarrow."""
LEAST_MIB, DEFAULT_MIB = 256, 1024
BYTES_A_CHARACTER, BYTES_A_GRAM, BYTES_A_PAIR = 30, 120, 160
"""Measured peaks of the three maps, with room: for a character of text, an n-gram of a range, a pair at a time."""
BYTES_AN_EDGE = 8_192
"""Of two texts with their words."""
SAME = np.uint32(0xFFFFFFFF)
"""Stands for a count where a pair is copies of the same words."""
BYTES_A_ROW = 9
"""Of every row, in the process that asks, while pairs are counted."""
LEAST_LEFT = 0.25
"""The part of the room for work that is left, however much is held."""
ROWS_AT_ONCE = 1 << 20
WORTH_SHARING = 100_000
"""Fewer pairs of a key and a row are not cut for the sake of several processes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What is compared, and by which rule."""

    column: str = "question"
    rule: str = DEFAULT
    n: int = DEFAULT_N
    min_share: float = MIN_SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """How much a process holds at once. It decides how fast and how much memory, never what comes out."""

    memory_mib: int
    share_bytes: int
    """Of text in a share of rows."""
    range_grams: int
    range_pairs: int
    pairs_at_once: int
    edges_at_once: int = 1 << 40
    """Edges whose texts are held."""

    @classmethod
    def within(cls, memory_mib: int) -> "Limits":
        """What `memory_mib` for each process allow. Raises ConfigError where that is too little for any work."""
        if memory_mib < LEAST_MIB:
            raise ConfigError(f"memory_mib {memory_mib}: a process needs at least {LEAST_MIB}")
        room = (memory_mib - BASE_MIB) << 20
        return cls(
            memory_mib=memory_mib,
            share_bytes=room // BYTES_A_CHARACTER,
            range_grams=room // BYTES_A_GRAM,
            range_pairs=room // BYTES_A_GRAM,
            pairs_at_once=room // BYTES_A_PAIR // 2,
            edges_at_once=room // BYTES_AN_EDGE,
        )

    def beside(self, num_bytes: int) -> "Limits":
        """What is left where the process that asks, which works too, holds so many bytes all the time."""
        left = max(LEAST_LEFT, 1 - num_bytes / (BYTES_A_GRAM * self.range_grams))
        return replace(
            self,
            range_grams=max(1, int(left * self.range_grams)),
            range_pairs=max(1, int(left * self.range_pairs)),
            pairs_at_once=max(1, int(left * self.pairs_at_once)),
        )


def near_duplicates(
    paths: Sequence[Path],
    scratch: Path,
    comparison: Comparison | None = None,
    limits: Limits | None = None,
    where: Backend = HERE,
) -> Iterator[Edges]:
    """The edges between all rows of Parquet files, ascending, in parts that each fit into memory.

    Spill files lie in a folder of their own in `scratch` (about 12 bytes for each n-gram, and for each pair of rows
    that share one), which is removed at the end. On several nodes `scratch` and `paths` must be the same for all.
    """
    comparison, limits = comparison or Comparison(), limits or Limits.within(DEFAULT_MIB)
    with connected(where) as here, spilling(scratch) as rooms:
        partitions = shares(paths, [comparison.column], limits.share_bytes)
        work = partial(spill_rows, rooms, comparison)
        counts = list(map_partitions(work, partitions, here, limits.memory_mib))
        yield from spilled_edges(rooms, counts, comparison, limits, here)


def spilled_edges(
    rooms: Rooms, counts: Sequence[Path], comparison: Comparison, limits: Limits, where: Backend
) -> Iterator[Edges]:
    """The edges, when all shares have been spilled and `counts` is what `spill_words` returned for each."""
    pairs = spilled_pairs(rooms, counts, limits, where)
    yield from map_partitions(partial(edges_in, pairs.rooms, comparison), pairs.ranges, where, limits.memory_mib)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs of rows that share an n-gram, spilled. `rooms.levels` says which rows may be of a crowd."""

    rooms: Rooms
    ranges: list[Partition[KeyRange]]


def spilled_pairs(rooms: Rooms, counts: Sequence[Path], limits: Limits, where: Backend) -> Pairs:
    """Spills the pairs of rows that share an n-gram."""
    num_grams = np.concatenate([np.empty(0, np.uint32), *map(np.load, counts)])
    if len(num_grams) >= MAX_ROWS:
        raise ConfigError(f"{len(num_grams)} rows: at most {MAX_ROWS - 1} can be compared with each other")
    rooms = replace(rooms, num_rows=len(num_grams))
    limits = limits.beside(BYTES_A_ROW * len(num_grams))
    _find_copies(rooms, limits, where)
    ranges = _ranges(rooms.grams, limits.range_grams, where)
    common = np.zeros(len(num_grams), np.uint32)
    for rows, numbers in map_partitions(partial(spill_pairs, rooms, limits), ranges, where, limits.memory_mib):
        common[rows] += numbers
    _save(rooms.levels, _levels(common, num_grams))
    num_grams -= common
    _save(rooms.num_grams, num_grams)
    return Pairs(rooms, _ranges(rooms.pairs, limits.range_pairs, where))


def _levels(common: Rows, num_grams: Rows) -> NDArray[np.uint8]:
    """Of all rows, some of them at a time: what is compared is wider than what is held."""
    levels = np.empty(len(common), np.uint8)
    for start in range(0, len(common), ROWS_AT_ONCE):
        some = slice(start, start + ROWS_AT_ONCE)
        levels[some] = edit_levels(common[some], num_grams[some], MIN_GRAMS)
    return levels


def whole(parts: Iterator[Edges]) -> Edges:
    """All parts as one."""
    every = list(parts)
    return Edges(
        np.concatenate([np.empty(0, np.int64), *(part.a for part in every)]),
        np.concatenate([np.empty(0, np.int64), *(part.b for part in every)]),
        np.concatenate([np.empty(0, np.float64), *(part.share for part in every)]),
        np.concatenate([np.empty(0, np.bool_), *(part.same for part in every)]),
    )


def spill_rows(rooms: Rooms, comparison: Comparison, share: Share) -> Path:
    """`spill_words` of the texts of a share."""
    found = tokens(texts_of(share, comparison.column), comparison.rule)
    return spill_words(rooms, share, whole_keys(found), every_gram(found, comparison.n))


def spill_words(rooms: Rooms, share: Share, keys: Hashes, every: EveryGram) -> Path:
    """Spills the whole texts, given as keys, and the n-grams of a share; returns the file with each row's number."""
    name = f"rows-{share.first_row:010d}"
    rows = np.arange(share.first_row, share.first_row + share.num_rows, dtype=np.uint32)
    order = np.argsort(keys, kind="stable")
    order = order[keys[order] > 0]
    rooms.keys.write(name, keys[order], rows[order])
    once = every.distinct
    order = np.argsort(once.hashes)
    rooms.grams.write(name, once.hashes[order], rows[once.rows[order]])
    path = rooms.folder / f"num_grams-{share.first_row:010d}.npy"
    _save(path, every.num_grams.astype(np.uint32))
    return path


def copies_in(rooms: Rooms, part: KeyRange) -> tuple[Rows, Rows]:
    """Rows of a range of whole texts that have an earlier row's words, with the first such row of each."""
    keys, rows = rooms.keys.read(part)
    order = np.argsort(rows)
    rows = rows[order]
    firsts = rows[first_copies(keys[order])]
    again = firsts != rows
    return firsts[again], rows[again]


def spill_pairs(rooms: Rooms, limits: Limits, part: KeyRange) -> tuple[Rows, Rows]:
    """Spills the pairs of rows that share an n-gram of a range, with counts.

    Returns rows, and how many of their n-grams in this range do not count because too many rows have them.
    """
    hashes, rows = rooms.grams.read(part)
    original = ~np.load(rooms.copies, mmap_mode="r")[rows]
    order = np.argsort(hashes[original])
    hashes, rows = hashes[original][order], rows[original][order]
    starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)])
    sizes = np.diff(np.append(starts, len(hashes)))
    common, counts = np.unique(rows[np.repeat(sizes > MAX_ROWS_OF_A_GRAM, sizes)], return_counts=True)
    several = np.flatnonzero((sizes > 1) & (sizes <= MAX_ROWS_OF_A_GRAM))
    most = limits.pairs_at_once
    totals = np.cumsum(sizes[several] * (sizes[several] - 1) // 2)
    cuts = np.searchsorted(totals, np.arange(most, totals[-1] if len(totals) else 0, most))
    for number, groups in enumerate(np.split(several, cuts)):
        members = _members(starts[groups], sizes[groups])
        known, local = np.unique(rows[members], return_inverse=True)
        shared = shared_grams(hashes[members], local.astype(np.int64), len(known))
        pairs = known[shared.a].astype(np.uint64) << np.uint64(32) | known[shared.b]
        rooms.pairs.write(f"grams-{part.first:04d}-{number:06d}", pairs, shared.counts.astype(np.uint32))
    return common, counts.astype(np.uint32)


def edges_in(rooms: Rooms, comparison: Comparison, part: KeyRange) -> Edges:
    """The edges of a range of pairs, ascending."""
    pairs, counts = rooms.pairs.read(part)
    order = np.argsort(pairs)
    pairs, counts = pairs[order], counts[order]
    starts = np.flatnonzero(np.concatenate([[True], pairs[1:] != pairs[:-1]])[: len(pairs)])
    pairs = pairs[starts]
    same = counts[starts] == SAME
    sums = np.add.reduceat(counts, starts, dtype=np.int64)
    a, b = (pairs >> np.uint64(32)).astype(np.int64), (pairs & np.uint64(0xFFFFFFFF)).astype(np.int64)
    known, local = np.unique(np.concatenate([a[~same], b[~same]]), return_inverse=True)
    num_grams = np.load(rooms.num_grams, mmap_mode="r")[known].astype(np.int64)
    left, right = np.split(local.astype(np.int64), 2)
    near = edges_of(Shared(left, right, sums[~same], num_grams), np.empty(0, np.int64), comparison.min_share)
    copies = np.flatnonzero(same)
    a, b = np.concatenate([known[near.a], a[copies]]), np.concatenate([known[near.b], b[copies]])
    order = np.lexsort((b, a))
    share = np.concatenate([near.share, np.ones(len(copies))])
    return Edges(a[order], b[order], share[order], (np.arange(len(a)) >= len(near.a))[order])


def _find_copies(rooms: Rooms, limits: Limits, where: Backend) -> None:
    """Notes which rows are copies, and spills each as a pair with its first row."""
    copies = np.zeros(rooms.num_rows, np.bool_)
    ranges = _ranges(rooms.keys, limits.range_grams, where)
    for number, (firsts, rows) in enumerate(map_partitions(partial(copies_in, rooms), ranges, where)):
        copies[rows] = True
        pairs = np.sort(firsts.astype(np.uint64) << np.uint64(32) | rows)
        rooms.pairs.write(f"copies-{number:06d}", pairs, np.full(len(pairs), SAME))
    _save(rooms.copies, copies)


def _ranges(room: SpillRoom, most: int, where: Backend) -> list[Partition[KeyRange]]:
    """The ranges of a room, of at most so many pairs each; where there is work for all processes, one for each."""
    return [
        Partition(f"{room.folder.name} {part.first} to {part.end - 1} of {BUCKETS}", part)
        for part in room.ranges(most, where.workers, WORTH_SHARING)
    ]


def _members(starts: Integers, sizes: Integers) -> Integers:
    """The positions of all members of groups."""
    return np.repeat(starts - np.cumsum(sizes) + sizes, sizes) + np.arange(sizes.sum())


def _save(path: Path, array: NDArray[np.generic]) -> None:
    with writing(path):
        np.save(path, array)
