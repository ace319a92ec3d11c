"""Measuring: problems, traces, grades and labels become measures, by shares over processes or Ray.

Of a run they are made of its journal, of a command of files; stored_measures.py keeps those of a run.
"""

from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from thinkscale.cluster import Partition, backend, connected
from thinkscale.config import Recipe, SelectSettings
from thinkscale.curation.garbage import rare_collections
from thinkscale.curation.likeness import Against, Comparing, benchmark_of, overlap_columns, traces_search
from thinkscale.curation.measures import COLUMNS, QUESTION, Measures, table
from thinkscale.curation.measuring import Columns, graded, take_others
from thinkscale.curation.quality import QuestionLimits, rule_names
from thinkscale.records import Grade, Label, Problem, Response
from thinkscale.sources.columns import columns_of
from thinkscale.stages.curate_shares import Curation, described_edges, prepare, survey
from thinkscale.stages.near_duplicates import Comparison, Limits
from thinkscale.stages.rooms import Rooms, spilling
from thinkscale.stages.shares import Share, Texts, written_shares
from thinkscale.stages.stored_measures import FOLDER
from thinkscale.store.run import RunDirectory

if TYPE_CHECKING:
    import polars as pl

    from thinkscale.sources.benchmarks import Benchmark

R = TypeVar("R")

NARROW = ("id", "source", "kind", "domain", "subject", "rating")
"""What of a problem stays in the process that asks."""
BROUGHT, MADE = "collect", {Response: "generate", Grade: "grade", Label: "label"}
"""A source may bring traces, grades and labels of its own, beside those that the recipe's stages make."""


def measure_run(run: RunDirectory, recipe: Recipe, folder: Path) -> Measures:
    """Measures what the journal holds, in one pass over each table."""
    from thinkscale.stages.benchmarks import references_of  # it loads the graders, and who only reads needs none

    settings = recipe.select or SelectSettings()
    return measured(
        columns_of(run.rows(Problem, "collect")),
        graded(teacher_responses(run), _both(run, Grade)),
        _both(run, Label),
        (against_of(item) for item in references_of(recipe, folder)),
        settings,
        run.path / FOLDER,
    )


def measured(
    problems: "Iterable[pl.DataFrame]",
    answers: Iterable[tuple[Response, Grade | None]],
    labels: Iterable[Label],
    against: Iterable[Against],
    settings: SelectSettings,
    scratch: Path,
    question_rules: Collection[str] | None = None,
) -> Measures:
    """The measures of problems that come as frames with the columns ASKED: as `curation.measuring.measure` gives them.

    Texts go by shares through a folder in `scratch` to `settings.workers`, each of which holds `settings.memory_mib` at
    most; neither changes the result. What stays in this process is the measures. An id that was there before gets
    `~2`, `~3`, ... behind it. Iterables are taken when the processes have begun, so they may be lazy.

    Raises DataError on a label that cannot be read, StorageError, and what `problems` and `against` raise.
    """
    where, limits = backend(settings.workers), Limits.within(settings.memory_mib)
    with connected(where, prepare) as here, spilling(scratch) as rooms, rare_collections():
        import polars as pl

        curation = _curation(against, settings, question_rules)
        narrow: list[pl.DataFrame] = []
        every: list[Share] = []
        found = survey(_noted(problems, rooms, limits, narrow, every), rooms, curation, limits, here)
        made: dict[str, Columns] = {name: {column: [] for column in columns} for name, columns in COLUMNS.items()}
        made["overlaps"] = overlap_columns(found.hits)
        rows = _rows(narrow)
        narrow.clear()
        if (first := next(iter_answers := iter(answers), None)) is not None:
            answers = chain([first], iter_answers)
        labels = list(labels)
        if labels or first is not None:
            in_traces = traces_search(curation.benchmarks, comparing_of(settings))
            made["rows"] = rows.to_dict(as_series=False)
            numbers = {str(name): row for row, name in enumerate(made["rows"]["problem_id"])}
            take_others(labels, answers, numbers, Texts(every, "question"), in_traces, made)
            rows = table("rows", made["rows"])
        faults = found.faults.collect().select("row", pl.lit(QUESTION, pl.Int64).alias("trace"), "reason", "evidence")
        edges = described_edges(rooms, found.num_grams, every, curation, limits, here)
        return Measures(
            rows=rows,
            faults=pl.concat([faults, table("faults", made["faults"])]).sort("row", maintain_order=True),
            traces=table("traces", made["traces"]),
            attempts=table("attempts", made["attempts"]),
            overlaps=table("overlaps", made["overlaps"]),
            edges=pl.concat([table("edges", {}), *edges]).sort("a", "b", maintain_order=True),
        )


def _curation(against: Iterable[Against], settings: SelectSettings, question_rules: Collection[str] | None) -> Curation:
    comparing = comparing_of(settings)
    return Curation(
        of_faults=("kind", "tests", "source"),
        narrow=(),
        rules=frozenset(rule_names() if question_rules is None else question_rules),
        limits=QuestionLimits(languages=settings.languages),
        benchmarks=tuple(map(benchmark_of, against)),
        comparison=Comparison(rule=comparing.rule, n=comparing.words),
    )


def _noted(
    problems: "Iterable[pl.DataFrame]", rooms: Rooms, limits: Limits, narrow: "list[pl.DataFrame]", every: list[Share]
) -> Iterator[Partition[Share]]:
    """The problems as shares, which are added to `every`, and the columns that stay here to `narrow`."""

    def wide() -> "Iterator[pl.DataFrame]":
        for frame in problems:
            narrow.append(frame.select(NARROW))
            yield frame.select("question", "reference", "kind", "tests", "source")

    for partition in written_shares(wide(), rooms.folder, limits.share_bytes):
        every.append(partition.content)
        yield partition


def _rows(narrow: "Sequence[pl.DataFrame]") -> "pl.DataFrame":
    """The table `rows`, in which each id is there once."""
    import polars as pl

    if not narrow:
        return table("rows", {})
    rows = pl.concat(narrow).rename({"id": "problem_id"}).with_row_index("row").cast({"row": pl.Int64})
    repeated = rows.filter(pl.col("problem_id").is_duplicated()).select(
        "row", again="problem_id", number=pl.int_range(1, pl.len() + 1).over("problem_id")
    )
    repeated = repeated.filter(pl.col("number") > 1).select("row", again=pl.format("{}~{}", "again", "number"))
    rows = rows.join(repeated, on="row", how="left", maintain_order="left")
    rows = rows.with_columns(problem_id=pl.coalesce("again", "problem_id"))
    return rows.select(*COLUMNS["rows"])


def against_of(benchmark: "Benchmark") -> Against:
    """A benchmark as what questions are compared with."""
    return Against(
        name=benchmark.name,
        ids=tuple(problem.id for problem in benchmark.problems),
        questions=benchmark.compared,
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
