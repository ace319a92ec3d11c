"""collect: problems of named sources, of files and of data sets of the Hub, as one table.

Rows stream from the sources to the output: memory holds the ids, and one row at a time. A set that brings traces,
grades and labels (s1_59k) fills a table for each, so the output is then a folder.
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Grade, Label, Problem, Record, Response, field_names, to_row
from thinkscale.sources.brought import brought, count_words
from thinkscale.sources.catalogue import entries, find_entry
from thinkscale.sources.files import SUFFIXES, is_readable, is_table, require_table, write_rows
from thinkscale.sources.ids import Ids
from thinkscale.sources.origins import Origin, catalogue_origin
from thinkscale.sources.problems import Malformed
from thinkscale.sources.reading import Found, Tally, Wanted
from thinkscale.sources.repairs import repaired_problem, repairs_text
from thinkscale.sources.tables import open_table
from thinkscale.stages.collect import WORDS, describe
from thinkscale.store.tables import TABLE_OF, write_table

REPORT = ("id", "source", "place", "reason", "detail")
"""The columns of a row that became no problem."""
BROUGHT: tuple[type[Record], ...] = (Problem, Response, Grade, Label)
SPOOLED_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """What is read of the sources, and how."""

    local: Path | None = None
    columns: Mapping[str, str] = field(default_factory=dict)
    years: tuple[int, int] | None = None
    """Of the sets that state years, of which there must be one; the others are read whole."""
    limit: int | None = None
    """Problems of each source."""
    all_rows: bool = False
    config: str | None = None
    """Of data sets of the Hub that are not in the catalogue."""
    split: str = "train"
    seed: int = 42
    lock_folder: Path = Path()
    """Where the commits of sets that nobody pinned are kept: the current folder."""


def collect(sources: tuple[str, ...], out: Path, report: Path | None, options: CollectOptions) -> str:
    """Writes the problems of `sources` to `out`: a table, or a folder of JSONL tables with all that the sets bring.

    A row of `report` says why a row of a set is no problem. Returns lines that count by source. Raises ConfigError on
    a source that there is not, DataError where files cannot be had or lack columns.
    """
    dated = [source for source in sources if source in entries() and "year" in find_entry(source).facts]
    if options.years and not dated:
        raise ConfigError(f"--years: of {', '.join(sources)} none states years; leave the option out")
    origins = [origin_of(source, options if source in dated else replace(options, years=None)) for source in sources]
    _check_outputs(out, report, origins)
    with SpooledTemporaryFile(SPOOLED_BYTES, "w+", encoding="utf-8") as fates:
        reading = _Reading(origins, fates)
        if not is_table(out.name):
            reading.write_folder(out)
        elif out.suffix == ".parquet":
            write_table(out, Problem, (problem for problem, _, _ in reading.settled()))
        else:
            write_rows(out, (to_row(problem) for problem, _, _ in reading.settled()), field_names(Problem))
        if report is not None:
            fates.seek(0)
            write_rows(report, map(json.loads, fates), REPORT)
    return reading.summary(is_folder=not is_table(out.name))


def _check_outputs(out: Path, report: Path | None, origins: list[Origin]) -> None:
    if out.suffix.removeprefix(".").isalpha() and not is_table(out.name) and not out.is_dir():
        raise ConfigError(
            f"--out {out}: {out.suffix} is no ending of a table ({', '.join(SUFFIXES)}); a folder is named without one"
        )
    inputs = {origin.local.resolve() for origin in origins if origin.local is not None}
    for path in (out, *([report] if report else [])):
        if path.resolve() in inputs:
            raise ConfigError(f"{path} is an input and would be overwritten; give another --out or --report")
    if report is not None:
        require_table(report)
    if report is not None and report.resolve() == out.resolve():
        raise ConfigError(f"--out and --report both name {out}; give two files")


def origin_of(source: str, options: CollectOptions) -> Origin:
    """A name of the catalogue, a file, or a data set of the Hub as `owner/name` or `owner/name@revision`."""
    wanted = Wanted(seed=options.seed, years=options.years, limit=options.limit, all_rows=options.all_rows)
    if source in entries():
        return catalogue_origin(source, wanted, options.lock_folder, local=options.local, columns=options.columns)
    path = Path(source)
    is_file = path.is_file() or is_readable(path.name)
    if is_file and not path.is_file():
        raise DataError(f"there is no file {source}")
    repository, _, revision = source.partition("@")
    if not is_file and (repository.count("/") != 1 or not all(repository.split("/"))):
        raise ConfigError(
            f"there is no source {source!r}: it is neither in the catalogue ({', '.join(entries())}), nor a file, nor "
            "a data set of the Hub (owner/name, owner/name@revision)"
        )
    return Origin(
        name=path.name.split(".")[0] if is_file else repository.split("/")[1],
        key=source,
        wanted=wanted,
        lock_folder=options.lock_folder,
        local=path if is_file else None,
        repository=None if is_file else repository,
        revision=revision or None,
        config=options.config,
        split=options.split,
        columns=options.columns,
    )


class _Reading:
    """One pass over all sources, and the counts that it leaves."""

    def __init__(self, origins: list[Origin], fates: IO[str]) -> None:
        self._origins = origins
        self._fates = fates
        self._tallies = [Tally() for _ in origins]
        self._problems = [0 for _ in origins]
        self._reasons: dict[str, int] = {}
        self._records: dict[str, int] = {}
        self._repaired = 0

    def settled(self) -> Iterator[tuple[Problem, Found, Origin]]:
        """The problems of all sources under ids of their own; what became none is written to the fates."""
        ids = Ids(strict=False)
        for number, origin in enumerate(self._origins):
            for found in origin.read(self._tallies[number]):
                problem = found.problem
                if isinstance(problem, Malformed):
                    self._drop(origin, found, problem)
                elif settled := ids.settle(problem, found.row, number, origin.name):
                    self._problems[number] += 1
                    whole = repaired_problem(settled)
                    self._repaired += whole is not settled
                    yield whole, found, origin
                else:
                    self._drop(
                        origin,
                        found,
                        Malformed(problem.id, "repeated_id", "an earlier row has this id and this question"),
                    )

    def _drop(self, origin: Origin, found: Found, why: Malformed) -> None:
        self._reasons[why.reason] = self._reasons.get(why.reason, 0) + 1
        values = (why.row_id, origin.name, found.place, why.reason, why.detail)
        self._fates.write(json.dumps(dict(zip(REPORT, values, strict=True))) + "\n")

    def write_folder(self, out: Path) -> None:
        """A JSONL table for each kind of record that there is; one of problems always."""
        with ExitStack() as opened:
            tables = {kind: opened.enter_context(open_table(out / f"{TABLE_OF[kind]}.jsonl")) for kind in BROUGHT}
            for record in self._all_records():
                tables[type(record)].write(to_row(record))
                name = TABLE_OF[type(record)]
                self._records[name] = self._records.get(name, 0) + 1
            for kind, table in tables.items():
                table.keep = kind is Problem or TABLE_OF[kind] in self._records

    def _all_records(self) -> Iterator[Record]:
        for problem, found, origin in self.settled():
            yield problem
            if origin.entry and origin.entry.brings:
                yield from brought(origin.entry.brings, problem, found.row, count_words, WORDS)

    def summary(self, *, is_folder: bool) -> str:
        """A line for each source, one for what became no problem, one for all."""
        lines = []
        for origin, tally, problems in zip(self._origins, self._tallies, self._problems, strict=True):
            lines.append(f"{describe(origin, tally)}; {problems:,} problems")
            if origin.entry and origin.entry.brings and not is_folder:
                lines.append(f"{origin.name}: its traces, grades and labels are not written; give a folder with --out")
        if self._reasons:
            reasons = ", ".join(f"{number:,} {reason}" for reason, number in sorted(self._reasons.items()))
            lines.append(f"{sum(self._reasons.values()):,} rows are no problems: {reasons}")
        lines += [repairs_text(self._repaired)] if self._repaired else []
        written = [f"{number:,} {name}" for name, number in self._records.items() if name != "problems"]
        lines.append(", ".join([f"{sum(self._problems):,} problems", *written]))
        return "\n".join(lines)
