"""Cells of votes and of pass@k as comparisons need them: what each problem's pool is worth at k.

Their cells have no scores of their own, so each problem's value is its exact expectation over the k-subsets of its
samples (statistics/parallel.py). Only powers of two and the whole pool are compared: neighbours in k say the same
again, and each would count in the correction.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from statistics import fmean

from thinkscale.records import Score, Verdict
from thinkscale.statistics import CellKey
from thinkscale.statistics.parallel import MAJORITY, PASS, Pool, Sample, majority_values, pass_values, sampled_scores

VOTED: Mapping[str, Callable[[Pool], list[float]]] = {MAJORITY: majority_values, PASS: pass_values}


def voted_outcomes(
    scores: Iterable[Score], methods: Collection[str]
) -> tuple[dict[CellKey, dict[str, list[float]]], dict[CellKey, float]]:
    """Outcomes by cell and problem, and mean thinking tokens by cell, of those of `methods` that vote."""
    pools: dict[tuple[str, int | None, str], dict[str, list[Score]]] = {}
    for score in sampled_scores(scores):
        setting = (score.benchmark, score.budget_tokens, score.variant)
        pools.setdefault(setting, {}).setdefault(score.problem_id, []).append(score)
    outcomes: dict[CellKey, dict[str, list[float]]] = {}
    tokens: dict[CellKey, float] = {}
    for (benchmark, budget, variant), by_problem in pools.items():
        most = min(map(len, by_problem.values()))
        thinking = fmean(fmean(score.thinking_tokens for score in members) for members in by_problem.values())
        for method in (name for name in VOTED if name in methods and most > 1):
            values = {name: VOTED[method](_pool(members)) for name, members in by_problem.items()}
            for k in _sizes(most):
                key = CellKey(
                    benchmark=benchmark, model="", method=method, budget_tokens=budget, waits=0, variant=variant, k=k
                )
                outcomes[key] = {name: [curve[k - 1]] for name, curve in values.items()}
                tokens[key] = k * thinking
    return outcomes, tokens


def _pool(scores: Iterable[Score]) -> Pool:
    return [
        Sample(answer=score.answer, correct=score.verdict is Verdict.CORRECT, rewards={})
        for score in sorted(scores, key=lambda score: score.sample)
    ]


def _sizes(most: int) -> list[int]:
    """2, 4, 8, ... and `most`."""
    return sorted({most, *(2**power for power in range(1, most.bit_length()) if 2**power <= most)})
