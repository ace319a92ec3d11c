"""Problems as columns: what selection measures of them (curation/measures.ASKED), as frames of some thousand rows.

`columns_of_files` gives for each row of a file what `parse_problem` makes of it. Most files are plain: their rows have
the same keys, texts where texts belong, no tests and no options. Such rows become columns without a record for each,
some five times as fast. Rows that are not plain in any way are given to `parse_problem` one by one, so what a row comes
to, and what is refused, is stated there alone; a test holds the two equal on the real pool and on odd rows.

Rejected: Arrow's reader of JSON, twice as fast again. It takes several objects in a line, lone surrogates and numbers
of any length, so that a broken row would pass unseen.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import blake2b
from itertools import groupby, islice
from json.encoder import encode_basestring
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from thinkscale.curation.measures import ASKED, schema
from thinkscale.curation.measuring import stated
from thinkscale.errors import DataError, EncodingError
from thinkscale.keys import JSON
from thinkscale.records import Kind, Problem, field_names, from_row
from thinkscale.sources.blocks import Block, read_blocks
from thinkscale.sources.problems import (
    KINDS,
    OWN,
    Malformed,
    columns_there,
    final_answer,
    may_hold_tests,
    own_extra,
    parse_problem,
    unencodable_value,
)

if TYPE_CHECKING:
    import polars as pl

ROWS_AT_ONCE = 4_096
MATH = Kind.MATH.value
OWN_FIELDS = field_names(Problem)
STATED = ("domain", "subject", "rating")
"""What is read of a row's columns that have no place in a Problem."""
TEXT: set[type] = {str}
TEXT_OR_NONE: set[type] = {str, type(None)}
SIMPLE: set[type] = {str, int, bool, type(None)}
NUMBERS: set[type] = {int, float, bool}

Row: TypeAlias = Mapping[str, JSON]
Columns: TypeAlias = dict[str, list[object]]


def columns_of(problems: Iterable[Problem]) -> Iterator["pl.DataFrame"]:
    """Problems as frames with the columns ASKED, in order."""
    left = iter(problems)
    while some := list(islice(left, ROWS_AT_ONCE)):
        yield _frame(_of_problems(some))


def columns_of_files(
    paths: Iterable[Path], columns: Mapping[str, Mapping[str, str]] | None = None
) -> Iterator["pl.DataFrame"]:
    """The problems of files in order, under the ids that the rows state. A file's source is its name up to the dot.

    `columns` names, by source, the column of a field where it is not one that is known. Raises DataError for a file
    that cannot be read and for the first row that is no problem.
    """
    for path in paths:
        source = path.name.split(".")[0]
        named = (columns or {}).get(source, {})
        for block in read_blocks(path):
            yield _frame(_of_block(block, source, named))


def problem_in(row: Row, place: str, source: str, columns: Mapping[str, str]) -> Problem:
    """The problem that a row states: one of our own tables as it is, any other as `parse_problem` reads it.

    Raises DataError naming `place` where it states none.
    """
    if set(row) == set(OWN_FIELDS):
        return _own_problem(row, place)
    problem = parse_problem(row, source, columns)
    if isinstance(problem, Malformed):
        raise DataError(f"{place}: {problem.detail}; mend the row, or `thinkscale collect` the file, which may drop it")
    return problem


def _own_problem(row: Row, place: str) -> Problem:
    unencodable = unencodable_value(row)
    try:
        if unencodable is not None:
            raise EncodingError(f"`{unencodable[0]}` has a value that cannot be stored: {unencodable[1]}")
        extra = own_extra(row)
        return from_row(Problem, row if extra is None else {**row, "extra": extra})
    except (EncodingError, TypeError, ValueError, AssertionError) as error:
        raise DataError(f"{place}: the row is no Problem as a run has them: {error}") from error


def _frame(columns: Mapping[str, Sequence[object]]) -> "pl.DataFrame":
    import polars as pl

    return pl.DataFrame(columns, schema=schema(ASKED))


def _of_block(block: Block, source: str, columns: Mapping[str, str]) -> Columns:
    made: Columns = {name: [] for name in ASKED}
    first = 0
    for keys, rows in groupby(block.rows, tuple):
        some = list(rows)
        found = _own_columns(some) if len(keys) == len(OWN_FIELDS) and set(keys) == set(OWN_FIELDS) else None
        found = found or _plain_columns(keys, some, source, columns)
        if found is None:
            places = range(first, first + len(some))
            problems = (
                problem_in(row, block.place(number), source, columns) for number, row in zip(places, some, strict=True)
            )
            found = _of_problems(problems)
        for name, values in found.items():
            made[name] += values
        first += len(some)
    return made


def _of_problems(problems: Iterable[Problem]) -> Columns:
    made: Columns = {name: [] for name in ASKED}
    for problem in problems:
        extra = stated(problem.extra)
        for column, value in zip(
            made.values(),
            (
                problem.id,
                problem.source,
                problem.kind.value,
                problem.question,
                problem.reference,
                problem.tests,
                *extra,
            ),
            strict=True,
        ):
            column.append(value)
    return made


