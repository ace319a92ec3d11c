"""Whether two scalars are equal: values exactly, units and roundings by the policies that math.py states."""

from enum import StrEnum

from thinkscale.grading import exact
from thinkscale.grading.exact import Exact
from thinkscale.grading.forms import Form
from thinkscale.grading.monomials import Unreadable

FLOAT_ERROR = 1e-13


class Outcome(StrEnum):
    """Whether two answers are the same."""

    EQUAL = "equal"
    DIFFERENT = "different"
    UNDECIDED = "undecided"


EQUAL, DIFFERENT, UNDECIDED = Outcome.EQUAL, Outcome.DIFFERENT, Outcome.UNDECIDED


def compare_scalars(left: Form, right: Form) -> tuple[Outcome, str]:
    """Outcome and rule; the rule of an undecided pair says why."""
    a, b = left.value, right.value
    assert a is not None
    assert b is not None
    try:
        return _values(left, a, right, b)
    except Unreadable:
        return UNDECIDED, "beyond bounds"


def _values(left: Form, a: Exact, right: Form, b: Exact) -> tuple[Outcome, str]:
    units = {left.unit, right.unit} - {""}
    if len(units) > 1:
        return UNDECIDED, "units differ"
    tier = "numeric" if exact.as_rational(a) is not None and exact.as_rational(b) is not None else "closed_form"
    if exact.equal(a, b):
        return EQUAL, tier
    if left.unit != right.unit and _other_reading(a, b, units.pop()):
        return UNDECIDED, "reading of the unit"
    if _rounds_to(left.text, b) or _rounds_to(right.text, a):
        return UNDECIDED, "rounding"
    return _different_values(left, a, right, b), tier


def _other_reading(a: Exact, b: Exact, unit: str) -> bool:
    """Whether a unit on one side has another reading under which the sides may be equal."""
    if unit in ("%", "cent"):
        hundred = exact.rational(100)
        return exact.equal(exact.multiplied(a, hundred), b) or exact.equal(a, exact.multiplied(b, hundred))
    return unit == "degree" and (exact.contains(a, "\\pi") or exact.contains(b, "\\pi"))


def _different_values(left: Form, a: Exact, right: Form, b: Exact) -> Outcome:
    """Unequal values are different, unless names of variables or a one-letter unit may explain it."""
    if len(left.text) == len(right.text) == 1 and (left.text + right.text).isalpha():
        return EQUAL if left.text.casefold() == right.text.casefold() else DIFFERENT
    ours, theirs = exact.symbols_of(a), exact.symbols_of(b)
    if any(len(form.text) == 1 and form.text.isalpha() for form in (left, right)):
        return UNDECIDED
    if ours == theirs or exact.INFINITY in ours | theirs:
        return DIFFERENT
    if not ours <= theirs and not theirs <= ours:
        return UNDECIDED
    numeric, lettered = (a, b) if not ours else (b, a)
    if not exact.symbols_of(numeric) and exact.symbols_of(lettered) and numeric.numerator:
        ratio = exact.divided(lettered, numeric)
        if list(ratio.numerator.values()) == [1] and len(exact.symbols_of(ratio)) == 1:
            return UNDECIDED
    return DIFFERENT


def _rounds_to(decimal: str, value: Exact) -> bool:
    """Whether `decimal`, of two or more places, is `value` rounded or cut to that many places."""
    whole, point, places = decimal.lstrip("+-").partition(".")
    if not point or len(places) < 2 or not (whole + places).isdigit():
        return False
    approximation = exact.approximate(value)
    if approximation is None or approximation.imag:
        return False
    step, error = 10.0 ** -len(places), abs(approximation.real) * FLOAT_ERROR
    if approximation.real * float(decimal) < 0:
        return False
    return -step / 2 - error <= abs(approximation.real) - abs(float(decimal)) < step + error
