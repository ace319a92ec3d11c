"""A benchmark by its reference: a list of problems, how they are asked, and the texts that training rows may not share.

A reference is a name of the catalogue or the path of a file, with what is wanted of it behind the name:

- `math500:100` the first hundred problems,
- `math500~100` a hundred drawn by the run's seed, `math500~100@7` by the seed 7, which then orders options too: runs of
  any seed have the same items. A problem is drawn by a hash of the seed and its question, so the same ones come on
  every platform and from every copy of the set; `~50` is a part of `~100`. They stay in the set's order.
- `mmlu+shuffled` the options of each problem in an order drawn by the run's seed (sources/choices.py). Rows that state
  the right option in a column of its own, as GPQA does, are always shuffled.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON, combined_key, content_key, seed_from
from thinkscale.records import Kind, Problem
from thinkscale.sources.benchmark_catalogue import BenchmarkEntry, shipped_benchmarks
from thinkscale.sources.choices import RECORD, is_gpqa, shuffled, with_options
from thinkscale.sources.files import SourceRow, is_table, read_rows
from thinkscale.sources.ids import Ids
from thinkscale.sources.origins import Origin
from thinkscale.sources.problems import Malformed, parse_problem
from thinkscale.sources.reading import Found, Tally, Wanted
from thinkscale.sources.shaping import column
from thinkscale.thinking.prompts import PLAIN, PromptTemplate, check_template, find_template

SHUFFLED = "+shuffled"
EVERY = "*"
"""Stands for every benchmark where one is named."""
REFERENCE = re.compile(r"(?P<name>.+?)(?::(?P<first>[0-9]+)|~(?P<drawn>[0-9]+)(?:@(?P<seed>[0-9]+))?)?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Subset:
    """What is wanted of a set: all of it, its first problems, or some that are drawn."""

    size: int | None = None
    is_drawn: bool = False
    seed: int | None = None
    """Of the draw and of the order of options, where it is not the run's."""

    @property
    def first(self) -> int | None:
        """How many of the first rows are enough."""
        return None if self.is_drawn else self.size


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A loaded benchmark; `reference` is what names it in recipes and commands, such as `math500:100`."""

    name: str
    reference: str
    problems: tuple[Problem, ...]
    template: PromptTemplate = PLAIN
    texts: tuple[str, ...] | None = None
    """What is compared with training rows where that is not the question."""

    @cached_property
    def compared(self) -> tuple[str, ...]:
        """The text of each problem that is compared with training rows."""
        return tuple(problem.question for problem in self.problems) if self.texts is None else self.texts


@dataclass(frozen=True, kw_only=True)
class Shelf:
    """Where benchmarks are looked for, and how they are asked, where that is not as the shipped catalogue says."""

    own: Mapping[str, BenchmarkEntry] = field(default_factory=dict)
    """A catalogue of one's own; its names go before the shipped ones."""
    local: Mapping[str, Path] = field(default_factory=dict)
    """Name, or EVERY, to a folder or file that stands in for the repository."""
    templates: Mapping[str, PromptTemplate] = field(default_factory=dict)
    """Templates of one's own."""
    asked: Mapping[str, str] = field(default_factory=dict)
    """Name, or EVERY, to the template that is used instead of the entry's."""
    lock_folder: Path = Path()
    """Where the commits of sets that nobody pinned are kept."""

    @property
    def entries(self) -> Mapping[str, BenchmarkEntry]:
        """Every entry by its name."""
        return {**shipped_benchmarks(), **self.own}

    def entry(self, name: str) -> BenchmarkEntry:
        """The entry of this name. Raises ConfigError."""
        if name not in self.entries:
            raise ConfigError(
                f"there is no benchmark {name!r}; there are {', '.join(self.entries)}, or give a JSONL or Parquet file"
            )
        return self.entries[name]

    def template(self, name: str, entry: BenchmarkEntry | None) -> PromptTemplate:
        """How the benchmark of this name is asked; the bare question where it is a file. Raises ConfigError."""
        chosen = self.asked.get(name) or self.asked.get(EVERY) or (entry.template if entry else PLAIN.name)
        return find_template(chosen, self.templates)


