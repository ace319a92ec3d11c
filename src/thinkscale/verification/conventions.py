r"""Graders of other tools as rules that need no worker: what their extraction and equality make of an answer text.

- `s1`: the last \boxed{}, else all that follows the first `Answer:`; digits compare as whole numbers, anything else as
  text. s1 asks a model there, which sees the reference; that is left out. A choice is the letter of the box, else the
  one behind `Answer:`, and A where none is found, as in s1 (arXiv 2501.19393; its fork of lm-evaluation-harness).
- `lm_eval`: as EleutherAI's lm-evaluation-harness does by task: a number is the last number of the text (gsm8k,
  flexible-extract), a choice the last letter in brackets (gpqa, flexible-extract), other mathematics the last box, else
  what stands between the first and the last dollar sign, equal after normalization of the spelling (hendrycks_math).

Both know correct and wrong alone: what they cannot find is wrong with them. What was cut off, or has no answer at all,
is that with them too, and neither takes programs. They show what a choice of grader moves; no result of ours rests on
them.
"""

import re
from collections.abc import Callable, Mapping

from thinkscale.grading.verdicts import Judgement, without_reading
from thinkscale.records import Kind, Problem, Response, Verdict
from thinkscale.verification.peers import last_box

ANSWER_PHRASE = re.compile(r"answer\s*:\s*(.*)", re.IGNORECASE | re.DOTALL)
ANSWER_LETTER = re.compile(r"answer[ \t]*:[ \t]*\$?\(?([A-Z])\b", re.IGNORECASE)
BOXED_LETTER = re.compile(r"\W*(?:\\text\{)?\(?([A-Z])\b.{0,200}", re.DOTALL)
LETTER_IN_BRACKETS = re.compile(r"\(([A-Z])\)")
LAST_NUMBER = re.compile(r"(-?[$0-9.,]{2,})|(-?[0-9]+)")
A_NUMBER = re.compile(r"-?[0-9][0-9,]*(\.[0-9]+)?")
A_FRACTION = re.compile(r"(-?[0-9]+)/([0-9]+)")


def judge_s1(problem: Problem, text: str) -> Judgement:
    """What s1's harness says without its model."""
    reference = (problem.reference or "").strip()
    if problem.kind is Kind.CHOICE:
        boxed = BOXED_LETTER.fullmatch(last_box(text) or "")
        letters = [boxed[1]] if boxed else ANSWER_LETTER.findall(text)
        return _judgement("s1", letters[-1].upper() if letters else "A", reference)
    found = last_box(text)
    if found is None:
        phrase = ANSWER_PHRASE.search(text)
        found = phrase[1].strip() if phrase else text.strip()
    if found.strip().isdecimal() and reference.isdecimal():
        return _judgement("s1", str(int(found)), str(int(reference)))
    return _judgement("s1", found.strip(), reference)


def judge_lm_eval(problem: Problem, text: str) -> Judgement:
    """What the tasks of lm-evaluation-harness say."""
    reference = (problem.reference or "").strip()
    if problem.kind is Kind.CHOICE:
        letters = LETTER_IN_BRACKETS.findall(text)
        return _judgement("lm_eval", letters[-1] if letters else "", reference)
    if A_NUMBER.fullmatch(reference):
        numbers = ["".join(groups) for groups in LAST_NUMBER.findall(text)]
        return _judgement("lm_eval", _plain_number(numbers[-1] if numbers else ""), _plain_number(reference))
    found = last_box(text)
    if found is None:
        first, last = text.find("$"), text.rfind("$")
        found = text[first + 1 : last] if last > first else text
    return _judgement("lm_eval", spelled(found), spelled(reference))


CONVENTIONS: Mapping[str, Callable[[Problem, str], Judgement]] = {"s1": judge_s1, "lm_eval": judge_lm_eval}


def judge_by_convention(name: str, problem: Problem, response: Response) -> Judgement:
    """The judgement of one of CONVENTIONS. Pure; never raises."""
    if problem.kind not in (Kind.MATH, Kind.CHOICE):
        evidence = f"{name} does not take problems of kind {problem.kind}"
        return Judgement(verdict=Verdict.UNGRADABLE, tier="kind", evidence=evidence)
    return without_reading(problem, response) or CONVENTIONS[name](problem, response.answer_text)


def _judgement(name: str, found: str, reference: str) -> Judgement:
    verdict = Verdict.CORRECT if found == reference else Verdict.WRONG
    return Judgement(verdict=verdict, extracted=found[:200], tier=name)


def _plain_number(text: str) -> str:
    """Without the signs that gsm8k ignores: commas, dollars, and a full stop at the end."""
    return text.replace(",", "").replace("$", "").removesuffix(".")


def spelled(formula: str) -> str:
    """The one spelling of a formula that hendrycks_math compares: strings, not values."""
    text = formula.replace("\n", "").replace("\\!", "").replace("\\\\", "\\")
    text = re.sub(r"\\[td]frac", r"\\frac", text).replace("\\left", "").replace("\\right", "")
    text = text.replace("^{\\circ}", "").replace("^\\circ", "").replace("\\$", "")
    text = text.split("\\text{ ")[0].replace("\\%", "").replace("%", "")
    text = re.sub(r"(^| |\{)\.(?=[0-9])", r"\g<1>0.", text)
    left, equals, right = text.partition("=")
    if equals and len(left.strip()) <= 2 and "=" not in right:
        text = right
    text = re.sub(r"\\sqrt([^{\s])", r"\\sqrt{\1}", text.strip())
    text = re.sub(r"\\frac(?!\{)(\S)(?!\{)(\S)", r"\\frac{\1}{\2}", text.replace(" ", ""))
    text = "\\frac{1}{2}" if text == "0.5" else text
    fraction = A_FRACTION.fullmatch(text)
    return f"\\frac{{{fraction[1]}}}{{{fraction[2]}}}" if fraction else text
