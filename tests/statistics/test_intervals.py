"""Intervals cover what they claim to cover, and formulas agree with simulation."""

import itertools
import math

import numpy as np
import pytest

from thinkscale.errors import DataError
from thinkscale.statistics import detectable_difference, mean_interval, paired_difference, wilson_interval
from thinkscale.statistics.intervals import resample_counts, sign_flip_p_value


def named(values: list[float]) -> dict[str, list[float]]:
    return {f"p{index:04}": [value] for index, value in enumerate(values)}


def signs_of(number: int) -> list[tuple[int, ...]]:
    return list(itertools.product((-1, 1), repeat=number))


def test_every_resample_draws_as_many_problems_as_there_are() -> None:
    counts = resample_counts(7, 50, 1)
    assert counts.shape == (50, 7)
    assert (counts.sum(axis=1) == 7).all()


def test_about_95_of_100_intervals_hold_the_true_mean() -> None:
    random = np.random.default_rng(0)
    held = 0
    for _ in range(300):
        estimate = mean_interval(named(list((random.random(80) < 0.6).astype(float))), resamples=500)
        assert estimate.low is not None
        assert estimate.high is not None
        held += estimate.low <= 0.6 <= estimate.high
    assert 0.90 <= held / 300 <= 0.98


def test_samples_of_one_problem_stay_together() -> None:
    # Sixteen samples that all agree are worth one: the interval must be that of 20 problems, not of 320.
    values = [float(index % 2) for index in range(20)]
    one = mean_interval(named(values))
    many = mean_interval({name: value * 16 for name, value in named(values).items()})
    assert (one.low, one.high) == (many.low, many.high)


def test_no_samples_is_an_outcome_with_a_reason() -> None:
    assert mean_interval({}).value is None
    assert mean_interval({"p": []}).reason == "no samples"


def test_a_paired_difference_by_hand() -> None:
    paired = paired_difference(
        {"a": [1.0], "b": [0.0], "c": [0.0, 1.0], "only": [1.0]}, {"a": [1.0], "b": [1.0], "c": [0.0, 0.0]}
    )
    assert (paired.num_problems, paired.num_unpaired) == (3, 1)
    assert paired.difference == pytest.approx((0 + 1 - 0.5) / 3)
    assert (paired.gained, paired.lost) == (1, 1)
    # With one sample a problem this is the share that differs; the two samples of c differ by a half.
    assert paired.discordant_rate == pytest.approx((0 + 1 + 0.25) / 3)


def test_pairing_narrows_the_interval_when_the_sides_share_their_problems() -> None:
    random = np.random.default_rng(3)
    before = (random.random(200) < 0.5).astype(float)
    after = np.where(random.random(200) < 0.05, 1.0, before)
    paired = paired_difference(named(list(before)), named(list(after)))
    alone = mean_interval(named(list(after)))
    assert alone.high is not None
    assert alone.low is not None
    assert paired.high - paired.low < (alone.high - alone.low) / 2


def test_a_handful_of_gains_is_not_beyond_noise_though_the_bootstrap_leaves_zero_out() -> None:
    four = paired_difference(named([0.0] * 30), named([1.0] * 4 + [0.0] * 26))
    assert four.low > 0
    assert four.p_value == pytest.approx(0.125)
    assert not four.beyond_noise
    six = paired_difference(named([0.0] * 30), named([1.0] * 6 + [0.0] * 24))
    assert six.p_value == pytest.approx(2 / 64)
    assert six.beyond_noise


def test_no_difference_anywhere_is_not_beyond_noise() -> None:
    same = paired_difference(named([1.0, 0.0]), named([1.0, 0.0]))
    assert (same.difference, same.p_value, same.beyond_noise) == (0, 1, False)


def test_random_sign_flips_agree_with_the_exact_test() -> None:
    differences = np.array([1.0] * 12 + [-1.0] * 3 + [0.0] * 10)
    exact = sign_flip_p_value(differences)
    nudged = differences * np.linspace(1, 1 + 1e-6, len(differences))
    assert sign_flip_p_value(nudged) == pytest.approx(exact, abs=0.015)


@pytest.mark.parametrize(
    "differences", [[0.5, 1.0, -0.25, 0.75, 0.5], [1 / 3, -2 / 3, 1 / 7, 1.0, 1.0, 0.1], [0.5, 0.5, 1.0, -1.0]]
)
def test_differences_of_several_sizes_have_the_exact_p_of_all_sign_patterns(differences: list[float]) -> None:
    sums = [math.fsum(map(math.prod, zip(differences, signs, strict=True))) for signs in signs_of(len(differences))]
    extreme = sum(abs(value) >= abs(math.fsum(differences)) - 1e-9 for value in sums)
    assert sign_flip_p_value(np.array(differences)) == pytest.approx(extreme / len(sums), rel=1e-9)


def test_many_problems_with_several_samples_are_no_less_certain_than_a_large_family_asks() -> None:
    assert sign_flip_p_value(np.array([0.5, 0.25] * 15)) == pytest.approx(2 / 2**30)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(DataError, match="no problem in common"):
        paired_difference({"a": [1.0]}, {"b": [1.0]})


@pytest.mark.parametrize(("problems", "rate"), [(30, 0.5), (198, 0.2), (500, 0.1), (60, 0.3)])
def test_the_detectable_difference_solves_connors_formula(problems: int, rate: float) -> None:
    difference = detectable_difference(problems, rate)
    assert difference is not None
    needed = (1.959964 * math.sqrt(rate) + 0.841621 * math.sqrt(rate - difference**2)) ** 2 / difference**2
    assert needed == pytest.approx(problems, rel=1e-4)


def test_the_detectable_difference_is_found_four_times_in_five() -> None:
    problems, rate = 200, 0.3
    difference = detectable_difference(problems, rate)
    assert difference is not None
    random = np.random.default_rng(5)
    up, down = (rate + difference) / 2, (rate - difference) / 2
    found = 0
    for _ in range(400):
        gains, losses, _rest = random.multinomial(problems, [up, down, 1 - rate])
        found += abs(gains - losses) / math.sqrt(gains + losses) > 1.959964
    assert 0.74 < found / 400 < 0.86


def test_more_problems_detect_less_and_few_discordant_pairs_are_not_enough() -> None:
    sizes = [detectable_difference(problems) for problems in (30, 198, 500)]
    assert sizes == sorted((size for size in sizes if size is not None), reverse=True)
    assert sizes[0] == pytest.approx(0.348, abs=0.001)
    # With 2% discordant pairs, 30 problems cannot show 2 points: some 24 must all go one way.
    assert detectable_difference(30, 0.02) == pytest.approx(0.2417, abs=0.001)
    assert detectable_difference(3) is None


def test_wilson_by_hand() -> None:
    # 5 of 10: 0.5 -+ 1.96 sqrt(.025 + 1.96^2 / 400) over 1 + 1.96^2 / 10.
    low, high = wilson_interval(5, 10)
    assert low == pytest.approx(0.2366, abs=1e-4)
    assert high == pytest.approx(0.7634, abs=1e-4)
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == 1
