"""Corrections for many comparisons, against hand computation, theory and simulation."""

from statistics import NormalDist

import numpy as np
import pytest

from thinkscale.errors import DataError
from thinkscale.statistics import Contrast, compare_family, detectable_difference, holm, paired_difference

Outcomes = dict[str, list[float]]


def named(values: list[float], prefix: str = "p") -> Outcomes:
    return {f"{prefix}{index:04}": [value] for index, value in enumerate(values)}


def contrast(name: str, before: list[float], after: list[float], benchmark: str = "aime") -> Contrast:
    return Contrast(name=name, benchmark=benchmark, first=named(before), second=named(after))


def drawn(seed: int, num: int, share: float) -> list[float]:
    return [float(value) for value in np.random.default_rng(seed).random(num) < share]


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        # 3 x 0.01; 2 x 0.03; then 1 x 0.04, which may not be below 0.06.
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),
        # 4 x 0.005; 3 x 0.011; 2 x 0.02; 1 x 0.04, which may not be below 0.04.
        ([0.005, 0.011, 0.02, 0.04], [0.02, 0.033, 0.04, 0.04]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([0.04], [0.04]),
        ([], []),
    ],
)
def test_holm_by_hand(p_values: list[float], adjusted: list[float]) -> None:
    assert holm(p_values) == pytest.approx(tuple(adjusted))


def test_a_family_of_one_is_the_comparison_alone() -> None:
    before, after = drawn(1, 200, 0.4), drawn(2, 200, 0.6)
    family = compare_family("one", [contrast("x", before, after)])
    (only,) = family.comparisons
    alone = paired_difference(named(before), named(after))
    assert only.paired == alone
    assert only.p_holm == alone.p_value
    assert family.critical_value == pytest.approx(1.96, abs=0.1)
    assert only.low_simultaneous == pytest.approx(alone.low, abs=0.01)
    assert only.high_simultaneous == pytest.approx(alone.high, abs=0.01)


def test_the_critical_value_of_ten_benchmarks_is_that_of_ten_independent_normals() -> None:
    contrasts = [
        contrast(f"c{index}", drawn(index, 400, 0.5), drawn(50 + index, 400, 0.5), f"b{index}") for index in range(10)
    ]
    family = compare_family("ten", contrasts, resamples=4000)
    theory = NormalDist().inv_cdf((1 + 0.95 ** (1 / 10)) / 2)  # 2.80
    assert family.critical_value == pytest.approx(theory, abs=0.12)


def test_a_comparison_said_ten_times_costs_nothing_but_holm_does_not_know() -> None:
    before, after = drawn(1, 300, 0.4), drawn(2, 300, 0.5)
    one = compare_family("one", [contrast("x", before, after)])
    ten = compare_family("ten", [contrast(f"x{index}", before, after) for index in range(10)])
    assert ten.critical_value == one.critical_value
    assert ten.comparisons[0].p_holm == pytest.approx(min(1, 10 * one.comparisons[0].p_holm))


def test_correction_takes_back_what_luck_gives() -> None:
    """Twenty comparisons of equal sides: one at least looks real alone in most families, after correction in few."""
    alone, corrected, covered = 0, 0, 0
    for repetition in range(60):
        seeds = range(1000 * repetition, 1000 * repetition + 20)
        contrasts = [contrast(f"c{seed}", drawn(seed, 100, 0.5), drawn(seed + 500, 100, 0.5)) for seed in seeds]
        found = compare_family("luck", contrasts, resamples=300, seed=repetition).comparisons
        alone += any(item.paired.beyond_noise for item in found)
        corrected += any(item.beyond_noise for item in found)
        covered += all(item.low_simultaneous <= 0 <= item.high_simultaneous for item in found)
    assert alone > 20
    assert corrected <= 6
    assert covered >= 52  # 57 of 60 are expected


def test_the_detectable_difference_is_that_of_the_corrected_level() -> None:
    contrasts = [contrast(f"c{index}", drawn(index, 30, 0.5), drawn(9 + index, 30, 0.5)) for index in range(5)]
    (found,) = compare_family("five", contrasts).detectable
    assert (found.num_problems, found.num_comparisons) == (30, 5)
    assert found.alpha == pytest.approx(0.01)
    assert found.conservative == detectable_difference(30, alpha=0.01)
    # Connor's formula with z = 2.576 and 0.842: c = (2.576 sqrt 30 + 0.842 sqrt(30 + 0.708 - 6.635)) / 30.708
    assert found.conservative == pytest.approx(0.5**0.5 * (14.108 + 4.129) / 30.708, abs=1e-3)
    uncorrected = detectable_difference(30)
    assert found.conservative is not None
    assert uncorrected is not None
    assert found.conservative > uncorrected


def test_sides_that_never_differ_have_an_interval_with_width() -> None:
    same = drawn(3, 30, 0.5)
    (found,) = compare_family("same", [contrast("x", same, same)]).comparisons
    bound = 1.96**2 / (30 + 1.96**2)  # 0.1135, Wilson's for 0 of 30
    assert (found.low_simultaneous, found.high_simultaneous) == pytest.approx((-bound, bound), abs=1e-3)
    assert (found.paired.low, found.paired.high) == pytest.approx((-bound, bound), abs=1e-3)
    assert (found.p_holm, found.beyond_noise) == (1.0, False)


def test_samples_of_a_problem_stay_together_in_a_family() -> None:
    before, after = drawn(4, 40, 0.4), drawn(5, 40, 0.6)
    many = [
        Contrast(
            name="x",
            benchmark="aime",
            first={name: values * 16 for name, values in named(before).items()},
            second={name: values * 16 for name, values in named(after).items()},
        )
    ]
    assert compare_family("f", many) == compare_family("f", [contrast("x", before, after)])


def test_cells_of_different_problems_are_compared_on_those_they_share() -> None:
    first, second = named([1.0, 0.0, 1.0]), {**named([1.0, 1.0]), "other": [1.0]}
    item = Contrast(name="x", benchmark="b", first=first, second=second)
    (found,) = compare_family("f", [item]).comparisons
    assert (found.paired.num_problems, found.paired.num_unpaired) == (2, 2)
    assert found.paired.difference == 0.5
    with pytest.raises(DataError, match="no problem in common"):
        compare_family("f", [Contrast(name="x", benchmark="b", first=first, second={"other": [1.0]})])


def test_an_empty_family_is_one() -> None:
    family = compare_family("none", [])
    assert (family.detectable, family.comparisons) == ((), ())
