"""What a person decided where graders disagree: a file to fill in, whose decisions override on the next run.

A line of the file holds one case: `id`, `question`, `choices`, `reference`, `answer`, `tests_key`, `grades` (each
grader's verdict, extracted answer, tier and evidence), `decision` and `note`. The person sets `decision` to one of
DECIDABLE, and may write a `note`. Nothing else is read but what names the case.

A case is named by its content, never by its row number or id: the question, its choices in order, the reference, the
tests, and the answer text. So a decision holds for every response that says the same, in whatever file and order, and
ceases to hold where any of these changes.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON, content_key
from thinkscale.records import Grade, Problem, Response, Verdict
from thinkscale.sources.files import SourceRow, read_rows, require_table, write_rows

PERSON = "person"
"""Grader and tier of a verdict that a person gave."""

DECIDABLE = (Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER, Verdict.UNGRADABLE)
"""What a person may decide. Whether a response was cut off is a fact of its generation."""

COLUMNS = ("id", "question", "choices", "reference", "answer", "tests_key", "grades", "decision", "note")


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """What a decision is about: one answer to one question."""

    question: str
    reference: str | None
    answer: str
    choices: tuple[str, ...] = ()
    """Option texts in order: the same letter means another option where they are shuffled."""
    tests_key: str | None = None
    """The content key of a code problem's tests."""

    @property
    def key(self) -> str:
        """The content key, also of text that is not valid Unicode (models do write such)."""
        return _text_key([self.question, list(self.choices), self.reference, self.answer, self.tests_key])


