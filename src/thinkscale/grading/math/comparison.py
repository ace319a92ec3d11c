r"""Equality of a mathematical answer and a reference by certain rules (tier 1): no computer algebra, no guessing.

Three outcomes. `equal` and `different` are claims; `undecided` is the honest rest, left to later tiers. Equal is
claimed on a proof by exact arithmetic, different on a proof or on values further apart than their rounding errors, in
shapes whose inequality is certain. Policies, each a choice:

- Rounding: a decimal with at least two places and four significant digits equals what it is the rounding, or the
  truncation, of (0.3333 and 1/3; 2.6667 and 8/3; not 0.33). Two decimals: the longer one rounded gives the shorter.
- Units: a unit, currency sign or degree sign on one side only is ignored; known units of one dimension are converted;
  known units of two dimensions are different; unknown words after a number say nothing. `5 m` equals 5.
- Percent: `50%` equals both 50 and 1/2. A bare 50 does not equal 0.5. 46 cents equals 46 and 0.46.
- Degrees: `45^\circ` equals 45 and \pi/4.
- Names: `x = 5`, `f(x) = 5`, `AB/CD = 5` equal 5; coordinates are no names: `x = 5` and `y = 5` differ. Equations are
  equal where one is a multiple of the other. An equation that gives no name to a value is not that value.
- `\log` without a base is natural or to base 10, whichever makes the sides equal, but the same on both.
- Lists and sets have no order and no repeats, tuples have order; a bare list equals a tuple in the same order. A set of
  one element is that element. `[` and `(` differ, except around three or more parts.
- Intervals, unions, relations in one variable and complements are sets of reals, compared as such; the name of
  the variable does not matter. Beside such a set `(a, b)` is an open interval.
- A column, and a row, equal the tuple of their entries; a column and a row differ.
- Ratios are equal where they are proportional, and equal to their quotient; a time of day equals the same time on a
  clock of 24 hours, or the same digits without a.m. or p.m.
- Words are compared without case, articles, spaces and hyphens; where one text holds the other, undecided.
- A numeral with a base equals the same digits without one; other bases by value.
- Nothing equals nothing and no answer. (Verdicts ask for a reference and an answer before they compare.)
- A chain `a = b = c` says its last side.
- A sentence with one number in it (or one amount of money) says that number.
- A lone letter is compared ignoring case, since it may name an option; it never equals a number. A reference that is a
  letter from A to J beside an answer that is a number is undecided: it may name an option whose text is that number.
- Free variables are formal; `k`, `m`, `n` may stand for each other, and a letter for its upper case.
"""

import re
from dataclasses import dataclass

from thinkscale.grading.math.forms import Form, Shape, understood
from thinkscale.grading.math.nodes import names_in
from thinkscale.grading.math.notation import plain_number
from thinkscale.grading.math.reading import read
from thinkscale.grading.math.structures import compare_forms
from thinkscale.grading.math.values import DIFFERENT, EQUAL, UNDECIDED, Outcome
from thinkscale.grading.math.words import plain_words

LETTER = re.compile(r"[A-J]")
OPTION = re.compile(r"\(?([A-H])[).:](?=.)")
MAX_EVIDENCE_CHARACTERS = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An outcome, the rule (tier) that decided, and what it rests on."""

    outcome: Outcome
    tier: str
    evidence: str = ""


def compare(answer: str, reference: str) -> Comparison:
    """Whether `answer` equals `reference`. Never raises; bounded in time whatever the two texts are."""
    fast = _plain(answer, reference)
    if fast is not None:
        return fast
    return compare_read(read(answer), read(reference))


def compare_read(left: Form, right: Form) -> Comparison:
    """`compare` of an answer and a reference that were read before: for one that is compared with many."""
    if not left.text or not right.text:
        outcome = EQUAL if left.text == right.text else DIFFERENT
        return Comparison(outcome=outcome, tier="empty", evidence="nothing to compare")
    outcome, tier = _options(left, right) or compare_forms(left, right)
    if outcome is DIFFERENT and not (understood(left) and understood(right)):
        outcome, tier = UNDECIDED, "not read"
    evidence = f"{_short(left.text)} ({left.shape}) against {_short(right.text)} ({right.shape})"
    if outcome is UNDECIDED:
        return Comparison(outcome=outcome, tier="undecided", evidence=f"{tier}: {evidence}")
    return Comparison(outcome=outcome, tier=tier, evidence=evidence)


def _plain(answer: str, reference: str) -> Comparison | None:
    """Two plain numbers at once, where no rounding can matter."""
    left, right = plain_number(answer), plain_number(reference)
    if left is None or right is None or ("." in left[0] + right[0] and left[1] != right[1]):
        return None
    outcome = EQUAL if left[1] == right[1] else DIFFERENT
    tier = "exact" if left[0] == right[0] else "numeric"
    return Comparison(outcome=outcome, tier=tier, evidence=f"{left[0]} (scalar) against {right[0]} (scalar)")


def _options(left: Form, right: Form) -> tuple[Outcome, str] | None:
    """The letter of an option with the option's text (`B) 5`) against a letter."""
    if right.shape is Shape.SCALAR and LETTER.fullmatch(right.text) and _is_value(left):
        return UNDECIDED, "the letter of an option that is not known"
    for one, letter in ((left, right), (right, left)):
        if len(letter.text) == 1 and letter.text.isalpha() and letter.shape is Shape.SCALAR:
            option = OPTION.match(plain_words(one.text).upper())
            if option and len(one.text) > 2:
                return (EQUAL if option[1] == letter.text.upper() else DIFFERENT), "letter"
    return None


def _is_value(form: Form) -> bool:
    return form.shape is Shape.SCALAR and form.tree is not None and not names_in(form.tree)


def _short(text: str) -> str:
    return text if len(text) <= MAX_EVIDENCE_CHARACTERS else text[:MAX_EVIDENCE_CHARACTERS] + "..."
