"""What a row of a file asks of the graders: a problem, a response in its parts, and the text as it was written."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.records import Finish, Problem, Response, Role, Sampling, Verdict
from thinkscale.sources.files import SourceRow
from thinkscale.sources.outputs import read_outputs
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem
from thinkscale.sources.suites import GROUPS
from thinkscale.thinking.formats import find_format, recognised_format, split_text
from thinkscale.verification.decisions import Case, case_of
from thinkscale.verification.panel import Submission

USED = ("question", "reference", "tests", *COLUMNS["kind"], *COLUMNS["choices"])
"""The columns that decide a verdict; nothing is asked of the others."""
USED_WITH_TESTS = (*chain.from_iterable(GROUPS), "prompt", "metadata", "starter_code")
"""Those that decide it too where a data set spreads the tests of a program over columns of its own."""
NO_QUESTION = "-"
"""Stands for a question that the file does not state: none is needed to grade by rules."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the file, and what is asked of the graders."""

    id: JSON
    submission: Submission
    seconds: float = 0.0

    @property
    def case(self) -> Case:
        """What a person would decide about."""
        return case_of(self.submission.problem, self.submission.response)


def read_submissions(path: Path, problems: Path | None = None) -> Iterator[Row]:
    """The rows of `path` in order. Raises DataError that names the row and the key that is wrong."""
    for number, row in enumerate(read_outputs(path, problems)):
        yield _read(row, number)


def _read(row: SourceRow, number: int) -> Row:
    """What a row states. DataError names the row and the key that is wrong."""
    text = row.values.get("response")
    if not isinstance(text, str):
        raise DataError(f"{row.place}: `response` must be the whole response as text, it is {text!r:.60}")
    has_tests = any(row.values.get(name) for name in ("tests", *(group[0] for group in GROUPS)))
    if "reference" not in row.values and not has_tests:
        raise DataError(f"{row.place}: there is no `reference`; every row needs one (null where it is unknown)")
    question = row.values.get("question")
    # A question is not needed to grade by rules, and an id only to name the verdict.
    used = (*USED, *USED_WITH_TESTS) if has_tests else USED
    values = {key: row.values[key] for key in used if key in row.values}
    asked = question if isinstance(question, str) and question.strip() else NO_QUESTION
    values |= {"question": asked, "id": str(number)}
    problem = parse_problem(values, "rows", {"reference": "reference"})
    if isinstance(problem, Malformed):
        raise DataError(f"{row.place}: {problem.detail}")
    try:
        response = _response(problem, text, row)
    except ConfigError as error:
        raise DataError(f"{row.place}: `thinking_format`: {error}") from error
    submission = Submission(problem=problem, response=response, text=text, recorded=_recorded(row))
    row_id = str(number) if row.values.get("id") is None else row.values["id"]
    return Row(row_id, submission)


def _recorded(row: SourceRow) -> Verdict | None:
    """The verdict that the file itself states, as a word or as true and false."""
    stated = row.values.get("recorded")
    if isinstance(stated, bool):
        return Verdict.CORRECT if stated else Verdict.WRONG
    return Verdict(stated) if stated in list(Verdict) else None


def _response(problem: Problem, text: str, row: SourceRow) -> Response:
    """The response in its parts: as the row states them, or split at the markers of its thinking."""
    stated = row.values.get("finish")
    if stated in list(Finish) and "answer_text" in row.values:
        thinking, answer = str(row.values.get("thinking") or ""), str(row.values.get("answer_text") or "")
        finish = Finish(str(stated))
    else:
        name = row.values.get("thinking_format")
        parts = split_text(text, find_format(str(name)) if name else recognised_format(text))
        thinking, answer = parts.thinking, parts.answer
        finish = Finish.END if parts.terminated else Finish.LENGTH
    return Response(
        key=problem.id,
        role=Role.EVALUATION,
        problem_id=problem.id,
        model="",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=0,
        answer_tokens=0,
        finish=finish,
        error=str(row.values["error"]) if row.values.get("error") else None,
        sampling=Sampling(max_tokens=0),
    )
