r"""The set of reals that an answer describes: intervals, unions, points, relations in one variable, complements.

A relation is solved where its sides are linear in one variable, or one is the absolute value of a linear expression.
Relations joined by "or" unite; joined by a comma or "and" they intersect, and unite where nothing lies in both
(`x < 1 and x > 3` is how many write a union).
"""

from collections.abc import Callable, Mapping
from functools import reduce

from thinkscale.grading.math.balls import evaluate
from thinkscale.grading.math.exact import as_rational
from thinkscale.grading.math.forms import Form, Shape
from thinkscale.grading.math.monomials import UNIT
from thinkscale.grading.math.nodes import Head, Node, names_in, number, replaced, symbol
from thinkscale.grading.math.regions import (
    INFINITY,
    LINE,
    MINUS_INFINITY,
    End,
    Region,
    complement,
    intersection,
    piece,
    united,
)
from thinkscale.grading.math.values import exact_or_none

FLIPPED = {"<": ">", ">": "<", "\\le": "\\ge", "\\ge": "\\le", "\\ne": "\\ne"}
ALL_REALS = frozenset({"all reals", "all real numbers", "any real number", "all real number"})


def region_of(form: Form) -> Region | None:
    """The set of reals that `form` describes, None where it describes none or its ends are not numbers."""
    rule = RULES.get(form.shape)
    return rule(form) if rule else None


def is_region(form: Form) -> bool:
    """Whether the form can only be read as a set of reals."""
    if form.shape in (Shape.LIST, Shape.SET):
        return bool(form.parts) and all(part.shape is Shape.RELATION for part in form.parts)
    return form.shape in (Shape.INTERVAL, Shape.UNION, Shape.WITHOUT, Shape.RELATION) or _is_line(form)


def _is_line(form: Form) -> bool:
    return form.shape is Shape.TEXT and form.text in ALL_REALS


def _end(form: Form) -> End | None:
    """The place of a number or of an infinity."""
    tree = form.tree
    if form.shape is not Shape.SCALAR or tree is None:
        return None
    minus = tree.head is Head.NEGATIVE
    if (tree.arguments[0] if minus else tree) == symbol("\\infty"):
        return MINUS_INFINITY if minus else INFINITY
    ball = evaluate(tree, {})
    return End(ball.value.real, form) if ball is not None and abs(ball.value.imag) <= ball.radius else None


def _interval(form: Form) -> Region | None:
    if len(form.parts) != 2:
        return None
    low, high = _end(form.parts[0]), _end(form.parts[1])
    if low is None or high is None or low.place >= high.place:
        return None
    return piece(low, form.brackets[0] == "[", high, form.brackets[1] == "]")


def _union(form: Form) -> Region | None:
    regions = [region_of(part) for part in form.parts]
    return (
        united([part for region in regions if region is not None for part in region]) if None not in regions else None
    )


def _points(form: Form) -> Region | None:
    ends = [_end(part) for part in form.parts]
    if any(end is None or end.form is None for end in ends):
        return None
    return united([part for end in ends if end is not None for part in piece(end, True, end, True)])


def _without(form: Form) -> Region | None:
    if not form.parts:
        return LINE
    part = form.parts[0]
    region = _points(Form(shape=Shape.SET, text="", parts=(part,))) if part.shape is Shape.SCALAR else region_of(part)
    return None if region is None else complement(region)


def _listed(form: Form) -> Region | None:
    regions = [region_of(part) for part in form.parts]
    if None in regions or not all(is_region(part) for part in form.parts):
        return None
    found = [region for region in regions if region is not None]
    if form.brackets != "or":
        common = reduce(intersection, found)
        if common:
            return common
    return united([part for region in found for part in region])


def _relation(form: Form) -> Region | None:
    signs = form.brackets.split()
    names = _variable(form)
    if names is None:
        return None
    region: Region | None = LINE
    for sign, left, right in zip(signs, form.parts, form.parts[1:], strict=False):
        step = _comparison(sign, left, right, names)
        region = intersection(region, step) if region is not None and step is not None else None
    return region


