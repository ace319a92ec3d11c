"""Agreement against published examples and values computed by hand."""

from collections import Counter

import numpy as np
import pytest

from thinkscale.errors import DataError
from thinkscale.records import Verdict
from thinkscale.statistics.agreement import (
    VERDICTS,
    Pattern,
    cohens_kappa,
    confusion_table,
    fleiss_kappa,
    headlines,
    kappa_estimate,
    pairwise_agreement,
    range_of,
)

C, W, N, U = Verdict.CORRECT, Verdict.WRONG, Verdict.NO_ANSWER, Verdict.UNGRADABLE


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        # Fleiss, Statistical Methods for Rates and Proportions: two raters, 100 patients, published kappa 0.68.
        ([[75, 1, 4], [5, 4, 1], [0, 0, 10]], 0.23 / 0.34),
        # 50 proposals, two readers: p_o = 0.7, p_e = 0.6 * 0.5 + 0.4 * 0.5 = 0.5.
        ([[20, 5], [10, 15]], 0.4),
        # Equal agreement (0.6), other margins: p_e = 0.54 and 0.46.
        ([[45, 15], [25, 15]], 0.06 / 0.46),
        ([[25, 35], [5, 35]], 0.14 / 0.54),
        ([[10, 0], [0, 10]], 1.0),
        ([[0, 10], [10, 0]], -1.0),
        ([[25, 25], [25, 25]], 0.0),
    ],
)
def test_cohens_kappa_is_the_published_value(table: list[list[int]], expected: float) -> None:
    assert cohens_kappa(np.array(table)) == pytest.approx(expected, abs=1e-12)


def test_kappa_does_not_exist_where_chance_agreement_is_one() -> None:
    assert cohens_kappa(np.array([[7, 0], [0, 0]])) is None
    assert cohens_kappa(np.zeros((2, 2), dtype=np.int64)) is None
    assert kappa_estimate(np.array([[7, 0], [0, 0]])).reason.startswith("both graders say the same")
    assert kappa_estimate(np.zeros((2, 2), dtype=np.int64)).reason == "no rows"


def test_one_grader_of_one_verdict_has_kappa_zero() -> None:
    assert cohens_kappa(np.array([[6, 0], [3, 0]])) == pytest.approx(0.0)
    assert cohens_kappa(np.array([[0, 5], [0, 0]])) == pytest.approx(0.0)


def fleiss_1971() -> Counter[tuple[str, ...]]:
    """The worked example with 10 subjects, 14 raters and 5 categories: counts of each category for each subject."""
    rows = [
        (0, 0, 0, 0, 14), (0, 2, 6, 4, 2), (0, 0, 3, 5, 6), (0, 3, 9, 2, 0), (2, 2, 8, 1, 1),
        (7, 7, 0, 0, 0), (3, 2, 6, 3, 0), (2, 5, 3, 2, 2), (6, 5, 2, 1, 0), (0, 2, 2, 3, 7),
    ]  # fmt: skip
    return Counter(tuple("".join(name * count for name, count in zip("abcde", row, strict=True))) for row in rows)


def test_fleiss_kappa_is_the_published_value() -> None:
    # P = 0.378, P_e = 0.213, kappa = 0.210
    assert fleiss_kappa(fleiss_1971()) == pytest.approx(0.210, abs=5e-4)


def test_fleiss_kappa_by_hand() -> None:
    # Three raters: 2 subjects aaa, 1 subject abb. P = (1 + 1 + 1/3) / 3 = 7/9; p_a = 7/9, p_b = 2/9, P_e = 53/81.
    expected = (7 / 9 - 53 / 81) / (1 - 53 / 81)
    assert fleiss_kappa({("a", "a", "a"): 2, ("a", "b", "b"): 1}) == pytest.approx(expected)
    assert fleiss_kappa({("b", "a", "b"): 1, ("a", "a", "a"): 2}) == pytest.approx(expected)


def test_fleiss_kappa_does_not_exist_for_one_rater_or_one_category() -> None:
    assert fleiss_kappa({}) is None
    assert fleiss_kappa({("a",): 3}) is None
    assert fleiss_kappa({("a", "a"): 3}) is None
    with pytest.raises(DataError, match="as many verdicts"):
        fleiss_kappa({("a", "a"): 1, ("a", "a", "b"): 1})


