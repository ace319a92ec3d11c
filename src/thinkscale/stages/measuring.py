"""The measures of a run: made of its journal, and kept as Parquet files in its folder `measures`.

The journal is the only truth: it holds problems, traces, grades and labels, and the files are only what follows from
them and from the recipe. They stand beside the journal since they are read by column, in a fraction of a second, and
may be discarded: where a file is missing, or the stamp in it names another state of the journal, they are measured
again. The stamp is the identity of the stage `select`, without the settings that decide nothing here.

Rejected: rows of the journal (a million small rows, read back one by one), and a cache outside the run.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from thinkscale.config import Recipe, SelectSettings
from thinkscale.config.select import MEASURED
from thinkscale.curation.likeness import Against, Comparing
from thinkscale.curation.measures import COLUMNS, Measures
from thinkscale.curation.measuring import graded, measure
from thinkscale.errors import RunDirectoryError
from thinkscale.keys import content_key
from thinkscale.records import Grade, Label, Problem, Response
from thinkscale.store.atomic import atomic_file, remove_partial_files, writing
from thinkscale.store.run import RunDirectory

if TYPE_CHECKING:
    from thinkscale.sources.benchmarks import Benchmark

R = TypeVar("R")

FOLDER = "measures"
ROWS_PER_GROUP = 20_000
"""Few enough that one row is read in milliseconds."""
MEASURES_VERSION = 1
"""Raised when the same journal gives other measures."""
STAMP = "thinkscale.stamp"
BROUGHT, MADE = "collect", {Response: "generate", Grade: "grade", Label: "label"}
"""A source may bring traces, grades and labels of its own, beside those that the recipe's stages make."""


def measures_of(run: RunDirectory, recipe: Recipe, folder: Path) -> Measures:
    """The measures of a run whose stage `select` was begun: from its files, or measured anew where they are not of it.

    Writes nothing. RunDirectoryError where the run has no such stage.
    """
    stored = stored_measures(run)
    return stored if stored is not None else measure_run(run, recipe, folder)


def stored_measures(run: RunDirectory) -> Measures | None:
    """The measures in the run's folder, None where they are missing, broken, or of another state of the journal."""
    import polars as pl

    wanted = stamp(run)
    tables: dict[str, pl.DataFrame] = {}
    for name in COLUMNS:
        path = run.path / FOLDER / f"{name}.parquet"
        try:
            if pl.read_parquet_metadata(path).get(STAMP) != wanted:
                return None
            tables[name] = pl.read_parquet(path)
        except (OSError, pl.exceptions.PolarsError):  # missing or broken: either way it is measured again
            return None
    return Measures(**tables)


def write_measures(run: RunDirectory, measures: Measures) -> None:
    """Puts the measures into the run's folder, each file whole or not at all. Raises StorageError."""
    import pyarrow.parquet as pq

    folder = run.path / FOLDER
    with writing(folder):
        folder.mkdir(exist_ok=True)
    remove_partial_files(folder)
    metadata = {STAMP: stamp(run)}
    for name, frame in measures.tables().items():
        path = folder / f"{name}.parquet"
        table = frame.to_arrow().replace_schema_metadata(metadata)
        with atomic_file(path) as stream, writing(path):
            pq.write_table(table, stream, compression="zstd", compression_level=3, row_group_size=ROWS_PER_GROUP)


def stamp(run: RunDirectory) -> str:
    """What the measures of a run depend on. RunDirectoryError where its stage `select` was not begun."""
    stage = run.journal.stage("select")
    if stage is None:
        raise RunDirectoryError(f"{run.path}: nothing was selected here; run its recipe to the stage `select` first")
    section = stage.identity.get("select")
    settings = {name: section.get(name) for name in MEASURED} if isinstance(section, dict) else section
    others = {key: value for key, value in stage.identity.items() if key not in ("select", "seed")}
    return content_key("measures", MEASURES_VERSION, others, settings)


def references(recipe: Recipe, folder: Path) -> "list[Benchmark]":
    """The benchmarks that no training row may overlap with: all that the recipe evaluates, and `select.against`."""
    from thinkscale.sources.benchmarks import load_benchmark  # it loads the graders, and who only reads needs none

    evaluated = recipe.evaluate.benchmarks if recipe.evaluate else ()
    more = recipe.select.against if recipe.select else ()
    return [load_benchmark(name, recipe.seed, folder) for name in dict.fromkeys((*evaluated, *more))]


def measure_run(run: RunDirectory, recipe: Recipe, folder: Path) -> Measures:
    """Measures what the journal holds, in one pass over each table."""
    settings = recipe.select or SelectSettings()
    return measure(
        run.rows(Problem, "collect"),
        graded(teacher_responses(run), _both(run, Grade)),
        _both(run, Label),
        [against_of(item) for item in references(recipe, folder)],
        comparing_of(settings),
        settings.languages,
    )


def against_of(benchmark: "Benchmark") -> Against:
    """A benchmark as what questions are compared with."""
    return Against(
        name=benchmark.name,
        ids=tuple(problem.id for problem in benchmark.problems),
        questions=tuple(problem.question for problem in benchmark.problems),
        answers=tuple(problem.reference for problem in benchmark.problems),
    )


def comparing_of(settings: SelectSettings) -> Comparing:
    """How the recipe compares texts."""
    return Comparing(rule=settings.overlap_rule, words=settings.ngram_words, traces=settings.check_traces)


def teacher_responses(run: RunDirectory) -> Iterator[Response]:
    """Traces that a source brought, then those of the recipe's own teacher."""
    return _both(run, Response)


def _both(run: RunDirectory, record_type: type[R]) -> Iterator[R]:
    yield from run.rows(record_type, BROUGHT)
    yield from run.rows(record_type, MADE[record_type])
