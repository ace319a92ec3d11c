"""A run's tables for those who read single responses: the trace browser of the report, `view`, and Inspect's logs."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

from thinkscale.config import Recipe
from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.errors import ThinkscaleError
from thinkscale.reporting.traces.inline import InlineTraces, inline_traces
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import TABLES, write_rows
from thinkscale.thinking.formats import BoundFormat, find_format

READ = ("responses", "problems", "grades", "scores", "cells")


def report_traces(run: RunDirectory, recipe: Recipe) -> InlineTraces | None:
    """The responses for the report's page, from the tables of the run."""
    with tables_of(run) as folder:
        return inline_traces(folder, student_tokens(recipe))


@contextmanager
def tables_of(run: RunDirectory) -> Iterator[Path]:
    """A folder with the run's tables: the run's own, or while they are not of today, new ones that go away again.

    Tables are written when the stages of an invocation are done, so a run that is under way, or was killed, has none or
    old ones; its journal has every finished unit all the same.
    """
    if all(_num_rows(run.path / f"{name}.parquet") == _stored(run, name) for name in READ):
        yield run.path
        return
    with TemporaryDirectory(prefix="thinkscale-view-") as scratch:
        folder = Path(scratch)
        stages = [stage.name for stage in run.journal.stages()]
        for name in READ:
            if _stored(run, name):
                write_rows(folder / f"{name}.parquet", TABLES[name], run.journal.rows(name, stages))
        yield folder


def _stored(run: RunDirectory, table: str) -> int:
    return run.journal.num_rows(table, [stage.name for stage in run.journal.stages()])


def _num_rows(path: Path) -> int:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return int(pq.read_metadata(path).num_rows)
    except FileNotFoundError:
        return 0
    except (pa.ArrowException, OSError):  # half a file, or none of ours: the journal decides
        return -1


def student_tokens(recipe: Recipe) -> BoundFormat | None:
    """What cuts a thinking at its forced tokens: the student's format, where its tokenizer can be had."""
    if recipe.student is None or find_spec("transformers") is None:
        return None
    try:
        return BoundFormat(find_format(recipe.student.thinking_format), open_tokenizer(recipe.student.model))
    except ThinkscaleError:
        return None
