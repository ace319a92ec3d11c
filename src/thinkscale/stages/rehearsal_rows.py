"""The rows that a rehearsal reads in place of the Hub: a few of each set, from a local folder where one holds the set,
else specimens in its shape (sources/specimens.py).

Of a local set the shortest of its first problems are taken, as they stand in its files, since the lab's model holds
1,024 tokens. A source is specimens in any case where the recipe generates traces, since the script that stands in for
the teacher answers no other problems, and where the set is a pool of several sources, since rules name each of them and
its first rows are of few; local rows are then read to see that they can be. The files are small and made anew each
time.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from thinkscale.config import (
    CatalogueSourceSettings,
    FileSourceSettings,
    HubSourceSettings,
    LabSourceSettings,
    Recipe,
    SourceSettings,
)
from thinkscale.config.rehearsal import (
    BENCHMARK_ROWS,
    SOURCE_ROWS,
    benchmark_name,
    benchmark_rows,
    is_of_lab,
    plain_benchmark_rows,
    source_rows,
)
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Problem, to_row
from thinkscale.sources.benchmarks import EVERY, Shelf, benchmark_origin, load_benchmark, parse_reference
from thinkscale.sources.catalogue import Entry, find_entry
from thinkscale.sources.files import is_table, read_rows, write_rows
from thinkscale.sources.origins import Origin
from thinkscale.sources.problems import parse_problem
from thinkscale.sources.reading import Tally
from thinkscale.sources.specimens import mapped_specimens, specimen_file, specimens
from thinkscale.stages.benchmarks import shelf_of
from thinkscale.stages.collect import origin_of

LOOKED_THROUGH = 300
"""Rows of a local set among which the shortest are taken."""
CHECKED = 3
"""Rows of a local set that are read where specimens take their place."""
SPECIMENS = "rows made in its shape"


@dataclass(frozen=True, slots=True)
class Locals:
    """Where local copies of sets may lie."""

    named: Mapping[str, Path] = field(default_factory=dict)
    """Name to folder or file; a set that is named must be there."""
    folders: tuple[Path, ...] = ()
    """Folders that may hold a set; where none does, specimens are read."""


def write_rehearsal_rows(recipe: Recipe, folder: Path, rows: Path, local: Locals) -> dict[str, str]:
    """Writes what the rehearsal of `recipe` reads below `rows`; set to where its rows come from.

    Raises ConfigError on names that there are not, DataError on files that are missing.
    """
    found: dict[str, str] = {}
    sources = recipe.collect.sources if recipe.collect else ()
    for number, source in enumerate(sources):
        if not isinstance(source, LabSourceSettings):
            path, start = source_rows(str(rows), source, number), number * SOURCE_ROWS
            made = _Made(path, start, local, only_specimens=recipe.generate is not None)
            found[made.path.name.split(".")[0]] = _write_source(made, source, folder, recipe.seed)
    shelf = shelf_of(recipe.evaluate, folder)
    evaluated = recipe.evaluate.benchmarks if recipe.evaluate else ()
    against = recipe.select.against if recipe.select else ()
    for number, reference in enumerate(dict.fromkeys((*evaluated, *against)), len(sources)):
        name = benchmark_name(reference)
        if is_of_lab(name):
            continue
        made = _Made(benchmark_rows(str(rows), reference), number * SOURCE_ROWS, local)
        found[name] = _write_benchmark(made, reference, shelf, folder, recipe.seed)
        if reference in against:
            _write_plain(plain_benchmark_rows(str(rows), name), made.path, reference, shelf, recipe.seed)
    return found


@dataclass(frozen=True, slots=True)
class _Made:
    """A file of rows that is to be written."""

    path: Path
    start: int
    """Of its specimens."""
    local: Locals
    only_specimens: bool = False

    def write(self, rows: Iterable[Mapping[str, JSON]]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_rows(self.path, rows)


def _write_source(made: _Made, source: SourceSettings, folder: Path, seed: int) -> str:
    if isinstance(source, CatalogueSourceSettings):
        origin = origin_of(source, folder, seed)
        entry = origin.entry or find_entry(source.name)
        entry = entry if source.years is None else entry.model_copy(update={"years": source.years})
        return _write_entry(made, source.name, entry, origin, SOURCE_ROWS)
    if isinstance(source, HubSourceSettings):
        made.write(mapped_specimens(source.columns, SOURCE_ROWS, made.start))
        return SPECIMENS
    assert isinstance(source, FileSourceSettings)
    return _write_copy(made, folder / source.path, source.columns, SOURCE_ROWS)


def _write_benchmark(made: _Made, reference: str, shelf: Shelf, folder: Path, seed: int) -> str:
    name = parse_reference(reference)[0]
    if is_table(name):
        return _write_copy(made, folder / name, {}, BENCHMARK_ROWS)
    entry = shelf.entry(name)
    return _write_entry(made, name, entry, benchmark_origin(entry, name, seed, shelf), BENCHMARK_ROWS)


def _write_entry(made: _Made, name: str, entry: Entry, origin: Origin, count: int) -> str:
    """Rows of a set of a catalogue, and what must lie beside them."""
    path = _local_path(made.local, name, origin)
    taken: Sequence[Mapping[str, JSON]] = ()
    if path is not None:
        pairs = _pairs(replace(origin, entry=entry, local=path))
        only_specimens = made.only_specimens or bool(entry.family)
        taken = _shortest(islice(pairs, CHECKED) if only_specimens else pairs, count)
        if not taken:
            raise DataError(f"{path}: none of the first {LOOKED_THROUGH} rows of {name} is a problem that counts")
        taken = () if only_specimens else taken
    made.write(taken or specimens(name, entry, count, made.start))
    for beside, rows in specimen_file(entry).items():
        columns = list(rows[0])
        text = "\n".join([",".join(columns), *(",".join(str(row[column]) for column in columns) for row in rows)])
        (made.path.parent / beside).write_text(text + "\n", encoding="utf-8")
    return f"{len(taken)} rows of {path}" if taken else SPECIMENS


def _local_path(local: Locals, name: str, origin: Origin) -> Path | None:
    """The local copy of a set: the one that is named, that the recipe names, or that one of the folders holds."""
    named = local.named.get(name) or local.named.get(EVERY) or origin.local
    if named is not None:
        return named
    for folder in local.folders:
        try:
            replace(origin, local=folder).place()
        except DataError:
            continue
        return folder
    return None


def _pairs(origin: Origin) -> Iterator[tuple[Problem, Mapping[str, JSON]]]:
    for found in islice(origin.read(Tally()), LOOKED_THROUGH):
        if isinstance(found.problem, Problem):
            yield found.problem, found.row


def _shortest(pairs: Iterable[tuple[Problem, Mapping[str, JSON]]], count: int) -> list[Mapping[str, JSON]]:
    """The rows of the shortest problems, in their order."""
    numbered = list(enumerate(pairs))
    length: Callable[[Problem], int] = lambda problem: len(problem.question) + sum(map(len, problem.choices))  # noqa: E731
    chosen = sorted(numbered, key=lambda item: (length(item[1][0]), item[0]))[:count]
    return [row for _, (_, row) in sorted(chosen, key=lambda item: item[0])]


def _write_copy(made: _Made, path: Path, columns: Mapping[str, str], count: int) -> str:
    """The shortest of the first rows of a file of one's own."""
    pairs = (
        (problem, row.values)
        for row in islice(read_rows(path), LOOKED_THROUGH)
        if isinstance(problem := parse_problem(row.values, made.path.stem, columns), Problem)
    )
    rows = _shortest(pairs, count)
    if not rows:
        raise DataError(f"{path}: none of its first {LOOKED_THROUGH} rows is a problem; check the names of its columns")
    if made.only_specimens:
        made.write(mapped_specimens(columns, count, made.start))
        return SPECIMENS
    made.write(rows)
    return f"{len(rows)} rows of {path}"


def _write_plain(path: Path, made: Path, reference: str, shelf: Shelf, seed: int) -> None:
    """The rows of a benchmark once more, in our own words."""
    name = parse_reference(reference)[0]
    if is_table(name):
        problems = load_benchmark(str(made), seed).problems
    else:
        problems = load_benchmark(name, seed, Path(), replace(shelf, local={name: made})).problems
    path.parent.mkdir(parents=True, exist_ok=True)
    named = ("id", "kind", "question", "reference", "choices")
    write_rows(path, ({name: to_row(item)[name] for name in named} for item in problems))
