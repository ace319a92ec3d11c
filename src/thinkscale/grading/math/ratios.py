"""Equality of ratios, times of day and numerals in other bases, by the policies that comparison.py states."""

from thinkscale.grading.math.forms import Form
from thinkscale.grading.math.nodes import Head, Node
from thinkscale.grading.math.values import DIFFERENT, EQUAL, Outcome, all_of, compare_scalars, compare_trees

Ruling = tuple[Outcome, str]
CLOCK = 12 * 60


def ratios(left: Form, right: Form) -> Ruling:
    """Proportional parts; but two clock times are not proportions."""
    if len(left.parts) != len(right.parts):
        return DIFFERENT, "ratio"
    outcome = all_of([compare_scalars(a, b)[0] for a, b in zip(left.parts, right.parts, strict=True)])
    if outcome is EQUAL:
        return EQUAL, "ratio"
    if all(_is_clock(form) for form in (left, right)):
        return outcome, "time"
    base, other = left.parts[0].tree, right.parts[0].tree
    assert base is not None
    assert other is not None
    pairs = zip(left.parts[1:], right.parts[1:], strict=True)
    products = [
        compare_trees(Node(Head.PRODUCT, (base, b.tree)), Node(Head.PRODUCT, (other, a.tree)))
        for a, b in pairs
        if a.tree is not None and b.tree is not None
    ]
    return all_of(products), "ratio"


def _is_clock(form: Form) -> bool:
    hours, _, minutes = form.text.partition(":")
    return minutes.isdigit() and len(minutes) == 2 and hours.isdigit() and int(hours) < 25 and int(minutes) < 60


def ratio_and_scalar(ratio: Form, scalar: Form) -> Ruling:
    if len(ratio.parts) != 2 or ratio.parts[0].tree is None or ratio.parts[1].tree is None or scalar.tree is None:
        return DIFFERENT, "structure"
    return compare_trees(Node(Head.QUOTIENT, (ratio.parts[0].tree, ratio.parts[1].tree)), scalar.tree), "ratio"


def times(left: Form, right: Form) -> Ruling:
    return (EQUAL if left.number == right.number else DIFFERENT), "time"


def time_and_ratio(time: Form, ratio: Form) -> Ruling:
    minutes = [part.number for part in ratio.parts]
    if time.number is None or len(minutes) != 2 or minutes[0] is None or minutes[1] is None:
        return DIFFERENT, "time"
    clock = minutes[0] * 60 + minutes[1]
    same = clock == time.number or (clock % CLOCK == time.number % CLOCK and minutes[0] <= 12)
    return (EQUAL if same else DIFFERENT), "time"


def time_and_scalar(time: Form, scalar: Form) -> Ruling:
    if time.number is None or scalar.number is None:
        return DIFFERENT, "time"
    same = scalar.number * 60 in (time.number, time.number % CLOCK, (time.number % CLOCK) + CLOCK)
    return (EQUAL if same else DIFFERENT), "time"


def _numeral_value(form: Form) -> int | None:
    try:
        return int(form.text, int(form.unit))
    except ValueError:
        return None


def numerals(left: Form, right: Form) -> Ruling:
    if left.unit == right.unit:
        return (EQUAL if left.text == right.text else DIFFERENT), "numeral"
    ours, theirs = _numeral_value(left), _numeral_value(right)
    return (EQUAL if ours is not None and ours == theirs else DIFFERENT), "numeral"


def numeral_and_scalar(numeral: Form, scalar: Form) -> Ruling:
    same = scalar.text == numeral.text
    return (EQUAL if same else DIFFERENT), "numeral"
