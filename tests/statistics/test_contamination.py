"""Touched against untouched items: published intervals and small cases."""

import pytest

from tests.statistics.test_metrics import score
from thinkscale.records import Verdict
from thinkscale.statistics import Estimate, clustered_wilson, split_accuracy, unpaired_difference, wilson_interval


def share(successes: int, trials: int) -> Estimate:
    low, high = wilson_interval(successes, trials)
    return Estimate(value=successes / trials, low=low, high=high)


@pytest.mark.parametrize(
    ("first", "second", "low", "high"),
    [
        # Newcombe 1998, table II, method 10, contrasts (a), (b), (d) and (h).
        ((56, 70), (48, 80), 0.0524, 0.3339),
        ((9, 10), (3, 10), 0.1705, 0.8090),
        ((5, 56), (0, 29), -0.0381, 0.1926),
        ((10, 10), (0, 10), 0.6075, 1.0),
    ],
)
def test_the_unpaired_difference_is_newcombes(
    first: tuple[int, int], second: tuple[int, int], low: float, high: float
) -> None:
    found = unpaired_difference(share(*first), share(*second))
    assert [found.low, found.high] == pytest.approx([low, high], abs=6e-5)


def test_a_split_by_hand() -> None:
    scores = [score(i, i in (0, 1, 2, 5), 10) for i in range(10)]
    (found,) = split_accuracy(scores, {("aime", "p000"), ("aime", "p001"), ("other", "p005")})
    assert (found.touched_items, found.untouched_items) == (2, 8)
    assert (found.touched.value, found.untouched.value) == (1.0, 0.25)
    assert found.difference.value == 0.75
    assert (found.touched.low, found.touched.high) == wilson_interval(2, 2)
    assert (found.untouched.low, found.untouched.high) == wilson_interval(2, 8)


def test_nothing_touched_is_an_outcome_with_a_reason() -> None:
    (found,) = split_accuracy([score(1, True, 5)], set())
    assert found.touched.value is None
    assert found.difference.reason == "no item is touched"
    assert not found.beyond_noise


def test_cut_off_counts_against_the_accuracy() -> None:
    scores = [score(0, True, 5), score(1, Verdict.CUT_OFF, 5)]
    (found,) = split_accuracy(scores, {("aime", "p000")})
    assert (found.touched.value, found.untouched.value) == (1.0, 0.0)


def test_samples_that_agree_are_worth_one_and_those_that_do_not_are_worth_more() -> None:
    one = {f"p{index}": [float(index % 2)] for index in range(20)}
    same = {name: values * 8 for name, values in one.items()}
    assert clustered_wilson(same) == clustered_wilson(one)
    mixed = {name: [0.0, 1.0] * 4 for name in one}
    wide, narrow = clustered_wilson(one), clustered_wilson(mixed)
    assert wide.low is not None
    assert narrow.low is not None
    assert narrow.value == wide.value == 0.5
    assert narrow.low > wide.low - 1e-9
