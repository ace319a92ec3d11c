"""Votes against brute force over all subsets of the pool."""

import random
from fractions import Fraction
from itertools import combinations
from math import inf
from statistics import mean

import pytest

from thinkscale.errors import DataError
from thinkscale.statistics import majority_at_k, pass_at_k
from thinkscale.statistics.voting import Rated, best_of_curve, best_of_k, majority_curve, pass_curve

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


@pytest.mark.parametrize(("votes", "correct", "abstentions"), POOLS)
def test_the_curve_has_the_value_of_each_k(votes: dict[str, int], correct: set[str], abstentions: int) -> None:
    size = sum(votes.values()) + abstentions
    expected = [majority_at_k(votes, correct, k, abstentions) for k in range(1, size + 1)]
    assert majority_curve(votes, dict.fromkeys(correct, 1), abstentions) == expected
    assert pass_curve(size, 2) == [pass_at_k(size, 2, k) for k in range(1, size + 1)]


def test_a_class_earns_what_it_is_worth_where_it_wins() -> None:
    """a: 2 votes of which one was graded correct, b: 1 vote. Of the three pairs one is a, a and two are ties."""
    assert majority_curve({"a": 2, "b": 1}, {"a": Fraction(1, 2)}) == pytest.approx(
        [2 / 3 / 2, (1 + 0.5 + 0.5) / 3 / 2, 1 / 2], abs=1e-15
    )


SCORED = [
    [(True, 0.9), (False, 0.5), (False, 0.1)],
    [(True, 0.5), (False, 0.5), (False, 0.5), (True, 0.7)],
    [(True, None), (False, 0.0), (True, -0.0), (False, -3.5), (False, None)],
    [(False, None), (True, None), (True, None)],
    [(True, 1.0), (True, 1.0), (False, 2.0), (False, 1.0), (True, 2.0), (False, 2.0)],
]


def chosen(drawn: tuple[tuple[bool, float | None], ...]) -> float:
    rewards = [-inf if reward is None else reward for _, reward in drawn]
    tied = [correct for (correct, _), reward in zip(drawn, rewards, strict=True) if reward == max(rewards)]
    return mean(map(float, tied))


@pytest.mark.parametrize("pool", SCORED)
def test_best_of_k_is_the_mean_over_all_subsets(pool: list[tuple[bool, float | None]]) -> None:
    curve = best_of_curve([Rated(correct, reward) for correct, reward in pool])
    for k in range(1, len(pool) + 1):
        expected = mean(chosen(drawn) for drawn in combinations(pool, k))
        assert curve[k - 1] == pytest.approx(expected, abs=1e-12)
        assert best_of_k([Rated(correct, reward) for correct, reward in pool], k) == curve[k - 1]


def test_random_pools_agree_with_brute_force() -> None:
    rng = random.Random(3)
    for _ in range(40):
        size = rng.randint(1, 8)
        pool: list[str | None] = [rng.choice(["a", "b", "c", "d", None]) for _ in range(size)]
        rated = [(rng.random() < 0.4, rng.choice([None, 0.1, 0.2, 0.3])) for _ in range(size)]
        votes = {name: pool.count(name) for name in "abcd" if name in pool}
        correct = set(rng.sample("abcd", rng.randint(0, 2)))
        majority = majority_curve(votes, dict.fromkeys(correct, 1), pool.count(None))
        best = best_of_curve([Rated(*item) for item in rated])
        for k in range(1, size + 1):
            assert majority[k - 1] == pytest.approx(mean(credit(drawn, correct) for drawn in combinations(pool, k)))
            assert best[k - 1] == pytest.approx(mean(chosen(drawn) for drawn in combinations(rated, k)))


def test_a_scorer_that_knows_the_answer_is_pass_at_k_and_one_that_says_nothing_is_accuracy() -> None:
    correct = [True] * 3 + [False] * 17
    assert best_of_curve([Rated(item, float(item)) for item in correct]) == pytest.approx(pass_curve(20, 3))
    assert best_of_curve([Rated(item, 1.0) for item in correct]) == pytest.approx([0.15] * 20)


@pytest.mark.parametrize("reward", [float("nan"), inf])
def test_a_reward_that_has_no_place_in_an_order_is_an_error(reward: float) -> None:
    with pytest.raises(DataError, match="not a finite number"):
        best_of_curve([Rated(True, reward)])
    with pytest.raises(DataError, match="k must lie between"):
        best_of_k([Rated(True, 1.0)], 2)
