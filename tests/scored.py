"""Runs that are made of scores alone, for tests of what is computed from them."""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from thinkscale.records import Cell, Finish, Grade, Problem, Response, Role, Sampling, Score, Verdict
from thinkscale.statistics import cells_from_scores
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import write_table

RECIPE = """name: scored
student: {model: lab}
evaluate: {benchmarks: [aime], methods: [truncation]}
"""


def problem(number: int, question: str = "") -> Problem:
    return Problem(
        id=f"p{number:03}", source="aime", question=question or f"What is {number} + 1?", reference=str(number + 1)
    )


def scores(
    correct: Callable[[int, int | None], bool],
    *,
    problems: Sequence[int] = range(20),
    budgets: Sequence[int | None] = (500, None),
    model: str = "student",
    method: str = "truncation",
    samples: int = 1,
) -> list[Score]:
    return [
        Score(
            benchmark="aime",
            model=model,
            method=method,
            budget_tokens=budget,
            waits=0,
            variant="",
            problem_id=f"p{number:03}",
            sample=sample,
            response_key=f"{model}-{method}-{budget}-{number}-{sample}",
            verdict=Verdict.CORRECT if correct(number, budget) else Verdict.WRONG,
            thinking_tokens=budget or 900,
            answer_tokens=5,
            generated_tokens=(budget or 900) + 5,
        )
        for budget in budgets
        for number in problems
        for sample in range(samples)
    ]


def tables(folder: Path, rows: Sequence[Score], problems: Iterable[Problem] | None = None) -> str:
    """A folder with the tables that a run exports; its path as a user would write it."""
    folder.mkdir(parents=True)
    write_table(folder / "scores.parquet", Score, rows)
    if problems is not None:
        write_table(folder / "problems.parquet", Problem, problems)
    return str(folder)


def answered(score: Score) -> Response:
    """What the score was read of: the right number, or one too many."""
    number = int(score.problem_id[1:]) + 1
    right = score.verdict is Verdict.CORRECT
    return Response(
        key=score.response_key,
        role=Role.EVALUATION,
        problem_id=score.problem_id,
        model=score.model,
        sample=score.sample,
        thinking="Let me see.",
        answer_text=f"Answer: {number if right else number + 1}",
        thinking_tokens=score.thinking_tokens,
        answer_tokens=5,
        finish=Finish.END,
        sampling=Sampling(max_tokens=10),
    )


def run_directory(folder: Path, rows: Sequence[Score], recipe: str = RECIPE, more: Sequence[Cell] = ()) -> str:
    """A finished run directory with problems, responses, grades, scores and cells; `more` are cells of votes."""
    numbers = sorted({int(score.problem_id[1:]) for score in rows})
    grades = [
        Grade(
            response_key=score.response_key,
            problem_id=score.problem_id,
            grader="verifier",
            verdict=score.verdict,
            extracted=answered(score).answer_text.removeprefix("Answer: "),
            tier="numeric",
        )
        for score in rows
    ]
    with RunDirectory.create_or_open(folder, recipe) as run:
        run.begin_stage("evaluate", {"rules": 1})
        run.commit("evaluate", "problems", 0, [problem(number) for number in numbers])
        run.commit("evaluate", "responses", 1, [*map(answered, rows), *grades])
        run.commit("evaluate", "scores", 2, rows)
        run.commit("evaluate", "cells", 3, [*cells_from_scores(rows), *more])
        run.finish_stage("evaluate")
        run.write_provenance({"seed": 42})
        run.export_tables(["evaluate"])
        run.write_manifest()
    return str(folder)
