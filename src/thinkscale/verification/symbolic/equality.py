r"""Equality of two things (shapes.py) for the symbolic tier, with the policies of grading/math/comparison.py.

Tuples and ends of intervals keep their order and their brackets; lists and sets have none; a set of one element is that
element. A named value (`x = 5`, `f(x) = ...`) is the value. Equations are equal where one is a constant multiple of the
other. Inequalities in one variable, intervals and unions are compared as sets of reals. Nothing is rounded, and no
percent sign or unit is read. `different` is said only on evidence: another structure, or other values.
"""

import itertools
import re
from collections.abc import Sequence

import sympy
from sympy import Expr, Interval, Rational, S, Symbol

from thinkscale.grading.math.values import DIFFERENT, EQUAL, UNDECIDED, Outcome
from thinkscale.verification.symbolic.evaluation import (
    POINTS,
    Found,
    agree,
    compare_expressions,
    free_symbols,
    points,
    value_at,
)
from thinkscale.verification.symbolic.shapes import Shape, Thing

NAME = re.compile(r"\|?\\?[A-Za-z]{1,8}(?:_\{?\w+\}?)?\|?|[A-Za-z] ?\( ?\w(?: ?, ?\w)* ?\)")
PLACES = re.compile(r"[-+]?\d*\.(\d{2,})")
LETTER = re.compile(r"[A-J]")
"""A reference that may name an option."""
RANGES = frozenset({Shape.INTERVAL, Shape.UNION, Shape.RELATION, Shape.ANY_OF})
OPERATORS = {
    "<": sympy.StrictLessThan, ">": sympy.StrictGreaterThan,
    "\\le": sympy.LessThan, "\\ge": sympy.GreaterThan, "\\ne": sympy.Unequality,
}  # fmt: skip
MIRRORED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}


def compare_things(left: Thing, right: Thing) -> Found:
    """Outcome and evidence."""
    if left.text == right.text:
        return EQUAL, "the same spelling"
    for one, other in ((left, right), (right, left)):
        if one.shape is Shape.EQUATION and other.shape is not Shape.EQUATION:
            return _named(one, other)
        if one.shape in (Shape.SET, Shape.LIST) and len(one.parts) == 1:
            return compare_things(one.parts[0], other)
    shapes = {left.shape, right.shape}
    if shapes == {Shape.SCALAR}:
        return _scalars(left, right)
    if shapes == {Shape.INTERVAL}:
        return _intervals(left, right)
    if shapes & RANGES and shapes <= RANGES | {Shape.SET, Shape.TUPLE} and shapes != {Shape.INTERVAL, Shape.TUPLE}:
        return _ranges(left, right)
    if shapes <= {Shape.LIST, Shape.SET}:
        return _unordered(left.parts, right.parts)
    if shapes == {Shape.EQUATION}:
        return _equations(left, right)
    if len(shapes) == 1:
        if left.shape is Shape.TUPLE and left.marks != right.marks:
            return UNDECIDED, "brackets differ"
        return _ordered(left.parts, right.parts)
    return _structures(left, right)


def _structures(left: Thing, right: Thing) -> Found:
    shapes = {left.shape, right.shape}
    if Shape.SCALAR in shapes and shapes & {Shape.TUPLE, Shape.MATRIX, Shape.INTERVAL, Shape.UNION}:
        return DIFFERENT, "another structure"
    if shapes == {Shape.SCALAR, Shape.LIST}:
        scalar, listed = (left, right) if left.shape is Shape.SCALAR else (right, left)
        return _all(
            [_scalars(scalar, part) if part.value is not None else (UNDECIDED, "list") for part in listed.parts]
        )
    return UNDECIDED, f"{left.shape} against {right.shape}"


def _scalars(left: Thing, right: Thing) -> Found:
    a, b = _value(left), _value(right)
    if b.is_Symbol and LETTER.fullmatch(right.text) and not free_symbols(a):
        return UNDECIDED, "the letter of an option that is not known"
    outcome, evidence = compare_expressions(a, b)
    if outcome is DIFFERENT and (_may_be_rounded(left.text, b) or _may_be_rounded(right.text, a)):
        return UNDECIDED, f"rounding: {evidence}"
    return outcome, evidence


