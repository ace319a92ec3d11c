"""Equality of forms, shape by shape, by the policies of comparison.py. Rules return an outcome and their name."""

from collections.abc import Callable, Mapping
from fractions import Fraction

from thinkscale.grading.math.forms import Form, Shape, understood
from thinkscale.grading.math.nodes import CONSTANTS, Head, Node, names_in, number
from thinkscale.grading.math.ratios import (
    numeral_and_scalar,
    numerals,
    ratio_and_scalar,
    ratios,
    time_and_ratio,
    time_and_scalar,
    times,
)
from thinkscale.grading.math.regions import Region, same_place
from thinkscale.grading.math.relations import is_region, region_of
from thinkscale.grading.math.values import (
    DIFFERENT,
    EQUAL,
    UNDECIDED,
    Outcome,
    all_of,
    compare_scalars,
    compare_trees,
    exact_or_none,
)
from thinkscale.grading.math.wordings import text_and_other, text_and_scalar, text_and_set, texts

Ruling = tuple[Outcome, str]
COORDINATES = frozenset("xyz")


def compare_forms(left: Form, right: Form) -> Ruling:
    """Outcome and rule for two forms; the rule of an undecided pair says why."""
    if left.shape == right.shape and left.text == right.text and left.unit == right.unit and left.text:
        return EQUAL, "exact"  # a form that was computed has no text
    if is_region(left) or is_region(right):
        found = _as_regions(left, right)
        if found is not None:
            return found
    if left.shape == right.shape:
        return SAME_SHAPE[left.shape](left, right)
    for one, other in ((left, right), (right, left)):
        if one.shape is Shape.EQUATION:
            return _equation_and_other(one, other)
        if one.shape is Shape.SET and len(one.parts) == 1:
            return compare_forms(one.parts[0], other)
        rule = TWO_SHAPES.get((one.shape, other.shape))
        if rule is not None:
            return rule(one, other)
    if Shape.UNKNOWN in (left.shape, right.shape):
        return UNDECIDED, "not read"
    return DIFFERENT, "structure"


def _as_regions(left: Form, right: Form) -> Ruling | None:
    """Both as sets of reals; None where one is no such set."""
    ours, theirs = region_of(left), region_of(right)
    if ours is not None and theirs is not None:
        return _regions(ours, theirs), "set"
    if left.shape is not right.shape and {Shape.SCALAR, Shape.UNKNOWN} & {left.shape, right.shape}:
        known = (
            DIFFERENT if Shape.SCALAR in (left.shape, right.shape) and understood(left) and understood(right) else None
        )
        return None if known is None else (known, "structure")
    return None


def _regions(left: Region, right: Region) -> Outcome:
    if len(left) != len(right):
        return DIFFERENT
    outcomes = []
    for a, b in zip(left, right, strict=True):
        if (a.low_closed, a.high_closed) != (b.low_closed, b.high_closed):
            return DIFFERENT
        for one, other in ((a.low, b.low), (a.high, b.high)):
            if one.form is not None and other.form is not None:
                outcomes.append(compare_forms(one.form, other.form)[0])
            elif not same_place(one, other):
                return DIFFERENT
    return all_of(outcomes)


def _ordered(left: Form, right: Form) -> Ruling:
    if len(left.parts) != len(right.parts):
        return DIFFERENT, "structure"
    pairs = zip(left.parts, right.parts, strict=True)
    return all_of([compare_forms(a, b)[0] for a, b in pairs]), "structure"


def _tuples(left: Form, right: Form) -> Ruling:
    return _ordered(left, right)


def _intervals(left: Form, right: Form) -> Ruling:
    if left.brackets != right.brackets:
        return DIFFERENT, "structure"
    return _ordered(left, right)


def _tuple_and_interval(one: Form, other: Form) -> Ruling:
    """(a, b) and [a, b): two brackets that differ."""
    return DIFFERENT, "structure"


def _unordered(left: Form, right: Form) -> Ruling:
    """Every part has an equal part on the other side."""
    first, second = _grouped(left), _grouped(right)
    for one, other, written in ((first, second, left), (second, first, right)):
        if len(one.parts) == 1 and one.parts[0].shape is Shape.TUPLE and len(other.parts) > 1:
            plain = Form(shape=Shape.TUPLE, text="", parts=tuple(part.parts[-1] for part in written.parts))
            outcome = _ordered(plain, other)
            return outcome if outcome[0] is EQUAL else _ordered(one.parts[0], other)
    ours, theirs = first.parts, second.parts
    doubt = False
    for these, those in ((ours, theirs), (theirs, ours)):
        for part in these:
            outcomes = [compare_forms(part, other)[0] for other in those]
            if EQUAL not in outcomes:
                if UNDECIDED not in outcomes:
                    return DIFFERENT, "structure"
                doubt = True
    return (UNDECIDED, "a part is undecided") if doubt else (EQUAL, "structure")


