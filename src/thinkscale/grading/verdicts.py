"""The verdict on one response, by rules alone (grader name `rules`). verification/ goes on where they end.

What decides, in order:

1. The engine failed: `ungradable`, since nothing was said. A limit cut the response: `cut_off`, whatever it holds.
2. No answer text: `no_answer`.
3. No reference: `ungradable`.
4. The grader of the problem's kind. For mathematics `equal` is `correct`. `wrong` is said only where both sides were
   understood and differ. Where tier 1 cannot decide, the verdict is `ungradable` with tier `undecided` and evidence
   that says why. That is a lack of this grader and no fault of the response: counted as wrong it would lower an
   accuracy by an amount that depends on how answers are spelled; counted apart it is what the next tier looks at.

Only the answer text is read, never the thinking: a number that a model considered is not its answer.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from thinkscale.grading.answers import extract_answer
from thinkscale.grading.choice import MAX_CHOICES, extract_choice, letters, single_letter
from thinkscale.grading.math.comparison import compare
from thinkscale.grading.math.values import Outcome
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Verdict

GRADER = "rules"
UNDECIDED = "undecided"
"""The tier of an answer that was found, but that the rules could not compare."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """A verdict before it is tied to a response."""

    verdict: Verdict
    extracted: str | None = None
    tier: str = ""
    evidence: str = ""
    settled: bool = True
    """False where the load of the machine may have made the verdict: then it is to be made once more, alone."""

    @property
    def undecided(self) -> bool:
        """Whether the answer was found but the rules could not compare it."""
        return self.tier == UNDECIDED


def judge_by_rules(problem: Problem, response: Response, *, last_number: bool = False) -> Judgement:
    """The rules' verdict. `last_number`: where nothing else is an answer, the last number is. Pure; never raises."""
    return without_reading(problem, response) or GRADERS[problem.kind](problem, response.answer_text, last_number)


def grade(problem: Problem, response: Response) -> Grade:
    """`judge_by_rules` as a record."""
    return grade_of(response, judge_by_rules(problem, response), GRADER)


def grade_of(response: Response, judgement: Judgement, grader: str) -> Grade:
    """A judgement tied to the response that it is about."""
    return Grade(
        response_key=response.key,
        problem_id=response.problem_id,
        grader=grader,
        verdict=judgement.verdict,
        extracted=judgement.extracted,
        tier=judgement.tier,
        evidence=judgement.evidence,
    )


def without_reading(problem: Problem, response: Response) -> Judgement | None:
    """The verdict where the answer's content does not matter."""
    if response.finish is Finish.ERROR:
        return Judgement(
            verdict=Verdict.UNGRADABLE, tier="engine", evidence=f"engine error: {response.error or 'no message'}"
        )
    if response.finish is Finish.LENGTH:
        part = "answer" if response.answer_text.strip() else "thinking"
        return Judgement(verdict=Verdict.CUT_OFF, tier="finish", evidence=f"a token limit cut the {part}")
    if not response.answer_text.strip():
        return Judgement(verdict=Verdict.NO_ANSWER, tier="extraction", evidence="the answer is empty")
    if problem.kind in (Kind.MATH, Kind.CHOICE) and not (problem.reference or "").strip():
        return Judgement(verdict=Verdict.UNGRADABLE, tier="reference", evidence="the problem has no reference")
    return None


def _grade_math(problem: Problem, answer_text: str, last_number: bool) -> Judgement:
    found = extract_answer(answer_text, last_number=last_number)
    if found is None:
        return Judgement(
            verdict=Verdict.NO_ANSWER, tier="extraction", evidence="no box and no phrase that gives an answer"
        )
    comparison = compare(found.text, problem.reference or "")
    verdict = MATH_VERDICTS[comparison.outcome]
    evidence = f"{found.rule}; {comparison.evidence}"
    return Judgement(verdict=verdict, extracted=found.text, tier=comparison.tier, evidence=evidence)


def _grade_choice(problem: Problem, answer_text: str, _last_number: bool) -> Judgement:
    if len(problem.choices) > MAX_CHOICES:
        evidence = f"{len(problem.choices)} choices, letters go to {MAX_CHOICES}"
        return Judgement(verdict=Verdict.UNGRADABLE, tier="choices", evidence=evidence)
    names = letters(len(problem.choices) or 26)
    reference = single_letter(problem.reference or "", names)
    if reference is None:
        evidence = f"the reference {problem.reference!r:.80} is not one of {len(names)} letters"
        return Judgement(verdict=Verdict.UNGRADABLE, tier="reference", evidence=evidence)
    found = extract_choice(answer_text, problem.choices)
    if found is None:
        return Judgement(verdict=Verdict.NO_ANSWER, tier="extraction", evidence="no letter by any rule")
    verdict = Verdict.CORRECT if found.text == reference else Verdict.WRONG
    return Judgement(
        verdict=verdict, extracted=found.text, tier="letter", evidence=f"{found.rule}; reference {reference}"
    )


def _cannot_grade(problem: Problem, _answer_text: str, _last_number: bool) -> Judgement:
    evidence = f"rules alone cannot grade problems of kind {problem.kind}"
    return Judgement(verdict=Verdict.UNGRADABLE, tier="kind", evidence=evidence)


MATH_VERDICTS: Mapping[Outcome, Verdict] = {
    Outcome.EQUAL: Verdict.CORRECT,
    Outcome.DIFFERENT: Verdict.WRONG,
    Outcome.UNDECIDED: Verdict.UNGRADABLE,
}

GRADERS: Mapping[Kind, Callable[[Problem, str, bool], Judgement]] = {
    Kind.MATH: _grade_math,
    Kind.CHOICE: _grade_choice,
    Kind.CODE: _cannot_grade,
    Kind.OPEN: _cannot_grade,
}
