"""The benchmark catalogue: a name, or a file of one's own, becomes a list of problems.

`NAME`, `NAME:100` (the first hundred) or a path to a JSONL or Parquet file, with `:100` if wanted. `+shuffled` behind
the name or path puts the options of each problem in an order drawn by the run's seed (sources/choices.py). Rows that
state the right option in a column of its own, as GPQA does, are always shuffled.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON, combined_key, content_key
from thinkscale.records import Problem
from thinkscale.sources.choices import RECORD, is_gpqa, shuffled, with_options
from thinkscale.sources.files import SourceRow, is_table, read_rows
from thinkscale.sources.ids import Ids
from thinkscale.sources.problems import Malformed, parse_problem

SHUFFLED = "+shuffled"


@dataclass(frozen=True, slots=True)
class Benchmark:
    """A loaded benchmark; `reference` is what names it in recipes and commands, such as `math500:100`."""

    name: str
    reference: str
    problems: tuple[Problem, ...]


@cache
def catalogue() -> Mapping[str, Mapping[str, str | int]]:
    """Name to entry, as benchmarks.yaml states it."""
    text = files("thinkscale.sources").joinpath("benchmarks.yaml").read_text(encoding="utf-8")
    entries: Mapping[str, Mapping[str, str | int]] = yaml.safe_load(text)
    return entries


def load_benchmark(reference: str, seed: int, folder: Path = Path()) -> Benchmark:
    """The benchmark that `reference` names; a relative path starts at `folder`.

    Raises ConfigError on an unknown name or too few problems, DataError on a bad file.
    """
    named, size = _parse_reference(reference)
    name = named.removesuffix(SHUFFLED)
    if is_table(name):
        problems = _from_file(folder / name, seed)
        label = Path(name).name.split(".")[0]
    else:
        entries = catalogue()
        if name not in entries:
            raise ConfigError(
                f"there is no benchmark {name!r}; there are {', '.join(entries)}, or give a JSONL or Parquet file"
            )
        problems, label = _from_lab(entries[name], size, seed), name
    if size is not None and size > len(problems):
        raise ConfigError(f"{reference}: asked for {size} problems, {name} has {len(problems)}")
    if named != name:
        problems = [_once_shuffled(problem, seed) for problem in problems]
    return Benchmark(label, reference, tuple(problems[:size]))


def _parse_reference(reference: str) -> tuple[str, int | None]:
    name, colon, size = reference.rpartition(":")
    if not colon or not size.isdecimal():
        return reference, None
    if int(size) < 1:
        raise ConfigError(f"{reference}: the number of problems must be at least 1")
    return name, int(size)


def _from_lab(entry: Mapping[str, str | int], size: int | None, seed: int) -> list[Problem]:
    from thinkscale.lab.world import benchmark_rows

    name = str(entry["lab"])
    rows = benchmark_rows(name, size or int(entry["size"]), seed)
    return [_required(parse_problem(row, name, {}), f"{name}, row {number}") for number, row in enumerate(rows, 1)]


def _once_shuffled(problem: Problem, seed: int) -> Problem:
    return problem if RECORD in problem.extra else shuffled(problem, seed)


def _from_file(path: Path, seed: int) -> list[Problem]:
    """The problems of a file. A text that comes again without an id of its own is numbered (sources/ids.py)."""
    source, ids = path.name.split(".")[0], Ids(strict=True)
    problems: list[Problem] = []
    for row in read_rows(path):
        problem = _from_row(row, source, seed)
        settled = ids.settle(problem, row.values, 0, source)
        if settled is None:
            raise DataError(f"{row.place}: the id {problem.id!r} stands on an earlier row too; ids must be unique")
        # Files of others may use the same ids; within a run an id names one problem.
        problems.append(replace(settled, id=f"{source}/{settled.id}"))
    if not problems:
        raise DataError(f"{path} has no rows")
    return problems


def _from_row(row: SourceRow, source: str, seed: int) -> Problem:
    problem = _required(parse_problem(with_options(row.values), source, {}), row.place)
    return shuffled(problem, seed, always=True) if is_gpqa(row.values) else problem


def _required(problem: Problem | Malformed, place: str) -> Problem:
    if isinstance(problem, Malformed):
        raise DataError(f"{place}: {problem.reason}: {problem.detail}")
    return problem


def benchmark_json(benchmark: Benchmark) -> JSON:
    """What identifies a benchmark in a stage's identity: its name and the ids of its problems in order."""
    return {"name": benchmark.name, "problems": combined_key(content_key(problem) for problem in benchmark.problems)}
