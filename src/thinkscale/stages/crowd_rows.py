"""The crowds of a pool of any size (curation/crowds.py), in bounded memory and with one more reading of each share.

    shares     -> words and answers of rows that may be of a crowd    a share at a time, spilled by level
    all levels -> rows that joined                                    in one process, a part at a time, spilled
    rows       -> members of crowds that turned out large enough      a range of rows at a time, ascending

The second step alone goes row by row, since who is a first row hangs on all before it. What it holds is the first rows,
which have a limit (curation/first_rows.py), and one part.

Rejected: to read the rows of each part from their shares, as they are compared: in the order of their edits, so each
part of them reads the whole pool.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from thinkscale.cluster import Backend, Partition, map_partitions
from thinkscale.curation.crowds import LEVELS, MIN_CROWD, NO_LEVEL, Crowds, Joined, Members, of_large_crowds
from thinkscale.curation.likeness import answer_numbers
from thinkscale.curation.units import Integers
from thinkscale.curation.words import Tokens, tokens
from thinkscale.stages.near_duplicates import Limits
from thinkscale.stages.rooms import Rooms
from thinkscale.stages.shares import Share, read
from thinkscale.store.atomic import writing

CANDIDATE = np.dtype([("row", "<u4"), ("level", "u1"), ("num_words", "<u4"), ("answer", "<u8")])
JOINED = np.dtype([("row", "<u4"), ("number", "<u2"), ("share", "<f8")])
ROWS_AT_ONCE, JOINED_AT_ONCE = 8192, 1 << 18
FEW_ROWS = 8192
BUCKET_BITS = 12
"""Members are counted for each so many rows of the pool, and ranges are made of whole such buckets."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What is read of a row, and how it is compared."""

    question: str
    reference: str
    rule: str
    n: int


@dataclass(frozen=True, slots=True)
class Placed:
    """The first rows by their numbers, how many rows joined each, and how many joined in each bucket of rows."""

    firsts: Integers
    num_joined: Integers
    buckets: Integers


@dataclass(frozen=True, slots=True)
class RowRange:
    """Rows `first` to `end` (without it), of which about `num_joined` joined a crowd."""

    first: int
    end: int
    num_joined: int


@dataclass(frozen=True, slots=True)
class Candidates:
    """Shares with rows that may be of a crowd, and how many such rows each has."""

    shares: tuple[Share, ...]
    num_rows: tuple[int, ...]

    @property
    def are_few(self) -> bool:
        """Whether one process may do all work on them."""
        return sum(self.num_rows) <= FEW_ROWS


def candidates(rooms: Rooms, every: Sequence[Share]) -> Candidates:
    """Those among all shares."""
    levels = np.load(rooms.levels, mmap_mode="r")
    numbers = [
        int(np.count_nonzero(levels[share.first_row : share.first_row + share.num_rows] != NO_LEVEL)) for share in every
    ]
    found = [(share, number) for share, number in zip(every, numbers, strict=True) if number]
    return Candidates(tuple(share for share, _ in found), tuple(number for _, number in found))


def few_together(found: Candidates) -> Partition[Candidates]:
    """All of them as the work of one process."""
    return Partition(f"{sum(found.num_rows)} rows that may be of a crowd", found)


