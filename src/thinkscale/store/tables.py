"""Parquet tables of records: the schema follows from the record's annotations, and equal rows give equal bytes.

Strings, numbers, truth values and enums are native columns; tuples of them are lists; nested records and
mappings are canonical JSON in a string column whose field metadata says so.
"""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from itertools import islice
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, TypeVar, get_args, get_origin, get_type_hints

from thinkscale.errors import DataError, EncodingError
from thinkscale.keys import JSON, canonical_json
from thinkscale.records import (
    Cell,
    Example,
    Fate,
    Grade,
    HeldOut,
    Label,
    Pair,
    Problem,
    Record,
    Replay,
    Response,
    Reward,
    Score,
    Step,
    Trajectory,
    from_row,
    to_row,
)
from thinkscale.store.atomic import atomic_file, writing

if TYPE_CHECKING:
    import pyarrow as pa

TABLES: dict[str, type[Record]] = {
    "problems": Problem,
    "responses": Response,
    "grades": Grade,
    "labels": Label,
    "fates": Fate,
    "examples": Example,
    "pairs": Pair,
    "steps": Step,
    "held_out": HeldOut,
    "scores": Score,
    "trajectories": Trajectory,
    "rewards": Reward,
    "replays": Replay,
    "cells": Cell,
}
TABLE_OF: dict[type, str] = {record_type: name for name, record_type in TABLES.items()}

ROWS_PER_GROUP = 1000
"""Fixed, since it decides the bytes. A thousand long responses are about 100 MB: what writing holds in memory."""

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column: `shape` is the scalar type, `depth` how many lists surround it; `is_json` columns hold JSON text."""

    name: str
    shape: type
    depth: int
    nullable: bool
    is_json: bool


@cache
def columns(record_type: type) -> tuple[Column, ...]:
    """The columns of a record's table, in the order of its fields."""
    return tuple(_column(name, hint) for name, hint in get_type_hints(record_type).items())


def _column(name: str, hint: object) -> Column:
    nullable = get_origin(hint) is UnionType and NoneType in get_args(hint)
    if nullable:
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
    depth, inner = 0, hint
    while get_origin(inner) is tuple and len({*get_args(inner)} - {Ellipsis}) == 1:
        depth, inner = depth + 1, get_args(inner)[0]
    shape = _scalar(inner)
    if shape is None:
        return Column(name=name, shape=str, depth=0, nullable=nullable, is_json=True)
    return Column(name=name, shape=shape, depth=depth, nullable=nullable, is_json=False)


def _scalar(hint: object) -> type | None:
    if not isinstance(hint, type):
        return None
    if issubclass(hint, StrEnum):
        return str
    return hint if hint in (str, int, float, bool) else None


