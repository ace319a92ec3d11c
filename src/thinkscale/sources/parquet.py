"""Parquet files of rows that come one by one, in bounded memory.

The schema is known only when the last row was seen: a column may hold nothing but nulls for a million rows. So chunks
go to a spool file beside the target, each with the schema of its own rows, and from there to the target under the
schema that fits them all. Rejected: the schema of the first chunk, which later rows need not fit.
"""

import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING

from thinkscale.errors import DataError
from thinkscale.keys import JSON

if TYPE_CHECKING:
    import pyarrow

CHUNK_ROWS = 4096


def write_parquet(path: Path, rows: Iterable[Mapping[str, JSON]], columns: Sequence[str], name: Path) -> int:
    """Writes `rows` with `columns` first, then their keys as they appear. Returns how many there were.

    Raises DataError naming `name` where values of one column have types that make no column.
    """
    import pyarrow

    with tempfile.TemporaryFile(dir=path.parent) as spool:
        schema, count = _spooled(spool, iter(rows), columns, name)
        spool.seek(0)
        try:
            _copied(spool, schema, path)
        except (pyarrow.ArrowException, OverflowError) as error:
            raise _unfit(name, "the rows cannot be written as Parquet", error) from error
    return count


def _spooled(
    spool: IO[bytes], rows: Iterator[Mapping[str, JSON]], columns: Sequence[str], name: Path
) -> tuple["pyarrow.Schema", int]:
    """Writes chunks as Arrow streams, one after the other; gives the schema of all and the number of rows."""
    import pyarrow

    schema = pyarrow.schema([(column, pyarrow.null()) for column in columns])
    count = 0
    while chunk := list(islice(rows, CHUNK_ROWS)):
        table = _table(chunk, name)
        try:
            schema = pyarrow.unify_schemas([schema, table.schema], promote_options="permissive")
        except (pyarrow.ArrowException, OverflowError) as error:
            raise _unfit(name, "the values of a column change their type", error) from error
        with pyarrow.ipc.new_stream(spool, table.schema) as stream:
            stream.write_table(table)
        count += len(chunk)
    return schema, count


def _table(chunk: Sequence[Mapping[str, JSON]], name: Path) -> "pyarrow.Table":
    import pyarrow

    arrays = {}
    for column in dict.fromkeys(key for row in chunk for key in row):
        try:
            arrays[column] = pyarrow.array([row.get(column) for row in chunk])
        except (pyarrow.ArrowException, OverflowError, UnicodeEncodeError) as error:
            raise _unfit(name, f"the values of `{column}` do not make one Parquet column", error) from error
    return pyarrow.table(arrays)


def _copied(spool: IO[bytes], schema: "pyarrow.Schema", path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    with pyarrow.parquet.ParquetWriter(path, schema) as writer:
        end = spool.seek(0, 2)
        spool.seek(0)
        while spool.tell() < end:
            with pyarrow.ipc.open_stream(spool) as stream:
                chunk = stream.read_all()
            whole = pyarrow.concat_tables([schema.empty_table(), chunk], promote_options="permissive")
            writer.write_table(whole.select(schema.names))


def _unfit(path: Path, what: str, error: Exception) -> DataError:
    return DataError(f"{path}: {what} ({error}); give a .jsonl file, which takes any values")
