"""Products of prime powers, i and symbols: the terms of exact.py, and the factoring they need.

Exponents are integers in units of 1/27720, which holds all roots up to the twelfth exactly. Exponents of primes lie
strictly between 0 and 1; whole powers become a rational factor at once, so that a product has one form only.
"""

import math
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple, TypeVar

MAX_COEFFICIENT_BITS = 8_000
MAX_EXPONENT = 5_000
UNIT = math.lcm(*range(1, 13))
"""An exponent of one."""
MAX_FACTORED_BITS = 400
LARGEST_TRIAL_DIVISOR = 20_000


Base = TypeVar("Base", int, str)


class Unreadable(Exception):  # noqa: N818 (it is a verdict on a text, not a failure of the program)
    """The text is outside the language or beyond its bounds. Never leaves this package."""


class Monomial(NamedTuple):
    """Prime powers (prime, exponent), i or not, symbol powers (name, exponent); both sorted by base."""

    primes: tuple[tuple[int, int], ...] = ()
    imaginary: bool = False
    symbols: tuple[tuple[str, int], ...] = ()


@lru_cache(maxsize=4096)
def monomial_product(left: Monomial, right: Monomial) -> tuple[Fraction, Monomial]:
    """The product as a rational factor and a monomial."""
    factor, primes = reduced(_added(left.primes, right.primes))
    symbols = _added(left.symbols, right.symbols)
    if any(abs(power) > MAX_EXPONENT * UNIT for power in symbols.values()):
        raise Unreadable("exponent out of bounds")
    if left.imaginary and right.imaginary:
        factor = -factor
    kept = tuple(sorted((name, power) for name, power in symbols.items() if power))
    return factor, Monomial(primes, left.imaginary != right.imaginary, kept)


def _added(left: tuple[tuple[Base, int], ...], right: tuple[tuple[Base, int], ...]) -> dict[Base, int]:
    powers = dict(left)
    for base, power in right:
        powers[base] = powers.get(base, 0) + power
    return powers


def reduced(powers: dict[int, int]) -> tuple[Fraction, tuple[tuple[int, int], ...]]:
    """A product of prime powers as a rational factor and what is left, exponents between 0 and 1."""
    factor, left = Fraction(1), []
    for prime, power in sorted(powers.items()):
        whole, rest = divmod(power, UNIT)
        if abs(whole) * prime.bit_length() > MAX_COEFFICIENT_BITS:
            raise Unreadable("number out of bounds")
        if whole:
            factor *= Fraction(prime) ** whole
        if rest:
            left.append((prime, rest))
    return factor, tuple(left)


@lru_cache(maxsize=1024)
def factors_of(number: int) -> MappingProxyType[int, int]:
    """Prime factors of a positive integer by trial division. Raises Unreadable where a large part stays unfactored."""
    if number.bit_length() > MAX_FACTORED_BITS:
        raise Unreadable("number under a root out of bounds")
    factors: dict[int, int] = {}
    divisor = 2
    while divisor <= LARGEST_TRIAL_DIVISOR and divisor * divisor <= number:
        while number % divisor == 0:
            factors[divisor] = factors.get(divisor, 0) + 1
            number //= divisor
        divisor += 1 if divisor == 2 else 2
    if number == 1:
        return MappingProxyType(factors)
    side = math.isqrt(number)
    prime, power = (side, 2) if side * side == number else (number, 1)
    if prime > LARGEST_TRIAL_DIVISOR**2:
        raise Unreadable("number under a root has large prime factors")
    factors[prime] = factors.get(prime, 0) + power
    return MappingProxyType(factors)
