r"""Exact arithmetic on closed forms: sums of rational multiples of radicals, powers of i, and symbols.

A value is a quotient of two sums. A sum maps a monomial (monomials.py) to its rational coefficient; a monomial is a
product of primes to fractional powers between 0 and 1, of i or not, and of symbols (pi, e, variables) to rational
powers. Products of such prime powers are linearly independent over the rationals (Besicovitch, J. London Math. Soc.
15, 1940), so a sum is zero exactly where it has no terms, and two values are equal exactly where their cross products
are: no rounding anywhere. Symbols are formal: pi is not 3.14159.

Everything is bounded, since model output is read with it; whatever exceeds a bound raises `Unreadable`.
"""

import cmath
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from thinkscale.grading.monomials import (
    MAX_COEFFICIENT_BITS,
    MAX_EXPONENT,
    UNIT,
    Monomial,
    Unreadable,
    factors_of,
    monomial_product,
    reduced,
)

MAX_TERMS = 60
MAX_SUM_COEFFICIENT_BITS = 300
"""For coefficients of sums with several terms, whose powers are costly."""
MAX_WORK = 1_000
"""Products of two terms in the whole history of a value: a few milliseconds at the worst."""
MAX_ROOT = 12

POSITIVE_CONSTANTS = {"\\pi": math.pi, "e": math.e}
INFINITY = "\\infty"


Sum: TypeAlias = dict[Monomial, Fraction]
ONE = Monomial()


@dataclass(frozen=True, slots=True)
class Exact:
    """numerator / denominator. Treat both as read-only; the denominator is never the empty sum.

    `work` counts the products of terms that made the value, so that no text can ask for too many.
    """

    numerator: Sum
    denominator: Sum
    work: int = 0

    def __post_init__(self) -> None:
        if self.work > MAX_WORK:
            raise Unreadable("too many operations")


def rational(value: Fraction | int) -> Exact:
    """The value as an Exact."""
    _check_size(Fraction(value), MAX_COEFFICIENT_BITS)
    return Exact({ONE: Fraction(value)} if value else {}, {ONE: Fraction(1)})


def symbol(name: str) -> Exact:
    """The formal symbol; `i` is the imaginary unit."""
    monomial = Monomial(imaginary=True) if name == "i" else Monomial(symbols=((name, UNIT),))
    return Exact({monomial: Fraction(1)}, {ONE: Fraction(1)})


def negated(value: Exact) -> Exact:
    numerator = {monomial: -coefficient for monomial, coefficient in value.numerator.items()}
    return Exact(numerator, value.denominator, value.work)


def added(left: Exact, right: Exact) -> Exact:
    if left.denominator == right.denominator:
        return Exact(_sum(left.numerator, right.numerator), left.denominator, left.work + right.work)
    work = left.work + right.work + _size(left) * _size(right)
    numerator = _sum(_product(left.numerator, right.denominator), _product(right.numerator, left.denominator))
    return Exact(numerator, _product(left.denominator, right.denominator), work)


def multiplied(left: Exact, right: Exact) -> Exact:
    work = left.work + right.work + _size(left) * _size(right)
    return Exact(_product(left.numerator, right.numerator), _product(left.denominator, right.denominator), work)


def divided(left: Exact, right: Exact) -> Exact:
    """left / right. Raises Unreadable where right is zero."""
    if not right.numerator:
        raise Unreadable("division by zero")
    work = left.work + right.work + _size(left) * _size(right)
    numerator = _product(left.numerator, right.denominator)
    denominator = _product(left.denominator, right.numerator)
    if len(denominator) == 1:
        return Exact(_product(numerator, _inverse(denominator)), {ONE: Fraction(1)}, work)
    return Exact(numerator, denominator, work)