SHIPPED = Shelf()


def load_benchmark(reference: str, seed: int, folder: Path = Path(), shelf: Shelf = SHIPPED) -> Benchmark:
    """The benchmark that `reference` names; a relative path starts at `folder`.

    Raises ConfigError on an unknown name, too few problems, or a template that does not fit; DataError where the rows
    cannot be had or are broken.
    """
    name, is_shuffled, subset = parse_reference(reference)
    seed = seed if subset.seed is None else subset.seed
    if is_table(name):
        entry, label = None, Path(name).name.split(".")[0]
        found = list(_of_file(folder / name, label, seed))
    else:
        entry, label = shelf.entry(name), name
        found = list(_of_lab(entry, subset, seed) if entry.lab else _of_entry(entry, name, subset, seed, shelf))
    found = _taken(found, subset, seed, reference, name)
    problems = [_once_shuffled(item, seed) for item, _ in found] if is_shuffled else [item for item, _ in found]
    template = shelf.template(label, entry)
    for kind in dict.fromkeys(problem.kind for problem in problems):
        check_template(template, kind)
    texts = [text for _, text in found]
    is_question = texts == [problem.question for problem in problems]
    return Benchmark(
        name=label,
        reference=reference,
        problems=tuple(problems),
        template=template,
        texts=None if is_question else tuple(texts),
    )


def parse_reference(reference: str) -> tuple[str, bool, Subset]:
    """Name or path, whether options are shuffled, and what is wanted of the set. Raises ConfigError."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise ConfigError("a benchmark is named by NAME, NAME:100, NAME~100, or a file; this name is empty")
    size = match["first"] or match["drawn"]
    if size is not None and int(size) < 1:
        raise ConfigError(f"{reference}: the number of problems must be at least 1")
    subset = Subset(
        size=None if size is None else int(size),
        is_drawn=match["drawn"] is not None,
        seed=None if match["seed"] is None else int(match["seed"]),
    )
    name = match["name"]
    return name.removesuffix(SHUFFLED), name.endswith(SHUFFLED), subset


def expected_size(reference: str, shelf: Shelf = SHIPPED) -> int | None:
    """How many problems a reference will have as the catalogue says, None where it does not. Reads nothing.

    Raises ConfigError on an unknown name.
    """
    name, _, subset = parse_reference(reference)
    if subset.size is not None or is_table(name):
        return subset.size
    return shelf.entry(name).size


def _taken(
    found: list[tuple[Problem, str]], subset: Subset, seed: int, reference: str, name: str
) -> list[tuple[Problem, str]]:
    if subset.size is None:
        return found
    if subset.size > len(found):
        raise ConfigError(f"{reference}: asked for {subset.size} problems, {name} has {len(found)}")
    if not subset.is_drawn:
        return found[: subset.size]
    order = sorted(range(len(found)), key=lambda place: (seed_from(seed, found[place][0].question), place))
    return [found[place] for place in sorted(order[: subset.size])]


def _of_lab(entry: BenchmarkEntry, subset: Subset, seed: int) -> Iterator[tuple[Problem, str]]:
    from thinkscale.lab.world import benchmark_rows

    name = str(entry.lab)
    size = entry.size or 1
    for number, row in enumerate(benchmark_rows(name, max(size, subset.first or 0), seed), 1):
        problem = _required(parse_problem(row, name, {}), f"{name}, row {number}")
        yield problem, problem.question


def _of_entry(
    entry: BenchmarkEntry, name: str, subset: Subset, seed: int, shelf: Shelf
) -> Iterator[tuple[Problem, str]]:
    """The problems of a set under ids of the form `NAME/ID`, with the text of each that is compared."""
    origin = benchmark_origin(entry, name, seed, shelf, subset.first)
    if origin.local is not None and is_plain(entry, origin.local):
        yield from _of_file(origin.local, name, seed)
        return
    ids, tally, there = Ids(strict=True), Tally(), False
    for found in origin.read(tally):
        there = True
        problem = _settled(ids, _required(found.problem, found.place), found, name)
        yield problem, _compared(entry, found.row) or problem.question
    if not there:
        raise DataError(f"{name}: its files hold no problem; left out: {tally.left_out or 'nothing'}")


def is_plain(entry: BenchmarkEntry, path: Path) -> bool:
    """Whether it is a file of one's own that names its columns as we do."""
    return entry.path is not None and is_table(path.name) and not entry.columns and not entry.reader


