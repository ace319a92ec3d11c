"""The metrics of votes and choices: the row of the metrics table that each parallel method has, over k.

The cells of a row are one answer made of k samples, for k from 1 to the smallest pool; sums by problem and k go
through the same functions as those of sequential methods, with the same resamples of problems, so that slopes over
generated tokens and maxima stand side by side. One pool gives the row: samples without a budget, else those of the
largest. k asks for no number of tokens, so there is nothing to be controlled or missed.

Rejected: one row over the cells of all budgets. Its slope would mix longer thinking with more samples.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from statistics import fmean

import numpy as np

from thinkscale.records import Score, Verdict
from thinkscale.statistics.cells import CUTS, VERDICTS, CellKey, Grid
from thinkscale.statistics.intervals import RESAMPLES, SEED, Floats, undefined
from thinkscale.statistics.metrics import MethodMetrics, metrics_of_grid
from thinkscale.statistics.parallel import STEP, Problems, expected_accuracies, pools_by_group, ways_of

NOT_A_BUDGET = "k is no budget"
TOKEN_STEP = 2.0**-10


def parallel_metrics(
    scores: Iterable[Score],
    rewards: Mapping[str, Mapping[str, float]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[MethodMetrics]:
    """A row for `majority`, `pass` and, for each scorer of `rewards`, `best_of_n`, of each benchmark and model that has
    several samples of every problem. `rewards` are by scorer and response key."""
    made = []
    for pools in pools_by_group(scores).values():
        for method, scorer in ways_of(rewards) if pools else []:
            grid = parallel_grid(pools[-1], method, scorer, rewards)
            made.append(_row(grid, scorer, _first(pools[-1]).budget_tokens, resamples, seed))
    return made


def parallel_grid(problems: Problems, method: str, scorer: str, rewards: Mapping[str, Mapping[str, float]]) -> Grid:
    """One answer of k samples for each problem and k: its expected accuracy, and the tokens of the k samples.

    What is not correct stands under wrong: a vote has no verdict of its own.
    """
    first = _first(problems)
    names = tuple(sorted(problems))
    # In whole steps, so that sums are exact and no order of adding shows in an interval.
    correct = _in_steps(expected_accuracies(problems, method, scorer, rewards), STEP)
    shape = correct.shape
    samples = np.arange(1, shape[1] + 1)
    thinking = [fmean(score.thinking_tokens for score in problems[name]) for name in names]
    generated = [fmean(score.generated_tokens for score in problems[name]) for name in names]
    verdicts = np.zeros((len(VERDICTS), *shape))
    verdicts[VERDICTS.index(Verdict.CORRECT)] = correct
    verdicts[VERDICTS.index(Verdict.WRONG)] = 1 - correct
    return Grid(
        keys=tuple(
            CellKey(
                benchmark=first.benchmark,
                model=first.model,
                method=method,
                budget_tokens=None,
                waits=0,
                variant=", ".join(filter(None, (scorer, first.variant))),
                k=int(k),
            )
            for k in samples
        ),
        problems=names,
        count=np.ones(shape),
        tokens=np.outer(_in_steps(np.array(thinking), TOKEN_STEP), samples),
        generated=np.outer(_in_steps(np.array(generated), TOKEN_STEP), samples),
        over_budget=np.zeros(shape),
        verdicts=verdicts,
        cut=np.zeros((len(CUTS), *shape)),
    )


def _row(grid: Grid, scorer: str, budget_tokens: int | None, resamples: int, seed: int) -> MethodMetrics:
    nothing = undefined(NOT_A_BUDGET)
    budget = "" if budget_tokens is None else f"{budget_tokens:,} tokens each"
    return replace(
        metrics_of_grid(grid, (), resamples, seed),
        variant=", ".join(filter(None, (scorer, budget))),
        control=nothing,
        control_of_cells=nothing,
        over_budget_rate=nothing,
        budget_error=nothing,
    )


def _first(problems: Problems) -> Score:
    return problems[min(problems)][0]


def _in_steps(values: Floats, step: float) -> Floats:
    return np.asarray(np.rint(values / step) * step)