def raised(base: Exact, exponent: Fraction) -> Exact:
    """base ** exponent; a fractional exponent only of positive constants. Raises Unreadable otherwise."""
    if not base.numerator:
        if exponent <= 0:
            raise Unreadable("zero to a power that is not positive")
        return base
    if abs(exponent.numerator) > MAX_EXPONENT or exponent.denominator > MAX_ROOT:
        raise Unreadable("exponent out of bounds")
    if exponent.denominator == 1:
        return _whole_power(base, exponent.numerator)
    if min(base.numerator.values()) < 0:
        raise Unreadable("fractional power of a value that may be negative")
    return root(_whole_power(base, exponent.numerator), exponent.denominator)


def root(value: Exact, degree: int) -> Exact:
    """The principal root of a single term; the real one where the degree is odd."""
    if not 2 <= degree <= MAX_ROOT:
        raise Unreadable("degree of a root out of bounds")
    if not value.numerator:
        return value
    monomial, coefficient = _single_term(value)
    if monomial.imaginary or any(name not in POSITIVE_CONSTANTS for name, _ in monomial.symbols):
        raise Unreadable("root of a variable or of an imaginary number")
    if coefficient < 0 and degree != 2 and degree % 2 == 0:
        raise Unreadable("even root of a negative number")
    powers = _prime_powers(abs(coefficient))
    for prime, power in monomial.primes:
        powers[prime] = powers.get(prime, 0) + power
    constant, primes = reduced({prime: _divided(power, degree) for prime, power in powers.items()})
    symbols = tuple((name, _divided(power, degree)) for name, power in monomial.symbols)
    sign = -1 if coefficient < 0 and degree % 2 else 1
    found = Monomial(primes, coefficient < 0 and degree == 2, symbols)
    return Exact({found: sign * constant}, {ONE: Fraction(1)}, value.work)


def equal(left: Exact, right: Exact) -> bool:
    """Exact equality. Raises Unreadable where the cross products exceed the bounds."""
    if left.denominator == right.denominator:
        return left.numerator == right.numerator
    _check_cross_products(left, right)
    return _product(left.numerator, right.denominator) == _product(right.numerator, left.denominator)


def proportional(left: Exact, right: Exact) -> bool:
    """Whether left = c * right for a rational c other than zero."""
    _check_cross_products(left, right)
    a = _product(left.numerator, right.denominator)
    b = _product(right.numerator, left.denominator)
    if a.keys() != b.keys() or not a:
        return False
    return len({a[monomial] / b[monomial] for monomial in a}) == 1


def as_rational(value: Exact) -> Fraction | None:
    """The value as a Fraction, None where it is not known to be rational."""
    if not value.numerator:
        return Fraction(0)
    if len(value.numerator) == 1 and len(value.denominator) == 1:
        (top, a), (bottom, b) = *value.numerator.items(), *value.denominator.items()
        if top == bottom == ONE:
            return a / b
    return None


def symbols_of(value: Exact) -> frozenset[str]:
    """Names of the variables in the value: symbols other than pi and e."""
    terms = (*value.numerator, *value.denominator)
    return frozenset(name for term in terms for name, _ in term.symbols if name not in POSITIVE_CONSTANTS)


def contains(value: Exact, name: str) -> bool:
    """Whether the symbol occurs in the value."""
    return any(found == name for term in (*value.numerator, *value.denominator) for found, _ in term.symbols)


def approximate(value: Exact) -> complex | None:
    """The value as a complex float, None where it has variables or is too large. For hints, never for equality."""
    try:
        top, bottom = _approximate_sum(value.numerator), _approximate_sum(value.denominator)
        result = top / bottom
    except (OverflowError, ZeroDivisionError, KeyError):
        return None
    return result if cmath.isfinite(result) else None


def _approximate_sum(terms: Sum) -> complex:
    total = 0j
    for monomial, coefficient in terms.items():
        term = complex(float(coefficient))
        for prime, power in monomial.primes:
            term *= prime ** (power / UNIT)
        for name, power in monomial.symbols:
            term *= POSITIVE_CONSTANTS[name] ** (power / UNIT)
        total += term * (1j if monomial.imaginary else 1)
    return total


