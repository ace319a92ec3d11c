"""From a foreign row to a Problem, or to the reason why it is none."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, content_key
from thinkscale.records import Kind, Problem, problem_id
from thinkscale.sources.suites import UnreadableTestsError, tests_of

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

LEVEL = re.compile(r"\s*(?:level\s*)?([0-9]{1,18})\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a row is no problem: a snake_case reason, and a sentence."""

    row_id: str
    reason: str
    detail: str


def parse_problem(row: Mapping[str, JSON], source: str, columns: Mapping[str, str]) -> Problem | Malformed:
    """The problem that `row` states. `columns` names the column of a field where it differs from COLUMNS."""
    unencodable = _unencodable(row)
    tests, test_columns, unreadable = _tests(row, columns) if unencodable is None else (None, set(), "")
    more = CODE_COLUMNS if test_columns else {}
    found = {name: columns.get(name) or _alias(row, (*keys, *more.get(name, ()))) for name, keys in COLUMNS.items()}
    values = {name: row.get(key) for name, key in found.items()}
    question, choices, reference = values["question"], values["choices"], values["reference"]
    row_id = str(values["id"]) if values["id"] is not None else ""

    def malformed(reason: str, detail: str) -> Malformed:
        return Malformed(row_id or problem_id(source, str(dict(row))), reason, detail)

    if unencodable is not None:
        row_id = row_id if _unencodable({"": row_id}) is None else ""
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
    if kind not in list(Kind):
        return malformed("unknown_kind", f"`{found['kind']}` must be one of {', '.join(Kind)}, it is {kind!r}")
    solution, level = _text(values["solution"]), _level(values["level"])
    unread = {found[name] for name, value in (("solution", solution), ("level", level)) if value is None}
    placed = {*(set(found.values()) - {key for key in unread if row.get(key) is not None}), *test_columns, "source"}
    return Problem(
        id=row_id or problem_id(source, question, options),
        source=str(row.get("source") or source),
        question=question,
        reference=None if reference is None or str(reference) == "" else str(reference),
        kind=Kind(str(kind)),
        choices=options,
        solution=solution,
        tests=tests,
        level=level,
        extra={key: value for key, value in row.items() if key not in placed},
    )


def _tests(row: Mapping[str, JSON], columns: Mapping[str, str]) -> tuple[str | None, set[str], str]:
    """The tests of a row, the columns that they took, and why they cannot be read."""
    try:
        return *tests_of(row, columns.get("tests") or "tests"), ""
    except UnreadableTestsError as error:
        return None, set(), str(error)


def _alias(row: Mapping[str, JSON], keys: tuple[str, ...]) -> str:
    """The first of `keys` with a value, else the first that is there, else an empty name."""
    there = [key for key in keys if key in row]
    return next((key for key in there if row[key] is not None), there[0] if there else "")


def _unencodable(row: Mapping[str, JSON]) -> tuple[str, str] | None:
    """The first key, as ASCII, whose name or value has no stable encoding, and why."""
    for key, value in row.items():
        try:
            content_key(key, value)
        except (EncodingError, RecursionError) as error:
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
