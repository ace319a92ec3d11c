"""Verdicts: what decides before any reading, and what each kind of problem gives."""

import pytest

from thinkscale.grading import grade
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Role, Sampling, Verdict


def graded(
    answer: str,
    reference: str | None = "42",
    kind: Kind = Kind.MATH,
    finish: Finish = Finish.END,
    choices: tuple[str, ...] = (),
    thinking: str = "so 42",
) -> Grade:
    problem = Problem(id="p", source="test", question="?", reference=reference, kind=kind, choices=choices)
    response = Response(
        key="k",
        role=Role.EVALUATION,
        problem_id="p",
        model="m",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=2,
        answer_tokens=1,
        finish=finish,
        error="connection lost" if finish is Finish.ERROR else None,
        sampling=Sampling(max_tokens=10),
    )
    return grade(problem, response)


def test_an_equal_answer_is_correct() -> None:
    found = graded(r"It is \boxed{42.0}.")
    assert (found.verdict, found.extracted, found.tier, found.grader) == (Verdict.CORRECT, "42.0", "numeric", "rules")
    assert (found.response_key, found.problem_id) == ("k", "p")


def test_a_different_answer_is_wrong() -> None:
    assert graded(r"\boxed{43}").verdict is Verdict.WRONG


def test_an_answer_that_is_not_understood_is_ungradable_and_not_wrong() -> None:
    found = graded(r"\boxed{\int_0^7 \sin x\,dx}")
    assert (found.verdict, found.tier, found.extracted) == (Verdict.UNGRADABLE, "undecided", r"\int_0^7 \sin x\,dx")


def test_a_response_without_an_answer_is_no_answer() -> None:
    assert graded("I computed 42").verdict is Verdict.NO_ANSWER
    assert graded("  ").verdict is Verdict.NO_ANSWER


def test_the_thinking_is_never_an_answer() -> None:
    assert graded("", thinking=r"\boxed{42}").verdict is Verdict.NO_ANSWER


@pytest.mark.parametrize(("answer", "part"), [("", "thinking"), (r"\boxed{42}", "answer")])
def test_a_cut_response_is_cut_off_whatever_it_holds(answer: str, part: str) -> None:
    found = graded(answer, finish=Finish.LENGTH)
    assert found.verdict is Verdict.CUT_OFF
    assert part in found.evidence


def test_a_thinking_closed_at_its_budget_is_graded() -> None:
    assert graded(r"\boxed{42}", finish=Finish.BUDGET).verdict is Verdict.CORRECT


def test_an_engine_error_is_ungradable_and_says_so() -> None:
    found = graded(r"\boxed{42}", finish=Finish.ERROR)
    assert found.verdict is Verdict.UNGRADABLE
    assert found.evidence == "engine error: connection lost"


@pytest.mark.parametrize("reference", [None, "", "  "])
@pytest.mark.parametrize("kind", [Kind.MATH, Kind.CHOICE])
def test_a_missing_reference_is_ungradable(kind: Kind, reference: str | None) -> None:
    found = graded(r"\boxed{A}", reference=reference, kind=kind)
    assert (found.verdict, found.tier) == (Verdict.UNGRADABLE, "reference")


@pytest.mark.parametrize("kind", [Kind.CODE, Kind.OPEN])
def test_other_kinds_are_ungradable_by_rules(kind: Kind) -> None:
    found = graded("print(42)", kind=kind)
    assert found.verdict is Verdict.UNGRADABLE
    assert "rules alone cannot" in found.evidence


def test_choices_are_graded_by_their_letter() -> None:
    options = ("red", "green", "blue")
    assert graded("The answer is (B).", "B", Kind.CHOICE, choices=options).verdict is Verdict.CORRECT
    assert graded("The answer is green", "(B)", Kind.CHOICE, choices=options).verdict is Verdict.CORRECT
    assert graded("The answer is A.", "B", Kind.CHOICE, choices=options).verdict is Verdict.WRONG
    assert graded("A hard one, a tie.", "A", Kind.CHOICE, choices=options).verdict is Verdict.NO_ANSWER
    assert graded("The answer is A.", "D", Kind.CHOICE, choices=options).verdict is Verdict.UNGRADABLE
