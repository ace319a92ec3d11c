"""Two expressions compared by value: at points, with 40 digits, and by simplification.

Points are drawn with a fixed seed from three classes: positive reals, negative reals, positive integers. Expressions
that differ on positive reals and on integers are different. Those that agree wherever both have a value, in every
class, are equal: a difference that is not the zero function vanishes at so many random points with a probability of
practically zero (for polynomials: Schwartz, J. ACM 27, 1980; Zippel, 1979). What agrees in one class only (the square
root of x squared, and x) is left undecided, since the question may or may not say what x is.
"""

import random
from collections.abc import Mapping

import sympy
from mpmath import mp  # type: ignore[import-untyped]
from sympy import Expr, Integer, Rational, Symbol

from thinkscale.grading.math.values import DIFFERENT, EQUAL, UNDECIDED, Outcome

DIGITS = 40
AGREEING = mp.mpf(10) ** -25
DIFFERING = mp.mpf(10) ** -12
POINTS = 4
"""In each class."""
MAX_SIMPLIFIED_OPERATIONS = 60
BITS = 140
MAX_WRITTEN_OUT = 1_000
"""Terms of a sum or product."""
ITERATED = (sympy.Sum, sympy.Product)

Point = Mapping[Symbol, Expr]
Found = tuple[Outcome, str]


def compare_expressions(left: Expr, right: Expr) -> Found:
    """Whether two expressions are the same function of their symbols, and on what evidence."""
    if left == right:
        return EQUAL, "the same expression"
    if left.has(sympy.nan, sympy.zoo) or right.has(sympy.nan, sympy.zoo):
        return UNDECIDED, "no value"
    if {left, right} & {sympy.oo, -sympy.oo}:
        other = right if left in (sympy.oo, -sympy.oo) else left
        finite = other in (sympy.oo, -sympy.oo) or value_at(other, {}) is not None
        return (DIFFERENT, "infinite") if finite else (UNDECIDED, "infinite against an expression")
    ours, theirs = free_symbols(left), free_symbols(right)
    if not ours and not theirs:
        return _constants(left, right)
    if not ours <= theirs and not theirs <= ours:
        return UNDECIDED, "variables differ"
    return _functions(left, right, sorted(ours | theirs, key=str))


def free_symbols(expression: Expr) -> frozenset[Symbol]:
    """The symbols that an expression depends on as written."""
    return frozenset(expression.free_symbols)


def value_at(expression: Expr, point: Point) -> mp.mpc | None:
    """The value with 40 digits, None where there is none or it cannot be had."""
    try:
        found = _finished(expression.subs(point) if point else expression).evalf(DIGITS)
        real, imaginary = found.as_real_imag()
        if not (real.is_Number and imaginary.is_Number):
            return None
        with mp.workdps(DIGITS):
            value = mp.mpc(real._to_mpmath(BITS), imaginary._to_mpmath(BITS))
    except (TypeError, ValueError, ArithmeticError, AttributeError, NotImplementedError, RecursionError):
        return None  # sympy has no value for it, and says so in many ways
    return value if mp.isfinite(value) else None


def _finished(expression: Expr) -> Expr:
    """Finite sums and products written out, limits taken. Raises ValueError where bounds are no integers."""
    found = expression
    while found.has(*ITERATED):
        inner = next(part for part in sympy.postorder_traversal(found) if isinstance(part, ITERATED))
        if inner.limits[0][2] is sympy.oo and isinstance(inner, sympy.Sum) and found == inner:
            return found  # left to sympy's summation of series
        found = found.xreplace({inner: _written_out(inner)})
    return found.doit() if found.has(sympy.Limit) else found


def _written_out(inner: Expr) -> Expr:
    index, first, last = inner.limits[0]
    if not (first.is_Integer and last.is_Integer and len(inner.limits) == 1):
        raise ValueError("bounds are no integers")
    if last - first > MAX_WRITTEN_OUT:
        raise ValueError("too many terms")
    made = sympy.Add if isinstance(inner, sympy.Sum) else sympy.Mul
    return made(*(inner.function.subs(index, at) for at in range(int(first), int(last) + 1)))


def agree(left: mp.mpc, right: mp.mpc) -> bool | None:
    """Whether two values are the same; None where that is beyond the digits that were had."""
    with mp.workdps(DIGITS):
        distance, size = abs(left - right), max(abs(left), abs(right))
        if distance <= AGREEING * max(size, mp.mpf(10) ** -10):
            return True
        return False if distance > DIFFERING * size else None


def points(symbols: list[Symbol]) -> dict[str, list[dict[Symbol, Expr]]]:
    """Points by class; the same for the same symbols."""
    draw = random.Random(len(symbols))
    return {
        "positive reals": [
            {symbol: Rational(draw.randint(5, 400), 97) for symbol in symbols} for _ in range(POINTS)
        ],
        "negative reals": [
            {symbol: -Rational(draw.randint(5, 400), 89) for symbol in symbols} for _ in range(POINTS)
        ],
        "positive integers": [{symbol: Integer(draw.randint(2, 12)) for symbol in symbols} for _ in range(POINTS)],
    }  # fmt: skip


def _constants(left: Expr, right: Expr) -> Found:
    a, b = value_at(left, {}), value_at(right, {})
    if a is None or b is None:
        return UNDECIDED, "no value"
    same = agree(a, b)
    if same is None:
        return UNDECIDED, "values too close to tell"
    if not same:
        return DIFFERENT, f"{mp.nstr(a, 12)} and {mp.nstr(b, 12)}"
    return EQUAL, _proof(left, right) or "equal to 25 digits"


def _functions(left: Expr, right: Expr, symbols: list[Symbol]) -> Found:
    verdicts = {name: _at_points(left, right, found) for name, found in points(symbols).items()}
    known = {name: verdict for name, verdict in verdicts.items() if verdict is not None}
    if not known:
        return UNDECIDED, "no values to compare"
    if all(known.values()):
        return EQUAL, _proof(left, right) or f"equal to 25 digits at points among {', '.join(known)}"
    if not any(known.values()):
        return DIFFERENT, f"values differ among {', '.join(known)}"
    return UNDECIDED, f"equal only for {', '.join(name for name, same in known.items() if same)}"


def _at_points(left: Expr, right: Expr, found: list[dict[Symbol, Expr]]) -> bool | None:
    """Whether the two agree at all points where both have values; None where that is nowhere, or cannot be told."""
    seen = 0
    for point in found:
        a, b = value_at(left, point), value_at(right, point)
        if a is None or b is None:
            continue
        same = agree(a, b)
        if not same:
            return same
        seen += 1
    return True if seen >= POINTS // 2 else None


def _proof(left: Expr, right: Expr) -> str:
    """Says that the difference simplifies to zero; empty where it is too large to try, or does not."""
    difference = left - right
    if difference == 0 or sympy.count_ops(difference) > MAX_SIMPLIFIED_OPERATIONS:
        return "the difference is zero" if difference == 0 else ""
    return "the difference expands to zero" if sympy.expand(difference) == 0 else ""
