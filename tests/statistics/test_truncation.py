"""What became of responses, and the accuracy between its bounds."""

from dataclasses import replace

import pytest

from tests.statistics.test_metrics import score
from thinkscale.records import Cut, Score, Verdict
from thinkscale.statistics import cells_from_scores, truncation_accounts, wilson_interval


def cut(problem: int, where: Cut, sample: int = 0) -> Score:
    return replace(score(problem, Verdict.CUT_OFF, 100, sample=sample), cut=where)


def test_an_account_by_hand() -> None:
    scores = [
        *(score(i, i < 3, 50) for i in range(5)),
        score(5, Verdict.NO_ANSWER, 50),
        score(6, Verdict.UNGRADABLE, 50),
        cut(7, Cut.THINKING),
        cut(8, Cut.THINKING),
        cut(9, Cut.ANSWER),
    ]
    (account,) = truncation_accounts(scores)
    counts = (account.answered, account.no_answer, account.cut_in_thinking, account.cut_in_answer, account.ungradable)
    assert counts == (5, 1, 2, 1, 1)
    assert (account.cut_unstated, account.cut_off, account.num_scores) == (0, 3, 10)
    assert account.accuracy.value == 0.3
    assert account.accuracy_of_finished.value == pytest.approx(3 / 7)
    (cell,) = cells_from_scores(scores)
    assert (cell.cut_off, cell.cut_in_thinking, cell.cut_in_answer) == (3, 2, 1)
    assert (account.accuracy.low, account.accuracy.high) == (cell.accuracy_low, cell.accuracy_high)
    assert cell.accuracy_of_finished == account.accuracy_of_finished.value


def test_a_cut_that_ended_in_a_verdict_is_no_cut_off() -> None:
    """A judge may read an answer in what a limit cut: then the verdict counts, and nothing twice."""
    (account,) = truncation_accounts([replace(score(0, True, 9), cut=Cut.ANSWER), score(1, Verdict.CUT_OFF, 9)])
    assert (account.answered, account.cut_in_answer, account.cut_unstated) == (1, 0, 1)


def test_where_all_are_cut_there_is_no_upper_bound() -> None:
    (account,) = truncation_accounts([cut(i, Cut.THINKING) for i in range(4)])
    assert account.accuracy.value == 0
    assert (account.accuracy.low, account.accuracy.high) == wilson_interval(0, 4)
    assert account.accuracy_of_finished.value is None
    assert account.accuracy_of_finished.reason == "all were cut off"


def test_intervals_are_over_problems_and_not_over_samples() -> None:
    def accounts(copies: int) -> tuple[float | None, float | None]:
        scores = [
            replace(score(i, i % 2 == 0, 5, sample=s), cut=Cut.NONE) if i % 3 else cut(i, Cut.ANSWER, s)
            for i in range(30)
            for s in range(copies)
        ]
        (account,) = truncation_accounts(scores)
        return account.accuracy_of_finished.low, account.accuracy_of_finished.high

    assert accounts(8) == accounts(1)


def test_generated_tokens_are_averaged_over_scores() -> None:
    scores = [replace(score(i, True, 10), answer_tokens=5, generated_tokens=15 + 10 * i) for i in range(3)]
    (cell,) = cells_from_scores(scores)
    assert (cell.mean_thinking_tokens, cell.mean_generated_tokens) == (10, 25)
