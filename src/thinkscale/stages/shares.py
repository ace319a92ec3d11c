"""Shares of a pool that is too large for one process: row groups of Parquet files, their rows numbered through.

A share says where its rows are; whoever works on it reads the columns that it needs, so no text is ever gathered in one
place. The number of a row is its place in the whole pool, in order of the files; it is what results refer to.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.cluster import Partition
from thinkscale.errors import DataError

if TYPE_CHECKING:
    import polars as pl
    import pyarrow.parquet as pq


@dataclass(frozen=True, slots=True)
class Share:
    """Row groups `first_group` to `end_group` (without it) of a file: the pool's rows from `first_row` on."""

    path: Path
    first_group: int
    end_group: int
    first_row: int
    num_rows: int


def shares(paths: Iterable[Path], columns: Sequence[str], max_bytes: int) -> list[Partition[Share]]:
    """All rows of the files as shares whose `columns`, which every file has, take at most `max_bytes` uncompressed.

    A row group is never cut: one that is larger is a share of its own. Raises DataError for a file that is no Parquet
    file or lacks a column.
    """
    found: list[Partition[Share]] = []
    first_row = 0
    for path in paths:
        first = group_rows = size = 0
        with _opened(path) as file:
            sizes = _group_sizes(path, file, columns)
            for group, (num_rows, num_bytes) in enumerate([*sizes, (0, max_bytes + 1)]):
                if size + num_bytes > max_bytes and group > first:
                    if group_rows:
                        found.append(_share(path, first, group, first_row, group_rows))
                    first_row += group_rows
                    first, group_rows, size = group, 0, 0
                group_rows += num_rows
                size += num_bytes
    return found


def read(share: Share, columns: Sequence[str]) -> "pl.DataFrame":
    """The rows of a share, in order, with `columns` alone."""
    import polars as pl

    with _opened(share.path) as file:
        table = file.read_row_groups(
            range(share.first_group, share.end_group), columns=list(columns), use_threads=False
        )
    if table.num_rows != share.num_rows:
        raise DataError(
            f"{share.path}: {table.num_rows} rows where {share.num_rows} were counted; it changed meanwhile"
        )
    frame = pl.from_arrow(table)
    assert isinstance(frame, pl.DataFrame)
    return frame.select(columns)


def texts_of(share: Share, column: str) -> list[str]:
    """A column of text; a row without one has an empty text."""
    return [text or "" for text in read(share, [column])[column].to_list()]


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


def _share(path: Path, first: int, end: int, first_row: int, num_rows: int) -> Partition[Share]:
    share = Share(path, first, end, first_row, num_rows)
    return Partition(f"{path.name} rows {first_row} to {first_row + num_rows - 1}", share)
