"""From the files of a source to problems, or to the reasons why rows are none.

A row goes through the same five steps whatever set it is of: does it count (the entry's filters), a reader where the
set has one, columns and facts, the final answer by the entry's rule, and the checks of every foreign row
(sources/problems.py). Counts of what was left out are kept in a Tally, since nothing is left out silently.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON, content_key
from thinkscale.records import Kind, Problem
from thinkscale.sources.catalogue import FIELDS, Entry, Names, Quota
from thinkscale.sources.choices import GPQA_RIGHT, is_gpqa, shuffled, with_options
from thinkscale.sources.files import SourceRow, read_rows
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem
from thinkscale.sources.quotas import draw
from thinkscale.sources.readers import READERS
from thinkscale.sources.shaping import boxed, column, family_of, plain_row


@dataclass(frozen=True, slots=True)
class Found:
    """What a row came to, where it stands, and the row itself as the set has it."""

    place: str
    problem: Problem | Malformed
    row: Mapping[str, JSON] = field(default_factory=dict)


@dataclass(slots=True)
class Tally:
    """What became of the rows of one source."""

    rows: int = 0
    left_out: dict[str, int] = field(default_factory=dict)
    """Filter to the rows that it left out."""
    absent: list[str] = field(default_factory=list)
    """What the set should bring beside its questions, and has no column for."""

    def leave_out(self, why: str) -> None:
        """One more row that does not count."""
        self.left_out[why] = self.left_out.get(why, 0) + 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What is asked of a source beside its entry."""

    seed: int
    years: tuple[int, int] | None = None
    """Instead of the entry's."""
    limit: int | None = None
    all_rows: bool = False
    """Without the entry's filters, years and quota; its exclusions stay."""


def read_plain(
    files: Mapping[str, Path], name: str, columns: Mapping[str, str], seed: int, tally: Tally
) -> Iterator[Found]:
    """The rows of files that name their columns as we do, or as `columns` says. Rows of GPQA's kind are shuffled."""
    for path in files.values():
        for row in read_rows(path):
            tally.rows += 1
            values = row.values if {"choices", "reference"} & set(columns) else with_options(row.values)
            problem = parse_problem(values, name, columns)
            if isinstance(problem, Problem) and is_gpqa(row.values):
                problem = shuffled(problem, seed, always=True)
            is_math = isinstance(problem, Problem) and problem.kind is Kind.MATH
            if isinstance(problem, Problem) and is_math and not _states_reference(row.values, columns):
                problem = replace(problem, reference=boxed(problem.solution or ""))
            yield Found(row.place, problem, row.values)


def _states_reference(row: Mapping[str, JSON], columns: Mapping[str, str]) -> bool:
    """Whether a row has a column for the final answer; one that has none may box it in its solution."""
    return "reference" in columns or any(name in row for name in (*COLUMNS["reference"], GPQA_RIGHT))


def read_entry(entry: Entry, name: str, files: Mapping[str, Path], wanted: Wanted, tally: Tally) -> Iterator[Found]:
    """The problems of a set of the catalogue in its order. `files` holds the paths by their names in the repository.

    Raises DataError where the rows lack columns that the entry needs.
    """
    excluded = _excluded(entry, files)
    made = (_made(entry, name, row, part, wanted) for row, part in _rows(entry, files, excluded, wanted, tally))
    found = _in_years(entry, made, wanted, tally)
    if entry.repeats == "skip":
        found = _once_each(found, tally)
    if entry.quota is not None and not wanted.all_rows:
        found = _drawn(found, entry.quota, wanted.seed, tally)
    for number, item in enumerate(found):
        if number == wanted.limit:
            return
        yield item


def _rows(
    entry: Entry, files: Mapping[str, Path], excluded: set[str], wanted: Wanted, tally: Tally
) -> Iterator[tuple[SourceRow, str]]:
    """The rows that count, each with the stem of its file."""
    beside = set(entry.without.files) if entry.without else set()
    for file, path in files.items():
        if file in beside:
            continue
        for number, row in enumerate(read_rows(path, entry.drop)):
            if not number:
                _check_columns(entry, row, wanted)
                brings = entry.brings.fields if entry.brings else {}
                tally.absent = [name for name, names in brings.items() if names and not set(names) & set(row.values)]
            tally.rows += 1
            why = "" if wanted.all_rows else _left_out(entry, row.values)
            if not why and entry.without and _plain(column(row.values, (entry.without.column,))) in excluded:
                why = f"also in {', '.join(entry.without.files)}"
            if why:
                tally.leave_out(why)
            else:
                yield row, Path(file).name.split(".")[0]


