"""Values of trees in floating point with a bound on their error: what can refute an equality, and never proves one.

A ball is a complex number and a radius within which the true value lies; each operation adds its own rounding and
what the radii of its arguments cause (midpoint-radius arithmetic, Rump, BIT 39, 1999, with generous constants). Where a
bound cannot be given (near a pole, a branch point, an overflow) there is no value. With variables, the logarithm
or even root of what is not positive has no value either: branches could otherwise tell equal functions apart.
"""

import cmath
import math
from collections.abc import Callable, Mapping
from typing import NamedTuple

from thinkscale.grading.math.nodes import Head, Node

EPSILON = 2.0**-50
LARGEST = 1e150
MAX_FACTORIAL = 100
INTEGER_NAMES = frozenset("nmkNKM")
REAL_POINTS = (
    (1.3717, 0.6113, 2.2391, 0.8311, 1.9073, 0.4799, 1.1239, 2.7103),
    (3.1871, 4.7309, 2.1517, 5.9173, 3.6011, 7.2503, 2.9009, 6.1031),
    (0.2713, 0.1931, 0.4127, 0.3313, 0.1571, 0.3671, 0.2213, 0.4513),
)
INTEGER_POINTS = ((5, 3, 2, 7, 4, 6, 9, 8), (7, 4, 3, 5, 6, 2, 8, 9), (4, 2, 3, 6, 5, 8, 7, 9))


class NoValue(Exception):  # noqa: N818 (a verdict on a tree at a point, not a failure of the program)
    """There is no value with a bound here. Never leaves this package."""


class Ball(NamedTuple):
    """A midpoint and a radius."""

    value: complex
    radius: float


def evaluate(tree: Node, point: Mapping[str, float], log_base: int | None = None) -> Ball | None:
    """The value of `tree` with variables at `point`, None where it has none that can be bounded."""
    try:
        return _Evaluator(point, log_base).ball(tree)
    except (NoValue, OverflowError, ZeroDivisionError, ValueError):
        return None


def points_for(names: frozenset[str]) -> list[dict[str, float]]:
    """Some points to try; counting variables get natural numbers, all others positive reals."""
    ordered = sorted(names)
    if len(ordered) > len(REAL_POINTS[0]):
        return []
    return [
        {name: float(integers[place]) if name in INTEGER_NAMES else reals[place] for place, name in enumerate(ordered)}
        for reals, integers in zip(REAL_POINTS, INTEGER_POINTS, strict=True)
    ]


def apart(left: Ball, right: Ball) -> bool:
    """Whether the two cannot be the same number."""
    return abs(left.value - right.value) > 2 * (left.radius + right.radius)


class _Evaluator:
    def __init__(self, point: Mapping[str, float], log_base: int | None) -> None:
        self._point = point
        self._log_base = log_base

    def ball(self, tree: Node) -> Ball:
        head = tree.head
        if head is Head.NUMBER:
            return _rounded(complex(float(tree.value)), 0.0)
        if head is Head.SYMBOL:
            return self._symbol(tree.name)
        arguments = [self.ball(part) for part in tree.arguments]
        if head is Head.CALL:
            return self._call(tree.name, arguments)
        if head in (Head.ROOT, Head.POWER):
            return self._power(tree, *arguments)
        return RULES[head](arguments)

    def _symbol(self, name: str) -> Ball:
        if name == "\\pi":
            return _rounded(complex(math.pi), 0.0)
        if name == "e":
            return _rounded(complex(math.e), 0.0)
        if name == "i":
            return Ball(1j, 0.0)
        if name not in self._point:
            raise NoValue
        return _rounded(complex(self._point[name]), 0.0)

    def _call(self, name: str, arguments: list[Ball]) -> Ball:
        if name in ("log", "lg", "ln"):
            top = self._logarithm(arguments[-1])
            if len(arguments) == 2:
                return _quotient([top, self._logarithm(arguments[0])])
            base = 10 if name == "lg" else self._log_base if name == "log" else None
            return top if base is None else _quotient([top, self._logarithm(Ball(complex(base), 0.0))])
        return CALLS[name](arguments[0])

    def _logarithm(self, argument: Ball) -> Ball:
        value, radius = argument
        size = abs(value)
        if radius * 2 >= size or (value.real <= 0 and (self._point or (abs(value.imag) <= radius and value.imag))):
            raise NoValue
        return _rounded(cmath.log(value), 2 * radius / size)

    def _power(self, tree: Node, base: Ball, second: Ball) -> Ball:
        if tree.head is Head.ROOT:
            second = _quotient([Ball(1 + 0j, 0.0), second])
        exponent = second.value
        size = abs(base.value)
        if size <= 2 * base.radius:
            if base.radius == 0 and exponent.real > 0:
                return Ball(0j, 0.0)
            raise NoValue
        whole = second.radius == 0 and exponent.imag == 0 and exponent.real == int(exponent.real)
        if exponent.real * math.log(size) > math.log(LARGEST):
            raise NoValue
        if whole and abs(exponent.real) < 2**31:
            value = base.value ** int(exponent.real)
        else:
            value = self._general_power(tree, base.value, exponent)
        relative = abs(exponent) * 2 * base.radius / size + second.radius * (abs(math.log(size)) + 4)
        if relative > 0.1:
            raise NoValue
        rounding = EPSILON * (8 + abs(exponent) * (abs(math.log(size)) + 4))
        return Ball(value, abs(value) * (1.2 * relative + rounding))

    def _general_power(self, tree: Node, base: complex, exponent: complex) -> complex:
        if base.imag == 0 and base.real < 0:
            odd = _odd_denominator(tree)
            if odd is not None and exponent.imag == 0:
                sign = -1 if odd % 2 else 1
                return complex(sign * (-base.real) ** exponent.real)
            if self._point:
                raise NoValue
        return complex(base**exponent)


