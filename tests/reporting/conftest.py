"""A plausible evaluation without any model: problems have a difficulty, thinking helps up to a point."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.reporting.chosen import selection_facts
from tests.reporting.trained import training
from tests.reporting.world import BASE, BENCHMARKS, TUNED, all_cells, all_scores
from thinkscale.records import (
    Decision,
    Fate,
    Finish,
    Grade,
    Label,
    Problem,
    Replay,
    Response,
    Role,
    Sampling,
    Score,
    Usage,
    Verdict,
)
from thinkscale.reporting.data import (
    Decided,
    Deviation,
    Loop,
    Piece,
    ReferenceCheck,
    ReportData,
    Sample,
    Setup,
    StageFlow,
    SweepCost,
    SweepSaving,
)
from thinkscale.reporting.published import PublishedPoint, published

HOSTILE = "<script>alert('owned')</script> | `tick` ``` **bold** $x<y & z>w$ </details> ![x](http://evil.example/p.png)"


def fates() -> list[Fate]:
    plan = {
        "clean": {"no_answer": 61, "malformed_question": 24},
        "decontaminate": {"shares_8gram_with_benchmark": 143, "near_duplicate": 210},
        "grade": {"teacher_wrong": 310, "cut_off": 44},
        "select": {"too_easy": 1205, "domain_quota_full": 1003},
    }
    rows = []
    for stage, reasons in plan.items():
        for reason, number in reasons.items():
            for index in range(number):
                rows.append(
                    Fate(
                        problem_id=f"pool-{stage}-{index:04}",
                        stage=stage,
                        decision=Decision.DROPPED,
                        reason=reason,
                        evidence="the integers a, b and c satisfy" if reason.startswith("shares") else "",
                    )
                )
    return rows


def response(problem_id: str, thinking: str, answer: str, role: Role = Role.EVALUATION) -> Response:
    return Response(
        key=f"key-{problem_id}",
        role=role,
        problem_id=problem_id,
        model=TUNED,
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=len(thinking.split()),
        answer_tokens=len(answer.split()),
        finish=Finish.END,
        sampling=Sampling(max_tokens=512),
        usage=Usage(prompt_tokens=20, completion_tokens=60),
    )


def samples() -> list[Sample]:
    first = "We need 17 + 25. 17 + 20 = 37, and 37 + 5 = 43.\n"
    second = ", 37 + 5 is 42, not 43. So the sum is 42."
    slip = Sample(
        problem=Problem(id="lab_numeric-001", source="lab", question="What is 17 + 25?", reference="42"),
        prompt="<|im_start|>user\nWhat is 17 + 25?<|im_end|>\n<|im_start|>think\n",
        response=response("lab_numeric-001", first + "Wait" + second, "The answer is 42."),
        grade=Grade(
            response_key="key-lab_numeric-001",
            problem_id="lab_numeric-001",
            grader="math",
            verdict=Verdict.CORRECT,
            extracted="42",
            tier="numeric",
        ),
        pieces=(Piece(text=first), Piece(text="Wait", forced=True), Piece(text=second)),
        benchmark="lab_numeric",
        method="budget_forcing",
        waits=1,
        variant="Wait",
    )
    hostile = Sample(
        problem=Problem(id="lab_choice-007", source="lab", question=HOSTILE, reference="B"),
        prompt=HOSTILE,
        response=response("lab_choice-007", f"Thinking {HOSTILE}\n```\ncode\n```\n</script>", f"{HOSTILE} C"),
        grade=Grade(
            response_key="key-lab_choice-007",
            problem_id="lab_choice-007",
            grader="choice",
            verdict=Verdict.WRONG,
            extracted=HOSTILE,
            tier="letter",
        ),
        benchmark="lab_choice",
        method="truncation",
        budget_tokens=64,
    )
    return [slip, hostile]


def loops(scores: Sequence[Score]) -> tuple[Loop, ...]:
    """Every ninth of the tuned model's long responses."""
    keys = dict.fromkeys(score.response_key for score in scores if score.model == TUNED and score.thinking_tokens > 200)
    return tuple(Loop(response_key=key, unit=f"so we add {HOSTILE} ", repeats=12) for key in list(keys)[::9])


