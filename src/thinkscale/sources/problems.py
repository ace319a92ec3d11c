"""From a foreign row to a Problem, or to the reason why it is none."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, content_key
from thinkscale.records import Kind, Problem, field_names, problem_id
from thinkscale.sources.suites import GROUPS, UnreadableTestsError, tests_of

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "unique_id"),
    "question": ("question", "problem", "prompt"),
    "reference": ("reference", "answer"),
    "kind": ("kind",),
    "choices": ("choices", "options"),
    "solution": ("solution",),
    "level": ("level",),
}
"""The names under which foreign files carry each field, the first that is there and not null wins."""

CODE_COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("task_id", "question_id", "problem_id"),
    "question": ("question_content", "description", "text"),
    "solution": ("canonical_solution", "code"),
}
"""More names, for rows that hold the tests of a program."""

OWN = frozenset(field_names(Problem))
"""The columns of our own tables of problems."""
KINDS = frozenset(Kind)
NO_COLUMNS: set[str] = set()
HASHES = re.compile(r"^####\s*(\S.*?)\s*\Z", re.MULTILINE)
"""The answer on the last line of a worked solution, as GSM8K writes it."""
THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
LEVEL = re.compile(r"\s*(?:level\s*)?([0-9]{1,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a row is no problem: a snake_case reason, and a sentence."""

    row_id: str
    reason: str
    detail: str


def parse_problem(row: Mapping[str, JSON], source: str, columns: Mapping[str, str]) -> Problem | Malformed:
    """The problem that `row` states. `columns` names the column of a field where it differs from COLUMNS."""
    unencodable = unencodable_value(row)
    keys = tuple(row)
    tests, test_columns, unreadable = None, NO_COLUMNS, ""
    if unencodable is None and may_hold_tests(keys, columns.get("tests") or "tests"):
        tests, test_columns, unreadable = _tests(row, columns)
    there = columns_there(keys, bool(test_columns), tuple(columns.items()))
    found = {name: _first(row, keys) for name, keys in there.items()}
    values = {name: row.get(key) for name, key in found.items()}
    question, choices, reference = values["question"], values["choices"], values["reference"]
    row_id = str(values["id"]) if values["id"] is not None else ""

    def malformed(reason: str, detail: str) -> Malformed:
        return Malformed(row_id or problem_id(source, str(dict(row))), reason, detail)

    if unencodable is not None:
        row_id = row_id if unencodable_value({"": row_id}) is None else ""
        return malformed("unencodable_value", f"`{unencodable[0]}` has a value that cannot be stored: {unencodable[1]}")
    if unreadable:
        return malformed("unreadable_tests", unreadable)
    if not isinstance(question, str) or not question.strip():
        key = found["question"] or "question"
        return malformed("missing_question", f"`{key}` must be a text that is not empty, it is {question!r:.60}")
    if choices is not None and not (isinstance(choices, list) and all(isinstance(item, str) for item in choices)):
        return malformed("malformed_choices", f"`{found['choices']}` must be a list of texts, it is {choices!r:.60}")
    if reference is not None and not isinstance(reference, (str, int, float)):
        return malformed("malformed_reference", f"`{found['reference']}` must be a text, it is {reference!r:.60}")
    options = tuple(str(item) for item in choices or ())
    kind = values["kind"] or (Kind.CHOICE if options else Kind.CODE if tests else Kind.MATH)
    if kind not in KINDS:
        return malformed("unknown_kind", f"`{found['kind']}` must be one of {', '.join(Kind)}, it is {kind!r}")
    solution, level = _text(values["solution"]), _level(values["level"])
    placed = {*found.values(), *test_columns, "source"}
    for name, value in (("solution", solution), ("level", level)):
        if value is None and values[name] is not None:
            placed.discard(found[name])
    text = None if reference is None or str(reference) == "" else str(reference)
    if text and kind == Kind.MATH and (answer := final_answer(text)) != text:
        solution, text = solution or text, answer
    extra = own_extra(row)
    return Problem(
        id=row_id or problem_id(source, question, options),
        source=str(row.get("source") or source),
        question=question,
        reference=text,
        kind=Kind(str(kind)),
        choices=options,
        solution=solution,
        tests=tests,
        level=level,
        extra=extra if extra is not None else {key: value for key, value in row.items() if key not in placed},
    )


def final_answer(text: str) -> str:
    """The answer behind `####` on the last line of a worked solution; any other text as it is."""
    hashes = HASHES.search(text) if "####" in text else None
    return without_thousands(hashes[1]) if hashes else text


def without_thousands(number: str) -> str:
    """A number without the commas between its groups of three digits."""
    return THOUSANDS.sub("", number)


def own_extra(row: Mapping[str, JSON]) -> Mapping[str, JSON] | None:
    """`extra` of a row of our own table: an object, or JSON text in Parquet. None for any other row."""
    extra = row.get("extra")
    if extra is None or not OWN.issuperset(row):
        return None
    if isinstance(extra, str):
        try:
            extra = json.loads(extra)
        except ValueError:
            return None
    return extra if isinstance(extra, dict) else None


def _tests(row: Mapping[str, JSON], columns: Mapping[str, str]) -> tuple[str | None, set[str], str]:
    """The tests of a row, the columns that they took, and why they cannot be read."""
    try:
        return *tests_of(row, columns.get("tests") or "tests"), ""
    except UnreadableTestsError as error:
        return None, NO_COLUMNS, str(error)


@lru_cache(maxsize=256)
def may_hold_tests(keys: tuple[str, ...], column: str) -> bool:
    """Whether rows with these keys may hold the tests of a program, under `column` or as a group of columns."""
    return not {column, *(group[0] for group in GROUPS)}.isdisjoint(keys)


@lru_cache(maxsize=256)
def columns_there(
    keys: tuple[str, ...], has_tests: bool, columns: tuple[tuple[str, str], ...]
) -> Mapping[str, tuple[str, ...]]:
    """Field to those of its columns that rows with these keys have, the one that is asked for alone where one is."""
    asked, known = dict(columns), dict.fromkeys(keys)
    more = CODE_COLUMNS if has_tests else {}
    return {
        name: (asked[name],) if asked.get(name) else tuple(key for key in (*names, *more.get(name, ())) if key in known)
        for name, names in COLUMNS.items()
    }


def _first(row: Mapping[str, JSON], keys: tuple[str, ...]) -> str:
    """The first of `keys` with a value, else the first, else an empty name."""
    for key in keys:
        if row.get(key) is not None:
            return key
    return keys[0] if keys else ""


def unencodable_value(row: Mapping[str, JSON]) -> tuple[str, str] | None:
    """The first key, as ASCII, whose name or value has no stable encoding, and why."""
    for key, value in row.items():
        if key.isascii() and (value is None or isinstance(value, int) or (isinstance(value, str) and value.isascii())):
            continue
        try:
            if isinstance(value, str):  # a text has a key where it has bytes
                key.encode()
                value.encode()
            else:
                content_key(key, value)
        except (EncodingError, UnicodeEncodeError, RecursionError) as error:
            return ascii(key)[1:-1], str(error)
    return None


def _level(value: JSON) -> int | None:
    """A whole number as a number, a float or a text such as `Level 5`; None for anything else."""
    if isinstance(value, str):
        match = LEVEL.fullmatch(value)
        return int(match[1]) if match else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return int(value) if value == int(value) and abs(value) < 2**63 else None


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None
