"""From a foreign row to a Problem, or to the reason why it is none."""

from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.keys import JSON
from thinkscale.records import Kind, Problem, problem_id

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "id": ("id", "unique_id"),
    "question": ("question", "problem", "prompt"),
    "reference": ("reference", "answer"),
    "kind": ("kind",),
    "choices": ("choices", "options"),
    "solution": ("solution",),
    "tests": ("tests",),
    "level": ("level",),
}
"""The names under which foreign files carry each field, the first that is there wins."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """Why a row is no problem: a snake_case reason, and a sentence."""

    row_id: str
    reason: str
    detail: str


def parse_problem(row: Mapping[str, JSON], source: str, columns: Mapping[str, str]) -> Problem | Malformed:
    """The problem that `row` states. `columns` names the column of a field where it differs from COLUMNS."""
    found = {name: columns.get(name) or next((key for key in keys if key in row), "") for name, keys in COLUMNS.items()}
    values = {name: row.get(key) for name, key in found.items()}
    question, choices, reference = values["question"], values["choices"], values["reference"]
    row_id = str(values["id"]) if values["id"] is not None else ""

    def malformed(reason: str, detail: str) -> Malformed:
        return Malformed(row_id or problem_id(source, str(dict(row))), reason, detail)

    if not isinstance(question, str) or not question.strip():
        key = found["question"] or "question"
        return malformed("missing_question", f"`{key}` must be a text that is not empty, it is {question!r:.60}")
    if choices is not None and not (isinstance(choices, list) and all(isinstance(item, str) for item in choices)):
        return malformed("malformed_choices", f"`{found['choices']}` must be a list of texts, it is {choices!r:.60}")
    if reference is not None and not isinstance(reference, (str, int, float)):
        return malformed("malformed_reference", f"`{found['reference']}` must be a text, it is {reference!r:.60}")
    options = tuple(str(item) for item in choices or ())
    kind = values["kind"] or (Kind.CHOICE if options else Kind.MATH)
    if kind not in list(Kind):
        return malformed("unknown_kind", f"`{found['kind']}` must be one of {', '.join(Kind)}, it is {kind!r}")
    level = values["level"]
    return Problem(
        id=row_id or problem_id(source, question, options),
        source=str(row.get("source") or source),
        question=question,
        reference=None if reference is None or str(reference) == "" else str(reference),
        kind=Kind(str(kind)),
        choices=options,
        solution=_text(values["solution"]),
        tests=_text(values["tests"]),
        level=level if isinstance(level, int) else None,
        extra={key: value for key, value in row.items() if key not in {*found.values(), "source"}},
    )


def _text(value: JSON) -> str | None:
    return value if isinstance(value, str) else None
