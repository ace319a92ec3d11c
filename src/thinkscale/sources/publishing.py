"""Tables as others read them: nested records as Parquet's own structs and lists, so that `load_dataset` gives messages.

A run's tables hold nested records as JSON text, which keeps one schema through all versions (store/tables.py). Who
loads a data set expects `messages` as a list of turns. Only mappings whose keys differ from row to row stay JSON text.
"""

from collections.abc import Iterable, Mapping
from dataclasses import fields, is_dataclass
from enum import StrEnum
from itertools import islice
from pathlib import Path
from types import NoneType, UnionType
from typing import TYPE_CHECKING, get_args, get_origin, get_type_hints

from thinkscale.keys import JSON, canonical_json
from thinkscale.records import Record, to_row

if TYPE_CHECKING:
    import pyarrow as pa

ROWS_PER_GROUP = 1000


def public_schema(record_type: type) -> "pa.Schema":
    """The Arrow schema of a record's public table."""
    import pyarrow as pa

    hints = get_type_hints(record_type)
    return pa.schema([pa.field(item.name, _arrow_type(hints[item.name])) for item in fields(record_type)])


def _arrow_type(hint: object) -> "pa.DataType":
    import pyarrow as pa

    if get_origin(hint) is UnionType:
        (hint,) = (option for option in get_args(hint) if option is not NoneType)
    if get_origin(hint) is tuple:
        return pa.list_(_arrow_type(get_args(hint)[0]))
    if isinstance(hint, type) and is_dataclass(hint):
        hints = get_type_hints(hint)
        return pa.struct([pa.field(item.name, _arrow_type(hints[item.name])) for item in fields(hint)])
    scalars = {int: pa.int64(), float: pa.float64(), bool: pa.bool_()}
    if isinstance(hint, type) and not issubclass(hint, StrEnum) and hint in scalars:
        return scalars[hint]
    return pa.string()


def write_public(path: Path, record_type: type[Record], records: Iterable[Record]) -> int:
    """Writes records in order and returns how many there were; memory holds a thousand."""
    import pyarrow as pa
    import pyarrow.parquet

    schema = public_schema(record_type)
    texts = {name for name, hint in get_type_hints(record_type).items() if get_origin(hint) is _mapping()}
    count, iterator = 0, iter(records)
    path.parent.mkdir(parents=True, exist_ok=True)
    with pyarrow.parquet.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := [_public(to_row(record), texts) for record in islice(iterator, ROWS_PER_GROUP)]:
            writer.write_table(pa.Table.from_pylist(group, schema=schema))
            count += len(group)
    return count


def _mapping() -> object:
    return get_origin(Mapping[str, JSON])


def _public(row: dict[str, JSON], texts: set[str]) -> dict[str, JSON]:
    return {name: canonical_json(value) if name in texts else value for name, value in row.items()}
