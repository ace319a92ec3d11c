"""Faults of questions, one problem at a time, or a column of them at once.

Both give the same faults for the same texts. A column is sieved by polars, which runs the patterns in Rust
(columns.py), and only what the sieve leaves is given to the functions of the row; so a rule is written once. Rejected:
one Python loop over rows and patterns, which takes some 60 times as long for a pool of 75,000 questions.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, TypeAlias

from thinkscale.curation.quality.faults import Fault, shown
from thinkscale.curation.quality.language import language_of
from thinkscale.curation.quality.loops import MIN_LOOP_CHARACTERS, repetition_loop, stated_twice
from thinkscale.curation.quality.rules import DEFAULT_RULES, QuestionRule, checked_rules, for_python, question_rules
from thinkscale.records import Kind, Problem

ENGLISH = "en"
WHITE_SPACE = " \t\n\r\f\v\u00a0\u3000"
"""What is stripped before anything is counted, here and in columns.py."""
MAX_READ_CHARACTERS = 20_000
"""No pattern is sought in a longer text: it is too long to train on, and hostile ones would take minutes."""
BOLD_WORD = re.compile(r"\*\*[^\s\]]*\*\*")
TO_LAST_DIGIT = re.compile(r".*\d")
ESCAPED = re.compile(r"\\[\\{}$]")
AMOUNT = re.compile(r"\$\s?\.?\d|\d\$")


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLimits:
    """Bounds on a question in characters, both ends allowed, and the languages that are wanted (ISO 639-1)."""

    min_characters: int = 10
    max_characters: int = 6_000
    languages: tuple[str, ...] = (ENGLISH,)


class Row(NamedTuple):
    """What the rules read of a problem."""

    question: str
    reference: str
    kind: str
    tests: str
    source: str


Evidence: TypeAlias = Callable[[Row, QuestionLimits], str | None]


def question_faults(
    problem: Problem, rules: Collection[str] = DEFAULT_RULES, limits: QuestionLimits | None = None
) -> list[Fault]:
    """What is wrong with a problem as training data by these rules, in the order of the catalogue.

    `rules` are names of `rule_names()`: those that drop by default. Raises ConfigError for a name that is none.
    """
    row = Row(problem.question, problem.reference or "", problem.kind, problem.tests or "", problem.source)
    limits = limits or QuestionLimits()
    found = ((name, evidence_by(question_rules()[name])(row, limits)) for name in checked_rules(rules))
    return [Fault(name, evidence) for name, evidence in found if evidence is not None]


def evidence_by(rule: QuestionRule) -> Evidence:
    """The function that says what shows the fault of `rule` in a row, None where it is not there."""
    return CHECKS[rule.check] if rule.check else partial(_matched, rule)


def _matched(rule: QuestionRule, row: Row, _limits: QuestionLimits) -> str | None:
    """The parts of the pattern are sought one behind the other, which is linear where one pattern would be cubic."""
    text = row.reference if rule.field == "reference" else row.question
    if len(text) > MAX_READ_CHARACTERS or row.kind == rule.unless_kind:
        return None
    start, end = -1, 0
    for part in rule.parts:
        match = for_python(part).search(text, end)
        if match is None:
            return None
        start, end = match.start() if start < 0 else start, match.end()
    if rule.unless_source and rule.unless_source.lower() in row.source.lower():
        return None
    return None if rule.unless and for_python(rule.unless).search(text) else shown(text[start:end])


def _s1_bold(row: Row, _limits: QuestionLimits) -> str | None:
    r"""The first match of s1's `\*\*(?=.*\d)[^\s\]]*\*\*`: a bold word that begins before the last digit of its line.

    Found so in linear time; the look-ahead, which Rust lacks, is quadratic.
    """
    for line in row.question.split("\n") if len(row.question) <= MAX_READ_CHARACTERS else ():
        digits, word = TO_LAST_DIGIT.match(line), BOLD_WORD.search(line)
        if digits and word and word.start() < digits.end():
            return shown(word.group())
    return None


def _missing(row: Row, _limits: QuestionLimits) -> str | None:
    return None if row.question.strip(WHITE_SPACE) else "the question is empty"


def _too_short(row: Row, limits: QuestionLimits) -> str | None:
    length = len(row.question.strip(WHITE_SPACE))
    return f"{length} < {limits.min_characters} characters" if 0 < length < limits.min_characters else None


def _too_long(row: Row, limits: QuestionLimits) -> str | None:
    length = len(row.question)
    return f"{length} > {limits.max_characters} characters" if length > limits.max_characters else None


def _language(row: Row, limits: QuestionLimits) -> str | None:
    found = language_of(row.question[:MAX_READ_CHARACTERS])
    if found is None or found.code in limits.languages:
        return None
    return shown(f"{found.code}, by {found.words:g} of {found.of_words:g} words: {row.question.strip()}")


def _twice(row: Row, _limits: QuestionLimits) -> str | None:
    twice = stated_twice(row.question.strip(WHITE_SPACE))
    return None if twice is None else shown(twice)


def _loop(row: Row, _limits: QuestionLimits) -> str | None:
    loop = repetition_loop(row.question) if len(row.question) >= MIN_LOOP_CHARACTERS else None
    return shown(f"{loop[1]} times: {loop[0]}") if loop else None


def _unbalanced(row: Row, _limits: QuestionLimits) -> str | None:
    """Escaped signs do not count, nor dollar signs in a text that names an amount of money."""
    text = ESCAPED.sub("", row.question) if "\\" in row.question else row.question
    opened, closed, dollars = text.count("{"), text.count("}"), text.count("$")
    if opened != closed:
        return f"{opened} opening and {closed} closing braces"
    return f"{dollars} dollar signs" if dollars % 2 and not AMOUNT.search(text) else None


def _no_reference(row: Row, _limits: QuestionLimits) -> str | None:
    if row.kind in (Kind.MATH, Kind.CHOICE) and not row.reference.strip(WHITE_SPACE):
        return f"kind {row.kind} without a reference"
    return "kind code without tests" if row.kind == Kind.CODE and not row.tests.strip(WHITE_SPACE) else None


CHECKS: Mapping[str, Evidence] = {
    "missing_question": _missing,
    "too_short": _too_short,
    "too_long": _too_long,
    "language": _language,
    "twice": _twice,
    "loop": _loop,
    "unbalanced": _unbalanced,
    "no_reference": _no_reference,
    "s1_bold": _s1_bold,
}
"""Rules that no pattern can say: what shows the fault, None where there is none."""