def _left_out(entry: Entry, row: Mapping[str, JSON]) -> str:
    for name, values in entry.keep.items():
        if column(row, (name,)) not in values:
            return f"{name} is not {' or '.join(str(value) for value in values if value is not None) or 'empty'}"
    for name, (low, high) in entry.between.items():
        number = str(column(row, (name,)))
        if not number.isdecimal() or not low <= int(number) <= high:
            return f"{name} is not from {low} to {high}"
    return ""


def _excluded(entry: Entry, files: Mapping[str, Path]) -> set[str]:
    if entry.without is None:
        return set()
    missing = [file for file in entry.without.files if file not in files]
    if missing:
        raise DataError(
            f"{entry.title}: {', '.join(missing)} is not there, whose rows must be left out; put it beside "
            f"{', '.join(files) or 'the others'}"
        )
    rows = (row for file in entry.without.files for row in read_rows(files[file]))
    return {_plain(column(row.values, (entry.without.column,))) for row in rows} - {""}


def _check_columns(entry: Entry, row: SourceRow, wanted: Wanted) -> None:
    """Refuses rows without a column that the entry needs."""
    filters = () if wanted.all_rows else tuple(entry.keep)
    named = [name for name in dict.fromkeys((*entry.needs, *filters)) if name in filters or name not in entry.keep]
    alternatives = (entry.columns.get("question"), entry.brings.thinking if entry.brings else None)
    needed: list[Names] = [*((name,) for name in named), *(names for names in alternatives if names)]
    missing = [names for names in needed if not any(name.split(".")[0] in row.values for name in names)]
    if missing:
        raise DataError(
            f"{row.place}: the rows lack {', '.join(' or '.join(f'`{name}`' for name in names) for names in missing)}; "
            f"they have {', '.join(row.values) or 'no columns'}. Give the files of {entry.repository} as they are, or "
            "map a field to its column (--columns question=NAME, `columns` in a recipe); where only the column of a "
            "filter is missing, --all-rows (`all_rows: true`) reads every row"
        )


def _made(entry: Entry, name: str, row: SourceRow, part: str, wanted: Wanted) -> Found:
    """A row of the set as a problem."""
    values = READERS[entry.reader](row.values, part) if entry.reader else row.values
    plain = plain_row(entry, values)
    source = family_of(entry, row.values) or name
    problem = parse_problem(plain, source, dict(zip(FIELDS, FIELDS, strict=True)))
    if isinstance(problem, Problem) and is_gpqa(row.values):
        problem = shuffled(problem, wanted.seed, always=True)
    return Found(row.place, problem, row.values)


def _in_years(entry: Entry, found: Iterator[Found], wanted: Wanted, tally: Tally) -> Iterator[Found]:
    years = wanted.years or (None if wanted.all_rows else entry.years)
    for item in found:
        if years is None or isinstance(item.problem, Malformed):
            yield item
            continue
        year = str(item.problem.extra.get("year", ""))
        if not year.isdecimal():
            yield replace(item, problem=Malformed(item.problem.id, "missing_year", "the row states no year"))
        elif years[0] <= int(year) <= years[1]:
            yield item
        else:
            tally.leave_out(f"year is not from {years[0]} to {years[1]}")


def _once_each(found: Iterator[Found], tally: Tally) -> Iterator[Found]:
    seen: set[str] = set()
    for item in found:
        if isinstance(item.problem, Problem):
            if item.problem.id in seen:
                tally.leave_out("repeats an earlier row under its id")
                continue
            seen.add(item.problem.id)
        yield item


def _drawn(found: Iterator[Found], quota: Quota, seed: int, tally: Tally) -> Iterator[Found]:
    """The rows that are drawn by the seed and their text, equally from each group, in the order of the set."""
    seen = 0

    def keyed() -> Iterator[tuple[str, str, Found]]:
        nonlocal seen
        for item in found:
            seen += 1
            text = item.problem.question if isinstance(item.problem, Problem) else item.problem.row_id
            yield content_key(*(column(item.row, (name,)) for name in quota.by)), text, item

    drawn = draw(keyed(), quota.count, seed)
    if seen > len(drawn):
        tally.left_out[f"not among the {quota.count:,} that are drawn"] = seen - len(drawn)
    yield from drawn


def _plain(value: JSON) -> str:
    return " ".join(str(value or "").split())