def placed_crowds(
    rooms: Rooms, found: Candidates, compared: Compared, limits: Limits, where: Backend
) -> tuple[Placed, list[Partition[RowRange]]]:
    """Finds the crowds; `members_in` gives those of a range."""
    if sum(found.num_rows) <= MIN_CROWD:
        nobody = np.empty(0, np.int64)
        return Placed(nobody, nobody, nobody), []
    shares = [
        Partition(f"{number} rows of {share.path.name} that may be of a crowd", share)
        for share, number in zip(found.shares, found.num_rows, strict=True)
    ]
    for _ in map_partitions(partial(spill_candidates, rooms, compared), shares, where, limits.memory_mib):
        pass
    whole = [Partition(f"{sum(found.num_rows)} rows that may be of a crowd", limits.range_grams // 4)]
    placed = next(iter(map_partitions(partial(place, rooms, compared.n), whole, where, limits.memory_mib)))
    return placed, _ranges(placed, limits.edges_at_once)


def spill_candidates(rooms: Rooms, compared: Compared, share: Share) -> None:
    """Writes words and answers of a share's rows that may be of a crowd, the least edited rows first."""
    levels = np.load(rooms.levels, mmap_mode="r")[share.first_row : share.first_row + share.num_rows]
    rows = np.flatnonzero(levels != NO_LEVEL)
    rows = rows[np.argsort(levels[rows], kind="stable")]
    frame = read(share, [compared.question, compared.reference])[rows]
    found = tokens(frame[compared.question].fill_null("").to_list(), compared.rule)
    noted = np.empty(len(rows), CANDIDATE)
    noted["row"], noted["level"], noted["num_words"] = rows + share.first_row, levels[rows], found.lengths
    noted["answer"] = answer_numbers(frame[compared.reference].fill_null("").to_list())
    name = f"{share.first_row:010d}.npy"
    _save(rooms.crowds / f"words-{name}", found.hashes)
    _save(rooms.crowds / f"rows-{name}", noted)


def place(rooms: Rooms, n: int, words_at_once: int) -> Placed:
    """Decides for all rows which crowd they join, and writes those that join one."""
    crowds = Crowds(n)
    buckets = np.zeros((rooms.num_rows >> BUCKET_BITS) + 1, np.int64)
    waiting: list[NDArray[np.void]] = []
    number = 0

    def flush() -> None:
        nonlocal number
        some = np.concatenate([np.empty(0, JOINED), *waiting])
        if len(some):
            _save(rooms.crowds / f"joined-{number:06d}.npy", some[np.argsort(some["row"])])
        waiting.clear()
        number += 1

    for noted, words in _in_order(rooms.crowds, words_at_once):
        joined = _noted(crowds.take(noted["row"].astype(np.int64), words, noted["answer"]))
        np.add.at(buckets, joined["row"] >> BUCKET_BITS, 1)
        waiting.append(joined)
        if sum(map(len, waiting)) >= JOINED_AT_ONCE:
            flush()
    flush()
    return Placed(np.array(crowds.firsts.rows, np.int64), crowds.num_joined, buckets)


def _noted(joined: Joined) -> NDArray[np.void]:
    noted = np.empty(len(joined.rows), JOINED)
    noted["row"], noted["number"], noted["share"] = joined.rows, joined.numbers, joined.share
    return noted


def _in_order(folder: Path, words_at_once: int) -> Iterator[tuple[NDArray[np.void], Tokens]]:
    """All candidates with their words: level by level, in each by row, in parts."""
    parts: list[tuple[NDArray[np.void], Tokens]] = []
    num_rows = num_words = 0
    for part in _slices(folder, words_at_once):
        more = len(part[1].hashes)
        if parts and (num_words + more > words_at_once or num_rows + len(part[0]) > ROWS_AT_ONCE):
            yield _joined(parts)
            parts, num_rows, num_words = [], 0, 0
        parts.append(part)
        num_rows, num_words = num_rows + len(part[0]), num_words + more
    if parts:
        yield _joined(parts)


def _slices(folder: Path, words_at_once: int) -> Iterator[tuple[NDArray[np.void], Tokens]]:
    """The same in smaller parts: those of one level in one share, or less."""
    files = sorted(folder.glob("rows-*.npy"))
    for level in range(LEVELS + 1):
        for path in files:
            noted = np.load(path, mmap_mode="r")
            low, high = np.searchsorted(noted["level"], [level, level + 1]).tolist()
            if low == high:
                continue
            ends = np.cumsum(noted["num_words"], dtype=np.int64)
            words = np.load(path.with_name(path.name.replace("rows-", "words-", 1)), mmap_mode="r")
            while low < high:
                begin = int(ends[low] - noted["num_words"][low])
                until = int(np.searchsorted(ends, begin + words_at_once, side="right"))
                until = min(high, max(low + 1, until))
                some = np.array(noted[low:until])
                offsets = np.concatenate([[begin], ends[low:until]]) - begin
                yield some, Tokens(offsets, np.array(words[begin : int(ends[until - 1])]))
                low = until


def _joined(parts: Sequence[tuple[NDArray[np.void], Tokens]]) -> tuple[NDArray[np.void], Tokens]:
    lengths = np.concatenate([words.lengths for _, words in parts])
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    return np.concatenate([noted for noted, _ in parts]), Tokens(offsets, np.concatenate([w.hashes for _, w in parts]))


def _ranges(placed: Placed, most: int) -> list[Partition[RowRange]]:
    found = []
    first = total = 0
    for bucket, count in enumerate([*placed.buckets.tolist(), most]):
        if total and total + count > most:
            part = RowRange(first << BUCKET_BITS, bucket << BUCKET_BITS, total)
            found.append(Partition(f"crowds among rows {part.first} to {part.end - 1}", part))
            first, total = bucket, 0
        total += count
    return found


def members_in(rooms: Rooms, placed: Placed, part: RowRange) -> Members:
    """The members of crowds among the rows of a range, ascending."""
    found = [np.empty(0, JOINED)]
    for path in sorted(rooms.crowds.glob("joined-*.npy")):
        joined = np.load(path, mmap_mode="r")
        low, high = np.searchsorted(joined["row"], [part.first, part.end]).tolist()
        found.append(np.array(joined[low:high]))
    some = np.concatenate(found)
    return of_large_crowds(Joined(some["number"], some["row"], some["share"]), placed.firsts, placed.num_joined)


def _save(path: Path, array: NDArray[np.generic]) -> None:
    with writing(path):
        np.save(path, array)
