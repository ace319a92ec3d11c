"""Records for the store's tests."""

from collections.abc import Sequence

from thinkscale.records import (
    Cell,
    Decision,
    Example,
    Fate,
    Finish,
    Grade,
    HeldOut,
    Kind,
    Label,
    Message,
    Pair,
    Problem,
    Record,
    Replay,
    Response,
    Reward,
    Role,
    Sampling,
    Score,
    Step,
    Trajectory,
    Usage,
    Verdict,
)

STAGE_ORDER = ("collect", "generate")


def problem(number: int) -> Problem:
    return Problem(
        id=f"lab-{number}", source="lab", question=f"What is {number} + {number}?", reference=str(2 * number)
    )


def response(number: int, sample: int = 0) -> Response:
    return Response(
        key=f"{number:030d}{sample:02d}",
        role=Role.TEACHER,
        problem_id=f"lab-{number}",
        model="scripted",
        sample=sample,
        thinking=f"Two times {number}. Wait, again. " * (1 + number % 7),
        answer_text=str(2 * number),
        thinking_tokens=6 * (1 + number % 7),
        answer_tokens=1,
        finish=Finish.END,
        forced=((3, 4), (9, 10)),
        sampling=Sampling(max_tokens=100, temperature=0.7),
        usage=Usage(prompt_tokens=9, completion_tokens=7),
    )


def grade(number: int, sample: int = 0) -> Grade:
    return Grade(
        response_key=f"{number:030d}{sample:02d}",
        problem_id=f"lab-{number}",
        grader="math",
        verdict=Verdict.CORRECT if number % 3 else Verdict.WRONG,
        extracted=str(2 * number) if number % 5 else None,
        tier="exact",
    )


CELL = Cell(
    benchmark="lab-math",
    model="tiny",
    method="truncation",
    budget_tokens=None,
    waits=2,
    variant="Wait",
    num_problems=2,
    num_scores=4,
    accuracy=0.1 + 0.2,
    accuracy_low=0.0,
    accuracy_high=1e-300,
    accuracy_of_finished=1 / 3,
    mean_thinking_tokens=123.456,
    over_budget=0,
    correct=1,
    wrong=1,
    no_answer=1,
    cut_off=1,
    ungradable=0,
)

EVERY_KIND: dict[str, Sequence[Record]] = {
    "trajectories": (
        Trajectory(
            key="k",
            benchmark="lab-math",
            model="tiny",
            problem_id="lab-1",
            sample=0,
            condition="tokens:8",
            thinks=True,
            limit_tokens=40,
            num_cells=2,
            num_branches=1,
            num_answers=2,
            thinking_tokens=17,
            answer_tokens=9,
        ),
    ),
    "rewards": (Reward(response_key="k", problem_id="lab-1", by="a judge", value=-0.1),),
    "replays": (
        Replay(model="tiny", benchmark="lab-math", problem_id="lab-1", sample=0, num_tokens=7),
        Replay(model="tiny", benchmark="lab-math", problem_id="lab-1", sample=1, num_tokens=7, first_difference=0),
    ),
    "problems": (
        problem(1),
        Problem(
            id="π",
            source="hub",
            question="Zeile\r\nzwei\t\x00 \u2028 😀",
            kind=Kind.CHOICE,
            choices=("", "a,b", '"'),
            solution="",
            level=-(2**63),
            extra={"b": [1, 1.0, None, {"x": True}], "a": 2**70, "é": 1e-7},
        ),
        Problem(id="", source="", question="", level=2**63 - 1),
    ),
    "responses": (response(3), response(4, 1)),
    "grades": (grade(3), grade(5)),
    "labels": (Label(problem_id="lab-1", name="domain", value="algebra", by="rules", evidence="x"),),
    "fates": (Fate(problem_id="lab-1", stage="select", decision=Decision.DROPPED, reason="too_short"),),
    "examples": (
        Example(problem_id="lab-1", response_key="k", messages=()),
        Example(
            problem_id="lab-2",
            response_key="k",
            messages=(
                Message(role="user", content="q"),
                Message(role="assistant", content="a", thinking="t", trained=True),
            ),
        ),
    ),
    "pairs": (
        Pair(
            problem_id="lab-1",
            prompt=(Message(role="user", content="q"),),
            chosen=Message(role="assistant", content="c", thinking="t", trained=True),
            rejected=Message(role="assistant", content="r"),
            why="correct beats wrong",
        ),
    ),
    "steps": (
        Step(step=1, epoch=0.5, loss=1.25, learning_rate=1e-5, gradient_norm=0.0),
        Step(
            step=2,
            epoch=1.0,
            loss=1.0,
            learning_rate=1e-5,
            gradient_norm=0.5,
            num_tokens=30,
            num_trained_tokens=20,
            padding=0.25,
            chosen_reward=0.5,
            rejected_reward=-0.5,
            reward_accuracy=1.0,
        ),
    ),
    "held_out": (HeldOut(step=0, epoch=0.0, num_rows=3, loss=2.5, token_accuracy=0.25),),
    "scores": (
        Score(
            benchmark="lab",
            model="tiny",
            method="truncation",
            budget_tokens=500,
            waits=0,
            variant="",
            problem_id="lab-1",
            sample=0,
            response_key="k",
            verdict=Verdict.CUT_OFF,
            thinking_tokens=500,
        ),
    ),
    "cells": (CELL,),
}