def _grouped(form: Form) -> Form:
    """`p = 5, q = 2; p = 7, q = 2` as a list of tuples: a name that comes again begins the next one."""
    flat = [part for outer in form.parts for part in (outer.parts if outer.shape is Shape.LIST else (outer,))]
    names = {part.parts[0].text for part in flat if part.named}
    if not all(part.named for part in flat) or len({name.partition("_")[0] for name in names}) < 2:
        return Form(shape=form.shape, text=form.text, parts=tuple(flat), brackets=form.brackets)
    groups: list[list[Form]] = [[]]
    for part in flat:
        if any(part.parts[0].text == earlier.parts[0].text for earlier in groups[-1]):
            groups.append([])
        groups[-1].append(part)
    return Form(shape=Shape.LIST, text=form.text, parts=tuple(_named_tuple(group) for group in groups))


def _named_tuple(group: list[Form]) -> Form:
    """The values of named equations, in the order of their names."""
    ordered = sorted(group, key=lambda part: part.parts[0].text)
    parts = tuple(part.parts[1] for part in ordered)
    return Form(shape=Shape.TUPLE, text=",".join(part.text for part in parts), parts=parts, brackets="()")


def _tuple_and_list(one: Form, other: Form) -> Ruling:
    """A tuple against `x = 1, y = 2`, a list without its brackets, or a list of one tuple."""
    grouped = _grouped(other)
    if len(grouped.parts) == 1:
        return compare_forms(one, grouped.parts[0])
    if any(part.shape in (Shape.TUPLE, Shape.LIST, Shape.RELATION) for part in grouped.parts):
        return DIFFERENT, "structure"
    return _ordered(one, grouped)


def _matrix_and_tuple(matrix: Form, other: Form) -> Ruling:
    entries = _entries(matrix)
    if entries is None:
        return DIFFERENT, "structure"
    return _ordered(Form(shape=Shape.TUPLE, text="", parts=entries), other)


def _entries(matrix: Form) -> tuple[Form, ...] | None:
    """The entries of one row or one column."""
    if len(matrix.parts) == 1:
        return matrix.parts[0].parts
    if all(len(row.parts) == 1 for row in matrix.parts):
        return tuple(row.parts[0] for row in matrix.parts)
    return None


def _matrix_and_scalar(matrix: Form, other: Form) -> Ruling:
    entries = _entries(matrix)
    return compare_forms(entries[0], other) if entries and len(entries) == 1 else (DIFFERENT, "structure")


def _equation_and_other(equation: Form, other: Form) -> Ruling:
    """`x = 5` against `5`: the last side, where the first one is a mere name."""
    if other.shape is Shape.UNKNOWN:
        return UNDECIDED, "not read"
    value = equation.parts[-1]
    if equation.named:
        name = equation.parts[0].text
        if value.tree is not None and name in names_in(value.tree):
            return UNDECIDED, "an equation against a value"
        return compare_forms(value, other)
    if other.shape in (Shape.LIST, Shape.SET, Shape.TUPLE) and value.shape is other.shape:
        return compare_forms(value, other)
    trees = [part.tree for part in equation.parts]
    if all(tree is not None and not names_in(tree) for tree in trees):
        return compare_forms(value, other)
    if not understood(equation) or not understood(other):
        return UNDECIDED, "not read"
    return DIFFERENT, "equation"


def _equations(left: Form, right: Form) -> Ruling:
    if left.named and right.named:
        return _named_values(left, right)
    sides = [side.tree for side in (*left.parts, *right.parts)]
    if None in sides or len(sides) != 4:
        return _ordered(left, right) if left.parts[0].text == right.parts[0].text else (UNDECIDED, "not read")
    return _proportional([tree for tree in sides if tree is not None])


def _named_values(left: Form, right: Form) -> Ruling:
    """Values of named quantities. Coordinates are told apart, other names are not; `y = 2x` is an equation as well."""
    names = {form.parts[0].text for form in (left, right)}
    sides = [side.tree for form in (left, right) for side in form.parts]
    if len(names) == 1 or not names <= COORDINATES:
        outcome, tier = compare_forms(left.parts[-1], right.parts[-1])
        values = [form.parts[-1].tree for form in (left, right)]
        if outcome is EQUAL or len(names) > 1 or not any(tree and names_in(tree) & names for tree in values):
            return outcome, tier
    if None in sides:
        return UNDECIDED, "not read"
    return _proportional([tree for tree in sides if tree is not None])


def _proportional(sides: list[Node]) -> Ruling:
    """Whether a = b and c = d say the same: a - b is a constant multiple of c - d."""
    first, second = (Node(Head.SUM, (sides[place], Node(Head.NEGATIVE, (sides[place + 1],)))) for place in (0, 2))
    if names_in(first) != names_in(second):
        both = exact_or_none(first) is not None and exact_or_none(second) is not None
        return (DIFFERENT, "equation") if both else (UNDECIDED, "variables differ")
    factor = _factor(first, second)
    if factor is None:
        return UNDECIDED, "beyond bounds"
    outcome = compare_trees(first, Node(Head.PRODUCT, (number(factor), second))) if factor else DIFFERENT
    return (outcome, "equation") if outcome is not UNDECIDED else (UNDECIDED, "beyond bounds")


