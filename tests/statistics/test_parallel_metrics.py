"""The metrics of votes and choices: slopes over k, maxima and their intervals, worked out by hand."""

from dataclasses import replace
from math import log2

import pytest

from tests.statistics.test_parallel import CUT, POOLS, RIGHT, WRONG, pool
from thinkscale.records import Score
from thinkscale.statistics import MethodMetrics, cells_from_scores, method_metrics, wilson_interval
from thinkscale.statistics.parallel import MAJORITY, PASS, parallel_cells, pools_by_group
from thinkscale.statistics.parallel_metrics import parallel_grid, parallel_metrics

REWARDS = {"judge": {"p-0": 0.1, "p-1": 0.9, "p-2": 0.5, "q-0": 0.2, "q-1": 0.3, "q-2": 99.0}}


def row(method: str, scores: list[Score] = POOLS) -> MethodMetrics:
    return next(item for item in parallel_metrics(scores, REWARDS) if item.method == method)


def slope(one: float, two: float, three: float) -> float:
    """Over 1, 2 and 3 samples: the mean over the three pairs of points per doubling."""
    return ((two - one) + (three - two) / log2(1.5) + (three - one) / log2(3)) / 3


def test_the_grid_holds_expected_accuracies_and_the_tokens_of_k_samples() -> None:
    longer = [replace(item, thinking_tokens=100, generated_tokens=104) for item in POOLS if item.problem_id == "q"]
    scores = [item for item in POOLS if item.problem_id == "p"] + longer
    ((pools,),) = pools_by_group(scores).values()
    grid = parallel_grid(pools, MAJORITY, "", {})
    assert grid.problems == ("p", "q")
    assert [key.k for key in grid.keys] == [1, 2, 3]
    # p: of the pairs one is 7, 7 and two are ties. q: 1 against 2 is a tie, and beside a cut one the other wins.
    assert grid.correct[0] == pytest.approx([2 / 3, 2 / 3, 1])
    assert grid.correct[1] == pytest.approx([1 / 3, 1 / 2, 1 / 2])
    assert grid.tokens.tolist() == [[20, 40, 60], [100, 200, 300]]
    assert grid.generated.tolist() == [[25, 50, 75], [104, 208, 312]]
    assert grid.count.tolist() == [[1, 1, 1], [1, 1, 1]]


def test_majority_by_hand_with_the_interval_over_problems() -> None:
    found = row(MAJORITY)
    assert (found.num_cells, found.num_problems) == (3, 2)
    p, q = slope(200 / 3, 200 / 3, 100), slope(100 / 3, 50, 50)
    scaling = found.scaling_per_doubling_of_generated
    # Two problems: p twice and q twice are a quarter of the resamples each, so they are the ends of the interval.
    assert (scaling.value, scaling.low, scaling.high) == pytest.approx(((p + q) / 2, q, p))
    best = found.max_accuracy
    assert (best.value, best.low, best.high) == pytest.approx((75, 50, 100))
    # Over 20, 40 and 60 thinking tokens: 50, 58.3 and 75 percent.
    assert found.scaling_per_1000_tokens.value == pytest.approx((25 / 3 / 0.02 + 50 / 3 / 0.02 + 25 / 0.04) / 3)


def test_pass_and_best_of_n_by_hand() -> None:
    passed = row(PASS)
    # p: 2/3, 1, 1; q: 1/3, 2/3, 1.
    assert passed.scaling_per_doubling_of_generated.value == pytest.approx(slope(50, 250 / 3, 100))
    # All resamples of the maximum are 100: Wilson, 2 of 2.
    low, high = wilson_interval(2, 2)
    best = passed.max_accuracy
    assert (best.value, best.low, best.high) == pytest.approx((100, 100 * low, 100 * high))
    chosen = row("best_of_n")
    assert chosen.variant == "judge, 500 tokens each"
    # Pairs of p and of q: right, wrong, right.
    assert chosen.scaling_per_doubling_of_generated.value == pytest.approx(slope(50, 200 / 3, 100))


def test_k_asks_for_no_number_of_tokens() -> None:
    found = row(MAJORITY)
    for nothing in (found.control, found.control_of_cells, found.over_budget_rate, found.budget_error):
        assert (nothing.value, nothing.reason) == (None, "k is no budget")


def test_the_maximum_is_that_of_the_cells() -> None:
    scores = [*POOLS, *pool("r", [(RIGHT, "1"), (WRONG, "2"), (CUT, None), (RIGHT, "1")])]
    cells = parallel_cells(scores, REWARDS)
    for found in parallel_metrics(scores, REWARDS):
        own = [cell.accuracy for cell in cells if cell.method == found.method]
        assert found.num_cells == len(own) == 3  # the smallest pool
        assert found.max_accuracy.value == pytest.approx(100 * max(own))


def test_one_row_of_samples_without_a_budget_else_of_the_largest() -> None:
    smaller = [replace(item, budget_tokens=100) for item in POOLS]
    free = [replace(item, budget_tokens=None, generated_tokens=1000) for item in POOLS]
    assert [(item.method, item.variant) for item in parallel_metrics([*free, *POOLS, *smaller], {})] == [
        ("majority", ""),
        ("pass", ""),
    ]
    assert [item.variant for item in parallel_metrics([*POOLS, *smaller], REWARDS)] == [
        "500 tokens each", "500 tokens each", "judge, 500 tokens each",
    ]  # fmt: skip


def test_single_samples_have_no_row_and_the_order_of_scores_changes_nothing() -> None:
    assert parallel_metrics([item for item in POOLS if item.sample == 0], REWARDS) == []
    assert parallel_metrics([*POOLS, *pool("r", [(RIGHT, "1")])], {}) == []
    assert parallel_metrics([], {}) == []
    assert parallel_metrics(POOLS[::-1], REWARDS) == parallel_metrics(POOLS, REWARDS)


def test_sequential_and_parallel_slopes_are_on_one_axis() -> None:
    # Two budgets: 50 and 100 percent, for twice the tokens.
    scores = [
        item
        for name, short in (("p", RIGHT), ("q", WRONG))
        for item in (
            *pool(name, [(short, "1")], budget_tokens=100, generated_tokens=40),
            *pool(name, [(RIGHT, "1")], budget_tokens=200, generated_tokens=80),
        )
    ]
    (sequential,) = method_metrics(scores)
    drawn = [
        replace(item, generated_tokens=40)
        for name, second in (("p", RIGHT), ("q", WRONG), ("r", WRONG))
        for item in pool(name, [(WRONG if name == "q" else RIGHT, "1"), (second, "2")])
    ]
    passed = next(item for item in parallel_metrics(drawn, {}) if item.method == PASS)
    assert sequential.scaling_per_doubling_of_generated.value == pytest.approx(50)
    # r alone gains by a second sample: a half, of three problems.
    assert passed.scaling_per_doubling_of_generated.value == pytest.approx(50 / 3)
    assert cells_from_scores(drawn)[0].accuracy == pytest.approx(0.5)