PATTERNS: dict[Pattern, int] = {(C, C, C): 60, (W, W, W): 25, (C, W, C): 6, (W, C, U): 2, (N, W, N): 5, (U, C, U): 2}


def test_a_confusion_table_counts_rows_by_the_first_and_columns_by_the_second() -> None:
    table = confusion_table(PATTERNS, 0, 1)
    order = VERDICTS.index
    assert table.sum() == 100
    assert table[order(C), order(C)] == 60
    assert table[order(C), order(W)] == 6
    assert table[order(W), order(C)] == 2
    assert table[order(N), order(W)] == 5
    assert (confusion_table(PATTERNS, 1, 0) == table.T).all()


def test_every_pair_has_agreement_and_kappa() -> None:
    pairs = pairwise_agreement(("a", "b", "c"), PATTERNS)
    assert [(pair.first, pair.second) for pair in pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    first = pairs[0]
    assert (first.num_rows, first.agreement.value) == (100, 0.85)
    # margins of a: C 66, W 27, N 5, U 2; of b: C 64, W 36; p_e = 0.66 * 0.64 + 0.27 * 0.36
    chance = 0.66 * 0.64 + 0.27 * 0.36
    assert first.kappa.value == pytest.approx((0.85 - chance) / (1 - chance))
    assert first.table[VERDICTS.index(C)][VERDICTS.index(W)] == 6
    # Wilson by hand for 85 of 100, z = 1.959964: centre 0.837051, half width 0.069966
    assert first.agreement.low == pytest.approx(0.76718, abs=2e-4)
    assert first.agreement.high == pytest.approx(0.90695, abs=2e-4)


def test_the_bootstrap_interval_of_kappa_is_near_its_large_sample_value() -> None:
    # Fleiss, Cohen and Everitt (Psychol. Bull. 72, 1969) for these shares and 5,000 rows:
    # variance (0.10972 + 0.10188 - 0.01) / (5000 * 0.25), standard error 0.0127, interval 0.4 -+ 0.0249.
    table = np.array([[2000, 500], [1000, 1500]])
    estimate = kappa_estimate(table)
    assert estimate.value == pytest.approx(0.4)
    assert estimate.low == pytest.approx(0.3751, abs=0.003)
    assert estimate.high == pytest.approx(0.4249, abs=0.003)
    assert kappa_estimate(table) == estimate


def test_complete_agreement_of_a_few_rows_does_not_prove_kappa_one() -> None:
    estimate = kappa_estimate(np.array([[15, 0], [0, 15]]))
    # Wilson for 30 of 30: low 30 / (30 + 1.96^2) = 0.88649; (0.88649 - 0.5) / 0.5
    assert (estimate.value, estimate.high) == (1.0, 1.0)
    assert estimate.low == pytest.approx(0.77298, abs=1e-4)


def test_headlines_have_both_bounds_and_a_range() -> None:
    first, second, third = headlines(("a", "b", "c"), PATTERNS)
    assert first.counts == {C: 66, W: 27, N: 5, Verdict.CUT_OFF: 0, U: 2}
    assert first.of_all.value == 0.66
    assert first.of_decided.value == pytest.approx(66 / 93)
    assert (second.of_all.value, second.of_decided.value) == (0.64, 0.64)
    assert third.of_all.value == 0.66
    assert third.of_decided.value == pytest.approx(66 / 91)
    overall = range_of([item.of_all for item in (first, second, third)])
    assert (overall.low, overall.high) == (0.64, 0.66)
    assert overall.width == pytest.approx(0.02)


def test_nothing_decided_has_no_upper_bound() -> None:
    (only,) = headlines(("a",), {(U,): 3})
    assert (only.of_all.value, only.of_decided.value, only.of_decided.reason) == (0.0, None, "no rows")
    assert range_of([only.of_decided]).width is None


def test_a_row_with_too_few_verdicts_is_an_error() -> None:
    with pytest.raises(DataError, match="2 verdicts, there are 3 graders"):
        pairwise_agreement(("a", "b", "c"), {(C, W): 1})
