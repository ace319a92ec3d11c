"""Classes of equal answers: a partition that no order of samples changes, and that agrees with graded verdicts."""

import random

import pytest

from thinkscale.grading.classes import answer_classes, differing
from thinkscale.records import Kind


@pytest.mark.parametrize(
    ("answers", "groups"),
    [
        (["7", "7.0", "\\boxed{7}", "8"], [[0, 1, 2], [3]]),
        (["1/2", "\\frac{1}{2}", "0.5", "50\\%", "2"], [[0, 1, 2, 3], [4]]),
        (["1{,}000", "1000", "10^3"], [[0, 1, 2]]),
        (["(1, 2)", "(1,2)", "(2, 1)"], [[0, 1], [2]]),
        (["x+1", "1+x", "x-1"], [[0, 1], [2]]),
        (["3 + 2 = 5", "4 + 9 = 13", "13", "5"], [[0, 3], [1, 2]]),
        (["5 m", "5", None, ""], [[0, 1]]),
    ],
)
def test_answers_that_the_rules_call_equal_are_one_class(answers: list[str | None], groups: list[list[int]]) -> None:
    classes = answer_classes(answers)
    found = [[at for at, name in enumerate(classes) if name == one] for one in dict.fromkeys(filter(None, classes))]
    assert found == groups
    assert all(classes[at] is None for at, text in enumerate(answers) if not text)


def test_an_answer_that_equals_two_that_differ_joins_the_one_with_more_votes() -> None:
    """50% equals 50, and 0.5; they do not equal each other."""
    assert answer_classes(["50\\%", "50", "50", "0.5"]) == ("50", "50", "50", "0.5")
    assert answer_classes(["50\\%", "50", "0.5", "0.5"]) == ("0.5", "50", "0.5", "0.5")


def test_no_order_of_the_samples_changes_a_class() -> None:
    rng = random.Random(5)
    answers = ["50\\%", "50", "0.5", "1/2", "0.3333", "1/3", "0.33333", "x=5", "5", "5", "7", None, "7.0", "sqrt(2)"]
    expected = dict(zip(answers, answer_classes(answers), strict=True))
    for _ in range(20):
        shuffled = rng.sample(answers, len(answers))
        assert dict(zip(shuffled, answer_classes(shuffled), strict=True)) == expected


def test_what_the_rules_cannot_compare_goes_to_decide_and_is_two_classes_without_it() -> None:
    asked: list[tuple[str, str]] = []

    def decide(answer: str, representative: str) -> bool:
        asked.append((answer, representative))
        return True

    answers = ["\\int_0^1 x dx", "the area"]
    assert len(set(answer_classes(answers))) == 2
    assert len(set(answer_classes(answers, decide=decide))) == 1
    assert asked
    assert len(set(answer_classes(["1", "2"], decide=decide))) == 2, "different is no question"


def test_choices_are_letters_and_programs_are_texts() -> None:
    assert answer_classes(["a", "A ", "B", None], Kind.CHOICE) == ("A", "A", "B", None)
    programs = ["print(1)\n\n", "print(1)  ", "print( 1)"]
    first, second, third = answer_classes(programs, Kind.CODE)
    assert first == second != third
    assert answer_classes(["Paris", "paris", "Lyon"], Kind.OPEN) == ("paris", "paris", "lyon")


def test_a_long_answer_names_its_class_by_a_hash() -> None:
    first, second, third = answer_classes(["x" * 100, "x" * 100, "x" * 101], Kind.CODE)
    assert first == second != third
    assert first is not None
    assert len(first) == 16


def test_differing_counts_the_rarer_verdict_of_each_class() -> None:
    assert differing(["7", "7", "7", "8", None], [True, True, False, False, True]) == 1
    assert differing(["7", "8"], [True, False]) == 0
