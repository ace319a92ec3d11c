"""Tables of a small run, hostile texts included, as its export would write them."""

from collections.abc import Sequence
from pathlib import Path

from thinkscale.records import (
    Cell,
    Finish,
    Grade,
    Kind,
    Problem,
    Response,
    Role,
    Sampling,
    Score,
    Usage,
    Verdict,
)
from thinkscale.store.tables import write_table

HOSTILE = "</script><script>window.owned = 1</script><img src=x onerror='window.owned = 2'><!-- & \u2028 ]]>"
WAITED = "First 3.\nWait\nThen 4."
"""`Wait` is what was forced, at the characters 9 to 13."""


class Characters:
    """A tokenizer whose tokens are characters."""

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(map(ord, text))

    def decode(self, ids: Sequence[int]) -> str:
        return "".join(map(chr, ids))


def response(key: str, problem_id: str, thinking: str, answer: str, finish: Finish = Finish.END) -> Response:
    return Response(
        key=key,
        role=Role.EVALUATION if key.startswith("e") else Role.TEACHER,
        problem_id=problem_id,
        model="student" if key.startswith("e") else "teacher",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=len(thinking),
        answer_tokens=len(answer),
        finish=finish,
        forced=((9, 13),) if thinking == WAITED else (),
        error="the server was gone" if finish is Finish.ERROR else None,
        sampling=Sampling(max_tokens=64),
        usage=Usage(prompt_tokens=10, completion_tokens=len(thinking) + len(answer)),
    )


PROBLEMS = (
    Problem(id="sum-1", source="sums", question="What is 1 + 3?", reference="4"),
    Problem(
        id="pick-1",
        source="picks",
        question=f"Which? {HOSTILE}",
        reference="B",
        kind=Kind.CHOICE,
        choices=("3", HOSTILE),
    ),
)

RESPONSES = (
    response("t1", "sum-1", "It is 4.", "4"),
    response("e1", "sum-1", WAITED, "Final Answer: 4"),
    response("e2", "sum-1", "First", "Final Answer: 7", Finish.BUDGET),
    response("e3", "pick-1", f"Hm. {HOSTILE}", f"B {HOSTILE}"),
    response("e4", "pick-1", "Never ending", "", Finish.LENGTH),
    response("e5", "sum-1", "", "", Finish.ERROR),
)


def grade(key: str, problem_id: str, verdict: Verdict, extracted: str | None = None) -> Grade:
    return Grade(
        response_key=key,
        problem_id=problem_id,
        grader="verifier",
        verdict=verdict,
        extracted=extracted,
        tier="exact" if extracted else "",
        evidence=f"compared {extracted} {HOSTILE}" if extracted else "",
    )


GRADES = (
    grade("e1", "sum-1", Verdict.CORRECT, "4"),
    grade("e2", "sum-1", Verdict.WRONG, "7"),
    grade("e3", "pick-1", Verdict.CORRECT, "B"),
    grade("e4", "pick-1", Verdict.CUT_OFF),
    grade("e5", "sum-1", Verdict.UNGRADABLE),
)
"""The teacher's response has none."""


def score(key: str, benchmark: str, method: str, budget: int | None, waits: int, verdict: Verdict) -> Score:
    (found,) = (item for item in RESPONSES if item.key == key)
    return Score(
        benchmark=benchmark,
        model="student",
        method=method,
        budget_tokens=budget,
        waits=waits,
        variant="Wait" if waits else "",
        problem_id=found.problem_id,
        sample=0,
        response_key=key,
        verdict=verdict,
        thinking_tokens=found.thinking_tokens,
    )


SCORES = (
    score("e2", "sums", "truncation", 5, 0, Verdict.WRONG),
    score("e1", "sums", "budget_forcing", 100, 1, Verdict.CORRECT),
    score("e1", "sums", "budget_forcing", None, 1, Verdict.CORRECT),
    score("e3", "picks", "truncation", None, 0, Verdict.CORRECT),
    score("e3", "picks", "rejection", None, 0, Verdict.WRONG),
    score("e4", "picks", "truncation", 5, 0, Verdict.CUT_OFF),
)
"""The rejection's verdict on `e3` differs from its grade."""


def cell(benchmark: str, method: str, budget: int | None, waits: int, accuracy: float) -> Cell:
    return Cell(
        benchmark=benchmark,
        model="student",
        method=method,
        budget_tokens=budget,
        waits=waits,
        variant="Wait" if waits else "",
        num_problems=1,
        num_scores=1,
        accuracy=accuracy,
        accuracy_low=accuracy,
        accuracy_high=accuracy,
        accuracy_of_finished=accuracy,
        mean_thinking_tokens=22.0,
        over_budget=0,
        correct=int(accuracy),
        wrong=int(1 - accuracy),
        no_answer=0,
        cut_off=0,
        ungradable=0,
    )


def write_tables(folder: Path) -> Path:
    """All tables of the run in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_table(folder / "problems.parquet", Problem, PROBLEMS)
    write_table(folder / "responses.parquet", Response, RESPONSES)
    write_table(folder / "grades.parquet", Grade, GRADES)
    write_table(folder / "scores.parquet", Score, SCORES)
    write_table(folder / "cells.parquet", Cell, [cell("sums", "budget_forcing", 100, 1, 1.0)])
    return folder


def write_many(folder: Path, num_rows: int) -> Path:
    """Responses without grades or scores: `row 0`, `row 1`, ... each with a problem of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    numbers = range(num_rows)
    write_table(
        folder / "problems.parquet",
        Problem,
        (Problem(id=f"p{number}", source="many", question=f"question {number}") for number in numbers),
    )
    write_table(
        folder / "responses.parquet",
        Response,
        (response(f"t{number}", f"p{number}", f"row {number} of all", str(number)) for number in numbers),
    )
    return folder
