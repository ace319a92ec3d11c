"""Ratings from 1 to 10: the scale, and how answers are read."""

from fractions import Fraction
from importlib.resources import files

import pytest
import yaml

from thinkscale.curation.difficulty_rating import mean_rating, rating_system, read_rating
from thinkscale.curation.questionnaire import Unreadable


def test_the_scale_has_a_rule_and_an_example_for_each_level() -> None:
    rows = yaml.safe_load(files("thinkscale.curation").joinpath("aops.yaml").read_text(encoding="utf-8"))
    assert [row["level"] for row in rows] == list(range(1, 11))
    system = rating_system()
    for row in rows:
        assert f"\n{row['level']}: {row['about']} Example: {row['example']}" in system


def test_the_examples_are_what_they_claim_to_be() -> None:
    """Facts that the answers to the examples of levels 2, 3, 4 and 5 rest on, recomputed."""
    from itertools import pairwise, permutations

    assert sum(sum(map(int, str(n))) == 4 for n in range(100, 1000)) == 10
    assert sum((n * n + 11) % (n + 1) == 0 for n in range(-1000, 1000) if n != -1) == 12
    area, half = 84, 21
    inradius, circumradius = Fraction(area, half), Fraction(13 * 14 * 15, 4 * area)
    assert circumradius * (circumradius - 2 * inradius) == Fraction(65, 64)
    orders = permutations(range(8))
    assert sum(all(abs(a - b) != 1 for a, b in pairwise(row)) for row in orders) == 5242


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Difficulty: 4.5", Fraction(9, 2)),
        ("difficulty:1", Fraction(1)),
        ("**Difficulty:** 10", Fraction(10)),
        ("Difficulty: 7/10", Fraction(7)),
        ("It takes two ideas.\nDifficulty: 6.0.", Fraction(6)),
    ],
)
def test_a_rating_in_the_form_asked_for_is_read(text: str, value: Fraction) -> None:
    assert read_rating(text) == value


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("7", "there is no line `Difficulty: ...`"),
        ("Difficulty: hard", "is not one number"),
        ("Difficulty: 5 or 6", "is not one number"),
        ("Difficulty: 5-6", "is not one number"),
        ("Difficulty: 0.5", "is not between 1 and 10"),
        ("Difficulty: 11", "is not between 1 and 10"),
        ("Difficulty: -3", "is not one number"),
        ("Difficulty: 4.7", "is not a whole or half step"),
        ("Difficulty: 5\nDifficulty: 6", "there are 2 different lines"),
    ],
)
def test_what_is_no_rating_is_no_number(text: str, error: str) -> None:
    found = read_rating(text)
    assert isinstance(found, Unreadable)
    assert error in found.error


def test_a_mean_is_rounded_to_hundredths() -> None:
    assert mean_rating([Fraction(5)]) == "5"
    assert mean_rating([Fraction(5), Fraction(11, 2), Fraction(6)]) == "5.5"
    assert mean_rating([Fraction(6), Fraction(6), Fraction(7)]) == "6.33"
    with pytest.raises(ValueError, match="no rating"):
        mean_rating([])
