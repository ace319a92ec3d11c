"""Texts that are kept on the disk: single rows of several columns, from anywhere in the pool."""

from pathlib import Path

import numpy as np
import polars as pl
import pytest

from thinkscale.errors import DataError
from thinkscale.stages.kept_texts import keep_texts, kept_texts
from thinkscale.stages.rooms import Rooms
from thinkscale.stages.shares import Share

QUESTIONS = ["", "naïve ∑ 🙂", "two", "", "four\n\0", "fünf", ""]
ANSWERS = ["0", "", "2", "½", "", "5", ""]


def kept_in(folder: Path, sizes: list[int]) -> tuple[Rooms, list[Share]]:
    """All rows, in shares of so many."""
    rooms, found, first = Rooms(folder), [], 0
    for size in sizes:
        share = Share(folder / "pool.parquet", 0, 1, first, size)
        texts = [pl.Series(column[first : first + size], dtype=pl.String) for column in (QUESTIONS, ANSWERS)]
        keep_texts(rooms, share, texts)
        found.append(share)
        first += size
    return rooms, found


@pytest.mark.parametrize("sizes", [[7], [1, 1, 1, 1, 1, 1, 1], [3, 4], [6, 1]])
@pytest.mark.parametrize("wanted", [range(7), [1, 3, 4], [0], [6], []])
def test_single_rows_are_found_wherever_they_lie(tmp_path: Path, sizes: list[int], wanted: list[int]) -> None:
    rooms, every = kept_in(tmp_path, sizes)
    questions, answers = kept_texts(rooms, every, np.array(wanted, np.int64), 2)
    assert questions == [QUESTIONS[row] for row in wanted]
    assert answers == [ANSWERS[row] for row in wanted]


@pytest.mark.parametrize("name", ["texts-0000000003.bytes", "texts-0000000003.npy"])
def test_a_file_that_is_gone_is_named(tmp_path: Path, name: str) -> None:
    rooms, every = kept_in(tmp_path, [3, 4])
    (tmp_path / name).unlink()
    assert kept_texts(rooms, every, np.array([2]), 2) == [["two"], ["2"]]
    with pytest.raises(DataError, match=r"texts-0000000003\.bytes"):
        kept_texts(rooms, every, np.array([2, 4]), 2)
