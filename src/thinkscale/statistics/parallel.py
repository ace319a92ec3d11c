"""Parallel scaling: what k samples of a problem are worth by vote or by choice, for every k, as cells.

A pool is all samples of one problem at one setting. Its expected accuracy at k runs over all k-subsets (voting.py); the
cell is the mean over problems, its interval a bootstrap over problems with the resamples of every other cell, so that
sequential and parallel points are paired. The x-axis is generated tokens: k samples cost k times the mean of one.

Rejected: cells of k from scores of their own, one for each subset. There are as many as subsets.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

import numpy as np

from thinkscale.records import Cell, Cut, Score, Verdict
from thinkscale.statistics.cells import is_over_budget, setting_order
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Floats,
    percentile_interval,
    resample_counts,
    wilson_of_share,
)
from thinkscale.statistics.voting import Rated, best_of_curve, majority_curve, pass_curve

MAJORITY, PASS, BEST_OF_N = "majority", "pass", "best_of_n"
PARALLEL_METHODS = (MAJORITY, PASS, BEST_OF_N)
SAMPLED_METHODS = ("truncation", "budget_forcing")
"""Whose samples are voted on, the first that there is: without waits, both read the same prefixes."""
STEP = 2.0**-30


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One sample as a vote sees it."""

    answer: str | None
    """Its class of equal answers; None where there is nothing to vote with."""
    correct: bool
    rewards: Mapping[str, float | None]
    """By scorer."""


