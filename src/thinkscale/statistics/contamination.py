"""Accuracy on benchmark items that the training pool touches, and on the others: two groups, not pairs.

The groups are different problems, so their difference is unpaired. Touched items are often a handful, where a
bootstrap is too sure of itself, so each group has a Wilson interval: with several samples a problem it counts the
effective number of scores, p (1 - p) over the variance that the problems' means show (the design effect; Kish, Survey
Sampling, 1965, chapter 5), between the number of problems and that of scores. The interval of the difference is made
of those two (Newcombe, Statist. Med. 17, 1998, 873-890, method 10; Zou and Donner, Statist. Med. 27, 2008, 1693-1702).

A difference is no proof that contamination caused it: touched items may be easier. What it can show is that there is
none larger than the interval.
"""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thinkscale.records import Score, Verdict
from thinkscale.statistics.intervals import Estimate, undefined, wilson_of_share

NO_TOUCHED, NO_UNTOUCHED = "no item is touched", "every item is touched"


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitAccuracy:
    """One model on one benchmark, over all cells handed in. Accuracies are fractions."""

    benchmark: str
    model: str
    touched_items: int
    untouched_items: int
    touched: Estimate
    untouched: Estimate
    difference: Estimate
    """Touched minus untouched."""

    @property
    def beyond_noise(self) -> bool:
        """Whether the interval of the difference leaves zero out."""
        low, high = self.difference.low, self.difference.high
        return low is not None and high is not None and (low > 0 or high < 0)


def split_accuracy(scores: Iterable[Score], touched: Collection[tuple[str, str]]) -> list[SplitAccuracy]:
    """For each benchmark and model, in order of appearance; `touched` holds (benchmark, problem id).

    Every score counts: hand in the scores of one cell to split that cell.
    """
    groups: dict[tuple[str, str], dict[str, list[float]]] = {}
    for score in scores:
        by_problem = groups.setdefault((score.benchmark, score.model), {})
        by_problem.setdefault(score.problem_id, []).append(float(score.verdict is Verdict.CORRECT))
    made = []
    for (benchmark, model), by_problem in groups.items():
        hit = {name: values for name, values in by_problem.items() if (benchmark, name) in touched}
        others = {name: values for name, values in by_problem.items() if name not in hit}
        on_hit, on_others = clustered_wilson(hit, NO_TOUCHED), clustered_wilson(others, NO_UNTOUCHED)
        made.append(
            SplitAccuracy(
                benchmark=benchmark,
                model=model,
                touched_items=len(hit),
                untouched_items=len(others),
                touched=on_hit,
                untouched=on_others,
                difference=unpaired_difference(on_hit, on_others),
            )
        )
    return made


def clustered_wilson(samples_by_problem: Mapping[str, Sequence[float]], reason: str = "no samples") -> Estimate:
    """The mean over all samples of 0 and 1, with a Wilson interval of the effective number of samples."""
    groups = [values for values in samples_by_problem.values() if values]
    if not groups:
        return undefined(reason)
    num_problems, num_scores = len(groups), sum(map(len, groups))
    share = math.fsum(map(math.fsum, groups)) / num_scores
    low, high = wilson_of_share(share, _effective(groups, share, num_problems, num_scores))
    return Estimate(value=share, low=max(0.0, min(share, low)), high=min(1.0, max(share, high)))


def _effective(groups: Sequence[Sequence[float]], share: float, num_problems: int, num_scores: int) -> float:
    if num_scores == num_problems or num_problems < 2:
        return num_problems
    # The variance of a ratio of sums over problems, by linearization.
    residuals = np.array([math.fsum(values) - share * len(values) for values in groups])
    mean_size = num_scores / num_problems
    variance = float((residuals**2).sum()) / (num_problems - 1) / (num_problems * mean_size**2)
    if variance == 0:
        return num_problems
    return min(float(num_scores), max(float(num_problems), share * (1 - share) / variance))


def unpaired_difference(first: Estimate, second: Estimate) -> Estimate:
    """First minus second of two independent proportions, from their intervals."""
    if first.value is None or first.low is None or first.high is None:
        return undefined(first.reason)
    if second.value is None or second.low is None or second.high is None:
        return undefined(second.reason)
    difference = first.value - second.value
    return Estimate(
        value=difference,
        low=difference - math.hypot(first.value - first.low, second.high - second.value),
        high=difference + math.hypot(first.high - first.value, second.value - second.low),
    )
