"""Whether two scalars are equal: values exactly, units and roundings by the policies that comparison.py states.

Equal needs a proof by exact arithmetic. Different needs one too, or two values in floating point, at one point of the
variables at least, that lie further apart than their error bounds. The rest is undecided.
"""

from collections.abc import Sequence
from enum import StrEnum
from fractions import Fraction
from functools import lru_cache

from thinkscale.grading.math import exact
from thinkscale.grading.math.balls import apart, evaluate, points_for
from thinkscale.grading.math.closed_forms import exact_value
from thinkscale.grading.math.exact import Exact
from thinkscale.grading.math.forms import Form
from thinkscale.grading.math.functions import vanishes_on_circle
from thinkscale.grading.math.monomials import Unreadable
from thinkscale.grading.math.nodes import Head, Node, calls, names_in, number, renamed, symbol
from thinkscale.grading.math.units import ONE_LETTER_UNITS, scale_of

MIN_ROUNDED_DIGITS = 4
COUNTERS = frozenset("nmkNK")
HUNDRED, HALF_TURN = number(100), Node(Head.QUOTIENT, (number(180), symbol("\\pi")))


class Outcome(StrEnum):
    """Whether two answers are the same."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


EQUAL, DIFFERENT, UNDECIDED = Outcome.EQUAL, Outcome.DIFFERENT, Outcome.UNDECIDED


def all_of(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of a whole whose parts have these."""
    if DIFFERENT in outcomes:
        return DIFFERENT
    return UNDECIDED if UNDECIDED in outcomes else EQUAL


def compare_scalars(left: Form, right: Form) -> tuple[Outcome, str]:
    """Outcome and rule; the rule of an undecided pair says why."""
    if left.unit != right.unit and left.unit and right.unit:
        return _with_two_units(left, right)
    outcome, tier = _compare_numbers(left, right)
    if outcome is not EQUAL and left.unit != right.unit and _other_reading(left, right):
        return EQUAL, "unit"
    return outcome, tier


def compare_trees(left: Node, right: Node) -> Outcome:
    """Equality of two expressions by proof or refutation."""
    bases = (None, 10) if calls(left, "log") or calls(right, "log") else (None,)
    outcomes = [_compare_at_base(left, right, base) for base in bases]
    if EQUAL in outcomes:
        return EQUAL
    return UNDECIDED if UNDECIDED in outcomes else DIFFERENT


@lru_cache(maxsize=2048)
def exact_or_none(tree: Node, log_base: int | None = None) -> Exact | None:
    """The exact value of a tree, None where it has none within the bounds."""
    try:
        return exact_value(tree, log_base)
    except Unreadable:
        return None


def _compare_at_base(left: Node, right: Node, log_base: int | None) -> Outcome:
    a, b = exact_or_none(left, log_base), exact_or_none(right, log_base)
    proven = False
    if a is not None and b is not None:
        try:
            atoms = exact.has_atoms(a) or exact.has_atoms(b)
            if exact.equal(a, b) or (atoms and vanishes_on_circle(exact.difference(a, b))):
                return EQUAL
            proven = not atoms
        except Unreadable:
            proven = False
    names = names_in(left) | names_in(right)
    if any("(" in name for name in names_in(left) ^ names_in(right)):
        return UNDECIDED
    if proven or any(_refuted(left, right, point, log_base) for point in points_for(names) or [{}]):
        return DIFFERENT
    return UNDECIDED


def _refuted(left: Node, right: Node, point: dict[str, float], log_base: int | None) -> bool:
    a, b = evaluate(left, point, log_base), evaluate(right, point, log_base)
    return a is not None and b is not None and apart(a, b)


def _compare_numbers(left: Form, right: Form) -> tuple[Outcome, str]:
    if left.number is not None and right.number is not None:
        if left.number == right.number:
            return EQUAL, "numeric"
        rounded = _rounds_to(left, right) or _rounds_to(right, left)
        return (EQUAL, "rounding") if rounded else (DIFFERENT, "numeric")
    a, b = _tree(left), _tree(right)
    rational = a.head is Head.NUMBER and b.head is Head.NUMBER
    outcome = compare_trees(a, b)
    if outcome is not EQUAL and (_rounds_to(left, right) or _rounds_to(right, left)):
        return EQUAL, "rounding"
    if outcome is not EQUAL:
        outcome = _by_names(left, a, right, b, outcome)
    return outcome, "numeric" if rational or (_is_rational(a) and _is_rational(b)) else "closed_form"


