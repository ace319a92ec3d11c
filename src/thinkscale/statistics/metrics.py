"""The metrics of test-time scaling, for each benchmark x model x method, with intervals over problems.

Definitions follow s1 (arXiv 2501.19393, section 3.2). Its printed scaling numbers are slopes in points
per doubling of the thinking tokens, not in points per token as its formula reads; both are given here.
Accuracies are percent, differences of them points.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from thinkscale.records import Score
from thinkscale.statistics.cells import Grid, Totals, grid_of, grouped, observed_totals, resampled_totals
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Estimate,
    Floats,
    percentile_interval,
    undefined,
    wilson_of_share,
)

S1_TARGETS_TOKENS = (500, 1000, 2000, 4000, 8000)

CLASS_CONDITIONAL = "class_conditional"
CLASS_CONDITIONAL_CONTROL = 50.0
"""By convention (s1, section 3.2): a prompt class asks for a direction, not for a number of tokens."""
DIRECTIONS = {"short": -1.0, "long": 1.0}
"""Which way a prompt class asks the thinking to go."""
WITHOUT_CLASS = ("truncation", "budget_forcing")
"""Methods whose cell without budget and waits is what a prompt class is measured against."""

ONE_CELL = "one cell"
SAME_TOKENS = "all cells think equally long"
NO_BUDGET = "no budgets"
NO_TARGETS = "no targets"

Defined = npt.NDArray[np.bool_]
Values = tuple[Floats, Defined]
"""A value for each row (resample) and whether it exists there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MethodMetrics:
    """What one method does on one benchmark with one model. Rates and accuracies are percent."""

    benchmark: str
    model: str
    method: str
    variant: str = ""
    """What tells rows of one method apart: who chooses among samples, and the budget of these where they have one."""
    num_cells: int
    num_problems: int
    control: Estimate
    """Percent of generations within their budget: 100 minus the over-budget rate."""
    control_of_cells: Estimate
    """The paper's form: percent of cells whose mean thinking tokens lie within [0, budget]. Of a class-conditional
    method, percent of classes that move the mean the way they ask for from the run without a class (this gives the
    50 of the paper's table 3); by convention 50 where there is no such run."""
    over_budget_rate: Estimate
    budget_error: Estimate
    scaling_per_1000_tokens: Estimate
    scaling_per_doubling: Estimate
    scaling_per_doubling_of_generated: Estimate
    """Over all tokens generated, the axis that sequential and parallel methods share."""
    max_accuracy: Estimate


def scaling_per_1000_tokens(mean_tokens: Sequence[float], accuracy: Sequence[float]) -> float | None:
    """Mean slope over all pairs of cells that differ in tokens, in points per 1,000 tokens.

    `accuracy` is percent, one number for each cell. None where no two cells differ in tokens.
    """
    return _only(_mean_slope(_row(mean_tokens) / 1000, _row(accuracy)))


def scaling_per_doubling(mean_tokens: Sequence[float], accuracy: Sequence[float]) -> float | None:
    """Mean slope over all pairs of cells that differ in tokens, in points per doubling (log2) of the tokens.

    Cells without thinking have no logarithm and are left out. None where no two cells differ in tokens.
    """
    return _only(_mean_slope_of_doubling(_row(mean_tokens), _row(accuracy)))


def budget_error(mean_tokens: Sequence[float], targets_tokens: Sequence[int] = S1_TARGETS_TOKENS) -> float:
    """Percent by which the targets are missed: mean over targets of |tokens of the nearest cell - target| / target.

    The nearest cell is the one whose mean thinking tokens are nearest to the target, whatever it was told.
    """
    return float(_budget_error(_row(mean_tokens), np.asarray(targets_tokens, dtype=np.float64))[0])


def over_budget_rate(over_budget: int, generations: int) -> float:
    """Percent of generations whose thinking exceeds the budget by more than the slack of 10 tokens."""
    return 100 * over_budget / generations


def share_of_cells_within(
    mean_tokens: Sequence[float], most_tokens: Sequence[float], least_tokens: float = 0.0
) -> float:
    """The paper's control: percent of cells whose mean thinking tokens lie within [least, most]."""
    inside = [least_tokens <= mean <= most for mean, most in zip(mean_tokens, most_tokens, strict=True)]
    return 100 * sum(inside) / len(inside)


