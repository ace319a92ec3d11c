"""Votes against brute force over all subsets of the pool."""

from itertools import combinations
from statistics import mean

import pytest

from thinkscale.errors import DataError
from thinkscale.statistics import majority_at_k, pass_at_k

POOLS = [
    ({"a": 3, "b": 2, "c": 1}, {"a"}, 1),
    ({"a": 2, "b": 2, "c": 2}, {"b"}, 0),
    ({"a": 1, "b": 4}, {"a"}, 2),
    ({"a": 2, "a'": 2, "b": 3}, {"a", "a'"}, 0),
    ({"b": 5}, {"a"}, 3),
    ({"a": 1, "b": 1, "c": 1, "d": 1, "e": 1}, {"e"}, 1),
]


def credit(drawn: tuple[str | None, ...], correct: set[str]) -> float:
    answers = [answer for answer in drawn if answer is not None]
    if not answers:
        return 0.0
    most = max(answers.count(answer) for answer in answers)
    tied = {answer for answer in answers if answers.count(answer) == most}
    return len(tied & correct) / len(tied)


@pytest.mark.parametrize(("votes", "correct", "abstentions"), POOLS)
def test_majority_at_k_is_the_mean_over_all_subsets(votes: dict[str, int], correct: set[str], abstentions: int) -> None:
    pool: list[str | None] = [answer for answer, count in votes.items() for _ in range(count)]
    pool += [None] * abstentions
    for k in range(1, len(pool) + 1):
        expected = mean(credit(drawn, correct) for drawn in combinations(pool, k))
        assert majority_at_k(votes, correct, k, abstentions) == pytest.approx(expected, abs=1e-12)


def test_majority_of_one_is_accuracy() -> None:
    assert majority_at_k({"a": 3, "b": 5}, {"a"}, 1, abstentions=2) == pytest.approx(0.3)


def test_a_tie_pays_the_share_of_tied_answers_that_are_right() -> None:
    assert majority_at_k({"a": 2, "b": 2}, {"a"}, 4) == 0.5


def test_majority_stays_exact_for_a_large_pool() -> None:
    votes = {f"wrong {index}": 1 for index in range(40)} | {"right": 24}
    assert 0.99 < majority_at_k(votes, {"right"}, 32) <= 1


@pytest.mark.parametrize("k", range(1, 7))
def test_pass_at_k_is_the_mean_over_all_subsets(k: int) -> None:
    pool = [1, 1, 0, 0, 0, 0]
    expected = mean(float(any(drawn)) for drawn in combinations(pool, k))
    assert pass_at_k(6, 2, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, 5])
def test_k_outside_the_pool_is_an_error(k: int) -> None:
    with pytest.raises(DataError, match="k must lie between"):
        pass_at_k(4, 1, k)
    with pytest.raises(DataError, match="k must lie between"):
        majority_at_k({"a": 4}, {"a"}, k)