def _factor(first: Node, second: Node) -> Fraction | None:
    """The only rational factor that could make the second the first; 0 where there is none, None where not known."""
    a, b = exact_or_none(first), exact_or_none(second)
    if a is None or b is None:
        return None
    if not a.numerator or not b.numerator:
        return Fraction(0) if bool(a.numerator) != bool(b.numerator) else Fraction(1)
    if a.denominator != b.denominator:
        return Fraction(1)
    shared = [term for term in a.numerator if term in b.numerator]
    return a.numerator[shared[0]] / b.numerator[shared[0]] if shared else Fraction(0)


def _relations(left: Form, right: Form) -> Ruling:
    """Relations that are no sets of reals: the same signs between equal sides, whichever way they are written."""
    signs, others = left.brackets.split(), right.brackets.split()
    flipped = [{"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le"}.get(sign, sign) for sign in reversed(others)]
    outcomes = []
    for these, parts in ((others, right.parts), (flipped, right.parts[::-1])):
        if these == signs:
            turned = Form(shape=Shape.TUPLE, text="", parts=parts)
            outcomes.append(_ordered(Form(shape=Shape.TUPLE, text="", parts=left.parts), turned)[0])
    if EQUAL in outcomes:
        return EQUAL, "structure"
    for parts in (right.parts, right.parts[::-1]):
        turned = Form(shape=Shape.TUPLE, text="", parts=parts)
        if _ordered(Form(shape=Shape.TUPLE, text="", parts=left.parts), turned)[0] is EQUAL:
            return DIFFERENT, "relation"  # the same sides, another sign
    return UNDECIDED, "relations of other sides"


def _scalars(left: Form, right: Form) -> Ruling:
    for letter, other in ((left, right), (right, left)):
        is_letter = len(letter.text) == 1 and letter.text.isalpha() and letter.text not in CONSTANTS
        if is_letter and other.tree is not None and not names_in(other.tree) and other.text not in CONSTANTS:
            return DIFFERENT, "letter"
    return compare_scalars(left, right)


def _list_and_scalar(other: Form, scalar: Form) -> Ruling:
    """A list that says the same value in every part (`1.5 or 3/2`) is that value; `1,22` is also 1.22."""
    whole, _, places = other.text.partition(",")
    if other.brackets == "," and scalar.number == Fraction(f"{whole}.{places}"):
        return EQUAL, "decimal comma"
    return all_of([compare_forms(scalar, part)[0] for part in other.parts] or [DIFFERENT]), "structure"


def _unknown(_left: Form, _right: Form) -> Ruling:
    return UNDECIDED, "not read"


SAME_SHAPE: Mapping[Shape, Callable[[Form, Form], Ruling]] = {
    Shape.SCALAR: _scalars,
    Shape.NUMERAL: numerals,
    Shape.TUPLE: _tuples,
    Shape.INTERVAL: _intervals,
    Shape.LIST: _unordered,
    Shape.SET: _unordered,
    Shape.UNION: _unordered,
    Shape.WITHOUT: _ordered,
    Shape.MATRIX: _ordered,
    Shape.EQUATION: _equations,
    Shape.RELATION: _relations,
    Shape.RATIO: ratios,
    Shape.TIME: times,
    Shape.TEXT: texts,
    Shape.UNKNOWN: _unknown,
}
TWO_SHAPES: Mapping[tuple[Shape, Shape], Callable[[Form, Form], Ruling]] = {
    (Shape.LIST, Shape.SET): _unordered,
    (Shape.TUPLE, Shape.INTERVAL): _tuple_and_interval,
    (Shape.TUPLE, Shape.LIST): _tuple_and_list,
    (Shape.MATRIX, Shape.TUPLE): _matrix_and_tuple,
    (Shape.MATRIX, Shape.INTERVAL): _matrix_and_tuple,
    (Shape.MATRIX, Shape.SCALAR): _matrix_and_scalar,
    (Shape.RATIO, Shape.SCALAR): ratio_and_scalar,
    (Shape.TIME, Shape.RATIO): time_and_ratio,
    (Shape.TIME, Shape.SCALAR): time_and_scalar,
    (Shape.NUMERAL, Shape.SCALAR): numeral_and_scalar,
    (Shape.TEXT, Shape.SCALAR): text_and_scalar,
    (Shape.TEXT, Shape.SET): text_and_set,
    (Shape.TEXT, Shape.LIST): text_and_other,
    (Shape.TEXT, Shape.UNION): text_and_other,
    (Shape.TEXT, Shape.TUPLE): text_and_other,
    (Shape.TEXT, Shape.INTERVAL): text_and_other,
    (Shape.TEXT, Shape.RELATION): text_and_other,
    (Shape.LIST, Shape.SCALAR): _list_and_scalar,
}
"""Rules for two forms of other shapes; pairs that are not here have no common value."""