def method_metrics(
    scores: Iterable[Score],
    targets_tokens: Sequence[int] = S1_TARGETS_TOKENS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> list[MethodMetrics]:
    """One row for each benchmark x model x method in order of first appearance, each metric with its interval.

    Every resample draws problems and recomputes all cells of the method, so what the cells share (the
    prefixes of one trajectory) is shared in the interval too. The interval of a maximum is that of the
    resampled maximum, which leans upward: of several equal cells, chance lifts one. Samples of a problem stay together.
    """
    groups = grouped(scores)
    made = []
    for (benchmark, model, method), group in groups.items():
        metrics = metrics_of_grid(grid_of(group), targets_tokens, resamples, seed)
        reference = _without_class(groups, benchmark, model) if method == CLASS_CONDITIONAL else []
        if reference:
            control = _control_of_directions(grid_of([*group, *reference]), resamples, seed)
            metrics = replace(metrics, control_of_cells=control)
        made.append(metrics)
    return made


def _without_class(groups: Mapping[tuple[str, str, str], list[Score]], benchmark: str, model: str) -> list[Score]:
    """Scores of the run without a prompt class, budget or waits; empty where there is none."""
    for method in WITHOUT_CLASS:
        group = groups.get((benchmark, model, method), [])
        found = [score for score in group if score.budget_tokens is None and not score.waits and not score.variant]
        if found:
            return found
    return []


def metrics_of_grid(
    grid: Grid,
    targets_tokens: Sequence[int] = S1_TARGETS_TOKENS,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> MethodMetrics:
    """The metrics of one benchmark, model and method from sums by problem and cell.

    Counts may be fractions, such as the expected accuracy of a vote of k samples.
    """
    observed, draws = observed_totals(grid), resampled_totals(grid, resamples, seed)

    def estimated(metric: Callable[[Totals], Values], reason: str) -> Estimate:
        return _estimate(metric(observed), metric(draws), reason)

    key = grid.keys[0]
    targets = np.asarray(targets_tokens, dtype=np.float64)
    budgets = np.array([item.budget_tokens or 0 for item in grid.keys], dtype=np.float64)
    limited = np.array([item.budget_tokens is not None for item in grid.keys])
    slope_reason = ONE_CELL if len(grid.keys) == 1 else SAME_TOKENS
    by_class = key.method == CLASS_CONDITIONAL
    agreed = _by_convention(CLASS_CONDITIONAL_CONTROL)
    return MethodMetrics(
        benchmark=key.benchmark,
        model=key.model,
        method=key.method,
        num_cells=len(grid.keys),
        num_problems=len(grid.problems),
        control=agreed if by_class else estimated(lambda totals: _within_rate(totals, limited), NO_BUDGET),
        control_of_cells=(
            agreed if by_class else estimated(lambda totals: _share_of_cells(totals, limited, budgets), NO_BUDGET)
        ),
        over_budget_rate=estimated(lambda totals: _over_rate(totals, limited), NO_BUDGET),
        budget_error=estimated(lambda totals: _budget_errors(totals, targets), NO_TARGETS),
        scaling_per_1000_tokens=estimated(
            lambda totals: _mean_slope(totals.mean_tokens / 1000, totals.accuracy), slope_reason
        ),
        scaling_per_doubling=estimated(
            lambda totals: _mean_slope_of_doubling(totals.mean_tokens, totals.accuracy), slope_reason
        ),
        scaling_per_doubling_of_generated=estimated(
            lambda totals: _mean_slope_of_doubling(totals.mean_generated, totals.accuracy), slope_reason
        ),
        max_accuracy=_with_width(
            estimated(lambda totals: _always(totals.accuracy.max(axis=1)), ""), len(grid.problems)
        ),
    )


def _with_width(found: Estimate, num_problems: int) -> Estimate:
    """An accuracy whose draws are all alike has Wilson's interval, as its cell has."""
    if found.value is None or found.low != found.high:
        return found
    low, high = wilson_of_share(found.value / 100, num_problems)
    return replace(found, low=100 * low, high=100 * high)


def _control_of_directions(grid: Grid, resamples: int, seed: int) -> Estimate:
    """Percent of prompt classes that move the mean thinking the way they ask for; `grid` holds the reference too."""
    reference = next(index for index, key in enumerate(grid.keys) if key.method != CLASS_CONDITIONAL)
    asked = [
        (index, DIRECTIONS[key.variant])
        for index, key in enumerate(grid.keys)
        if key.method == CLASS_CONDITIONAL and key.variant in DIRECTIONS
    ]
    if not asked:
        return _by_convention(CLASS_CONDITIONAL_CONTROL)
    columns, signs = [index for index, _ in asked], np.array([sign for _, sign in asked])

    def share(totals: Totals) -> Values:
        moved = (totals.mean_tokens[:, columns] - totals.mean_tokens[:, [reference]]) * signs
        return _always(100 * (moved > 0).mean(axis=1))

    return _estimate(share(observed_totals(grid)), share(resampled_totals(grid, resamples, seed)), "")


def _estimate(observed: Values, draws: Values, reason: str) -> Estimate:
    """The observed value with the interval of the draws in which the metric exists."""
    value = _only(observed)
    if value is None:
        return undefined(reason)
    existing = draws[0][draws[1]]
    if len(existing) == 0:
        return Estimate(value=value, low=value, high=value)
    low, high = percentile_interval(existing)
    return Estimate(value=value, low=low, high=high)


def _by_convention(value: float) -> Estimate:
    """A number that is agreed upon, not measured: it has no interval."""
    return Estimate(value=value, low=None, high=None, reason="by convention")


def _mean_slope(x: Floats, y: Floats, usable: Defined | None = None) -> Values:
    """Mean of (y_b - y_a) / (x_b - x_a) over pairs of cells with x_b != x_a, for each row.

    A slope is the same seen from either end, so pairs need no order.
    """
    first, second = np.triu_indices(x.shape[1], k=1)
    run, rise = x[:, second] - x[:, first], y[:, second] - y[:, first]
    counted = run != 0
    if usable is not None:
        counted &= usable[:, first] & usable[:, second]
    slopes = np.divide(rise, run, out=np.zeros_like(rise), where=counted)
    num_pairs = counted.sum(axis=1)
    return slopes.sum(axis=1) / np.maximum(num_pairs, 1), num_pairs > 0


def _mean_slope_of_doubling(mean_tokens: Floats, accuracy: Floats) -> Values:
    thinks = mean_tokens > 0
    doublings = np.log2(mean_tokens, out=np.zeros_like(mean_tokens), where=thinks)
    return _mean_slope(doublings, accuracy, thinks)


def _budget_error(mean_tokens: Floats, targets: Floats) -> Floats:
    misses = np.abs(mean_tokens[:, :, None] - targets).min(axis=1) / targets
    return np.asarray(100 * misses.mean(axis=1))


def _budget_errors(totals: Totals, targets: Floats) -> Values:
    return _always(_budget_error(totals.mean_tokens, targets)) if len(targets) else _never(totals)


def _over_rate(totals: Totals, limited: Defined) -> Values:
    if not limited.any():
        return _never(totals)
    return _always(100 * totals.over_budget[:, limited].sum(axis=1) / totals.count[:, limited].sum(axis=1))


def _within_rate(totals: Totals, limited: Defined) -> Values:
    rate, exists = _over_rate(totals, limited)
    return 100 - rate, exists


def _share_of_cells(totals: Totals, limited: Defined, budgets: Floats) -> Values:
    if not limited.any():
        return _never(totals)
    return _always(100 * (totals.mean_tokens[:, limited] <= budgets[limited]).mean(axis=1))


def _always(values: Floats) -> Values:
    return values, np.ones(len(values), dtype=np.bool_)


def _never(totals: Totals) -> Values:
    return np.zeros(len(totals.count)), np.zeros(len(totals.count), dtype=np.bool_)


def _row(values: Sequence[float]) -> Floats:
    return np.asarray(values, dtype=np.float64)[None, :]


def _only(values: Values) -> float | None:
    return float(values[0][0]) if values[1][0] else None
