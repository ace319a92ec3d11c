r"""Roots and rational powers of exact values.

A root of one term is a term. A square root of `a + t`, with a rational and t a term whose square is rational, is a
of two roots where a^2 - t^2 is the square of a rational (Borodin et al., J. Symb. Comput. 1, 1985). Any other root is
an atom, after its rational content was taken out.
"""

import math
from fractions import Fraction

from thinkscale.grading.math.exact import (
    ATOM,
    CONSTANTS,
    ONE,
    POSITIVE_ATOM,
    Exact,
    Sum,
    added,
    as_rational,
    inverse,
    key,
    multiplied,
    negated,
    product,
    rational,
    whole_power,
)
from thinkscale.grading.math.monomials import MAX_EXPONENT, UNIT, Monomial, Unreadable, factors_of, reduced

MAX_ROOT = 12


def raised(base: Exact, exponent: Fraction) -> Exact:
    """base ** exponent, the real root where the denominator is odd. Raises Unreadable beyond the bounds."""
    if not base.numerator:
        if exponent <= 0:
            raise Unreadable("zero to a power that is not positive")
        return base
    if abs(exponent.numerator) > MAX_EXPONENT or exponent.denominator > MAX_ROOT:
        raise Unreadable("exponent out of bounds")
    power = whole_power(base, exponent.numerator)
    return power if exponent.denominator == 1 else root(power, exponent.denominator)


def root(value: Exact, degree: int) -> Exact:
    """The principal root; the real one where the degree is odd."""
    if not 2 <= degree <= MAX_ROOT:
        raise Unreadable("degree of a root out of bounds")
    if not value.numerator:
        return value
    value = _with_single_denominator(value)
    if len(value.numerator) == 1 == len(value.denominator):
        monomial, coefficient = _single_term(value)
        if _splits(monomial, coefficient, degree):
            return _root_of_term(monomial, coefficient, degree, value.work)
    elif degree == 2 and len(value.denominator) == 1:
        found = _denested(value)
        if found is not None:
            return found
    return _atom(value, degree)


def is_surely_positive(value: Exact) -> bool:
    """Whether all terms are positive: positive coefficients of positive constants."""
    terms = (*value.numerator.items(), *value.denominator.items())
    return all(coefficient > 0 and _is_positive(monomial) for monomial, coefficient in terms)


def _is_positive(monomial: Monomial) -> bool:
    return not monomial.imaginary and all(name in CONSTANTS or name[0] == POSITIVE_ATOM for name, _ in monomial.symbols)


def _splits(monomial: Monomial, coefficient: Fraction, degree: int) -> bool:
    """Whether the root of the term is the product of the roots of its factors."""
    if monomial.imaginary:
        raise Unreadable("root of an imaginary number")
    if degree % 2:
        return True
    if coefficient < 0 and (degree != 2 or not _is_positive(monomial)):
        return False
    return all(
        name in CONSTANTS or name[0] == POSITIVE_ATOM or power % (2 * UNIT) or power % (2 * degree * UNIT) == 0
        for name, power in monomial.symbols
    )


def _root_of_term(monomial: Monomial, coefficient: Fraction, degree: int, work: int) -> Exact:
    powers = _prime_powers(abs(coefficient))
    for prime, power in monomial.primes:
        powers[prime] = powers.get(prime, 0) + power
    constant, primes = reduced({prime: _divided(power, degree) for prime, power in powers.items()})
    symbols = tuple((name, _divided(power, degree)) for name, power in monomial.symbols)
    sign = -1 if coefficient < 0 and degree % 2 else 1
    found = Monomial(primes, coefficient < 0 and degree == 2, symbols)
    return Exact({found: sign * constant}, {ONE: Fraction(1)}, work)


def _denested(value: Exact) -> Exact | None:
    r"""sqrt(a + t) as sqrt((a + d) / 2) +- sqrt((a - d) / 2) with d^2 = a^2 - t^2, where d is rational."""
    terms = product(value.numerator, inverse(value.denominator))
    if len(terms) != 2 or ONE not in terms or any(monomial.symbols or monomial.imaginary for monomial in terms):
        return None
    whole = terms[ONE]
    ((monomial, coefficient),) = ((m, c) for m, c in terms.items() if m != ONE)
    term = Exact({monomial: coefficient}, {ONE: Fraction(1)})
    square = as_rational(multiplied(term, term))
    if square is None or whole <= 0 or whole**2 < square:
        return None
    side = _rational_root(whole**2 - square)
    if side is None:
        return None
    first, second = (root(rational((whole + part) / 2), 2) for part in (side, -side))
    return added(first, negated(second) if coefficient < 0 else second)


def _rational_root(value: Fraction) -> Fraction | None:
    found = Fraction(math.isqrt(value.numerator), math.isqrt(value.denominator))
    return found if found**2 == value else None


def _atom(value: Exact, degree: int) -> Exact:
    content = content_of(value.numerator)
    rest = Exact({monomial: part / content for monomial, part in value.numerator.items()}, value.denominator)
    sign = POSITIVE_ATOM if is_surely_positive(rest) else ATOM
    outside = root(rational(content), degree)
    inside = Monomial(symbols=((f"{sign}{key(rest)}", UNIT // degree),))
    return multiplied(outside, Exact({inside: Fraction(1)}, {ONE: Fraction(1)}, value.work))


def content_of(terms: Sum) -> Fraction:
    """The positive rational that divides all coefficients and leaves coprime integers."""
    tops, bottoms = zip(*((part.numerator, part.denominator) for part in terms.values()), strict=True)
    return Fraction(math.gcd(*tops), math.lcm(*bottoms))


def _with_single_denominator(value: Exact) -> Exact:
    """The same value with a denominator of one term, where it has two terms and a conjugate that does that."""
    if len(value.denominator) != 2:
        return value
    (first, second) = value.denominator.items()
    conjugate = {first[0]: first[1], second[0]: -second[1]}
    bottom = product(value.denominator, conjugate)
    if len(bottom) != 1:
        return value
    return Exact(product(value.numerator, conjugate), bottom, value.work + 4 * len(value.numerator))


def _single_term(value: Exact) -> tuple[Monomial, Fraction]:
    ((monomial, coefficient),) = product(value.numerator, inverse(value.denominator)).items()
    return monomial, coefficient


def _prime_powers(value: Fraction) -> dict[int, int]:
    powers = {prime: power * UNIT for prime, power in factors_of(value.numerator).items()}
    return powers | {prime: -power * UNIT for prime, power in factors_of(value.denominator).items()}


def _divided(power: int, degree: int) -> int:
    if power % degree:
        raise Unreadable("roots of roots out of bounds")
    return power // degree
