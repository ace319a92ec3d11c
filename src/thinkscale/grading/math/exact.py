r"""Exact arithmetic on closed forms: sums of rational multiples of radicals, powers of i, and symbols.

A value is a quotient of two sums. A sum maps a monomial (monomials.py) to its rational coefficient; a monomial is a
product of primes to fractional powers between 0 and 1, of i or not, and of symbols (pi, e, variables) to rational
powers. Products of such prime powers are linearly independent over the rationals (Besicovitch, J. London Math. Soc.
15, 1940), so a sum is zero exactly where it has no terms, and two values are equal exactly where their cross products
are: no rounding anywhere. Symbols are formal: pi is not 3.14159.

Everything is bounded, since model output is read with it; whatever exceeds a bound raises `Unreadable`.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TypeAlias

from thinkscale.grading.math.monomials import (
    MAX_COEFFICIENT_BITS,
    UNIT,
    Monomial,
    Unreadable,
    monomial_product,
    reduced,
)

MAX_TERMS = 60
MAX_SUM_COEFFICIENT_BITS = 300
"""For coefficients of sums with several terms, whose powers are costly."""
MAX_WORK = 1_000
"""Products of two terms in the whole history of a value: a few milliseconds at the worst."""

CONSTANTS = frozenset({"\\pi", "e"})
ATOM, POSITIVE_ATOM = "⟦", "⟪"
"""First characters of names of atoms: values that are no sums or products (`⟦sin(1*x^1)`); the second is positive."""
MAX_KEY_CHARACTERS = 1_000
"""Names of atoms hold the names of atoms inside them: without a bound, powers of nested sums would multiply them."""


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
    numerator = _sum(product(left.numerator, right.denominator), product(right.numerator, left.denominator))
    return Exact(numerator, product(left.denominator, right.denominator), work)


def multiplied(left: Exact, right: Exact) -> Exact:
    work = left.work + right.work + _size(left) * _size(right)
    return Exact(product(left.numerator, right.numerator), product(left.denominator, right.denominator), work)


def divided(left: Exact, right: Exact) -> Exact:
    """left / right. Raises Unreadable where right is zero."""
    if not right.numerator:
        raise Unreadable("division by zero")
    work = left.work + right.work + _size(left) * _size(right)
    numerator = product(left.numerator, right.denominator)
    denominator = product(left.denominator, right.numerator)
    if len(denominator) == 1:
        return Exact(product(numerator, inverse(denominator)), {ONE: Fraction(1)}, work)
    return Exact(numerator, denominator, work)


def equal(left: Exact, right: Exact) -> bool:
    """Exact equality. Raises Unreadable where the cross products exceed the bounds."""
    if left.denominator == right.denominator:
        return left.numerator == right.numerator
    _check_cross_products(left, right)
    return product(left.numerator, right.denominator) == product(right.numerator, left.denominator)


def difference(left: Exact, right: Exact) -> Sum:
    """The numerator of left - right. Raises Unreadable where the cross products exceed the bounds."""
    _check_cross_products(left, right)
    first, second = product(left.numerator, right.denominator), product(right.numerator, left.denominator)
    return _sum(first, {monomial: -coefficient for monomial, coefficient in second.items()})


def proportional(left: Exact, right: Exact) -> bool:
    """Whether left = c * right for a rational c other than zero."""
    _check_cross_products(left, right)
    a = product(left.numerator, right.denominator)
    b = product(right.numerator, left.denominator)
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
    return frozenset(
        name
        for term in terms
        for name, _ in term.symbols
        if name not in CONSTANTS and name[0] not in (ATOM, POSITIVE_ATOM)
    )


def contains(value: Exact, name: str) -> bool:
    """Whether the symbol occurs in the value."""
    return any(found == name for term in (*value.numerator, *value.denominator) for found, _ in term.symbols)


def has_atoms(value: Exact) -> bool:
    """Whether the value holds atoms: then unequal forms do not prove unequal values."""
    terms = (*value.numerator, *value.denominator)
    return any(name[0] in (ATOM, POSITIVE_ATOM) for term in terms for name, _ in term.symbols)


def key(value: Exact) -> str:
    """A spelling of the value that equal sums share; quotients of sums are scaled, not reduced."""
    if len(value.denominator) == 1 and value.denominator != {ONE: Fraction(1)}:
        value = Exact(product(value.numerator, inverse(value.denominator)), {ONE: Fraction(1)}, value.work)
    top, bottom = sorted(value.numerator.items()), sorted(value.denominator.items())
    scale = bottom[0][1]
    spelled = "/".join("+".join(f"{part / scale}{_spelled(term)}" for term, part in side) for side in (top, bottom))
    if len(spelled) > MAX_KEY_CHARACTERS:
        raise Unreadable("argument out of bounds")
    return spelled


def _spelled(term: Monomial) -> str:
    factors = [f"*{base}^{Fraction(power, UNIT)}" for base, power in (*term.primes, *term.symbols)]
    return ("*i" if term.imaginary else "") + "".join(factors)


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


def product(left: Sum, right: Sum) -> Sum:
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


def inverse(single: Sum) -> Sum:
    ((monomial, coefficient),) = single.items()
    factor, primes = reduced({prime: -power for prime, power in monomial.primes})
    symbols = tuple((name, -power) for name, power in monomial.symbols)
    if monomial.imaginary:
        factor = -factor
    return {Monomial(primes, monomial.imaginary, symbols): factor / coefficient}


def whole_power(base: Exact, exponent: int) -> Exact:
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
            result = product(result, base)
        exponent >>= 1
        if exponent:
            work += len(base) ** 2
            base = product(base, base)
        if work > MAX_WORK:
            raise Unreadable("too many operations")
    return result, work
