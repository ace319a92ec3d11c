"""Classes of equal answers among the samples of one problem: what a majority votes with, without the reference.

Equality by the rules is no equivalence: 0.3333 equals 1/3 and 0.33333, and 50% equals both 50 and 0.5, which differ. So
a class has a representative, and an answer belongs to the first class whose representative it equals. Representatives
are tried in the order of their votes (then of length, then of the alphabet), so the classes depend neither on the
order of the samples nor on their number of processes, and being in one class is transitive. Rejected: joining whatever
is equal to any member, which makes one class of 50, 50% and 0.5.

- math: the rules (grading/math), and where they cannot decide whatever the caller brings (`Decide`), such as the
  symbolic tier. What stays undecided is two classes: a vote for a spelling of its own.
- choice: the letter.
- code: the text of the program without trailing spaces and blank lines. Programs that say the same in other words are
  different answers; to vote by what they print, they would have to be run on inputs that nobody has given.
- open: the text without case and spacing.
"""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from thinkscale.grading.math.comparison import compare_read
from thinkscale.grading.math.forms import Form
from thinkscale.grading.math.notation import plain_number
from thinkscale.grading.math.reading import read
from thinkscale.grading.math.values import DIFFERENT, EQUAL
from thinkscale.keys import content_key
from thinkscale.records import Kind

Decide = Callable[[str, str], bool]
"""Whether two answers that the rules could not compare are equal."""
NAMED = re.compile(r"[A-Za-z\\<>≤≥≠]")
"""What makes an equation more than arithmetic: a name, a command, another relation."""
MAX_NAME_CHARACTERS = 80
"""A longer answer names its class by a hash of its text."""


def never(_answer: str, _representative: str) -> bool:
    """Undecided is not equal: rules alone."""
    return False


def answer_classes(
    answers: Sequence[str | None], kind: Kind = Kind.MATH, decide: Decide = never
) -> tuple[str | None, ...]:
    """The name of each answer's class, in order; None where there is no answer. Equal names are one class.

    A name is the spelling of the class's representative, or a hash of a long one. Pure as far as `decide` is.
    """
    spelled = [None if answer is None else SPELLINGS[kind](answer) for answer in answers]
    found = Counter(text for text in spelled if text)
    classes = _math_classes(found, decide) if kind is Kind.MATH else {text: text for text in found}
    names = {text: _name(representative) for text, representative in classes.items()}
    return tuple(names[text] if text else None for text in spelled)


def _math_classes(found: Counter[str], decide: Decide) -> dict[str, str]:
    """Each text with the representative of its class."""
    representatives: list[_Answer] = []
    classes: dict[str, str] = {}
    for text in sorted(found, key=lambda text: (-found[text], len(text), text)):
        answer = _Answer(text)
        first = next((other for other in representatives if _equal(answer, other, decide)), None)
        classes[text] = first.text if first else text
        if first is None:
            representatives.append(answer)
    return classes


@dataclass
class _Answer:
    """A text that is read once, however many it is compared with."""

    text: str

    @cached_property
    def whole_number(self) -> Fraction | None:
        """Its value where it is a plain integer."""
        found = plain_number(self.text)
        return found[1] if found and "." not in found[0] else None

    @cached_property
    def form(self) -> Form:
        """What the rules read in it."""
        return read(self.text)


def _equal(answer: _Answer, representative: _Answer, decide: Decide) -> bool:
    """By the rules, which may read the two in either role; undecided in both goes to `decide`."""
    if answer.whole_number is not None and representative.whole_number is not None:
        return answer.whole_number == representative.whole_number
    outcome = compare_read(answer.form, representative.form).outcome
    if outcome not in (EQUAL, DIFFERENT):
        outcome = compare_read(representative.form, answer.form).outcome
    if outcome in (EQUAL, DIFFERENT):
        return outcome is EQUAL
    return decide(answer.text, representative.text)


def _name(text: str) -> str:
    return text if len(text) <= MAX_NAME_CHARACTERS else content_key(text)[:16]


def _words(text: str) -> str:
    return " ".join(text.split())


def _value(text: str) -> str:
    """The last side of a chain of numbers (`3 + 2 = 5` says 5): as equations, 3 + 2 = 5 and 4 + 9 = 13 say the same."""
    words = _words(text)
    if "=" in words and not NAMED.search(words):
        return words.rpartition("=")[2].strip() or words
    return words


def _program(text: str) -> str:
    lines = (line.rstrip() for line in text.splitlines())
    return "\n".join(line for line in lines if line)


SPELLINGS: dict[Kind, Callable[[str], str]] = {
    Kind.MATH: _value,
    Kind.CHOICE: lambda text: text.strip().upper(),
    Kind.CODE: _program,
    Kind.OPEN: lambda text: _words(text).casefold(),
}


def differing(classes: Iterable[str | None], correct: Iterable[bool]) -> int:
    """Members of classes whose members have both verdicts: those that have the rarer one. 0 where classes and verdicts
    agree, as they must wherever equal answers are graded alike."""
    counts: dict[str, Counter[bool]] = {}
    for name, is_correct in zip(classes, correct, strict=True):
        if name is not None:
            counts.setdefault(name, Counter())[is_correct] += 1
    return sum(min(count[True], count[False]) for count in counts.values())
