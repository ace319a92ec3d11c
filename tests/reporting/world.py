"""The scores of a plausible evaluation without any model: problems have a difficulty, thinking helps up to a point."""

import math
from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from thinkscale.records import Cell, Cut, Score, Verdict
from thinkscale.statistics import cells_from_scores

BASE, TUNED = "lab-base", "lab-distilled"
BENCHMARKS = {"lab_numeric": 120, "lab_closed_form": 80, "lab_choice": 100}
BUDGETS = (16, 32, 64, 128, 256, None)
TOLD = (16, 32, 64, 128, 256)
STEPS = (1, 2, 4)
WAITS = (1, 2, 4)
STRINGS = ("Wait", "Hmm", "none")
ANSWER_TOKENS = 8


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
        self,
        method: str,
        budget: int | None,
        waits: int = 0,
        variant: str = "",
        stretch: float = 1,
        *,
        forced: bool = True,
        tries: int = 1,
    ) -> list[Score]:
        """One score a problem. `forced`: the budget cuts; else it was only told."""
        rows = []
        for index in range(self.num):
            tokens = int(self.natural[index] * stretch * (1 + 0.18 * waits))
            tokens = min(tokens, budget) if forced and budget is not None else tokens
            verdict = self.verdict(index, tokens, waits)
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
                    response_key=f"{self.benchmark}-{self.model}-{index}-{tokens}-{waits}",
                    verdict=verdict,
                    thinking_tokens=tokens,
                    answer_tokens=ANSWER_TOKENS,
                    generated_tokens=tokens * tries + ANSWER_TOKENS,
                    cut=Cut.THINKING if verdict is Verdict.CUT_OFF else Cut.NONE,
                )
            )
        return rows


def all_scores() -> list[Score]:
    """The base without methods, the tuned model with all of them."""
    scores: list[Score] = []
    for number, benchmark in enumerate(BENCHMARKS):
        base = World(benchmark, BASE, 10 + number)
        scores += base.scores("direct", None, stretch=0)
        for budget in BUDGETS:
            scores += base.scores("truncation", budget)
        scores += tuned_scores(World(benchmark, TUNED, 20 + number))
    return scores


def tuned_scores(tuned: World) -> list[Score]:
    """Every method of one model on one benchmark."""
    scores: list[Score] = []
    for budget in BUDGETS:
        scores += tuned.scores("truncation", budget)
        for waits in WAITS:
            scores += tuned.scores("budget_forcing", budget, waits, "Wait")
    for string in STRINGS[1:]:
        for waits in WAITS:
            scores += tuned.scores("budget_forcing", None, waits, string, 1.0 - 0.05 * len(string))
    scores += tuned.scores("class_conditional", None, variant="short", stretch=0.5)
    scores += tuned.scores("class_conditional", None, variant="long", stretch=1.5)
    for told in TOLD:
        scores += tuned.scores("token_conditional", told, stretch=0.8 + 0.001 * told, forced=False)
        scores += tuned.scores("token_conditional_forced", told, stretch=0.8 + 0.001 * told)
    for steps in STEPS:
        scores += tuned.scores("step_conditional", 100 * steps, variant=str(steps), stretch=0.7, forced=False)
        scores += tuned.scores("step_conditional_forced", 100 * steps, variant=str(steps), stretch=0.9)
    for least in (64, 128):
        scores += tuned.scores("minimum", None, variant=str(least), stretch=1 + least / 200)
    for number, limit in enumerate((64, 128, 256)):
        scores += tuned.scores("rejection", limit, tries=6 - 2 * number)
    return scores


def all_cells(scores: list[Score], resamples: int = 500) -> tuple[Cell, ...]:
    """The cells of `scores`, and for the tuned model votes and choices of k samples."""
    cells = cells_from_scores(scores, resamples=resamples)
    return (*cells, *parallel_cells(cells))


def parallel_cells(cells: Iterable[Cell]) -> Iterable[Cell]:
    """Majority, pass@k and two ways of best of n, as if samples helped as they usually do."""
    for cell in cells:
        if cell.model != TUNED or cell.method != "truncation" or cell.budget_tokens is not None:
            continue
        for method, variant, gain in (
            ("majority", "", 0.03), ("pass", "", 0.09), ("best_of_n", "judge", 0.05), ("best_of_n", "logprob", 0.01),
        ):  # fmt: skip
            for k in (1, 2, 4, 8):
                shift = gain * math.log2(k)
                accuracy = min(0.99, cell.accuracy + shift)
                yield replace(
                    cell,
                    method=method,
                    variant=variant,
                    k=k,
                    accuracy=accuracy,
                    accuracy_low=max(0.0, accuracy - 0.08),
                    accuracy_high=min(1.0, accuracy + 0.08),
                    mean_generated_tokens=k * cell.mean_generated_tokens,
                )