@dataclass(frozen=True, slots=True, kw_only=True)
class Decided:
    """One decision and where it stands."""

    verdict: Verdict
    note: str
    place: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The decisions of a file by the key of their case, and how many cases still wait for one."""

    by_key: Mapping[str, Decided]
    num_open: int

    def find(self, case: Case) -> Decided | None:
        """The decision on `case`, if there is one."""
        return self.by_key.get(case.key) if self.by_key else None


NO_DECISIONS = Decisions(by_key={}, num_open=0)


def _text_key(value: JSON) -> str:
    return content_key(json.dumps(value))  # ASCII with escapes: it holds lone surrogates too


def case_of(problem: Problem, response: Response) -> Case:
    """The case that a response to a problem is. The thinking is no part of it."""
    return Case(
        question=problem.question,
        reference=problem.reference,
        answer=response.answer_text,
        choices=problem.choices,
        tests_key=None if problem.tests is None else _text_key(problem.tests),
    )


def overridden(grade: Grade, decided: Decided | None) -> Grade:
    """`grade` as the person decided it, or as it is where nobody did. The extracted answer stays."""
    if decided is None:
        return grade
    evidence = _evidence(decided, f"{grade.grader} said {grade.verdict} ({grade.tier})")
    return replace(grade, grader=PERSON, verdict=decided.verdict, tier=PERSON, evidence=evidence)


def overridden_judgement(judgement: Judgement, decided: Decided | None) -> Judgement:
    """The same for a judgement that is not yet tied to a response."""
    if decided is None:
        return judgement
    evidence = _evidence(decided, f"the grader said {judgement.verdict} ({judgement.tier})")
    return replace(judgement, verdict=decided.verdict, tier=PERSON, evidence=evidence)


def _evidence(decided: Decided, instead: str) -> str:
    note = f": {decided.note}" if decided.note else ""
    return f"decided by a person{note}; {instead}"


def load_decisions(path: Path) -> Decisions:
    """The decisions in `path`. Raises DataError with file and line on anything that is not as described above.

    Also where two lines decide the same case differently: a decision is never picked by its place.
    """
    found: dict[str, Decided] = {}
    still_open: set[str] = set()
    for row in read_rows(path):
        key, decided = _read(row)
        if decided is None:
            still_open.add(key)
            continue
        other = found.setdefault(key, decided)
        if other.verdict is not decided.verdict:
            raise DataError(
                f"{row.place}: `decision` is {decided.verdict}, but {other.place} decides the same case as "
                f"{other.verdict}; make them equal or delete one line"
            )
    return Decisions(by_key=found, num_open=len(still_open - found.keys()))


def case_row(
    row_id: str, case: Case, grades: Mapping[str, Judgement], decision: Verdict | None = None
) -> dict[str, JSON]:
    """The line that puts `case` before a person."""
    return {
        "id": row_id,
        "question": case.question,
        "choices": list(case.choices),
        "reference": case.reference,
        "answer": case.answer,
        "tests_key": case.tests_key,
        "grades": {
            grader: {
                "verdict": item.verdict.value,
                "extracted": item.extracted,
                "tier": item.tier,
                "evidence": item.evidence,
            }
            for grader, item in grades.items()
        },
        "decision": None if decision is None else decision.value,
        "note": "",
    }


def write_cases(path: Path, cases: Iterable[Mapping[str, JSON]]) -> int:
    """Writes `cases` (made by `case_row`) to `path`, and first of all what a person has put there already.

    A line that is there with a decision or a note stays as it is, whether or not the graders still disagree; lines
    that nobody touched give way to the new ones. A case stands in the file once. Complete or not at all: on any
    error the file is as it was. Returns how many lines there are. Memory grows by a key for each case.

    Raises DataError where the file that is there cannot be read as such a file, so that nobody's work is lost, and
    where `path` is not a JSONL file, which a person can fill in.
    """
    check_cases(path)
    return write_rows(path, _merged(path, cases), COLUMNS)


def check_cases(path: Path) -> None:
    """Raises DataError where `write_cases` would, before there is anything to write."""
    require_table(path)
    if path.suffix == ".parquet":
        raise DataError(f"{path}: a person fills this file in, so it must be JSONL (.jsonl, .jsonl.gz, .jsonl.zst)")
    if path.exists():
        load_decisions(path)


def _merged(path: Path, cases: Iterable[Mapping[str, JSON]]) -> Iterator[Mapping[str, JSON]]:
    seen: set[str] = set()
    if path.exists():
        for row in read_rows(path):
            if row.values["decision"] is not None or row.values.get("note"):
                seen.add(_read(row)[0])
                yield row.values
    for case in cases:
        key, _ = _read(SourceRow(f"{path}, a new case", case))
        if key not in seen:
            seen.add(key)
            yield case


def _read(row: SourceRow) -> tuple[str, Decided | None]:
    """The key of a line's case and its decision. Raises DataError."""
    values = row.values
    unknown = [name for name in values if name not in COLUMNS]
    if unknown:
        raise DataError(f"{row.place}: there is no column `{unknown[0]}`; a line has {', '.join(COLUMNS)}")
    if "decision" not in values:
        raise DataError(f"{row.place}: there is no `decision`; it is null, or one of {', '.join(DECIDABLE)}")
    note = values.get("note") or ""
    if not isinstance(note, str):
        raise DataError(f"{row.place}: `note` must be a text, it is {note!r:.60}")
    key, decision = _case(row).key, values["decision"]
    if decision is None:
        return key, None
    if decision not in list(DECIDABLE):
        raise DataError(
            f"{row.place}: `decision` is {decision!r:.60}; it must be null or one of {', '.join(DECIDABLE)}"
        )
    return key, Decided(verdict=Verdict(str(decision)), note=note.strip(), place=row.place)


def _case(row: SourceRow) -> Case:
    question, answer, choices = row.values.get("question"), row.values.get("answer"), row.values.get("choices") or []
    reference, tests_key = row.values.get("reference"), row.values.get("tests_key")
    for name, value in (("question", question), ("answer", answer)):
        if not isinstance(value, str):
            raise DataError(f"{row.place}: `{name}` must be a text, it is {value!r:.60}")
    for name, value in (("reference", reference), ("tests_key", tests_key)):
        if value is not None and not isinstance(value, str):
            raise DataError(f"{row.place}: `{name}` must be a text or null, it is {value!r:.60}")
    if not isinstance(choices, list) or not all(isinstance(item, str) for item in choices):
        raise DataError(f"{row.place}: `choices` must be a list of texts, it is {choices!r:.60}")
    return Case(
        question=str(question),
        reference=None if reference is None else str(reference),
        answer=str(answer),
        choices=tuple(str(item) for item in choices),
        tests_key=None if tests_key is None else str(tests_key),
    )