def _variable(form: Form) -> str | None:
    """The one variable of a relation; a side that is a name of anything counts as one."""
    names = frozenset[str]().union(*(names_in(part.tree) for part in form.parts if part.tree is not None))
    unread = [part for part in form.parts if part.tree is None]
    if not unread and len(names) == 1:
        return next(iter(names))
    return None


def _comparison(sign: str, left: Form, right: Form, name: str) -> Region | None:
    assert left.tree is not None
    assert right.tree is not None
    for tree, other, way in ((left.tree, right, sign), (right.tree, left, FLIPPED[sign])):
        if tree == symbol(name) and other.tree is not None and name not in names_in(other.tree):
            return _half_line(way, other)
        if tree.head is Head.CALL and tree.name == "abs" and other.tree is not None and not names_in(other.tree):
            return _absolute(way, tree.arguments[0], other.tree, name)
    return _linear(sign, Node(Head.SUM, (left.tree, Node(Head.NEGATIVE, (right.tree,)))), name)


def _half_line(sign: str, bound: Form) -> Region | None:
    end = _end(bound)
    if end is None:
        return None
    if end.form is None:
        return LINE if sign in (("<", "\\le") if end.place > 0 else (">", "\\ge")) else None
    if sign == "\\ne":
        return complement(piece(end, True, end, True))
    closed = sign in ("\\le", "\\ge")
    return piece(MINUS_INFINITY, False, end, closed) if sign in ("<", "\\le") else piece(end, closed, INFINITY, False)


def _absolute(sign: str, inner: Node, bound: Node, name: str) -> Region | None:
    upper = _linear(sign, Node(Head.SUM, (inner, Node(Head.NEGATIVE, (bound,)))), name)
    lower = _linear(FLIPPED[sign], Node(Head.SUM, (inner, bound)), name)
    if upper is None or lower is None:
        return None
    return united([*upper, *lower]) if sign in (">", "\\ge") else intersection(upper, lower)


def _linear(sign: str, difference: Node, name: str) -> Region | None:
    """Solves `difference` sign 0, which is linear in the variable where its normal form is."""
    value = exact_or_none(difference)
    if value is None or any(name in part for term in value.denominator for part, _ in term.symbols):
        return None
    powers = {power for term in value.numerator for part, power in term.symbols if name in part}
    if powers != {UNIT} or any(part != name and name in part for term in value.numerator for part, _ in term.symbols):
        return None
    at_zero, at_one = (replaced(difference, name, number(place)) for place in (0, 1))
    slope = Node(Head.SUM, (at_one, Node(Head.NEGATIVE, (at_zero,))))
    steepness = evaluate(slope, {})
    if steepness is None or abs(steepness.value) <= steepness.radius or steepness.value.imag:
        return None
    solution = Node(Head.NEGATIVE, (Node(Head.QUOTIENT, (at_zero, slope)),))
    bound = Form(shape=Shape.SCALAR, text="", tree=_simple(solution))
    return _half_line(sign if steepness.value.real > 0 else FLIPPED[sign], bound)


def _simple(tree: Node) -> Node:
    """The tree as a plain number where it is rational."""
    value = exact_or_none(tree)
    found = as_rational(value) if value is not None else None
    return number(found) if found is not None else tree


RULES: Mapping[Shape, Callable[[Form], Region | None]] = {
    Shape.INTERVAL: _interval,
    Shape.TUPLE: lambda form: _interval(form) if form.brackets == "()" else None,
    Shape.UNION: _union,
    Shape.SET: lambda form: _listed(form) if is_region(form) else _points(form),
    Shape.LIST: _listed,
    Shape.WITHOUT: _without,
    Shape.RELATION: _relation,
    Shape.TEXT: lambda form: LINE if _is_line(form) else None,
}