def benchmark_origin(
    entry: BenchmarkEntry, name: str, seed: int, shelf: Shelf = SHIPPED, limit: int | None = None
) -> Origin:
    """Where the rows of an entry come from: the local folder that stands in for it, its own path, or its commit."""
    local = shelf.local.get(name) or shelf.local.get(EVERY) or (Path(entry.path) if entry.path else None)
    return Origin(
        name=name,
        key=name,
        wanted=Wanted(seed=seed, limit=limit),
        lock_folder=shelf.lock_folder,
        entry=entry,
        local=local,
        repository=None if entry.path else entry.repository,
        revision=entry.revision,
    )


def _compared(entry: BenchmarkEntry, row: Mapping[str, JSON]) -> str:
    """The columns that the entry names, one below the other; empty where the row has none of them."""
    texts = [column(row, (name,)) for name in entry.compare]
    return "\n\n".join(text for text in texts if isinstance(text, str) and text.strip())


def _settled(ids: Ids, problem: Problem, found: Found | SourceRow, name: str) -> Problem:
    """The problem under `NAME/ID`: files of others may use the same ids; within a run an id names one problem."""
    row = found.row if isinstance(found, Found) else found.values
    settled = ids.settle(problem, row, 0, name)
    if settled is None:
        raise DataError(f"{found.place}: the id {problem.id!r} stands on an earlier row too; ids must be unique")
    return replace(settled, id=f"{name}/{settled.id}")


def _once_shuffled(problem: Problem, seed: int) -> Problem:
    return problem if RECORD in problem.extra else shuffled(problem, seed)


def _of_file(path: Path, name: str, seed: int) -> Iterator[tuple[Problem, str]]:
    """The problems of a file. A text that comes again without an id of its own is numbered (sources/ids.py)."""
    ids, there = Ids(strict=True), False
    for row in read_rows(path):
        there = True
        problem = _required(parse_problem(with_options(row.values), name, {}), row.place)
        problem = shuffled(problem, seed, always=True) if is_gpqa(row.values) else problem
        yield (settled := _settled(ids, problem, row, name)), settled.question
    if not there:
        raise DataError(f"{path} has no rows")


def _required(problem: Problem | Malformed, place: str) -> Problem:
    if isinstance(problem, Malformed):
        raise DataError(f"{place}: {problem.reason}: {problem.detail}")
    return problem


def benchmark_json(benchmark: Benchmark) -> JSON:
    """What identifies a benchmark's problems: its name and the content of each, in order."""
    return {"name": benchmark.name, "problems": combined_key(content_key(problem) for problem in benchmark.problems)}


def asked_json(benchmark: Benchmark) -> JSON:
    """What identifies a benchmark as it is asked: the problems and the prompt template."""
    named = benchmark_json(benchmark)
    assert isinstance(named, dict)
    return {**named, "template": {"name": benchmark.template.name, "key": benchmark.template.key}}


def kinds_of(benchmark: Benchmark) -> tuple[Kind, ...]:
    """The kinds of its problems, in order of appearance."""
    return tuple(dict.fromkeys(problem.kind for problem in benchmark.problems))
