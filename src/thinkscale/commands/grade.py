"""grade: verdicts for a file of responses, streamed."""

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from thinkscale.errors import ConfigError, DataError
from thinkscale.grading.verdicts import grade as grade_response
from thinkscale.keys import JSON
from thinkscale.records import Finish, Problem, Response, Role, Sampling
from thinkscale.sources.files import SourceRow, read_rows, write_rows
from thinkscale.sources.problems import COLUMNS, Malformed, parse_problem
from thinkscale.thinking.formats import find_format, split_text

HEADER = ("id", "verdict", "extracted", "tier", "seconds")
"""The columns of a verdict."""
USED = ("reference", *COLUMNS["kind"], *COLUMNS["choices"])
"""The columns that decide a verdict; nothing is asked of the others."""


def grade(rows: Path, out: Path | None) -> str:
    """Writes one row for each row of `rows`, in order: id, verdict, extracted, tier, seconds.

    A row has `reference` and `response` (the whole text), and optionally `id`, `kind`, `choices` and
    `thinking_format`. Returns a line that counts the verdicts.
    """
    counts: Counter[str] = Counter()
    total = write_rows(out, _graded(rows, counts), HEADER)
    tally = ", ".join(f"{verdict} {number:,}" for verdict, number in sorted(counts.items()))
    return f"{total:,} rows graded: {tally or 'none'}"


def _graded(rows: Path, counts: Counter[str]) -> Iterator[Mapping[str, JSON]]:
    for number, row in enumerate(read_rows(rows)):
        problem, response = _read(row, number)
        started = time.perf_counter()
        verdict = grade_response(problem, response)
        counts[verdict.verdict] += 1
        yield {
            "id": str(number) if row.values.get("id") is None else row.values["id"],
            "verdict": verdict.verdict.value,
            "extracted": verdict.extracted,
            "tier": verdict.tier,
            "seconds": round(time.perf_counter() - started, 6),
        }


def _read(row: SourceRow, number: int) -> tuple[Problem, Response]:
    """The problem and the response that a row states. DataError names the row and the key that is wrong."""
    text = row.values.get("response")
    if not isinstance(text, str):
        raise DataError(f"{row.place}: `response` must be the whole response as text, it is {text!r:.60}")
    if "reference" not in row.values:
        raise DataError(f"{row.place}: there is no `reference`; every row needs one (null where it is unknown)")
    # A question is not needed to grade by rules, and an id only to name the verdict.
    values = {key: row.values[key] for key in USED if key in row.values}
    problem = parse_problem({**values, "question": "-", "id": str(number)}, "rows", {"reference": "reference"})
    if isinstance(problem, Malformed):
        raise DataError(f"{row.place}: {problem.detail}")
    try:
        return problem, _response(problem, text, str(row.values.get("thinking_format") or "think_tags"))
    except ConfigError as error:
        raise DataError(f"{row.place}: `thinking_format`: {error}") from error


def _response(problem: Problem, text: str, format_name: str) -> Response:
    parts = split_text(text, find_format(format_name))
    return Response(
        key=problem.id,
        role=Role.EVALUATION,
        problem_id=problem.id,
        model="",
        sample=0,
        thinking=parts.thinking,
        answer_text=parts.answer,
        thinking_tokens=0,
        answer_tokens=0,
        finish=Finish.END if parts.terminated else Finish.LENGTH,
        sampling=Sampling(max_tokens=0),
    )