def _is_rational(tree: Node) -> bool:
    value = exact_or_none(tree)
    return value is not None and exact.as_rational(value) is not None


def _tree(form: Form) -> Node:
    assert form.tree is not None
    return form.tree


def _with_two_units(left: Form, right: Form) -> tuple[Outcome, str]:
    """Units of one dimension are converted; known units of two are different; unknown ones say nothing."""
    ours, theirs = scale_of(left.unit), scale_of(right.unit)
    if {left.unit, right.unit} & {"%", "degree"}:
        return _compare_numbers(left, right) if ours is theirs is None else (DIFFERENT, "unit")
    if ours is None or theirs is None:
        return _compare_numbers(left, right)
    if ours[0] != theirs[0]:
        return DIFFERENT, "unit"
    a, b = (Node(Head.PRODUCT, (_tree(form), number(size[1]))) for form, size in ((left, ours), (right, theirs)))
    return compare_trees(a, b), "unit"


def _other_reading(left: Form, right: Form) -> bool:
    """Whether the unit that one side has makes the sides equal: 50% and 1/2, 46 cents and 0.46, 45 degrees and pi/4."""
    (with_unit, bare) = (left, right) if left.unit else (right, left)
    tree = _tree(with_unit)
    if with_unit.unit in ("%", "cent"):
        return compare_trees(Node(Head.QUOTIENT, (tree, HUNDRED)), _tree(bare)) is EQUAL
    if with_unit.unit == "degree" and bare.number is None:
        return compare_trees(Node(Head.QUOTIENT, (tree, HALF_TURN)), _tree(bare)) is EQUAL
    return False


def _by_names(left: Form, a: Node, right: Form, b: Node, outcome: Outcome) -> Outcome:
    """Unequal values whose names may explain it: letters of options, units of one letter, counters, upper case."""
    if len(left.text) == len(right.text) == 1 and (left.text + right.text).isalpha():
        return EQUAL if left.text.casefold() == right.text.casefold() else DIFFERENT
    ours, theirs = names_in(a), names_in(b)
    if ours == theirs:
        return outcome
    if not ours or not theirs:
        return _with_letter_as_unit(a, b, ours | theirs, outcome)
    if len(ours) == len(theirs) == 1 and ours | theirs <= COUNTERS:
        return _renamed(a, b, dict(zip(ours, theirs, strict=True)), outcome)
    folded = {name.casefold(): name for name in theirs}
    if len(folded) == len(theirs) and {name.casefold() for name in ours} == set(folded):
        return _renamed(a, b, {name: folded[name.casefold()] for name in ours}, outcome)
    return outcome


def _renamed(a: Node, b: Node, names: dict[str, str], outcome: Outcome) -> Outcome:
    return EQUAL if compare_trees(renamed(a, names), b) is EQUAL else outcome


def _with_letter_as_unit(a: Node, b: Node, names: frozenset[str], outcome: Outcome) -> Outcome:
    """`5 m` against 5: a product that ends in a letter for a unit, against the same number."""
    lettered, bare = (a, b) if names_in(a) else (b, a)
    if len(names) != 1 or not names <= ONE_LETTER_UNITS or lettered.head is not Head.PRODUCT:
        return outcome
    amount, letter = lettered.arguments
    if letter.head is Head.SYMBOL and not names_in(amount) and compare_trees(amount, bare) is EQUAL:
        return EQUAL
    return outcome


def _rounds_to(decimal: Form, other: Form) -> bool:
    """Whether a decimal with two places and four significant digits is the other value, rounded to its places."""
    if decimal.number is None or "." not in decimal.text:
        return False
    whole, _, places = decimal.text.lstrip("+-").partition(".")
    if len(places) < 2 or len((whole + places).lstrip("0")) < MIN_ROUNDED_DIGITS:
        return False
    step = Fraction(1, 10 ** len(places))
    if other.number is not None:
        finer = len(other.text.partition(".")[2]) > len(places)
        return finer and _within(decimal.number, other.number, step, Fraction(0))
    tree = _tree(other)
    ball = evaluate(tree, {}) if not names_in(tree) else None
    if ball is None or abs(ball.value.imag) > ball.radius:
        return False
    return _within(decimal.number, Fraction(ball.value.real), step, Fraction(ball.radius))


def _within(decimal: Fraction, value: Fraction, step: Fraction, error: Fraction) -> bool:
    """Whether the decimal is the value rounded or cut to a multiple of `step`."""
    beyond = abs(value) - abs(decimal)
    return decimal * value > 0 and -step / 2 - error <= beyond < step + error
