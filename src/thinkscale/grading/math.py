r"""Equality of a mathematical answer and a reference by certain rules (tier 1): no computer algebra, no guessing.

Three outcomes. `equal` and `different` are claims; `undecided` is the honest rest, left to later tiers. `different` is
claimed only where both sides were understood, in shapes whose inequality is certain. Policies, each a choice:

- Exact arithmetic, no tolerance. A decimal of two or more places that is the rounding of the other side is undecided.
- A unit, currency sign or degree sign on one side only is ignored; two units that differ are undecided.
- A percent sign is such a unit (`50%` = `50`); where reading it as a hundredth would make the sides equal
  (`50%` and `1/2`), undecided.
- `x = 5` equals `5`. Equations are equal where one is a multiple of the other.
- Lists and sets have no order, tuples have one; `[` and `(` differ; a set of one element is that element.
- Words are compared ignoring case, articles, spaces and hyphens; short ones without a common word are different,
  others undecided.
- A numeral with a base equals the same digits in the same base; against digits without one it is undecided.
- A lone letter is compared ignoring case: it may be the letter of an option.
- Free variables are formal: `2k` and `2n` are undecided, `2k` and `3k` different.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from thinkscale.grading import exact
from thinkscale.grading.exact import Exact
from thinkscale.grading.forms import Form, Shape, is_named, read, understood
from thinkscale.grading.monomials import Unreadable
from thinkscale.grading.values import DIFFERENT, EQUAL, UNDECIDED, Outcome, compare_scalars


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """An outcome, the rule (tier) that decided, and what it rests on."""

    outcome: Outcome
    tier: str
    evidence: str = ""


ARTICLES = frozenset({"a", "an", "the"})
SYNONYMS = {"true": "yes", "false": "no"}
NUMBER_WORD_LIST = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety hundred thousand million billion dozen"
    " half third quarter once twice both pi infinity infinite infinitely minus negative squared cubed root over"
)
NUMBER_WORDS = frozenset(NUMBER_WORD_LIST.split())
JOINTS = {ord(character): None for character in " '-"}
ZERO_WORDS = frozenset({"no", "none", "nothing", "nobody"})
MAX_WORDS_OF_DIFFERENT_TEXTS = 3
MAX_EVIDENCE_CHARACTERS = 200


def compare(answer: str, reference: str) -> Comparison:
    """Whether `answer` equals `reference`. Never raises; bounded in time whatever the two texts are."""
    left, right = read(answer), read(reference)
    if not left.text or not right.text:
        return Comparison(outcome=UNDECIDED, tier="undecided", evidence="nothing to compare")
    outcome, tier = _compare(left, right)
    if outcome is DIFFERENT and not (understood(left) and understood(right)):
        outcome, tier = UNDECIDED, "not read"
    evidence = f"{_short(left.text)} ({left.shape}) against {_short(right.text)} ({right.shape})"
    if outcome is UNDECIDED:
        return Comparison(outcome=outcome, tier="undecided", evidence=f"{tier}: {evidence}")
    return Comparison(outcome=outcome, tier=tier, evidence=evidence)


def _short(text: str) -> str:
    return text if len(text) <= MAX_EVIDENCE_CHARACTERS else text[:MAX_EVIDENCE_CHARACTERS] + "..."


def _compare(left: Form, right: Form) -> tuple[Outcome, str]:
    """Outcome and rule for two forms; the rule of an undecided pair says why."""
    if left.shape == right.shape and left.text == right.text and left.unit == right.unit:
        return EQUAL, "exact"
    if left.shape == right.shape:
        return SAME_SHAPE[left.shape](left, right)
    for one, other in ((left, right), (right, left)):
        if one.shape is Shape.UNKNOWN:
            return UNDECIDED, "not read"
        if one.shape is Shape.EQUATION:
            return _named(one, other)
        if one.shape is Shape.SET and len(one.parts) == 1:
            return _compare(one.parts[0], other)
    shapes = {left.shape, right.shape}
    if shapes == {Shape.LIST, Shape.SET}:
        return _unordered(left, right)
    if shapes == {Shape.TUPLE, Shape.INTERVAL}:
        return DIFFERENT, "structure"
    if Shape.SCALAR in shapes:
        return _scalar_and_other(left, right) if left.shape is Shape.SCALAR else _scalar_and_other(right, left)
    return UNDECIDED, "different shapes"


def _scalar_and_other(scalar: Form, other: Form) -> tuple[Outcome, str]:
    assert scalar.value is not None
    if other.shape is Shape.TEXT:
        words = set(other.text.replace("-", " ").split())
        zero = not scalar.value.numerator and words & ZERO_WORDS
        if exact.symbols_of(scalar.value) or words & NUMBER_WORDS or zero:
            return UNDECIDED, "words against a value"
        return DIFFERENT, "text"
    if other.shape is Shape.LIST:
        return _scalar_and_list(scalar, other)
    if other.shape in (Shape.TUPLE, Shape.INTERVAL, Shape.SET, Shape.MATRIX):
        return DIFFERENT, "structure"
    if other.shape is Shape.NUMERAL:
        same = exact.as_rational(scalar.value) == int(other.text) or _base_value(other) == exact.as_rational(
            scalar.value
        )
        return (UNDECIDED, "base missing") if same else (DIFFERENT, "numeral")
    return UNDECIDED, "different shapes"


def _scalar_and_list(scalar: Form, other: Form) -> tuple[Outcome, str]:
    """A list that says the same value in every part (`1.5 or 3/2`) is that value."""
    if other.text.replace(",", "", 1).isdigit():
        readings = (Fraction(other.text.replace(",", ".")), Fraction(other.text.replace(",", "")))
        if scalar.value is not None and exact.as_rational(scalar.value) in readings:
            return UNDECIDED, "decimal comma or list"
    if len({part.unit for part in other.parts}) > 1:
        return UNDECIDED, "a list or a compound quantity"
    outcome = _all([_compare(scalar, part)[0] for part in other.parts])
    return outcome, "structure"


def _named(equation: Form, other: Form) -> tuple[Outcome, str]:
    """`x = 5` against `5`: the right side, where the left one is a mere name."""
    if not is_named(equation):
        return UNDECIDED, "an equation against a value"
    name, value = equation.parts
    if value.value is not None and name.text in exact.symbols_of(value.value):
        return UNDECIDED, "an equation against a value"
    return _compare(value, other)


def _equations(left: Form, right: Form) -> tuple[Outcome, str]:
    if any(side.value is None for side in (*left.parts, *right.parts)):
        return _ordered(left, right) if left.parts[0].text == right.parts[0].text else (UNDECIDED, "not read")
    try:
        a, b = (exact.added(_of(form.parts[0]), exact.negated(_of(form.parts[1]))) for form in (left, right))
        if exact.proportional(a, b):
            return EQUAL, "equation"
    except Unreadable:
        return UNDECIDED, "beyond bounds"
    return (DIFFERENT, "equation") if exact.symbols_of(a) == exact.symbols_of(b) else (UNDECIDED, "variables differ")


def _of(form: Form) -> Exact:
    assert form.value is not None
    return form.value


def _all(outcomes: Sequence[Outcome]) -> Outcome:
    if DIFFERENT in outcomes:
        return DIFFERENT
    return UNDECIDED if UNDECIDED in outcomes else EQUAL


def _ordered(left: Form, right: Form) -> tuple[Outcome, str]:
    if len(left.parts) != len(right.parts):
        return DIFFERENT, "structure"
    pairs = zip(left.parts, right.parts, strict=True)
    return _all([_compare(a, b)[0] for a, b in pairs]), "structure"


def _tuples(left: Form, right: Form) -> tuple[Outcome, str]:
    if left.brackets != right.brackets:
        return UNDECIDED, "brackets differ"
    return _ordered(left, right)


def _intervals(left: Form, right: Form) -> tuple[Outcome, str]:
    if left.brackets != right.brackets:
        return DIFFERENT, "structure"
    return _ordered(left, right)


def _unordered(left: Form, right: Form) -> tuple[Outcome, str]:
    """Every part has an equal part on the other side; a part that only one side repeats leaves it undecided."""
    doubt = False
    for ours, theirs in ((left.parts, right.parts), (right.parts, left.parts)):
        for part in ours:
            outcomes = [_compare(part, other)[0] for other in theirs]
            if EQUAL not in outcomes:
                if UNDECIDED not in outcomes:
                    return DIFFERENT, "structure"
                doubt = True
    if doubt:
        return UNDECIDED, "a part is undecided"
    if len(left.parts) != len(right.parts) and {left.shape, right.shape} != {Shape.SET}:
        return UNDECIDED, "repeated parts"
    return EQUAL, "structure"


def _unions(left: Form, right: Form) -> tuple[Outcome, str]:
    outcome, tier = _unordered(left, right)
    return (EQUAL, tier) if outcome is EQUAL else (UNDECIDED, "unions of other pieces")


def _ratios(left: Form, right: Form) -> tuple[Outcome, str]:
    outcome, tier = _ordered(left, right)
    if outcome is not DIFFERENT or len(left.parts) != 2 or len(right.parts) != 2:
        return outcome, tier
    (a, b), (c, d) = (tuple(_of(part) for part in form.parts) for form in (left, right))
    proportional = exact.equal(exact.multiplied(a, d), exact.multiplied(b, c)) and bool(b.numerator and d.numerator)
    return (UNDECIDED, "ratio or time") if proportional else (DIFFERENT, "ratio")


def _base_value(form: Form) -> int | None:
    try:
        return int(form.text, int(form.unit))
    except ValueError:
        return None


def _numerals(left: Form, right: Form) -> tuple[Outcome, str]:
    if left.unit == right.unit:
        return (EQUAL if left.text == right.text else DIFFERENT), "numeral"
    return (UNDECIDED, "bases differ") if _base_value(left) == _base_value(right) else (DIFFERENT, "numeral")


def _texts(left: Form, right: Form) -> tuple[Outcome, str]:
    ours, theirs = (
        [SYNONYMS.get(word, word) for word in form.text.split() if word not in ARTICLES] for form in (left, right)
    )
    joined, other = ("".join(words).translate(JOINTS) for words in (ours, theirs))
    if joined == other or left.text.translate(JOINTS) == right.text.translate(JOINTS):
        return EQUAL, "text"
    if joined in other or other in joined:
        return UNDECIDED, "similar words"
    if set(ours) & set(theirs) or max(len(ours), len(theirs)) > MAX_WORDS_OF_DIFFERENT_TEXTS:
        return UNDECIDED, "similar words"
    if set(ours) & NUMBER_WORDS and set(theirs) & NUMBER_WORDS:
        return UNDECIDED, "words against a value"
    return DIFFERENT, "text"


def _unknown(_left: Form, _right: Form) -> tuple[Outcome, str]:
    return UNDECIDED, "not read"


SAME_SHAPE = {
    Shape.SCALAR: compare_scalars,
    Shape.NUMERAL: _numerals,
    Shape.TUPLE: _tuples,
    Shape.INTERVAL: _intervals,
    Shape.LIST: _unordered,
    Shape.SET: _unordered,
    Shape.UNION: _unions,
    Shape.MATRIX: _ordered,
    Shape.EQUATION: _equations,
    Shape.RATIO: _ratios,
    Shape.TEXT: _texts,
    Shape.UNKNOWN: _unknown,
}