Pool = Sequence[Sample]


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Accuracy of one answer made of k samples: a fraction, with its 95% interval over problems."""

    k: int
    accuracy: float
    low: float
    high: float


def majority_values(pool: Pool) -> list[float]:
    """Expected accuracy of the majority answer, for each k. A class is worth the share of its members that is correct:
    0 or 1, but where equal answers were graded differently."""
    votes = Counter(sample.answer for sample in pool if sample.answer is not None)
    right = Counter(sample.answer for sample in pool if sample.answer is not None and sample.correct)
    worth = {answer: Fraction(count, votes[answer]) for answer, count in right.items()}
    return majority_curve(votes, worth, len(pool) - votes.total())


def pass_values(pool: Pool) -> list[float]:
    """Chance that one of k samples at least is correct, for each k."""
    return pass_curve(len(pool), sum(sample.correct for sample in pool))


def best_values(pool: Pool, scorer: str) -> list[float]:
    """Expected accuracy of the sample that `scorer` likes best, for each k. A sample without an answer is liked least:
    a choice among answers never takes it before one."""
    return best_of_curve(
        [Rated(sample.correct, None if sample.answer is None else sample.rewards.get(scorer)) for sample in pool]
    )


def values_of(pools: Iterable[Pool], values: Callable[[Pool], list[float]]) -> Floats:
    """Expected accuracies by problem and k: (problems, smallest pool)."""
    rows = [values(pool) for pool in pools]
    most = min(map(len, rows))
    return np.array([row[:most] for row in rows], dtype=np.float64)


def curve_of(values: Floats, resamples: int = RESAMPLES, seed: int = SEED) -> list[CurvePoint]:
    """Means over problems with their intervals, for each k.

    Where all problems are alike the Wilson interval stands in, as it does for other cells.
    """
    num_problems = len(values)
    # In whole steps, so that sums are exact and no order of adding shows in an interval.
    draws = resample_counts(num_problems, resamples, seed) @ np.rint(values / STEP) * STEP / num_problems
    points = []
    for column in range(values.shape[1]):
        accuracy = min(1.0, math.fsum(values[:, column]) / num_problems)
        if np.ptp(values[:, column]) == 0:
            low, high = wilson_of_share(accuracy, num_problems)
        else:
            low, high = percentile_interval(draws[:, column])
        points.append(CurvePoint(k=column + 1, accuracy=accuracy, low=min(low, accuracy), high=max(high, accuracy)))
    return points


def sampled_scores(scores: Iterable[Score]) -> list[Score]:
    """The scores that votes are held over: of the first of SAMPLED_METHODS that a benchmark and model have, without
    waits."""
    found: dict[tuple[str, str], dict[str, list[Score]]] = {}
    for score in scores:
        if score.method in SAMPLED_METHODS and score.waits == 0:
            found.setdefault((score.benchmark, score.model), {}).setdefault(score.method, []).append(score)
    return [
        score
        for by_method in found.values()
        for score in next(by_method[name] for name in SAMPLED_METHODS if name in by_method)
    ]


def parallel_cells(
    scores: Iterable[Score],
    rewards: Mapping[str, Mapping[str, float]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[Cell]:
    """Cells `majority`, `pass` and, for each scorer of `rewards`, `best_of_n`, for each k and sampled setting.

    `rewards` are by scorer and response key. Settings with a single sample of some problem have none.
    """
    cells = []
    for own in pools_by_group(scores).values():
        for method, scorer in ways_of(rewards):
            for problems in own:
                cells += _cells(problems, method, scorer, rewards, resamples, seed)
    return cells


Problems = Mapping[str, Sequence[Score]]
"""All samples of one setting, by problem: two at least of each."""


def pools_by_group(scores: Iterable[Score]) -> dict[tuple[str, str], list[Problems]]:
    """By benchmark and model the sampled settings, small budgets first; none with a single sample of some problem."""
    settings: dict[tuple[str, str, int | None, str], dict[str, list[Score]]] = {}
    for score in sampled_scores(scores):
        key = (score.benchmark, score.model, score.budget_tokens, score.variant)
        settings.setdefault(key, {}).setdefault(score.problem_id, []).append(score)
    groups: dict[tuple[str, str], list[Problems]] = {(key[0], key[1]): [] for key in settings}
    for key in sorted(settings, key=lambda key: setting_order(next(iter(settings[key].values()))[0])):
        if min(map(len, settings[key].values())) > 1:
            groups[key[0], key[1]].append(settings[key])
    return groups


def ways_of(scorers: Iterable[str]) -> list[tuple[str, str]]:
    """The ways to make one answer of k samples: method, and scorer where one chooses."""
    return [(MAJORITY, ""), (PASS, ""), *((BEST_OF_N, name) for name in scorers)]


def expected_accuracies(
    problems: Problems, method: str, scorer: str, rewards: Mapping[str, Mapping[str, float]]
) -> Floats:
    """By problem (sorted by id) and k."""
    makers: dict[str, Callable[[Pool], list[float]]] = {
        MAJORITY: majority_values,
        PASS: pass_values,
        BEST_OF_N: lambda pool: best_values(pool, scorer),
    }
    return values_of(
        ([_sample(score, rewards) for score in problems[name]] for name in sorted(problems)), makers[method]
    )


def _cells(
    problems: Problems,
    method: str,
    scorer: str,
    rewards: Mapping[str, Mapping[str, float]],
    resamples: int,
    seed: int,
) -> list[Cell]:
    by_problem = [problems[name] for name in sorted(problems)]
    values = expected_accuracies(problems, method, scorer, rewards)
    finished = values_of(by_problem, lambda scores: pass_curve(len(scores), sum(map(_is_finished, scores))))  # type: ignore[arg-type]
    every = [score for scores in by_problem for score in scores]
    counts = Counter(score.verdict for score in every)
    first = every[0]
    thinking = fmean(fmean(score.thinking_tokens for score in scores) for scores in by_problem)
    generated = fmean(fmean(score.generated_tokens for score in scores) for scores in by_problem)
    return [
        Cell(
            benchmark=first.benchmark,
            model=first.model,
            method=method,
            budget_tokens=first.budget_tokens,
            waits=0,
            variant=", ".join(filter(None, (scorer, first.variant))),
            k=point.k,
            num_problems=len(by_problem),
            num_scores=len(every),
            accuracy=point.accuracy,
            accuracy_low=point.low,
            accuracy_high=point.high,
            accuracy_of_finished=_of_finished(values[:, point.k - 1], finished[:, point.k - 1]),
            mean_thinking_tokens=point.k * thinking,
            mean_generated_tokens=point.k * generated,
            over_budget=sum(map(is_over_budget, every)),
            correct=counts[Verdict.CORRECT],
            wrong=counts[Verdict.WRONG],
            no_answer=counts[Verdict.NO_ANSWER],
            cut_off=counts[Verdict.CUT_OFF],
            cut_in_thinking=sum(score.cut is Cut.THINKING for score in every),
            cut_in_answer=sum(score.cut is Cut.ANSWER for score in every),
            ungradable=counts[Verdict.UNGRADABLE],
        )
        for point in curve_of(values, resamples, seed)
    ]


def _sample(score: Score, rewards: Mapping[str, Mapping[str, float]]) -> Sample:
    return Sample(
        answer=score.answer,
        correct=score.verdict is Verdict.CORRECT,
        rewards={name: given.get(score.response_key) for name, given in rewards.items()},
    )


def _is_finished(score: Score) -> bool:
    return score.verdict is not Verdict.CUT_OFF


def _of_finished(values: Floats, finished: Floats) -> float:
    """Accuracy over those answers of k samples of which not all were cut off (0 where all were)."""
    share = math.fsum(finished)
    return min(1.0, math.fsum(values) / share) if share else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenSeries:
    """Points of one way to spend tokens, in the order of `mean_generated_tokens`, which is their common x-axis."""

    method: str
    variant: str
    budget_tokens: int | None
    """Of each sample of a parallel series; None in a sequential one, and where samples had no budget."""
    is_parallel: bool
    cells: tuple[Cell, ...]


def token_series(cells: Iterable[Cell], benchmark: str, model: str) -> tuple[TokenSeries, ...]:
    """Sequential and parallel scaling of one model on one benchmark: a series for each method and variant, and of the
    parallel methods for each budget of the samples. Sequential ones first."""
    found: dict[tuple[bool, str, str, int | None], list[Cell]] = {}
    for cell in cells:
        if (cell.benchmark, cell.model) == (benchmark, model):
            is_parallel = cell.method in PARALLEL_METHODS
            budget = cell.budget_tokens if is_parallel else None
            found.setdefault((is_parallel, cell.method, cell.variant, budget), []).append(cell)
    return tuple(
        TokenSeries(
            method=method,
            variant=variant,
            budget_tokens=budget,
            is_parallel=is_parallel,
            cells=tuple(sorted(own, key=lambda cell: (cell.mean_generated_tokens, cell.k, setting_order(cell)))),
        )
        for (is_parallel, method, variant, budget), own in sorted(found.items(), key=lambda item: item[0][0])
    )
