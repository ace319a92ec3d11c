r"""Filters on questions and on traces: each fault has a reason and the text that shows it.

Question rules are data: a pattern with examples that it must and must not find, which the tests run. They begin from
the string filters of s1 (simplescaling/s1, data/filter.ipynb) with these departures:
- s1 keeps `[asy]` figures of AIME problems; here the reason is given always, and the caller decides what to keep;
- s1 looks for `p1.` to `p999.` as plain substrings, so that "step1." fires; here only at the start of a line;
- s1's pattern for bold numbering fires on any bold word with a digit later in the text; here the number is inside.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from thinkscale.records import Finish, Grade, Kind, Problem, Response, Verdict

MAX_EVIDENCE_CHARACTERS = 120
LOOP_TAIL_CHARACTERS = 8_000
MIN_LOOP_CHARACTERS = 300
MIN_LOOP_REPEATS = 5


class Fault(NamedTuple):
    """A reason in snake_case, and the text or number that shows it."""

    reason: str
    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionRule:
    """A pattern whose presence in a question is a fault, with examples on both sides."""

    reason: str
    pattern: re.Pattern[str]
    positives: tuple[str, ...]
    negatives: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceLimits:
    """Bounds on the thinking of a training trace, in tokens, both ends allowed."""

    min_tokens: int = 50
    max_tokens: int = 32_768


QUESTION_RULES: tuple[QuestionRule, ...] = (
    QuestionRule(
        reason="image_reference",
        pattern=re.compile(
            r"!\[[^\]\n]{0,200}\]|<img\b|\\includegraphics"
            r"|\b(?:figure|diagram|picture|image)\s+(?:shown\s+)?(?:below|above)\b"
            r"|\b(?:shown|see|pictured|illustrated|depicted)\s+in\s+the\s+(?:\w+\s+)?(?:figure|diagram|picture|image)\b",
            re.IGNORECASE,
        ),
        positives=(
            "What is the area? ![Image](https://example.org/a.png)",
            "Find x. ![](a.png)",
            '<img src="a.png"> Find the shaded area.',
            r"\includegraphics[width=3cm]{tri.pdf} Find the angle.",
            "In the diagram below, find x.",
            "Triangle ABC is as shown in the figure. Find its area.",
        ),
        negatives=(
            "Figure out the value of n! [hint: induct]",
            "A figure skater turns 3 times.",
            "How many diagrams of this kind are there?",
            "The image of f is the set of reals.",
            "Is the estimate above or below 5?",
        ),
    ),
    QuestionRule(
        reason="asymptote_figure",
        pattern=re.compile(r"\[/?asy\]|<asy>|\\begin\{asy\}", re.IGNORECASE),
        positives=(
            "Find x. [asy] draw((0,0)--(1,1)); [/asy]",
            "<asy>size(100);</asy> Find y.",
            r"\begin{asy}draw();\end{asy}",
        ),
        negatives=("An easy question about asymptotes.", "Let [as] be a list."),
    ),
    QuestionRule(
        reason="inconsistent_numbering",
        pattern=re.compile(
            r"^[ \t]*(?:\*\*)?[pP]\d{1,3}\.(?:\*\*)?(?=\s|\$|[A-Z]|$)|\*\*[A-Za-z]{0,2}\d{1,3}[.)]\*\*", re.MULTILINE
        ),
        positives=(
            "p1. Find all primes.\n\np2. Find all squares.",
            "Contest problems:\n**p12.** Compute 2+2.",
            "**1.** Let x be real. Find x.",
            "**B4.** Show that n is odd.",
            "Answer both. **2)** What is y?",
        ),
        negatives=(
            "In step1. we add; then solve for x.",
            "The value rises by up3.5 points.",
            "**Hint:** use n=5",
            "The answer is **42** apples.",
            "Let p1 and p2 be primes. Find p1.",
            "A point p3.5 is given.",
        ),
    ),
)  # fmt: skip


def question_faults(problem: Problem) -> list[Fault]:
    """What is wrong with a problem as training data, in the order of the rules; empty where nothing is."""
    faults = [
        Fault(rule.reason, _short(match.group()))
        for rule in QUESTION_RULES
        if (match := rule.pattern.search(problem.question)) is not None
    ]
    if problem.kind in (Kind.MATH, Kind.CHOICE) and not (problem.reference or "").strip():
        faults.append(Fault("no_reference", f"kind {problem.kind} without a reference"))
    if problem.kind is Kind.CODE and not (problem.tests or "").strip():
        faults.append(Fault("no_reference", "kind code without tests"))
    return faults


def response_faults(response: Response, grade: Grade | None, limits: TraceLimits | None = None) -> list[Fault]:
    """What is wrong with a response as a training trace. Without a grade nothing is said about its answer.

    An engine failure is the only fault of a response that has one: nothing else about it means anything.
    """
    if response.finish is Finish.ERROR:
        return [Fault("engine_error", _short(response.error or "no message"))]
    limits = limits or TraceLimits()
    found = (rule(response, limits) for rule in TRACE_RULES)
    faults = [fault for fault in found if fault is not None]
    if grade is not None and grade.verdict in VERDICT_FAULTS:
        faults.append(Fault(VERDICT_FAULTS[grade.verdict], _short(f"{grade.tier}: {grade.evidence}")))
    return faults


def repetition_loop(text: str) -> tuple[str, int] | None:
    """The unit that the end of `text` repeats and how often, None where it does not loop.

    A loop is an end of at least 300 characters made of one unit at least five times (the first perhaps cut). Only the
    last 8,000 characters are looked at, so units up to 1,600 characters are found; linear in their number.
    """
    backwards = text.rstrip()[: -LOOP_TAIL_CHARACTERS - 1 : -1]
    best: tuple[str, int] | None = None
    border = [0] * len(backwards)
    for position in range(1, len(backwards)):
        length = border[position - 1]
        while length and backwards[position] != backwards[length]:
            length = border[length - 1]
        border[position] = length + (backwards[position] == backwards[length])
        covered = position + 1
        period = covered - border[position]
        if covered >= MIN_LOOP_CHARACTERS and covered >= MIN_LOOP_REPEATS * period:
            best = backwards[:period][::-1], covered // period
    return best


def _short(text: str) -> str:
    return text if len(text) <= MAX_EVIDENCE_CHARACTERS else text[:MAX_EVIDENCE_CHARACTERS] + "..."


def _cut_off(response: Response, _limits: TraceLimits) -> Fault | None:
    if response.finish is not Finish.LENGTH:
        return None
    return Fault("cut_off", f"stopped by a limit after {response.thinking_tokens} + {response.answer_tokens} tokens")


def _empty_thinking(response: Response, _limits: TraceLimits) -> Fault | None:
    return None if response.thinking.strip() else Fault("empty_thinking", f"{response.thinking_tokens} thinking tokens")


def _too_short(response: Response, limits: TraceLimits) -> Fault | None:
    if not response.thinking.strip() or response.thinking_tokens >= limits.min_tokens:
        return None
    return Fault("too_short", f"{response.thinking_tokens} < {limits.min_tokens} thinking tokens")


def _too_long(response: Response, limits: TraceLimits) -> Fault | None:
    if response.thinking_tokens <= limits.max_tokens:
        return None
    return Fault("too_long", f"{response.thinking_tokens} > {limits.max_tokens} thinking tokens")


def _repetition_loop(response: Response, _limits: TraceLimits) -> Fault | None:
    for part in (response.thinking, response.answer_text):
        loop = repetition_loop(part)
        if loop:
            return Fault("repetition_loop", f"{loop[1]} times: {_short(loop[0])}")
    return None


TRACE_RULES: Sequence[Callable[[Response, TraceLimits], Fault | None]] = (
    _cut_off,
    _empty_thinking,
    _too_short,
    _too_long,
    _repetition_loop,
)

VERDICT_FAULTS = {
    Verdict.WRONG: "wrong_answer",
    Verdict.NO_ANSWER: "no_answer",
    Verdict.UNGRADABLE: "ungradable",
}
"""Cut-off is a fact of the response and already a fault by its finish."""
