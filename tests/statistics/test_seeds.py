"""Means over seeds against mean squares worked out by hand, and against simulated coverage."""

import numpy as np
import pytest

from thinkscale.errors import DataError
from thinkscale.statistics import difference_over_seeds, mean_over_seeds
from thinkscale.statistics.seeds import t_interval

Run = dict[str, list[float]]


def run(*values: float) -> Run:
    return {f"p{index:03}": [value] for index, value in enumerate(values)}


def test_two_runs_of_four_problems_by_hand() -> None:
    """y = [[1, 1, 1, 0], [1, 0, 0, 0]]: means 0.75 and 0.25 of runs, 1, 0.5, 0.5, 0 of problems, 0.5 of all.

    MS_seed = 4 (0.25^2 + 0.25^2) / 1 = 0.5; the rest is [[-.25, .25, .25, -.25], [.25, -.25, -.25, .25]], so
    MS_both = 8 x 0.0625 / 3 = 1/6. Variance of the problems' means = (0.25 + 0.25) / 3 = 1/6, over 4: 1/24.
    v_seed / R = (1/2 - 1/6) / 8 = 1/24. Together 1/12, so the standard error is 0.2887.
    Degrees of freedom: (1/12)^2 / ((1/24)^2 / 3 + (1/16)^2 / 1 + (1/48)^2 / 3) = 1.507.
    """
    found = mean_over_seeds([run(1, 1, 1, 0), run(1, 0, 0, 0)])
    assert found.by_run == (0.75, 0.25)
    assert found.estimate.value == 0.5
    assert found.degrees_of_freedom == pytest.approx(
        (1 / 12) ** 2 / ((1 / 24) ** 2 / 3 + (1 / 16) ** 2 + (1 / 48) ** 2 / 3)
    )
    assert found.deviation_over_seeds == pytest.approx(((1 / 2 - 1 / 6) / 4) ** 0.5)
    assert (found.estimate.low, found.estimate.high) == (0.0, 1.0)  # 0.2887 times t of 1.5 degrees is more than 0.5
    assert "1 degrees of freedom" in found.note


def test_one_run_carries_problems_alone_and_says_so() -> None:
    found = mean_over_seeds([run(1, 1, 0, 0, 1, 0, 1, 0, 1, 0)])
    error = (10 / 36 / 10) ** 0.5  # 10 squares of 0.5, over 9; over 10
    assert found.degrees_of_freedom == 9
    assert found.estimate.high == pytest.approx(0.5 + 2.262 * error, abs=1e-3)
    assert found.deviation_over_seeds is None
    assert "says nothing of another seed" in found.note


def test_seeds_that_agree_add_nothing() -> None:
    same = run(1, 0, 1, 0, 1, 1)
    one, three = mean_over_seeds([same]), mean_over_seeds([same, same, same])
    assert three.estimate == one.estimate
    assert three.deviation_over_seeds == 0.0


def test_a_difference_of_one_run_a_side_is_the_paired_t_interval() -> None:
    found = difference_over_seeds([run(0, 0, 1, 0)], [run(1, 0, 1, 1)])
    # Differences 1, 0, 0, 1: mean 0.5, deviation 0.5774, standard error 0.2887; t of 3 degrees is 3.182.
    assert found.estimate.value == 0.5
    assert found.standard_error == pytest.approx(0.2887, abs=1e-4)
    assert found.estimate.low == pytest.approx(0.5 - 3.182 * 0.2887, abs=1e-3)
    assert found.p_value == pytest.approx(0.1817, abs=1e-3)  # t = 1.732 at 3 degrees
    at_one_percent = t_interval(found, 0.01)
    assert at_one_percent is not None
    assert list(at_one_percent) == pytest.approx([-1.0, 1.0])


def test_an_effect_of_the_seed_is_not_taken_for_an_effect_of_the_recipe() -> None:
    """Both sides draw a seed effect of the same distribution; problems alone see differences that are not there."""
    random = np.random.default_rng(0)
    false_alone = false_over_seeds = held = 0
    for _ in range(200):
        problems = random.uniform(0.2, 0.8, 100)
        chances = [[np.clip(problems + random.normal(0, 0.08), 0, 1) for _ in range(5)] for _ in range(2)]
        sides = [[run(*(random.random(100) < chance).astype(float)) for chance in side] for side in chances]
        alone = difference_over_seeds(sides[0][:1], sides[1][:1])
        found = difference_over_seeds(*sides)
        false_alone += alone.p_value < 0.05
        false_over_seeds += found.p_value < 0.05
        assert found.estimate.low is not None
        assert found.estimate.high is not None
        held += found.estimate.low <= 0 <= found.estimate.high
    assert false_alone > 30
    assert false_over_seeds <= 18  # 10 are expected
    assert held >= 182


def test_no_spread_is_said_and_not_taken_for_certainty() -> None:
    alike = difference_over_seeds([run(1, 0)], [run(1, 0)])
    assert (alike.estimate.low, alike.p_value) == (None, 1.0)
    assert "no spread" in alike.estimate.reason
    assert t_interval(alike) is None
    # Both of two problems gained: the sign-flip test gives 2 / 2^2.
    assert difference_over_seeds([run(0, 0)], [run(1, 1)]).p_value == 0.5


def test_runs_are_compared_on_problems_that_all_have() -> None:
    found = mean_over_seeds([{"a": [1.0], "b": [0.0, 1.0]}, {"b": [1.0], "c": [0.0]}])
    assert found.num_problems == 1
    assert found.by_run == (0.5, 1.0)
    with pytest.raises(DataError, match="no problem in common"):
        mean_over_seeds([{"a": [1.0]}, {"b": [1.0]}])
    with pytest.raises(DataError, match="at least one run"):
        difference_over_seeds([], [run(1)])