def _check_size(value: Fraction, bits: int) -> None:
    if value.numerator.bit_length() > bits or value.denominator.bit_length() > bits:
        raise Unreadable("number out of bounds")


def _size(value: Exact) -> int:
    return max(len(value.numerator), len(value.denominator))


def _check_cross_products(left: Exact, right: Exact) -> None:
    if len(left.numerator) * len(right.denominator) + len(right.numerator) * len(left.denominator) > MAX_WORK // 4:
        raise Unreadable("too many operations")


def _checked(terms: Sum) -> Sum:
    terms = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    bits = MAX_COEFFICIENT_BITS if len(terms) < 2 else MAX_SUM_COEFFICIENT_BITS
    for coefficient in terms.values():
        _check_size(coefficient, bits)
    return terms


def _sum(left: Sum, right: Sum) -> Sum:
    total = dict(left)
    for monomial, coefficient in right.items():
        total[monomial] = total.get(monomial, Fraction(0)) + coefficient
    if len(total) > MAX_TERMS:
        raise Unreadable("too many terms")
    return _checked(total)


def _product(left: Sum, right: Sum) -> Sum:
    if right == {ONE: 1}:
        return left
    if left == {ONE: 1}:
        return right
    total: Sum = {}
    for a, a_coefficient in left.items():
        for b, b_coefficient in right.items():
            factor, monomial = monomial_product(a, b)
            total[monomial] = total.get(monomial, Fraction(0)) + factor * a_coefficient * b_coefficient
            if len(total) > MAX_TERMS:
                raise Unreadable("too many terms")
    return _checked(total)


def _inverse(single: Sum) -> Sum:
    ((monomial, coefficient),) = single.items()
    factor, primes = reduced({prime: -power for prime, power in monomial.primes})
    symbols = tuple((name, -power) for name, power in monomial.symbols)
    if monomial.imaginary:
        factor = -factor
    return {Monomial(primes, monomial.imaginary, symbols): factor / coefficient}


def _whole_power(base: Exact, exponent: int) -> Exact:
    if exponent < 0:
        base, exponent = divided(rational(1), base), -exponent
    numerator, top_work = _sum_power(base.numerator, exponent)
    denominator, bottom_work = _sum_power(base.denominator, exponent)
    return Exact(numerator, denominator, base.work + top_work + bottom_work)


def _sum_power(base: Sum, exponent: int) -> tuple[Sum, int]:
    """base ** exponent by repeated squaring, and the products of terms it took."""
    largest = max(max(abs(c.numerator), c.denominator) for c in base.values())
    if (largest.bit_length() - 1) * exponent > MAX_COEFFICIENT_BITS:
        raise Unreadable("power out of bounds")
    result: Sum = {ONE: Fraction(1)}
    work = 0
    while exponent:
        if exponent & 1:
            work += len(result) * len(base)
            result = _product(result, base)
        exponent >>= 1
        if exponent:
            work += len(base) ** 2
            base = _product(base, base)
        if work > MAX_WORK:
            raise Unreadable("too many operations")
    return result, work


def _single_term(value: Exact) -> tuple[Monomial, Fraction]:
    if len(value.numerator) != 1 or len(value.denominator) != 1:
        raise Unreadable("nested radical")
    whole = _product(value.numerator, _inverse(value.denominator))
    ((monomial, coefficient),) = whole.items()
    return monomial, coefficient


def _prime_powers(value: Fraction) -> dict[int, int]:
    powers = {prime: power * UNIT for prime, power in factors_of(value.numerator).items()}
    return powers | {prime: -power * UNIT for prime, power in factors_of(value.denominator).items()}


def _divided(power: int, degree: int) -> int:
    if power % degree:
        raise Unreadable("roots of roots out of bounds")
    return power // degree