def _own_columns(rows: Sequence[Row]) -> Columns | None:
    """The columns of rows with all fields of a Problem; None where any is not as a run writes it."""
    values = {key: [row[key] for row in rows] for key in OWN_FIELDS}
    kinds = {key: set(map(type, column)) for key, column in values.items()}
    is_plain = (
        all(kinds[name] == TEXT for name in ("id", "source", "question", "kind"))
        and all(kinds[name] <= TEXT_OR_NONE for name in ("reference", "tests", "solution"))
        and kinds["level"] <= {int, type(None)}
        and kinds["choices"] == {list}
        and kinds["extra"] == {dict}
        and {*values["kind"]} <= KINDS
    )
    if not is_plain or not all(map(_is_encodable, rows)):
        return None
    extra = list(zip(*map(_stated_once, values["extra"]), strict=True))
    made = {name: values[name] for name in ("id", "source", "kind", "question", "reference", "tests")}
    return {**made, **dict(zip(STATED, map(list, extra), strict=True))}


def _is_encodable(row: Row) -> bool:
    return unencodable_value(row) is None


def _stated_once(extra: object) -> tuple[str, str, float | None]:
    assert isinstance(extra, dict)
    return stated(extra)


def _plain_columns(
    keys: tuple[str, ...], rows: Sequence[Row], source: str, columns: Mapping[str, str]
) -> Columns | None:
    """The columns of foreign rows with these keys; None where any of them needs a closer look."""
    there = columns_there(keys, False, tuple(columns.items()))
    placed = {*there["solution"], *there["level"], *there["kind"], *there["choices"]}
    placed.update(*(there[name] for name in ("id", "question", "reference")))
    if may_hold_tests(keys, columns.get("tests") or "tests") or OWN.issuperset(keys) & ("extra" in keys):
        return None
    if not placed.isdisjoint(STATED) or not all(map(str.isascii, keys)):
        return None
    values: dict[str, list[JSON]] = {key: [row[key] for row in rows] for key in keys}
    if not all(map(_is_plain_column, values.values())):
        return None

    def first_of(name: str) -> list[JSON]:
        found = [values[key] for key in there[name] if key in values]
        if len(found) <= 1:
            return found[0] if found else [None] * len(rows)
        return [next((value for value in some if value is not None), None) for some in zip(*found, strict=True)]

    made = _fields(first_of, [values.get("source") or ()][0], source, len(rows))
    if made is None:
        return None
    extra = [values.get(name) or [None] * len(rows) for name in STATED]
    if any(any(column) for column in extra):
        named = [stated(dict(zip(STATED, some, strict=True))) for some in zip(*extra, strict=True)]
    else:
        named = [("", "", None)] * len(rows)
    return {**made, **{name: list(column) for name, column in zip(STATED, zip(*named, strict=True), strict=True)}}


def _fields(
    first_of: Callable[[str], list[JSON]], sources: Sequence[JSON], source: str, num_rows: int
) -> Columns | None:
    """The columns that become fields of a Problem."""
    ids, questions, references, kinds = (first_of(name) for name in ("id", "question", "reference", "kind"))
    if {*map(type, questions)} != TEXT or not all(map(str.strip, questions)):  # type: ignore[arg-type]
        return None
    if any(value is not None for value in first_of("choices")):
        return None
    if not {*map(type, kinds)} <= TEXT_OR_NONE or not {kind or MATH for kind in kinds} <= KINDS:
        return None
    if not {*map(type, references)} <= TEXT_OR_NONE | NUMBERS:
        return None
    answers = [None if value is None or value == "" else str(value) for value in references]
    kinds = [kind or MATH for kind in kinds]
    if any(answer and "####" in answer for answer in answers):
        answers = [
            final_answer(answer) if answer and kind == MATH else answer
            for answer, kind in zip(answers, kinds, strict=True)
        ]
    return {
        "id": [
            str(value) if value is not None and value != "" else derived_id(source, str(question))
            for value, question in zip(ids, questions, strict=True)
        ],
        "source": [str(value or source) for value in sources] or [source] * num_rows,
        "kind": [*kinds],
        "question": [*questions],
        "reference": [*answers],
        "tests": [None] * num_rows,
    }


def derived_id(source: str, question: str) -> str:
    """`problem_id` of a question without options, at a fifth of the time: the canonical JSON is written directly."""
    text = f"[{encode_basestring(question)},[]]".encode()
    return f"{source}-{blake2b(text, digest_size=16).hexdigest()[:16]}"


def _is_plain_column(values: Sequence[JSON]) -> bool:
    """Whether all values are simple and have a stable encoding."""
    kinds = {*map(type, values)}
    if not kinds <= SIMPLE:
        return all(value is None or unencodable_value({"": value}) is None for value in values)
    if str not in kinds:
        return True
    joined = "".join(values if kinds == TEXT else [value for value in values if isinstance(value, str)])  # type: ignore[arg-type]
    if joined.isascii():
        return True
    try:
        joined.encode()
    except UnicodeEncodeError:
        return False
    return True