def schema(record_type: type) -> "pa.Schema":
    """The Arrow schema of a record's table."""
    import pyarrow as pa

    scalars = {str: pa.string(), int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    made = []
    for column in columns(record_type):
        kind = scalars[column.shape]
        for _ in range(column.depth):
            kind = pa.list_(pa.field("element", kind, nullable=False))
        metadata = {"thinkscale.encoding": "json"} if column.is_json else None
        made.append(pa.field(column.name, kind, nullable=column.nullable, metadata=metadata))
    return pa.schema(made, metadata={"thinkscale.record": record_type.__name__})


def write_table(path: Path, record_type: type[R], records: Iterable[R]) -> int:
    """Writes `records` in order and returns their number; `path` appears whole or not at all.

    Equal records give equal bytes under one version of pyarrow. Raises StorageError where the disk does not take
    it, and EncodingError for a value that does not fit its column.
    """
    return write_rows(path, record_type, (to_row(record) for record in records))  # type: ignore[arg-type]


def write_rows(path: Path, record_type: type, rows: Iterable[Mapping[str, JSON]]) -> int:
    """`write_table` for rows that are plain JSON objects, as `to_row` makes them."""
    import pyarrow.parquet as pq

    num_rows = 0
    iterator = iter(rows)
    with atomic_file(path) as stream:
        with writing(path):
            writer = pq.ParquetWriter(stream, schema(record_type), compression="zstd", compression_level=3)
        try:
            while group := list(islice(iterator, ROWS_PER_GROUP)):
                table = _arrow_table(path, record_type, group, num_rows)
                with writing(path):
                    writer.write_table(table, row_group_size=ROWS_PER_GROUP)
                num_rows += len(group)
            with writing(path):
                writer.close()
        finally:
            writer.is_open = False  # after a failure pyarrow's finaliser would write a footer to the closed stream
    return num_rows


def _arrow_table(path: Path, record_type: type, rows: list[Mapping[str, JSON]], start: int) -> "pa.Table":
    import pyarrow as pa

    whole = schema(record_type)
    made = columns(record_type)
    rows = [row if len(row) == len(made) else _completed(path, record_type, row) for row in rows]
    arrays = []
    for column, field in zip(made, whole, strict=True):
        try:
            array = pa.array(_values(column, rows), type=field.type)
        except (pa.ArrowException, ValueError, TypeError, OverflowError, KeyError) as error:
            raise EncodingError(
                f"{path}: column {column.name} of rows {start} to {start + len(rows) - 1}: {error}"
            ) from error
        if array.null_count and not column.nullable:
            raise EncodingError(f"{path}: column {column.name} may not be empty, and is in a row from {start} on")
        arrays.append(array)
    return pa.Table.from_arrays(arrays, schema=whole)


def _values(column: Column, rows: list[Mapping[str, JSON]]) -> list[JSON]:
    values = [row[column.name] for row in rows]
    if column.is_json:
        return [None if value is None and column.nullable else canonical_json(value) for value in values]
    return values


def _completed(path: Path, record_type: type, row: Mapping[str, JSON]) -> Mapping[str, JSON]:
    """A row of an older record type, with the defaults of the fields that it lacks."""
    try:
        return to_row(from_row(record_type, row))
    except TypeError as error:
        raise EncodingError(f"{path}: a row is no {record_type.__name__}: {error}") from error


def read_table(path: Path, record_type: type[R]) -> Iterator[R]:
    """The records of a Parquet file in order, streaming by row group.

    Columns with a default may be absent. Raises DataError, naming file and column or row, for a file that is
    missing or broken, for an unknown column, and for a value that does not fit its column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            present = _checked_columns(path, record_type, file.schema_arrow)
            start = 0
            for batch in file.iter_batches(batch_size=ROWS_PER_GROUP):
                yield from _records(path, record_type, present, batch, start)
                start += batch.num_rows
    except (pa.ArrowException, OSError) as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else f"not a readable table: {error}"
        raise DataError(f"{path}: {reason}") from error


def _checked_columns(path: Path, record_type: type, found: "pa.Schema") -> tuple[Column, ...]:
    by_name = {column.name: column for column in columns(record_type)}
    unknown = [name for name in found.names if name not in by_name]
    if unknown:
        raise DataError(
            f"{path}: a table of {record_type.__name__} has no column {', '.join(unknown)}; "
            f"its columns are {', '.join(by_name)}"
        )
    expected = schema(record_type)
    for field in found:
        if not _fits(field.type, expected.field(field.name).type):
            raise DataError(f"{path}: column {field.name} is {field.type}, not {expected.field(field.name).type}")
    return tuple(by_name[name] for name in found.names)


def _fits(found: "pa.DataType", wanted: "pa.DataType") -> bool:
    """Whether a column, perhaps written by another program, is read as `wanted` without a guess."""
    from pyarrow import types

    if types.is_dictionary(found):
        found = found.value_type
    if types.is_null(found):
        return True
    if types.is_list(wanted):
        is_list = types.is_list(found) or types.is_large_list(found)
        return is_list and _fits(found.value_type, wanted.value_type)
    families: tuple[Callable[[object], bool], ...] = (types.is_string, types.is_large_string, types.is_string_view)
    if types.is_string(wanted):
        return any(belongs(found) for belongs in families)
    if types.is_floating(wanted):
        return bool(types.is_floating(found) or types.is_integer(found))
    return bool(types.is_integer(found)) if types.is_integer(wanted) else bool(found == wanted)


def _records(
    path: Path, record_type: type[R], present: tuple[Column, ...], batch: "pa.RecordBatch", start: int
) -> Iterator[R]:
    lists = [batch.column(column.name).to_pylist() for column in present]
    for number, values in enumerate(zip(*lists, strict=True), start):
        row = dict(zip((column.name for column in present), values, strict=True))
        try:
            for column in present:
                if row[column.name] is None and not column.nullable:
                    raise ValueError(f"{column.name} is empty")
                if column.is_json and row[column.name] is not None:
                    row[column.name] = json.loads(row[column.name])
            record = from_row(record_type, row)
        except (ValueError, TypeError, AssertionError) as error:
            raise DataError(f"{path}: row {number} is no {record_type.__name__}: {error}") from error
        yield record
