"""The metrics against the paper's published values, and against cases small enough to work out by hand."""

import time

import pytest

from thinkscale.errors import DataError
from thinkscale.records import Score, Verdict
from thinkscale.statistics import (
    accuracy_bounds,
    budget_error,
    cells_from_scores,
    is_over_budget,
    method_metrics,
    over_budget_rate,
    scaling_per_1000_tokens,
    scaling_per_doubling,
    share_of_cells_within,
    truncation_accounts,
    wilson_interval,
)

# Mean thinking tokens and correct answers of 30 (AIME24), from the paper's tables 12, 13 and 14; rejection sampling is
# the five longest points of its figure 6. Whole counts, not the printed percentages: two cells of the token-conditional
# method are 50 tokens apart, and their slope turns a rounding of 0.03 points into 0.3.
PUBLISHED = {
    "token-conditional": ([7939, 7158, 8263, 7108, 7500], [8, 9, 10, 10, 12], -23.8, -4.8),
    "token-conditional, forced": ([1024, 2048, 4031, 5664, 6330], [1, 9, 10, 10, 12], 13.2, 6.7),
    "step-conditional": ([7252, 6277, 5396, 5552, 7551], [10, 7, 10, 11, 10], 3.0, 0.6),
    "step-conditional, forced": ([1517, 2963, 4636, 5409, 7551], [7, 7, 10, 11, 10], 6.4, 2.5),
    "class-conditional": ([8033, 9651], [9, 11], 25.3, 4.1),
    "rejection": ([3703, 4344, 4734, 5193, 5293], [11, 10, 9, 8, 7], -35.5, -10.6),
}


def score(
    problem: int,
    correct: bool | Verdict,
    tokens: int,
    budget: int | None = None,
    *,
    method: str = "truncation",
    sample: int = 0,
    variant: str = "",
    waits: int = 0,
    benchmark: str = "aime",
) -> Score:
    verdict = correct if isinstance(correct, Verdict) else Verdict.CORRECT if correct else Verdict.WRONG
    return Score(
        benchmark=benchmark,
        model="m",
        method=method,
        budget_tokens=budget,
        waits=waits,
        variant=variant,
        problem_id=f"p{problem:03}",
        sample=sample,
        response_key=f"{method}{budget}{waits}{variant}{problem}{sample}",
        verdict=verdict,
        thinking_tokens=tokens,
    )


@pytest.mark.parametrize("method", PUBLISHED)
def test_published_scaling_is_reproduced_in_points_per_doubling_and_per_1000_tokens(method: str) -> None:
    tokens, correct, per_doubling, per_1000 = PUBLISHED[method]
    accuracy = [100 * count / 30 for count in correct]
    assert scaling_per_doubling(tokens, accuracy) == pytest.approx(per_doubling, abs=0.12)
    assert scaling_per_1000_tokens(tokens, accuracy) == pytest.approx(per_1000, abs=0.06)


@pytest.mark.parametrize(
    ("tokens", "limits", "published"),
    [
        ([7939, 7158, 8263, 7108, 7500], [1024, 2048, 4096, 8192, 16384], 40.0),
        ([1024, 2048, 4031, 5664, 6330], [1024, 2048, 4096, 8192, 16384], 100.0),
        # A step stands for 100 tokens.
        ([7252, 6277, 5396, 5552, 7551], [1600, 3200, 6400, 12800, 25600], 60.0),
    ],
)
def test_published_control_is_reproduced_as_a_share_of_cells(
    tokens: list[float], limits: list[float], published: float
) -> None:
    assert share_of_cells_within(tokens, limits) == published


def test_scaling_by_hand() -> None:
    # Pairs: (0 to 10 points over 1,000), (0 to 40 over 3,000), (10 to 40 over 2,000).
    assert scaling_per_1000_tokens([1000, 2000, 4000], [0, 10, 40]) == pytest.approx((10 + 40 / 3 + 15) / 3)
    assert scaling_per_doubling([1000, 2000, 4000], [0, 10, 40]) == pytest.approx((10 + 20 + 30) / 3)


def test_scaling_does_not_depend_on_the_order_of_cells_and_skips_pairs_of_equal_tokens() -> None:
    assert scaling_per_doubling([4000, 1000, 2000], [40, 0, 10]) == pytest.approx(20)
    assert scaling_per_doubling([1000, 2000, 2000], [0, 10, 30]) == pytest.approx((10 + 30) / 2)


def test_scaling_per_doubling_leaves_out_cells_without_thinking() -> None:
    assert scaling_per_doubling([0, 1000, 2000], [5, 0, 10]) == pytest.approx(10)
    assert scaling_per_1000_tokens([0, 1000], [5, 10]) == pytest.approx(5)


def test_scaling_of_one_cell_or_of_equal_cells_is_undefined() -> None:
    assert scaling_per_doubling([500], [40]) is None
    assert scaling_per_1000_tokens([500, 500], [40, 50]) is None


def test_budget_error_takes_the_nearest_cell_for_each_target() -> None:
    assert budget_error([500, 1000, 2000, 4000, 8000]) == 0
    # Targets 100 and 200: the nearest cells are 90 (10% off) and 260 (30% off).
    assert budget_error([90, 260], (100, 200)) == pytest.approx(20)
    # One cell of 1,000 tokens serves all targets: 100%, 0, 50, 75 and 87.5%.
    assert budget_error([1000]) == pytest.approx((100 + 0 + 50 + 75 + 87.5) / 5)


