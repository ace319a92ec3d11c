"""Columns of text of a pool, kept on the disk so that single rows are read: the words that show an edge are of two rows
anywhere, and a share that is read for a few of its rows costs as much as for all.

For each share a file of bytes, its columns one after the other, and the place where each text ends. Rejected: to take
rows out of Parquet (each part of the edges reads the whole pool, so the work grows by the square of the rows) or out of
polars columns (what is taken holds on to all texts of its share).
"""

import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thinkscale.cluster.spill import not_seen
from thinkscale.curation.units import Integers
from thinkscale.stages.rooms import Rooms
from thinkscale.stages.shares import Share
from thinkscale.store.atomic import writing

if TYPE_CHECKING:
    import polars as pl


def keep_texts(rooms: Rooms, share: Share, columns: "Sequence[pl.Series]") -> None:
    """Writes columns without nulls of a share. Raises StorageError."""
    bytes_path, ends_path = _paths(rooms, share)
    lengths = np.concatenate([column.str.len_bytes().to_numpy() for column in columns])
    with writing(ends_path):
        np.save(ends_path, np.cumsum(lengths, dtype=np.int64))
    with writing(bytes_path), bytes_path.open("wb") as stream:
        for column in columns:
            stream.write("".join(column.to_list()).encode())


def kept_texts(rooms: Rooms, every: Sequence[Share], wanted: Integers, num_columns: int) -> list[list[str]]:
    """The columns of some rows of the pool, given ascending. Raises DataError where a file is not to be seen."""
    found: list[list[str]] = [[] for _ in range(num_columns)]
    for share in every:
        low, high = np.searchsorted(wanted, [share.first_row, share.first_row + share.num_rows])
        if low < high:
            places = wanted[low:high] - share.first_row
            for number, column in enumerate(found):
                column.extend(_read(rooms, share, places + number * share.num_rows))
    return found


def _read(rooms: Rooms, share: Share, places: Integers) -> list[str]:
    bytes_path, ends_path = _paths(rooms, share)
    try:
        ends = np.load(ends_path, mmap_mode="r")
        starts = np.where(places > 0, ends[np.maximum(places - 1, 0)], 0).tolist()
        stops = ends[places].tolist()
        if not ends[-1]:  # an empty file cannot be mapped
            return [""] * len(places)
        with bytes_path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as kept:
            return [kept[start:stop].decode() for start, stop in zip(starts, stops, strict=True)]
    except (OSError, ValueError, IndexError) as error:
        raise not_seen(bytes_path) from error


def _paths(rooms: Rooms, share: Share) -> tuple[Path, Path]:
    name = f"texts-{share.first_row:010d}"
    return rooms.folder / f"{name}.bytes", rooms.folder / f"{name}.npy"