def _odd_denominator(tree: Node) -> int | None:
    """The numerator of a rational exponent with an odd denominator, for which the real root is meant."""
    exponent = tree.arguments[1]
    if tree.head is Head.ROOT:
        return 1 if exponent.value.denominator == 1 and exponent.value.numerator % 2 else None
    sign = exponent.head is Head.NEGATIVE
    exponent = exponent.arguments[0] if sign else exponent
    parts = exponent.arguments
    if exponent.head is not Head.QUOTIENT or any(part.head is not Head.NUMBER for part in parts):
        return None
    fraction = parts[0].value / parts[1].value
    return fraction.numerator if fraction.denominator % 2 else None


def _rounded(value: complex, radius: float) -> Ball:
    """A ball whose value was rounded once. Whole numbers with no radius so far are exact."""
    if not cmath.isfinite(value) or abs(value) > LARGEST or not radius < LARGEST:
        raise NoValue
    if radius == 0 and value.imag == 0 and abs(value) < 2**53 and value.real.is_integer():
        return Ball(value, 0.0)
    return Ball(value, radius + abs(value) * EPSILON)


def _sum(balls: list[Ball]) -> Ball:
    total = sum((ball.value for ball in balls), 0j)
    radius = sum(ball.radius for ball in balls)
    if radius:
        radius += len(balls) * EPSILON * sum(abs(ball.value) for ball in balls)
    return _rounded(total, radius)


def _product(balls: list[Ball]) -> Ball:
    (a, r), (b, s) = balls
    return _rounded(a * b, abs(a) * s + abs(b) * r + r * s)


def _quotient(balls: list[Ball]) -> Ball:
    (a, r), (b, s) = balls
    if abs(b) <= 2 * s:
        raise NoValue
    return _rounded(a / b, (r + abs(a / b) * s) / (abs(b) - s))


def _natural(ball: Ball) -> int:
    found = round(ball.value.real)
    if abs(ball.value - found) > ball.radius or not 0 <= found <= MAX_FACTORIAL:
        raise NoValue
    return found


def _factorial(balls: list[Ball]) -> Ball:
    return _rounded(complex(math.factorial(_natural(balls[0]))), 0.0)


def _binomial(balls: list[Ball]) -> Ball:
    return _rounded(complex(math.comb(_natural(balls[0]), _natural(balls[1]))), 0.0)


def _smooth(function: Callable[[complex], complex], slope: Callable[[complex], float]) -> Callable[[Ball], Ball]:
    """A function with a bound on its slope near a point."""

    def of(ball: Ball) -> Ball:
        if ball.radius > 1e-3:
            raise NoValue
        rounding = EPSILON * abs(ball.value) if abs(ball.value) < 1e12 else 1.0
        return _rounded(function(ball.value), 1.5 * slope(ball.value) * (ball.radius + rounding))

    return of


def _steep_near_one(value: complex) -> float:
    """Slope of arcsin and arccos inside the unit interval."""
    gap = 1 - abs(value) ** 2
    if value.imag or gap < 1e-6:
        raise NoValue
    return 1 / math.sqrt(gap)


def _real_step(function: Callable[[float], int]) -> Callable[[Ball], Ball]:
    def of(ball: Ball) -> Ball:
        low, high = function(ball.value.real - ball.radius), function(ball.value.real + ball.radius)
        if ball.value.imag or low != high:
            raise NoValue
        return _rounded(complex(low), 0.0)

    return of


def _sine_slope(value: complex) -> float:
    return math.cosh(value.imag)


def _reciprocal(function: Callable[[Ball], Ball]) -> Callable[[Ball], Ball]:
    return lambda ball: _quotient([Ball(1 + 0j, 0.0), function(ball)])


SIN, COS = _smooth(cmath.sin, _sine_slope), _smooth(cmath.cos, _sine_slope)
CALLS: Mapping[str, Callable[[Ball], Ball]] = {
    "sin": SIN,
    "cos": COS,
    "tan": lambda ball: _quotient([SIN(ball), COS(ball)]),
    "cot": lambda ball: _quotient([COS(ball), SIN(ball)]),
    "sec": _reciprocal(COS),
    "csc": _reciprocal(SIN),
    "arcsin": _smooth(cmath.asin, _steep_near_one),
    "arccos": _smooth(cmath.acos, _steep_near_one),
    "arctan": _smooth(
        lambda value: complex(math.atan(value.real)) if not value.imag else cmath.atan(value), lambda _: 2.0
    ),
    "arccot": _smooth(lambda value: math.pi / 2 - cmath.atan(value), lambda _: 2.0),
    "sinh": _smooth(cmath.sinh, lambda value: abs(cmath.cosh(value)) + 1),
    "cosh": _smooth(cmath.cosh, lambda value: abs(cmath.sinh(value)) + 1),
    "tanh": _smooth(cmath.tanh, lambda _: 2.0),
    "exp": _smooth(cmath.exp, lambda value: math.exp(value.real)),
    "abs": lambda ball: _rounded(complex(abs(ball.value)), ball.radius),
    "floor": _real_step(math.floor),
    "ceil": _real_step(math.ceil),
}
RULES: Mapping[Head, Callable[[list[Ball]], Ball]] = {
    Head.SUM: _sum,
    Head.PRODUCT: _product,
    Head.QUOTIENT: _quotient,
    Head.NEGATIVE: lambda balls: Ball(-balls[0].value, balls[0].radius),
    Head.FACTORIAL: _factorial,
    Head.BINOMIAL: _binomial,
}
