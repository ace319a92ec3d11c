r"""The exact value of a tree: each head by the rule of its file.

`\log` without a base is the logarithm to a base that the caller names, since books mean 10 or e by it.
"""

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

from thinkscale.grading.math import exact
from thinkscale.grading.math.exact import Exact, added, as_rational, divided, multiplied, negated, rational
from thinkscale.grading.math.functions import FUNCTIONS, absolute, atom, logarithm, power
from thinkscale.grading.math.monomials import Unreadable
from thinkscale.grading.math.nodes import Head, Node
from thinkscale.grading.math.radicals import root

MAX_FACTORIAL = 500
MAX_BINOMIAL = 100_000
MAX_SHORT_SIDE = 250
"""Of the two parts that a binomial coefficient splits its upper index into: bounds the number to 4,300 bits."""
MAX_LOWER = 6
"""Binomials over a variable are polynomials up to this lower index."""


def exact_value(tree: Node, log_base: int | None = None) -> Exact:
    r"""The value of `tree`. `log_base` is the base of a bare `\log`, None for e. Raises Unreadable beyond bounds."""
    head = tree.head
    if head is Head.NUMBER:
        return rational(tree.value)
    if head is Head.SYMBOL:
        return exact.symbol(tree.name)
    values = [exact_value(part, log_base) for part in tree.arguments]
    if head is Head.CALL:
        return _call(tree.name, values, log_base)
    return RULES[head](values)


def _sum(values: list[Exact]) -> Exact:
    total = values[0]
    for value in values[1:]:
        total = added(total, value)
    return total


def _call(name: str, values: list[Exact], log_base: int | None) -> Exact:
    if name in ("log", "lg"):
        base = values[0] if len(values) == 2 else rational(10) if name == "lg" else None
        if base is None and log_base is not None:
            base = rational(log_base)
        top = logarithm(values[-1])
        return top if base is None else divided(top, logarithm(base))
    if name in ("floor", "ceil"):
        return _rounded(name, values[0])
    if name == "abs":
        return absolute(values[0])
    return FUNCTIONS[name](values[0])


def _rounded(name: str, value: Exact) -> Exact:
    fraction = as_rational(value)
    if fraction is None:
        return atom(name, value)
    return rational(math.floor(fraction) if name == "floor" else math.ceil(fraction))


def _root(values: list[Exact]) -> Exact:
    degree = as_rational(values[1])
    if degree is None:
        return power(values[0], divided(rational(1), values[1]))
    if degree.denominator != 1:
        raise Unreadable("degree of a root is not an integer")
    return root(values[0], int(degree))


def _natural(value: Exact, largest: int) -> int | None:
    """The value as a natural number, None where it is a variable. Raises Unreadable where it is any other number."""
    found = as_rational(value)
    if found is None:
        return None
    if found.denominator != 1 or not 0 <= found <= largest:
        raise Unreadable("not a natural number in bounds")
    return int(found)


def _factorial(values: list[Exact]) -> Exact:
    natural = _natural(values[0], MAX_FACTORIAL)
    return atom("factorial", values[0]) if natural is None else rational(math.factorial(natural))


def _binomial(values: list[Exact]) -> Exact:
    upper, lower = _natural(values[0], MAX_BINOMIAL), _natural(values[1], MAX_BINOMIAL)
    if upper is not None and lower is not None:
        if min(lower, abs(upper - lower)) > MAX_SHORT_SIDE:
            raise Unreadable("binomial out of bounds")
        return rational(math.comb(upper, lower))
    if lower is None or lower > MAX_LOWER:
        return atom("binomial", *values)
    total = rational(Fraction(1, math.factorial(lower)))
    for step in range(lower):
        total = multiplied(total, added(values[0], rational(-step)))
    return total


RULES: Mapping[Head, Callable[[list[Exact]], Exact]] = {
    Head.SUM: _sum,
    Head.PRODUCT: lambda values: multiplied(*values),
    Head.QUOTIENT: lambda values: divided(*values),
    Head.NEGATIVE: lambda values: negated(values[0]),
    Head.POWER: lambda values: power(*values),
    Head.ROOT: _root,
    Head.FACTORIAL: _factorial,
    Head.BINOMIAL: _binomial,
}
