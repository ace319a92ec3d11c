"""Sorted (key, value) pairs on disk between two maps: written by partitions of rows, read by ranges of keys.

A map over partitions of rows writes a *run* for each: its pairs sorted by key, with an index of how many of them lie in
each of BUCKETS equal ranges of keys. When all runs are there the index says exactly how many pairs each bucket has, and
buckets are joined to ranges of at most so many pairs. So the size of what is held at once is chosen after everything
has been counted, and does not depend on a guess.

A run appears whole under its final name or not at all, and a partition that is done again writes the same bytes, so a
worker may be killed at any instant. The folder of the runs is a `scratch_folder`: one for each invocation, removed at
its end; what a killed invocation left is removed by the next one in the same place.

Rejected: a file for each pair of row partition and hash partition (300 x 90 files, and the number of hash partitions
must be known before anything is counted); Parquet (these are two columns of integers, read once in their own order).
"""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from thinkscale.errors import DataError, RunDirectoryError, StorageError
from thinkscale.store.atomic import writing
from thinkscale.store.lock import DirectoryLock

Keys: TypeAlias = NDArray[np.uint64]
Values: TypeAlias = NDArray[np.uint32]

BUCKETS = 4096
_BUCKET_BITS = 12
_PREFIX = ".thinkscale-scratch-"
_RUN = ".run"
_HEADER_BYTES = (BUCKETS + 1) * 8
_KEY_BYTES, _VALUE_BYTES = 8, 4


@dataclass(frozen=True, slots=True)
class KeyRange:
    """Buckets `first` to `end` (without it), which hold `num_pairs` pairs in all runs together."""

    first: int
    end: int
    num_pairs: int


@dataclass(frozen=True, slots=True)
class SpillRoom:
    """Runs in `folder`; all keys are below 2 ** `key_bits`, which is at least 12."""

    folder: Path
    key_bits: int = 64

    def write(self, name: str, keys: Keys, values: Values) -> None:
        """Stores a run of `keys`, sorted, with their `values`. Raises StorageError."""
        shift = np.uint64(self.key_bits - _BUCKET_BITS)
        index = np.searchsorted(keys >> shift, np.arange(BUCKETS + 1, dtype=np.uint64)).astype("<i8")
        path = self.folder / (name + _RUN)
        with writing(self.folder):
            descriptor, temporary = tempfile.mkstemp(prefix=f".{name}.", dir=self.folder)
        try:
            with writing(path), os.fdopen(descriptor, "wb", buffering=0) as stream:
                for part in (index, keys.astype("<u8", copy=False), values.astype("<u4", copy=False)):
                    _write_all(stream.fileno(), part.view(np.uint8).data)
            with writing(path):
                Path(temporary).replace(path)
        finally:
            Path(temporary).unlink(missing_ok=True)

    def runs(self) -> list[Path]:
        """The runs that are there, by name."""
        return sorted(self.folder.glob(f"*{_RUN}"))

    def ranges(self, max_pairs: int, wanted: int = 1, least_pairs: int = 1) -> list[KeyRange]:
        """All buckets as ranges of at most `max_pairs` pairs; but a bucket that alone has more.

        About `wanted` ranges or more, where each can have `least_pairs`.
        """
        counts = np.zeros(BUCKETS, np.int64)
        for run in self.runs():
            counts += np.diff(_index(run))
        fair = -(-int(counts.sum()) // max(1, wanted)) + int(counts.max(initial=0))
        max_pairs = min(max_pairs, max(fair, least_pairs))
        found: list[KeyRange] = []
        first = total = 0
        for bucket, count in enumerate(counts.tolist()):
            if total and count and total + count > max_pairs:
                found.append(KeyRange(first, bucket, total))
                first, total = bucket, 0
            total += count
        return [*found, KeyRange(first, BUCKETS, total)] if total else found

    def read(self, part: KeyRange) -> tuple[Keys, Values]:
        """The pairs of a range, in order of the runs and in each run by key."""
        keys, values = np.empty(part.num_pairs, np.uint64), np.empty(part.num_pairs, np.uint32)
        place = 0
        for run in self.runs():
            index = _index(run)
            start, end = int(index[part.first]), int(index[part.end])
            until = place + end - start
            if until > place:
                keys[place:until] = _read(run, "<u8", _HEADER_BYTES + start * _KEY_BYTES, end - start)
                after_keys = _HEADER_BYTES + int(index[-1]) * _KEY_BYTES
                values[place:until] = _read(run, "<u4", after_keys + start * _VALUE_BYTES, end - start)
            place = until
        if place != part.num_pairs:
            raise not_seen(self.folder)
        return keys, values


def _write_all(descriptor: int, data: memoryview) -> None:
    """A raw write may take a part; a full disk is an OSError then, at the latest with the next one."""
    while data:
        data = data[os.write(descriptor, data[: 1 << 26]) :]


def _index(run: Path) -> NDArray[np.int64]:
    return _read(run, "<i8", 0, BUCKETS + 1).astype(np.int64)


def _read(run: Path, kind: str, offset: int, count: int) -> NDArray[np.generic]:
    try:
        found = np.fromfile(run, dtype=kind, count=count, offset=offset)
    except OSError as error:
        raise not_seen(run) from error
    if len(found) != count:
        raise not_seen(run)
    return found


def not_seen(path: Path) -> DataError:
    """The error for a spill file that a worker cannot read."""
    return DataError(
        f"{path}: a spill file is missing or cut. On several nodes the scratch folder must lie on a file system that "
        f"all of them see under the same path; nothing else may write there"
    )


@contextmanager
def scratch_folder(parent: Path) -> Iterator[Path]:
    """A new folder in `parent` for one invocation, removed at its end; those of killed invocations are removed now.

    A folder in use is known by the kernel lock that its process holds. Raises StorageError where `parent` cannot be
    written.
    """
    with writing(parent):
        parent.mkdir(parents=True, exist_ok=True)
        _remove_left_ones(parent)
        made = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}new-", dir=parent))
    lock = DirectoryLock(made)
    folder = made.with_name(made.name.replace("new-", "", 1))
    try:
        with writing(folder):
            made.rename(folder)  # only now may others try its lock
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(made, ignore_errors=True)
        lock.release()


def _remove_left_ones(parent: Path) -> None:
    for left in parent.glob(f"{_PREFIX}*"):
        if left.name.startswith(f"{_PREFIX}new-") or left.is_symlink():
            continue
        with suppress(RunDirectoryError, StorageError):  # in use, or somebody else's
            lock = DirectoryLock(left)
            shutil.rmtree(left, ignore_errors=True)
            lock.release()
