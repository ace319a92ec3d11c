"""Difficulty by the attempts of weak models."""

from fractions import Fraction

import pytest

from thinkscale.curation.difficulty import (
    WEAK_MODELS,
    PassRate,
    difficulty_label,
    given_pass_rates,
    is_too_easy,
    pass_rate,
    pass_rate_label,
    pass_rate_of,
)
from thinkscale.engines.models import find_model
from thinkscale.keys import JSON
from thinkscale.records import Grade, Label, Problem, Verdict

C, W, N, U = Verdict.CORRECT, Verdict.WRONG, Verdict.CUT_OFF, Verdict.UNGRADABLE


def grades(*verdicts: Verdict) -> list[Grade]:
    return [Grade(response_key=str(i), problem_id="p", grader="rules", verdict=v) for i, v in enumerate(verdicts)]


def rate(correct: int, graded: int) -> PassRate:
    return PassRate(correct=correct, graded=graded)


def test_one_correct_answer_makes_a_question_too_easy() -> None:
    assert is_too_easy(grades(W, C))
    assert not is_too_easy(grades(W, N, U))
    assert not is_too_easy([])


def test_a_pass_rate_leaves_out_what_could_not_be_graded() -> None:
    found = pass_rate(grades(C, W, N, U))
    assert found == rate(1, 3)
    assert found.rate == Fraction(1, 3)
    assert pass_rate(grades(U)).rate is None


@pytest.mark.parametrize(
    ("rates", "value", "evidence"),
    [
        ({"big": rate(0, 1), "small": rate(1, 1)}, "too_easy", "big 0/1; small 1/1"),
        ({"small": rate(0, 2), "big": rate(0, 1)}, "hard", "big 0/1; small 0/2"),
        ({"big": rate(0, 1), "small": rate(0, 0)}, "unknown", "big 0/1; small 0/0"),
        ({"big": rate(0, 0), "small": rate(1, 1)}, "too_easy", "big 0/0; small 1/1"),
        ({}, "unknown", ""),
    ],
)
def test_the_label_says_too_easy_hard_or_unknown(rates: dict[str, PassRate], value: str, evidence: str) -> None:
    label = difficulty_label("p", rates)
    assert (label.problem_id, label.name, label.value, label.by) == ("p", "difficulty", value, "weak_models")
    assert label.evidence == evidence


def test_a_pass_rate_is_a_label_of_its_model_and_reads_back() -> None:
    ours, theirs = pass_rate_label("p", "small", rate(1, 4)), pass_rate_label("p", "big", rate(0, 1), "source")
    assert (ours.value, ours.by, ours.evidence) == ("1/4", "small", "")
    assert (theirs.value, theirs.by, theirs.evidence) == ("0/1", "source", "big")
    assert pass_rate_of(ours) == ("small", rate(1, 4))
    assert pass_rate_of(theirs) == ("big", rate(0, 1))
    imported = Label(problem_id="p", name="pass_rate", value="1/1", by="7B", evidence="as another model judged")
    assert pass_rate_of(imported) == ("7B", rate(1, 1))


@pytest.mark.parametrize("value", ["1", "2/1", "-1/2", "a/b", "1/2/3", ""])
def test_what_is_no_share_is_no_pass_rate(value: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - any of them
        pass_rate_of(Label(problem_id="p", name="pass_rate", value=value, by="m"))


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({"a": True, "b": False, "c": None}, {"a": rate(1, 1), "b": rate(0, 1), "c": rate(0, 0)}),
        ({"a": [True, False, None, True]}, {"a": rate(2, 3)}),
        ({"a": 1}, {"a": rate(0, 0)}),
        (None, {}),
        ("7B", {}),
    ],
)
def test_a_source_may_bring_what_weak_models_did(given: JSON, found: dict[str, PassRate]) -> None:
    assert given_pass_rates(Problem(id="p", source="s", question="?", extra={"weak_correct": given})) == found


def test_the_weak_models_of_s1_are_known_models() -> None:
    cards = [find_model(name) for name in WEAK_MODELS]
    assert [card.hub for card in cards if card] == ["Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-32B-Instruct"]