def published_here() -> tuple[PublishedPoint, ...]:
    """s1's points on AIME24, as if they were on a benchmark of the lab: tokens a hundredth, so that they fit."""
    points = (
        replace(point, thinking_tokens=point.thinking_tokens and point.thinking_tokens / 25, benchmark="lab_numeric")
        for point in published(("aime24",), ("s1",))
    )
    return tuple(points)


def replays() -> tuple[Replay, ...]:
    """Forty trajectories a second time: one of those that were shuffled differs."""
    return tuple(
        Replay(
            model=TUNED,
            benchmark="lab_numeric",
            problem_id=f"lab_numeric-{number:03}",
            sample=0,
            num_tokens=100,
            first_difference=37 if (number, batch) == (3, "shuffled") else None,
            batch=batch,
            engine="local",
            conditions={"dtype": "float64", "device": "cpu"},
        )
        for number in range(20)
        for batch in ("alone", "shuffled")
    )


def report_data(scores: Sequence[Score]) -> ReportData:
    savings = [
        SweepSaving(
            benchmark=benchmark,
            model=model,
            thinking_tokens_separate=num * 1900,
            thinking_tokens_generated=num * 320,
            answer_tokens_generated=num * 70,
            trajectories=num,
            answers=num * 9,
        )
        for benchmark, num in BENCHMARKS.items()
        for model in (BASE, TUNED)
    ]
    return ReportData(
        title="The lab: a tiny model learns to think",
        recipe="lab",
        models=(BASE, TUNED),
        base_model=BASE,
        problems_by_benchmark=BENCHMARKS,
        stages=(
            StageFlow(stage="clean", rows_in=4000, rows_out=3915),
            StageFlow(stage="decontaminate", rows_in=3915, rows_out=3562),
            StageFlow(stage="grade", rows_in=3562, rows_out=3208),
            StageFlow(stage="select", rows_in=3208, rows_out=1000),
        ),
        fates=tuple(fates()),
        labels=tuple(
            Label(
                problem_id=f"kept-{index}",
                name="domain",
                value=("algebra", "number theory", "logic")[index % 7 % 3],
                by="rules",
            )
            for index in range(1000)
        ),
        selection=selection_facts(HOSTILE),
        cells=all_cells(list(scores)),
        scores=tuple(scores),
        trainings=(training(120),),
        samples=tuple(samples()),
        savings=tuple(savings),
        loops=loops(scores),
        cost=SweepCost(
            seconds=840.0,
            joules={"nvml": 252_000.0, "rapl": 84_000.0},
            usd=0.0,
            usd_per_hour=3.6,
            generated_tokens=2_000_000,
        ),
        published=published_here(),
        replays=replays(),
        references=(
            ReferenceCheck(
                benchmark="lab_numeric", problems=120, accepted=120, tried_others=119, accepted_others=0, undecided=0
            ),
            ReferenceCheck(
                benchmark="lab_choice",
                problems=100,
                accepted=99,
                tried_others=99,
                accepted_others=0,
                undecided=1,
                examples=(f"lab_choice-007: {HOSTILE}",),
            ),
        ),
        decided=(
            Decided(grader="rules", tier="numeric", verdict="correct", responses=1200),
            Decided(grader="rules", tier="letter", verdict="wrong", responses=300),
        ),
        setup=Setup(
            approach=(("collect", "3,000 lab problems"), ("train", "5 epochs")),
            environment=(("model", "lab"), ("thinking format", "s1, hash 12ab")),
            compared_with="s1-32b",
            deviations=(Deviation(setting="train.learning_rate", here="0.002", there="1e-05"),),
            agreeing=7,
        ),
        targets_tokens=(16, 32, 64, 128, 256),
        resamples=500,
        provenance={
            "thinkscale": "0.1.0",
            "seed": 42,
            "host": {"cpus": 2, "gpus": []},
            "argv": ["thinkscale", "run", "lab"],
        },
        files={"every response": "responses.parquet", "every cell": "cells.parquet"},
        warnings=("The lab's numbers say nothing about real models.",),
    )


@pytest.fixture(scope="session")
def data() -> ReportData:
    return report_data(all_scores())