def test_ten_tokens_over_the_budget_are_within_it_and_eleven_are_not() -> None:
    assert not is_over_budget(score(1, True, 510, 500))
    assert is_over_budget(score(1, True, 511, 500))
    assert not is_over_budget(score(1, True, 99_999, None))
    assert over_budget_rate(1, 8) == 12.5


def test_accuracy_bounds_count_the_cut_off_as_wrong_or_leave_it_out() -> None:
    assert accuracy_bounds(3, 4, 10) == (0.3, 0.5)
    assert accuracy_bounds(0, 10, 10) == (0.0, 0.0)


def test_method_metrics_by_hand() -> None:
    scores = [score(i, i < 2, 500, 500) for i in range(4)] + [
        score(i, i < 3, 1000 + 20 * (i == 0), 1000) for i in range(4)
    ]
    (row,) = method_metrics(scores, targets_tokens=(500, 1000))
    assert (row.num_cells, row.num_problems) == (2, 4)
    assert row.over_budget_rate.value == pytest.approx(100 / 8)
    assert row.control.value == pytest.approx(100 - 100 / 8)
    assert row.control_of_cells.value == 50  # the mean of the second cell is 1,005
    assert row.budget_error.value == pytest.approx(100 * (0 + 5 / 1000) / 2)
    assert row.scaling_per_1000_tokens.value == pytest.approx(25 / 0.505)
    assert row.max_accuracy.value == 75
    assert row.scaling_per_doubling.low is not None
    assert row.scaling_per_doubling.high is not None
    assert row.scaling_per_doubling.low <= 25 <= row.scaling_per_doubling.high


def test_what_one_cell_cannot_say_is_undefined_with_a_reason() -> None:
    (row,) = method_metrics([score(i, True, 100) for i in range(3)])
    assert row.scaling_per_doubling.value is None
    assert row.scaling_per_doubling.reason == "one cell"
    assert row.over_budget_rate.value is None
    assert row.over_budget_rate.reason == "no budgets"
    assert row.max_accuracy.value == 100


def test_control_of_a_class_conditional_method_is_fifty_by_convention() -> None:
    scores = [score(i, i % 2 == 0, 100, method="class_conditional", variant="short") for i in range(4)]
    scores += [score(i, True, 400, method="class_conditional", variant="long") for i in range(4)]
    (row,) = method_metrics(scores)
    assert (row.control.value, row.control.reason) == (50, "by convention")
    assert row.scaling_per_doubling.value == pytest.approx(25)


def test_cells_count_every_verdict_and_come_in_the_order_of_their_budgets() -> None:
    verdicts = list(Verdict)
    scores = [score(i, verdicts[i], 100 + i, None) for i in range(5)]
    scores += [score(i, True, 40, 50) for i in range(5)] + [score(i, False, 200, 80) for i in range(5)]
    small, middle, unlimited = cells_from_scores(scores)
    assert [cell.budget_tokens for cell in (small, middle, unlimited)] == [50, 80, None]
    counts = (unlimited.correct, unlimited.wrong, unlimited.no_answer, unlimited.cut_off, unlimited.ungradable)
    assert counts == (1, 1, 1, 1, 1)
    assert (unlimited.accuracy, unlimited.accuracy_of_finished) == (0.2, 0.25)
    assert unlimited.mean_thinking_tokens == 102
    assert (small.over_budget, middle.over_budget) == (0, 5)


def test_a_cell_where_all_scores_agree_still_has_an_interval_with_width() -> None:
    (cell,) = cells_from_scores([score(i, False, 10) for i in range(30)])
    assert cell.accuracy_low == 0
    assert cell.accuracy_high == pytest.approx(0.1135, abs=1e-4)  # Wilson, 0 of 30


def test_problems_that_are_all_alike_have_an_interval_with_width() -> None:
    halves = [score(i, sample % 2 == 0, 10, sample=sample) for i in range(10) for sample in range(4)]
    (cell,) = cells_from_scores(halves)
    assert (cell.accuracy_low, cell.accuracy_high) == wilson_interval(5, 10)
    (account,) = truncation_accounts(halves)
    assert (account.accuracy.low, account.accuracy.high) == wilson_interval(5, 10)
    (metrics,) = method_metrics([score(i, False, 10) for i in range(30)])
    assert metrics.max_accuracy.high == pytest.approx(11.35, abs=0.01)  # Wilson, 0 of 30


def test_cells_do_not_depend_on_the_order_of_the_scores() -> None:
    scores = [score(i, i % 3 == 0, 10 * i, sample=s) for i in range(20) for s in range(2)]
    assert cells_from_scores(scores) == cells_from_scores(scores[::-1])


def test_the_same_sample_twice_in_a_cell_is_refused() -> None:
    with pytest.raises(DataError, match="two scores for sample 0"):
        cells_from_scores([score(1, True, 5), score(1, False, 5)])


def test_cells_over_different_problems_are_summed_each_over_its_own() -> None:
    scores = [score(i, True, 100, 100) for i in range(3)] + [score(i, i < 5, 200, 200) for i in range(2, 8)]
    first, second = cells_from_scores(scores, resamples=200)
    assert (first.num_problems, second.num_problems) == (3, 6)
    assert second.accuracy == pytest.approx(0.5)


def test_thirty_cells_of_five_hundred_problems_take_well_under_a_second_of_bootstrap() -> None:
    scores = [score(i, (i * (b + 3)) % 7 < 3, 100 * b + i, 100 * b) for i in range(500) for b in range(1, 31)]
    start = time.process_time()
    method_metrics(scores, resamples=1000)
    assert time.process_time() - start < 3  # 0.6 s on one quiet core; the margin is for a loaded machine
