"""Plain files as what a selection reads: problems, and where there are any their responses, grades and labels.

Rows are our own records (as `collect --out` and the tables of a run have them), or problems of any file that `collect`
reads, responses as `thinkscale generate` writes them, and verdicts as `thinkscale grade` does: the k-th verdict on an
id is about the k-th response with it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from thinkscale.curation.funnel import Decisions
from thinkscale.errors import ConfigError, DataError, EncodingError
from thinkscale.keys import JSON
from thinkscale.records import (
    Finish,
    Grade,
    Label,
    Response,
    Role,
    Sampling,
    Verdict,
    from_row,
)
from thinkscale.sources.blocks import rows_at
from thinkscale.sources.files import SUFFIXES, SourceRow, read_rows

R = TypeVar("R")


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """The files; `problems` in order of preference, all other tables optional."""

    problems: tuple[Path, ...]
    responses: Path | None = None
    grades: Path | None = None
    labels: Path | None = None

    def paths(self) -> Iterator[Path]:
        """Every file that is read."""
        yield from self.problems
        yield from (path for path in (self.responses, self.grades, self.labels) if path)

    def read_responses(self) -> Iterator[Response]:
        """Every response in order."""
        counts: Counter[str] = Counter()
        for row in read_rows(self.responses) if self.responses else ():
            if "problem_id" in row.values:
                yield _record(row, Response)
            else:
                name = _id(row)
                counts[name] += 1
                yield _response(row, name, f"{name}/{counts[name]}")

    def read_grades(self) -> Iterator[Grade]:
        """Every grade in order."""
        counts: Counter[str] = Counter()
        for row in read_rows(self.grades) if self.grades else ():
            if "response_key" in row.values:
                yield _record(row, Grade)
            else:
                name = _id(row)
                counts[name] += 1
                yield _grade(row, name, f"{name}/{counts[name]}")

    def read_labels(self) -> Iterator[Label]:
        """Every label in order, as `label --labels` reads them."""
        from thinkscale.stages.label_work import read_labels  # it loads what asks models; most selections need none

        yield from read_labels([self.labels] if self.labels else [])


def inputs_of(problems: tuple[Path, ...], responses: Path | None, grades: Path | None, labels: Path | None) -> Inputs:
    """The files that are named; a folder stands for the tables in it that `collect` or a run wrote."""
    if len(problems) == 1 and problems[0].is_dir():
        folder = problems[0]
        found = {name: _table(folder, name) for name in ("problems", "responses", "grades", "labels")}
        if found["problems"] is None:
            raise ConfigError(f"{folder}: a folder without a table `problems`; give files, or a run with --replay")
        return Inputs(
            problems=(found["problems"],),
            responses=responses or found["responses"],
            grades=grades or found["grades"],
            labels=labels or found["labels"],
        )
    return Inputs(problems=problems, responses=responses, grades=grades, labels=labels)


def _table(folder: Path, name: str) -> Path | None:
    return next((path for ending in SUFFIXES if (path := folder / f"{name}{ending}").is_file()), None)


def _record(row: SourceRow, record_type: type[R]) -> R:
    try:
        return from_row(record_type, row.values)
    except (EncodingError, TypeError, ValueError, AssertionError) as error:
        name = record_type.__name__
        raise DataError(f"{row.place}: the row is no {name} as a run has them: {error}") from error


def _id(row: SourceRow) -> str:
    given = row.values.get("id")
    if given is None or given == "":
        raise DataError(f"{row.place}: the row needs `id`, the problem that it is about")
    return str(given)


def _response(row: SourceRow, name: str, key: str) -> Response:
    values = row.values
    tokens, answer_tokens = values.get("thinking_tokens"), values.get("answer_tokens")
    if not isinstance(tokens, int) or not isinstance(values.get("thinking"), str):
        raise DataError(
            f"{row.place}: a response needs `thinking` and `thinking_tokens`, as `thinkscale generate` writes"
        )
    try:
        finish = Finish(str(values.get("finish") or "end"))
    except ValueError as error:
        raise DataError(f"{row.place}: `finish` is one of {', '.join(Finish)}; it is {values['finish']!r}") from error
    return Response(
        key=key,
        role=Role.TEACHER,
        problem_id=name,
        model=str(values.get("model") or ""),
        sample=0,
        thinking=str(values["thinking"]),
        answer_text=str(values.get("answer") or ""),
        thinking_tokens=tokens,
        answer_tokens=answer_tokens if isinstance(answer_tokens, int) else 0,
        finish=finish,
        error=str(values["error"]) if values.get("error") else None,
        sampling=Sampling(max_tokens=0),
    )


def _grade(row: SourceRow, name: str, key: str) -> Grade:
    try:
        verdict = Verdict(str(row.values.get("verdict")))
    except ValueError as error:
        raise DataError(
            f"{row.place}: `verdict` is one of {', '.join(Verdict)}; it is {row.values.get('verdict')!r}"
        ) from error
    return Grade(
        response_key=key, problem_id=name, grader="file", verdict=verdict, tier=str(row.values.get("tier") or "")
    )


def picked_rows(inputs: Inputs, decisions: Decisions) -> Iterator[Mapping[str, JSON]]:
    """The rows of the files that were picked, unchanged, in the order of their picks; a second pass over the files."""
    chosen = decisions.chosen.key
    found = dict(rows_at(inputs.problems, frozenset(decisions.picks)))
    for number in decisions.picks:
        key: dict[str, JSON] = {"response_key": chosen[number]} if number in chosen else {}
        yield {**found[number], **key}
