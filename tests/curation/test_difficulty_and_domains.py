"""Difficulty by weak models, and domains as sources give them."""

from fractions import Fraction

import pytest

from thinkscale.curation.difficulty import difficulty_label, is_too_easy, pass_rate
from thinkscale.curation.taxonomy import DOMAINS, domain_of
from thinkscale.keys import JSON
from thinkscale.records import Grade, Problem, Verdict

C, W, N, U = Verdict.CORRECT, Verdict.WRONG, Verdict.CUT_OFF, Verdict.UNGRADABLE


def grades(*verdicts: Verdict) -> list[Grade]:
    return [Grade(response_key=str(i), problem_id="p", grader="rules", verdict=v) for i, v in enumerate(verdicts)]


def test_one_correct_answer_makes_a_question_too_easy() -> None:
    assert is_too_easy(grades(W, C))
    assert not is_too_easy(grades(W, N, U))
    assert not is_too_easy([])


def test_a_pass_rate_leaves_out_what_could_not_be_graded() -> None:
    rate = pass_rate(grades(C, W, N, U))
    assert (rate.correct, rate.graded, rate.rate) == (1, 3, Fraction(1, 3))
    assert pass_rate(grades(U)).rate is None


@pytest.mark.parametrize(
    ("by_model", "value", "evidence"),
    [
        ({"big": grades(W), "small": grades(C)}, "too_easy", "big 0/1; small 1/1"),
        ({"small": grades(W, N), "big": grades(W)}, "hard", "big 0/1; small 0/2"),
        ({"big": grades(W), "small": grades(U)}, "unknown", "big 0/1; small 0/0"),
        ({"big": grades(U), "small": grades(C)}, "too_easy", "big 0/0; small 1/1"),
        ({}, "unknown", ""),
    ],
)
def test_the_label_says_too_easy_hard_or_unknown(by_model: dict[str, list[Grade]], value: str, evidence: str) -> None:
    label = difficulty_label("p", by_model)
    assert (label.problem_id, label.name, label.value, label.by) == ("p", "difficulty", value, "weak_models")
    assert label.evidence == evidence


def test_there_are_61_domains_with_two_digit_codes() -> None:
    assert len(DOMAINS) == 61
    assert list(DOMAINS) == sorted(DOMAINS)
    assert all(len(code) == 2 and code.isdigit() for code in DOMAINS)
    assert DOMAINS["11"] == "Number theory"


@pytest.mark.parametrize(
    ("given", "value"), [("11", "11"), (" Algebra ", "Algebra"), (None, "unknown"), ("", "unknown")]
)
def test_a_domain_is_what_the_source_says(given: JSON, value: str) -> None:
    label = domain_of(Problem(id="p", source="s", question="?", extra={"domain": given}))
    assert (label.name, label.value, label.by) == ("domain", value, "source")


def test_a_source_without_domains_gives_unknown() -> None:
    assert domain_of(Problem(id="p", source="s", question="?")).value == "unknown"