def _may_be_rounded(text: str, value: Expr) -> bool:
    """Whether `text` is a decimal of two or more places within one unit of its last place of `value`."""
    match = PLACES.fullmatch(text)
    found = value_at(value, {}) if match and not free_symbols(value) else None
    return match is not None and found is not None and abs(found - float(text)) <= 1.000001 * 10.0 ** -len(match[1])


def _value(thing: Thing) -> Expr:
    assert thing.value is not None
    return thing.value


def _all(found: Sequence[Found]) -> Found:
    for wanted in (DIFFERENT, UNDECIDED):
        for outcome, evidence in found:
            if outcome is wanted:
                return outcome, evidence
    return EQUAL, found[0][1] if found else "both empty"


def _ordered(left: Sequence[Thing], right: Sequence[Thing]) -> Found:
    if len(left) != len(right):
        return DIFFERENT, "another number of parts"
    return _all([compare_things(a, b) for a, b in zip(left, right, strict=True)])


def _unordered(left: Sequence[Thing], right: Sequence[Thing]) -> Found:
    """Every part has an equal part on the other side."""
    table = [[compare_things(a, b)[0] for b in right] for a in left]
    rows: list[list[Outcome]] = [*table, *([row[at] for row in table] for at in range(len(right)))]
    if any(EQUAL not in row and UNDECIDED not in row for row in rows):
        return DIFFERENT, "a part has no equal"
    if all(EQUAL in row for row in rows):
        return (EQUAL, "each part has an equal") if len(left) == len(right) else (UNDECIDED, "repeated parts")
    return UNDECIDED, "a part is undecided"


def _named(equation: Thing, other: Thing) -> Found:
    name, value = equation.parts[0], equation.parts[-1]
    if not NAME.fullmatch(name.text):
        return UNDECIDED, "an equation against a value"
    if value.value is not None and name.value is not None and free_symbols(name.value) & free_symbols(value.value):
        function = "(" in name.text
        if not function:
            return UNDECIDED, "an equation against a value"
    return compare_things(value, other)


def _equations(left: Thing, right: Thing) -> Found:
    if NAME.fullmatch(left.parts[0].text) and left.parts[0].text == right.parts[0].text:
        return compare_things(left.parts[-1], right.parts[-1])
    if any(side.value is None for thing in (left, right) for side in thing.parts) or len(left.parts) != len(
        right.parts
    ):
        return UNDECIDED, "equations of other things"
    if len(left.parts) > 2:
        return _all([_scalars(a, b) for a, b in zip(left.parts, right.parts, strict=True)])
    return _proportional(_difference(left), _difference(right), positive=False)


def _difference(thing: Thing) -> Expr:
    return _value(thing.parts[0]) - _value(thing.parts[1])


def _proportional(a: Expr, b: Expr, positive: bool) -> Found:
    """Whether a is a constant multiple of b; not being one proves nothing of their zeros, unless a zero is no zero."""
    if free_symbols(a) != free_symbols(b):
        return UNDECIDED, "variables differ"
    symbols = sorted(free_symbols(a), key=str)
    ratios = []
    for point in (point for group in points(symbols).values() for point in group):
        x, y = value_at(a, point), value_at(b, point)
        if x is not None and y is not None and y != 0:
            ratios.append(x / y)
    if len(ratios) >= POINTS and ratios[0] != 0 and all(agree(ratio, ratios[0]) for ratio in ratios):
        if positive and not ratios[0].real > 0:
            return DIFFERENT, "the other direction"
        return EQUAL, "one is a multiple of the other"
    return UNDECIDED if positive else _zeros(a, b, symbols), "no constant multiple"


def _zeros(a: Expr, b: Expr, symbols: list[Symbol]) -> Outcome:
    """DIFFERENT where a real zero of one polynomial is none of the other, at one choice of the other symbols."""
    if not symbols or not (a.is_polynomial(*symbols) and b.is_polynomial(*symbols)):
        return UNDECIDED
    unknown = symbols[-1]
    for point in points(symbols)["positive reals"]:
        rest = {symbol: value for symbol, value in point.items() if symbol is not unknown}
        for one, other in ((a, b), (b, a)):
            polynomial = sympy.Poly(one.subs(rest), unknown)
            for root in polynomial.nroots(n=30) if polynomial.degree() > 0 else ():
                value = value_at(other, rest | {unknown: root})
                if root.is_real and value is not None and abs(value) > 1e-6:
                    return DIFFERENT
    return UNDECIDED


