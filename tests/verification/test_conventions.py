"""What other tools' rules make of answer texts: cases read off their documented behaviour."""

import pytest

from thinkscale.records import Finish, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.verification.conventions import judge_by_convention, spelled
from thinkscale.verification.panel import GRADERS, Submission, opinions
from thinkscale.verification.verifier import VerifierSettings


def problem(reference: str, kind: Kind = Kind.MATH) -> Problem:
    return Problem(id="p", source="s", question="q", reference=reference, kind=kind, choices=("a", "b", "c", "d"))


def response(text: str, finish: Finish = Finish.END) -> Response:
    return Response(
        key="k",
        role=Role.EVALUATION,
        problem_id="p",
        model="m",
        sample=0,
        thinking="",
        answer_text=text,
        thinking_tokens=0,
        answer_tokens=1,
        finish=finish,
        sampling=Sampling(max_tokens=1),
    )


def verdict(name: str, text: str, reference: str, kind: Kind = Kind.MATH) -> Verdict:
    return judge_by_convention(name, problem(reference, kind), response(text)).verdict


@pytest.mark.parametrize(
    ("name", "text", "reference", "correct"),
    [
        ("s1", r"so \boxed{042}", "42", True),
        ("s1", "Final Answer: 12", "12", True),
        ("s1", "answer: 3. No.\nAnswer: 5", "5", False),  # its pattern takes all that follows the first
        ("s1", r"\boxed{\frac12}", r"\frac{1}{2}", False),  # a matter for its model, which is left out
        ("s1", r"\boxed{1} then \boxed{2}", "2", True),
        ("lm_eval", "first 7, then it is 1,234.", "1234", True),
        ("lm_eval", "$5 and 12 dollars", "5", False),  # the last number is 12
        ("lm_eval", r"\boxed{\dfrac12}", r"\frac{1}{2}", True),
        ("lm_eval", r"it is $x+1$", "x+1", True),
        ("lm_eval", r"\boxed{x^2}", "x^3", False),
    ],
)
def test_mathematics_by_convention(name: str, text: str, reference: str, correct: bool) -> None:
    assert verdict(name, text, reference) is (Verdict.CORRECT if correct else Verdict.WRONG)


@pytest.mark.parametrize(
    ("name", "text", "reference", "correct"),
    [
        ("s1", "Answer: B", "B", True),
        ("s1", r"\boxed{C}", "C", True),
        ("s1", "nothing that could be an answer", "A", True),  # the silent default
        ("s1", "nothing that could be an answer", "B", False),
        ("lm_eval", "(A) is wrong, so (D).", "D", True),
        ("lm_eval", "Answer: D", "D", False),  # no brackets
    ],
)
def test_choices_by_convention(name: str, text: str, reference: str, correct: bool) -> None:
    assert verdict(name, text, reference, Kind.CHOICE) is (Verdict.CORRECT if correct else Verdict.WRONG)


@pytest.mark.parametrize(
    ("formula", "wanted"),
    [
        (r"\tfrac34", r"\frac{3}{4}"),
        ("3/4", r"\frac{3}{4}"),
        ("0.5", r"\frac{1}{2}"),
        (".5", r"\frac{1}{2}"),
        ("x = 5", "5"),
        (r"\left(1, 2\right)", "(1,2)"),
        (r"90^\circ", "90"),
        (r"\sqrt3", r"\sqrt{3}"),
        (r"10\%", "10"),
        (r"5\text{ cm}", "5"),
        ("a = b = 2", "a=b=2"),
    ],
)
def test_a_spelling_is_the_one_that_hendrycks_math_compares(formula: str, wanted: str) -> None:
    assert spelled(formula) == wanted


def test_what_was_cut_or_is_a_program_is_no_wrong_answer() -> None:
    cut = judge_by_convention("s1", problem("1"), response("1", Finish.LENGTH))
    assert cut.verdict is Verdict.CUT_OFF
    program = judge_by_convention("lm_eval", problem("1", Kind.CODE), response("print(1)"))
    assert (program.verdict, program.tier) == (Verdict.UNGRADABLE, "kind")


def test_conventions_are_graders_of_the_panel() -> None:
    assert {"s1", "lm_eval"} <= GRADERS.keys()
    item = Submission(problem=problem("5"), response=response(r"Answer: \boxed{5} (6)"))
    (found,) = opinions([item], ("s1", "lm_eval"), VerifierSettings())
    assert [judgement.verdict for judgement in found.judgements] == [Verdict.CORRECT, Verdict.WRONG]
