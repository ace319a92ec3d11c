"""Shares: how a pool is cut, and how single rows and texts are found again in it."""

from collections.abc import Iterator
from pathlib import Path

import polars as pl
import pytest

from thinkscale.errors import DataError, StorageError
from thinkscale.stages import shares as module
from thinkscale.stages.shares import FIRST_BYTES, Share, Texts, read, room_for, written_shares


def frames(rows: int, at_once: int) -> Iterator[pl.DataFrame]:
    for start in range(0, rows, at_once):
        numbers = range(start, min(rows, start + at_once))
        yield pl.DataFrame({"text": [f"text {number}" for number in numbers], "number": list(numbers)})


def cut(folder: Path, monkeypatch: pytest.MonkeyPatch, first_bytes: int, rows: int = 1_000) -> list[Share]:
    monkeypatch.setattr(module, "FIRST_BYTES", first_bytes)
    return [partition.content for partition in written_shares(frames(rows, 30), folder, 1 << 40)]


def test_shares_grow_with_what_lies_before_them() -> None:
    assert room_for(0, 1 << 40) == room_for(8 * FIRST_BYTES, 1 << 40) == FIRST_BYTES
    assert room_for(80 * FIRST_BYTES, 1 << 40) == 10 * FIRST_BYTES
    assert room_for(80 * FIRST_BYTES, 3 * FIRST_BYTES) == 3 * FIRST_BYTES
    assert room_for(0, 7) == 7


@pytest.mark.parametrize("first_bytes", [1, 2_000, 1 << 40])
def test_rows_that_come_as_frames_are_numbered_through(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, first_bytes: int
) -> None:
    found = cut(tmp_path, monkeypatch, first_bytes)
    assert [share.first_row for share in found[1:]] == [share.first_row + share.num_rows for share in found[:-1]]
    assert sum(share.num_rows for share in found) == 1_000
    assert pl.concat([read(share, ["number"]) for share in found])["number"].to_list() == list(range(1_000))
    assert (len(found) == 1) == (first_bytes == 1 << 40)


def test_no_rows_are_no_shares(tmp_path: Path) -> None:
    empty = pl.DataFrame(schema={"text": pl.String})
    assert list(written_shares(iter([]), tmp_path, 1)) == list(written_shares(iter([empty]), tmp_path, 1)) == []


def test_texts_are_read_as_they_are_asked_for_and_two_shares_are_held(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = cut(tmp_path, monkeypatch, 1_000)
    assert len(found) > 5
    texts = Texts(found, "text")
    for row in (0, 999, 500, 1, 998, 501, 0):
        assert texts[row] == f"text {row}"
    assert len(texts) <= 2 * max(share.num_rows for share in found)


def test_a_share_that_is_gone_or_changed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (share,) = cut(tmp_path, monkeypatch, 1 << 40, rows=20)
    pl.DataFrame({"text": ["other"]}).write_parquet(share.path)
    with pytest.raises(DataError, match="1 rows where 20 were counted"):
        read(share, ["text"])
    share.path.write_bytes(b"no table")
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(share, ["text"])
    share.path.unlink()
    with pytest.raises(DataError, match="not a readable Parquet file"):
        read(share, ["text"])


def test_a_folder_that_cannot_be_written_is_one_clear_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="rows-0000000000"):
        list(written_shares(frames(10, 5), tmp_path / "not there", 1))
