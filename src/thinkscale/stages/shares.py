"""Shares of a pool that is too large for one process: row groups of Parquet files, their rows numbered through.

A share says where its rows are; whoever works on it reads the columns that it needs, so no text is ever gathered in one
place. The number of a row is its place in the whole pool, in order of the files; it is what results refer to.

The first shares are small, so that no process waits long for its first one, and later ones grow with what was cut so
far, up to what a process may hold: a share costs some milliseconds whatever its size, and many make many small files.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.cluster import Partition
from thinkscale.errors import DataError
from thinkscale.store.atomic import writing

if TYPE_CHECKING:
    import polars as pl
    import pyarrow.parquet as pq


FIRST_BYTES = 2_000_000
SHARES_HELD = 2
GROWTH = 8
"""A share is at most this part of all rows before it, or FIRST_BYTES."""


@dataclass(frozen=True, slots=True)
class Share:
    """Row groups `first_group` to `end_group` (without it) of a file: the pool's rows from `first_row` on."""

    path: Path
    first_group: int
    end_group: int
    first_row: int
    num_rows: int
    whole: bool = False
    """These are all rows of the file."""


def room_for(bytes_before: int, max_bytes: int) -> int:
    """Bytes of text that the next share may have."""
    return min(max_bytes, max(FIRST_BYTES, bytes_before // GROWTH))


def shares(paths: Iterable[Path], columns: Sequence[str], max_bytes: int) -> list[Partition[Share]]:
    """All rows of the files as shares whose `columns`, which every file has, take at most `max_bytes` uncompressed.

    A row group is never cut: one that is larger is a share of its own. Raises DataError for a file that is no Parquet
    file or lacks a column.
    """
    found: list[Partition[Share]] = []
    first_row = before = 0
    for path in paths:
        first = group_rows = size = 0
        with _opened(path) as file:
            sizes = _group_sizes(path, file, columns)
            for group, (num_rows, num_bytes) in enumerate([*sizes, (0, max_bytes + 1)]):
                if size + num_bytes > room_for(before, max_bytes) and group > first:
                    if group_rows:
                        found.append(partition_of(Share(path, first, group, first_row, group_rows)))
                    first_row += group_rows
                    before += size
                    first, group_rows, size = group, 0, 0
                group_rows += num_rows
                size += num_bytes
    return found


def written_shares(frames: "Iterable[pl.DataFrame]", folder: Path, max_bytes: int) -> Iterator[Partition[Share]]:
    """Shares of rows that come as frames of the same columns: each in a file of its own in `folder`, as soon as it is
    whole. A frame is never cut. Raises StorageError."""
    import polars as pl

    parts: list[pl.DataFrame] = []
    first_row = before = size = 0

    def whole() -> Partition[Share]:
        frame = pl.concat(parts)
        path = folder / f"rows-{first_row:010d}.parquet"
        with writing(path):
            frame.write_parquet(path, compression="uncompressed", statistics=False, row_group_size=len(frame))
        return partition_of(Share(path, 0, 1, first_row, len(frame), whole=True))

    for frame in frames:
        if parts and size + frame.estimated_size() > room_for(before, max_bytes):
            share = whole()
            yield share
            first_row += share.content.num_rows
            before, size = before + size, 0
            parts.clear()
        if len(frame):
            parts.append(frame)
            size += int(frame.estimated_size())
    if parts:
        yield whole()


def read(share: Share, columns: Sequence[str]) -> "pl.DataFrame":
    """The rows of a share, in order, with `columns` alone."""
    frame = _read_file(share.path, columns) if share.whole else _read_groups(share, columns)
    if len(frame) != share.num_rows:
        raise DataError(f"{share.path}: {len(frame)} rows where {share.num_rows} were counted; it changed meanwhile")
    return frame.select(columns)


def _read_file(path: Path, columns: Sequence[str]) -> "pl.DataFrame":
    """Without pyarrow, which takes a seventh of a second to import."""
    import polars as pl

    try:
        return pl.read_parquet(path, columns=list(columns))
    except (pl.exceptions.PolarsError, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error


def _read_groups(share: Share, columns: Sequence[str]) -> "pl.DataFrame":
    import polars as pl

    with _opened(share.path) as file:
        table = file.read_row_groups(
            range(share.first_group, share.end_group), columns=list(columns), use_threads=False
        )
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame


def texts_of(share: Share, column: str) -> list[str]:
    """A column of text; a row without one has an empty text."""
    return [text or "" for text in read(share, [column])[column].to_list()]


class Texts(dict[int, str]):
    """A column of text by the number of the row, read by shares, of which it holds the two that were asked for last."""

    def __init__(self, every: Sequence[Share], column: str) -> None:
        super().__init__()
        self._shares, self._column = every, column
        self._starts = [share.first_row for share in every]
        self._held: list[Share] = []

    def __missing__(self, row: int) -> str:
        share = self._shares[bisect_right(self._starts, row) - 1]
        if len(self._held) == SHARES_HELD:
            gone = self._held.pop(0)
            for number in range(gone.first_row, gone.first_row + gone.num_rows):
                del self[number]
        self._held.append(share)
        self.update(enumerate(texts_of(share, self._column), share.first_row))
        return self[row]


def _opened(path: Path) -> "pq.ParquetFile":
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path}: not a readable Parquet file ({error})") from error


def _group_sizes(path: Path, file: "pq.ParquetFile", columns: Sequence[str]) -> list[tuple[int, int]]:
    """Rows and uncompressed bytes of `columns` of each row group."""
    absent = [name for name in columns if name not in file.schema_arrow.names]
    if absent:
        raise DataError(f"{path}: there is no column {absent[0]!r}; there are {', '.join(file.schema_arrow.names)}")
    found = []
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        chunks = [group.column(place) for place in range(group.num_columns)]
        sizes = [chunk.total_uncompressed_size for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns]
        found.append((group.num_rows, sum(sizes)))
    return found


def partition_of(share: Share) -> Partition[Share]:
    """The share with the name that errors call it by."""
    return Partition(f"{share.path.name} rows {share.first_row} to {share.first_row + share.num_rows - 1}", share)
