"""Rows of a finished or unfinished run by problem, without reading all of them.

A table beside the journal is read where it was exported after the last of the stages was finished and has as many rows
as the journal: then it holds what the journal holds, and one column of it finds the row. Stages that are not finished
are looked up in the journal, row by row; the journal has no index over problems, since its rows are packed.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from thinkscale.keys import JSON
from thinkscale.records import Problem, from_row
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import Stage, StoredState
from thinkscale.store.tables import TABLE_OF, columns

R = TypeVar("R")


def rows_about(run: RunDirectory, record_type: type[R], problem_id: str) -> Iterator[R]:
    """The records of one type about one problem, of all stages."""
    key = "id" if record_type is Problem else "problem_id"
    path = run.path / f"{TABLE_OF[record_type]}.parquet"
    stages = run.journal.stages()
    is_exported = exported(run, record_type)
    if is_exported:
        yield from (from_row(record_type, row) for row in _from_table(path, record_type, key, problem_id))
    for stage in stages:
        if not is_exported or stage.state is not StoredState.DONE:
            for row in run.journal.rows(TABLE_OF[record_type], [stage.name]):
                if row[key] == problem_id:
                    yield from_row(record_type, row)


def exported(run: RunDirectory, record_type: type) -> bool:
    """Whether the table of a record type holds what the stages that are done have in the journal."""
    import polars as pl

    name = TABLE_OF[record_type]
    path = run.path / f"{name}.parquet"
    done = [stage for stage in run.journal.stages() if _is_done(stage)]
    try:
        written = path.stat().st_mtime
    except OSError:  # none was exported yet
        return False
    if not all(stage.finished is not None and stage.finished <= written for stage in done):
        return False
    num_rows = pl.scan_parquet(path).select(pl.len()).collect().item()
    return bool(num_rows == run.journal.num_rows(name, [stage.name for stage in done]))


def _is_done(stage: Stage) -> bool:
    return stage.state is StoredState.DONE


def _from_table(path: Path, record_type: type, key: str, value: str) -> Iterator[dict[str, JSON]]:
    """Rows of a table whose column `key` is `value`: that column is read whole, then each row by its place."""
    import polars as pl

    packed = [column.name for column in columns(record_type) if column.is_json]
    for place in pl.read_parquet(path, columns=[key])[key].eq(value).arg_true().to_list():
        (row,) = pl.scan_parquet(path).slice(place, 1).collect().to_dicts()
        yield {**row, **{name: json.loads(row[name]) for name in packed if row[name] is not None}}