def _intervals(left: Thing, right: Thing) -> Found:
    if left.marks != right.marks:
        return DIFFERENT, "other brackets"
    return _ordered(left.parts, right.parts)


def _ranges(left: Thing, right: Thing) -> Found:
    """Sets of reals, a pair being an interval; inequalities in several variables up to a positive factor."""
    if left.shape is right.shape is Shape.RELATION and len(_symbols(left) | _symbols(right)) > 1:
        return _inequalities(left, right)
    a, b = _real_set(left), _real_set(right)
    if a is None or b is None:
        return UNDECIDED, "not a set of reals"
    if {symbol.name for symbol in _symbols(left) | _symbols(right)} and len(_symbols(left) | _symbols(right)) > 1:
        return UNDECIDED, "variables differ"
    if a == b:
        return EQUAL, f"the set {a!s:.80}"
    difference = sympy.SymmetricDifference(a, b) if a.is_subset(b) is not False else None
    if difference is not None and difference.is_empty:
        return EQUAL, f"the set {a!s:.80}"
    member = _only_in_one(a, b)
    return (DIFFERENT, f"only one holds {member}") if member is not None else (UNDECIDED, "sets")


def _symbols(thing: Thing) -> frozenset[Symbol]:
    found = [] if thing.value is None else [free_symbols(thing.value)]
    return frozenset().union(*found, *(_symbols(part) for part in thing.parts))


def _real_set(thing: Thing) -> sympy.Set | None:
    """The set of reals that a range stands for, None where it is none that can be solved for."""
    if thing.shape in (Shape.UNION, Shape.ANY_OF):
        parts = [_real_set(part) for part in thing.parts]
        return None if None in parts else sympy.Union(*parts)
    if thing.shape is Shape.SET:
        return sympy.FiniteSet(*(_value(part) for part in thing.parts)) if _are_real(thing.parts) else None
    if thing.shape is Shape.INTERVAL or (thing.shape is Shape.TUPLE and len(thing.parts) == 2):
        if not _are_real(thing.parts):
            return None
        start, end = (_value(part) for part in thing.parts)
        return Interval(start, end, left_open=thing.marks[0] == "(", right_open=thing.marks[1] == ")")
    if thing.shape is Shape.RELATION:
        return _solutions(thing)
    return None


def _are_real(parts: Sequence[Thing]) -> bool:
    return all(part.value is not None and part.value.is_extended_real for part in parts)


def _solutions(relation: Thing) -> sympy.Set | None:
    symbols = _symbols(relation)
    if len(symbols) != 1 or any(part.value is None for part in relation.parts):
        return None
    (symbol,) = symbols
    real = Symbol("x", real=True)
    found: sympy.Set = S.Reals
    sides = [_value(part).subs(symbol, real) for part in relation.parts]
    for mark, below, above in zip(relation.marks, sides, sides[1:], strict=False):
        condition = OPERATORS[mark](below, above)
        if condition in (True, False):
            return None
        found = sympy.Intersection(found, condition.as_set())
    return found


def _only_in_one(a: sympy.Set, b: sympy.Set) -> Expr | None:
    """A real that one set holds and the other does not, sought at their ends, between and beside them."""
    try:
        ends = [end for end in sympy.Union(a.boundary, b.boundary) if end.is_finite]
    except (TypeError, NotImplementedError):
        return None  # boundaries without end
    ends.sort(key=lambda end: end.evalf())
    middles = [(x + y) / 2 for x, y in itertools.pairwise(ends)]
    outside = [ends[0] - 1, ends[-1] + 1] if ends else [Rational(0)]
    for candidate in (*middles, *outside, *ends):
        if {a.contains(candidate), b.contains(candidate)} == {S.true, S.false}:
            return candidate
    return None


def _inequalities(left: Thing, right: Thing) -> Found:
    if len(left.marks) != 1 or len(right.marks) != 1 or any(s.value is None for t in (left, right) for s in t.parts):
        return UNDECIDED, "inequalities"
    a, b = _difference(left), _difference(right)
    if left.marks == right.marks and left.marks != ("\\ne",):
        return _proportional(a, b, positive=True)
    if MIRRORED[left.marks[0]] == right.marks[0]:
        return _proportional(a, -b, positive=right.marks != ("\\ne",))
    return UNDECIDED, "inequalities of other kinds"
