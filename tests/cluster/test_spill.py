"""Runs on disk: what is written is read back by ranges of keys, a full disk is one clear error, nothing is left."""

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from thinkscale.cluster.spill import BUCKETS, SpillRoom, scratch_folder
from thinkscale.errors import DataError, StorageError


def write(room: SpillRoom, name: str, keys: list[int], values: list[int]) -> None:
    room.write(name, np.array(keys, np.uint64), np.array(values, np.uint32))


def test_ranges_hold_every_pair_once_and_no_more_than_asked(tmp_path: Path) -> None:
    room = SpillRoom(tmp_path)
    random = np.random.default_rng(1)
    pairs = []
    for name in ("a", "b", "c"):
        keys = np.sort(random.integers(0, 1 << 63, 5000, dtype=np.uint64) * np.uint64(2))
        values = random.integers(0, 1 << 32, 5000, dtype=np.uint32)
        room.write(name, keys, values)
        pairs += list(zip(keys.tolist(), values.tolist(), strict=True))
    for most in (1, 100, 4000, 100_000):
        ranges = room.ranges(most)
        assert [ranges[0].first, ranges[-1].end] == [0, BUCKETS]
        assert [part.end for part in ranges[:-1]] == [part.first for part in ranges[1:]]
        assert all(part.num_pairs <= most or part.end - part.first == 1 for part in ranges if most > 1)
        found = [room.read(part) for part in ranges]
        assert sorted(pairs) == sorted(
            pair for keys, values in found for pair in zip(keys.tolist(), values.tolist(), strict=True)
        )
    assert len(room.ranges(100_000)) == 1
    assert len(room.ranges(4000)) == 4
    assert len(room.ranges(100_000, wanted=2)) == 2
    assert len(room.ranges(100_000, wanted=2, least_pairs=100_000)) == 1


def test_keys_of_equal_high_bits_are_in_one_range(tmp_path: Path) -> None:
    room = SpillRoom(tmp_path, key_bits=16)
    write(room, "a", [0, 15, 16, 65535], [1, 2, 3, 4])
    write(room, "b", [15, 17], [5, 6])
    assert [(part.first, part.end, part.num_pairs) for part in room.ranges(1)] == [
        (0, 1, 3),
        (1, 4095, 2),
        (4095, 4096, 1),
    ]
    keys, values = room.read(room.ranges(1)[0])
    assert (keys.tolist(), values.tolist()) == ([0, 15, 15], [1, 2, 5])


def test_empty_runs_and_empty_rooms_have_no_ranges(tmp_path: Path) -> None:
    room = SpillRoom(tmp_path)
    assert room.ranges(10) == []
    write(room, "a", [], [])
    assert room.ranges(10) == []


def test_a_run_written_again_replaces_itself_and_leaves_nothing(tmp_path: Path) -> None:
    room = SpillRoom(tmp_path)
    write(room, "a", [1, 2], [7, 8])
    write(room, "a", [1, 2], [7, 8])
    assert [path.name for path in tmp_path.iterdir()] == ["a.run"]
    assert room.ranges(9)[0].num_pairs == 2


def test_a_cut_run_is_an_error_that_names_it(tmp_path: Path) -> None:
    room = SpillRoom(tmp_path)
    write(room, "a", [1, 2], [7, 8])
    (part,) = room.ranges(9)
    os.truncate(tmp_path / "a.run", (tmp_path / "a.run").stat().st_size - 1)
    with pytest.raises(DataError, match=r"a\.run: a spill file is missing or cut"):
        room.read(part)
    (tmp_path / "a.run").unlink()
    with pytest.raises(DataError, match="missing or cut"):
        room.read(part)


@contextmanager
def small_files(num_bytes: int) -> Iterator[None]:
    """A limit on the size of files stands in for the full disk: writing fails in the same way (EFBIG for ENOSPC)."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)


def test_a_full_disk_is_a_storage_error_and_leaves_no_part_of_a_run(tmp_path: Path) -> None:
    with small_files(50_000), pytest.raises(StorageError, match=r"a\.run: the disk is full"):
        write(SpillRoom(tmp_path), "a", list(range(5000)), list(range(5000)))
    assert list(tmp_path.iterdir()) == []


def test_a_scratch_folder_is_gone_at_the_end_also_after_an_error(tmp_path: Path) -> None:
    with scratch_folder(tmp_path / "new") as folder:
        (folder / "x").write_text("x")
        assert list((tmp_path / "new").iterdir()) == [folder]
    with pytest.raises(KeyError), scratch_folder(tmp_path / "new") as folder:
        raise KeyError(folder)
    assert list((tmp_path / "new").iterdir()) == []


def test_a_scratch_folder_that_cannot_be_made_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="file"), scratch_folder(tmp_path / "file"):
        pass


HOLDER = """
import sys, time
from pathlib import Path
from thinkscale.cluster.spill import scratch_folder
with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "big.run").write_text("x")
    print(folder, flush=True)
    time.sleep(600)
"""


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_uses_is_not(tmp_path: Path) -> None:
    other = tmp_path / "somebody's"
    other.mkdir()
    words = [sys.executable, "-c", HOLDER, str(tmp_path)]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        theirs = Path(holder.stdout.readline().strip())
        try:
            with scratch_folder(tmp_path) as ours:
                assert (theirs / "big.run").exists()
                assert ours != theirs
        finally:
            holder.kill()
    assert theirs.exists()
    with scratch_folder(tmp_path) as ours:
        assert set(tmp_path.iterdir()) == {ours, other}
