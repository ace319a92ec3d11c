"""A plausible evaluation without any model: problems have a difficulty, thinking helps up to a point."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.reporting.chosen import selection_facts
from thinkscale.records import (
    Decision,
    Fate,
    Finish,
    Grade,
    Label,
    Problem,
    Response,
    Role,
    Sampling,
    Score,
    Step,
    Usage,
    Verdict,
)
from thinkscale.reporting.data import Piece, ReportData, Sample, StageFlow, SweepSaving
from thinkscale.statistics import cells_from_scores

BASE, TUNED = "lab-base", "lab-distilled"
BENCHMARKS = {"lab_numeric": 120, "lab_closed_form": 80, "lab_choice": 100}
BUDGETS = (16, 32, 64, 128, 256, None)
WAITS = (1, 2, 4)
HOSTILE = "<script>alert('owned')</script> | `tick` ``` **bold** $x<y & z>w$ </details> ![x](http://evil.example/p.png)"


class World:
    """Draws the scores of one model on one benchmark, paired across cells as a shared trajectory would be."""

    def __init__(self, benchmark: str, model: str, seed: int) -> None:
        random = np.random.default_rng(seed)
        self.benchmark, self.model = benchmark, model
        self.num = BENCHMARKS[benchmark]
        self.natural = np.maximum(4, random.lognormal(4.6 if model == TUNED else 3.2, 0.6, self.num)).astype(int)
        self.difficulty = random.normal(5.2 if benchmark == "lab_closed_form" else 4.4, 1.0, self.num)
        self.luck = random.random(self.num)

    def verdict(self, index: int, tokens: int, waits: int) -> Verdict:
        if self.model == BASE and self.luck[index] > 0.86 and tokens > 20:
            return Verdict.CUT_OFF
        fatigue = 0.35 * waits if self.benchmark == "lab_choice" else 0.0
        skill = 0.0 if self.model == TUNED else 1.6
        chance = 1 / (1 + math.exp(self.difficulty[index] + skill + fatigue - 1.1 * math.log(tokens + 1)))
        if self.benchmark == "lab_choice":
            chance = 0.25 + 0.75 * chance
        if self.luck[index] < chance:
            return Verdict.CORRECT
        return Verdict.NO_ANSWER if self.luck[index] > 0.97 else Verdict.WRONG

    def scores(
        self, method: str, budget: int | None, waits: int = 0, variant: str = "", stretch: float = 1
    ) -> list[Score]:
        rows = []
        for index in range(self.num):
            tokens = int(self.natural[index] * stretch * (1 + 0.18 * waits))
            tokens = tokens if budget is None else min(tokens, budget)
            rows.append(
                Score(
                    benchmark=self.benchmark,
                    model=self.model,
                    method=method,
                    budget_tokens=budget,
                    waits=waits,
                    variant=variant,
                    problem_id=f"{self.benchmark}-{index:03}",
                    sample=0,
                    response_key=f"{self.benchmark}-{self.model}-{index}-{tokens}",
                    verdict=self.verdict(index, tokens, waits),
                    thinking_tokens=tokens,
                )
            )
        return rows


def all_scores() -> list[Score]:
    scores: list[Score] = []
    for number, benchmark in enumerate(BENCHMARKS):
        base = World(benchmark, BASE, 10 + number)
        for budget in BUDGETS:
            scores += base.scores("truncation", budget)
        tuned = World(benchmark, TUNED, 20 + number)
        for budget in BUDGETS:
            scores += tuned.scores("truncation", budget)
            for waits in WAITS:
                scores += tuned.scores("budget_forcing", budget, waits, "Wait")
        scores += tuned.scores("class_conditional", None, variant="short", stretch=0.5)
        scores += tuned.scores("class_conditional", None, variant="long", stretch=1.5)
    return scores


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


def steps(num: int) -> list[Step]:
    random = np.random.default_rng(1)
    return [
        Step(
            step=index + 1,
            epoch=(index + 1) / (num / 3),
            loss=float(0.6 + 1.9 * math.exp(-index / 30) + random.normal(0, 0.03)),
            learning_rate=1e-4 * (1 - index / num),
            gradient_norm=1.0,
        )
        for index in range(num)
    ]


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
        cells=tuple(cells_from_scores(scores, resamples=500)),
        scores=tuple(scores),
        steps=tuple(steps(120)),
        samples=tuple(samples()),
        savings=tuple(savings),
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
