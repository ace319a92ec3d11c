r"""Exact values of logarithms, powers with any exponent, and trigonometric functions.

Logarithms of rationals are sums of logarithms of primes; powers are products over the terms of their exponents
(`2^{n+1}` is twice `2^n`); the cosine of a rational number of degrees is a radical where the table has it. What is left
is an atom named by its argument, brought to one sign. Atoms can prove that values are equal, never that they differ.
"""

import re
from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache

from thinkscale.grading.math import exact
from thinkscale.grading.math.exact import ATOM, ONE, POSITIVE_ATOM, Exact, added, divided, multiplied, negated, rational
from thinkscale.grading.math.monomials import UNIT, Monomial, Unreadable, factors_of
from thinkscale.grading.math.radicals import content_of, is_surely_positive, raised, root

PI = Monomial(symbols=(("\\pi", UNIT),))
IMAGINARY_PI = Monomial(imaginary=True, symbols=(("\\pi", UNIT),))
COSINES: tuple[tuple[int, tuple[tuple[int, int], ...], int], ...] = (
    (0, ((1, 1),), 1),
    (15, ((1, 6), (1, 2)), 4),
    (30, ((1, 3),), 2),
    (36, ((1, 1), (1, 5)), 4),
    (45, ((1, 2),), 2),
    (60, ((1, 1),), 2),
    (72, ((-1, 1), (1, 5)), 4),
    (75, ((1, 6), (-1, 2)), 4),
    (90, (), 1),
)
"""Degrees, terms (factor, radicand), denominator."""
MAX_SQUARES = 12
LOGARITHM_OF_PRIME = re.compile(rf"{POSITIVE_ATOM}ln\((\d+)/1\)")


def atom(name: str, *arguments: Exact, positive: bool = False) -> Exact:
    """A value known by its name and arguments only."""
    spelled = f"{POSITIVE_ATOM if positive else ATOM}{name}({','.join(exact.key(argument) for argument in arguments)})"
    return exact.symbol(spelled)


def logarithm(value: Exact) -> Exact:
    """The natural logarithm. Raises Unreadable for zero."""
    if not value.numerator:
        raise Unreadable("logarithm of zero")
    if len(value.numerator) == 1 == len(value.denominator):
        ((monomial, coefficient),) = divided(value, rational(1)).numerator.items()
        if coefficient > 0 and not monomial.imaginary and len(value.denominator) == 1:
            bottom = value.denominator.get(ONE)
            if bottom is not None:
                return _logarithm_of_term(monomial, coefficient / bottom)
    elif is_surely_positive(value) and len(value.denominator) > 1:
        one = rational(1).denominator
        return added(logarithm(Exact(value.numerator, one)), negated(logarithm(Exact(value.denominator, one))))
    content = content_of(value.numerator)
    rest = Exact({monomial: part / content for monomial, part in value.numerator.items()}, value.denominator)
    return added(logarithm(rational(content)), atom("ln", rest)) if content != 1 else atom("ln", rest)


def _logarithm_of_term(monomial: Monomial, coefficient: Fraction) -> Exact:
    total = rational(0)
    parts = [(prime, Fraction(power)) for prime, power in factors_of(coefficient.numerator).items()]
    parts += [(prime, -Fraction(power)) for prime, power in factors_of(coefficient.denominator).items()]
    parts += [(prime, Fraction(power, UNIT)) for prime, power in monomial.primes]
    for prime, share in parts:
        total = added(total, multiplied(rational(share), _logarithm_of_prime(prime)))
    variables = [name for name, _ in monomial.symbols if name not in exact.CONSTANTS and name[0] != POSITIVE_ATOM]
    if len(variables) > 1 or (variables and any(not _is_odd(power) for _, power in monomial.symbols)):
        whole = Exact({Monomial(symbols=monomial.symbols): Fraction(1)}, {ONE: Fraction(1)})
        return added(total, atom("ln", whole))
    for name, power in monomial.symbols:
        part = rational(1) if name == "e" else atom("ln", exact.symbol(name), positive=name == "\\pi")
        total = added(total, multiplied(rational(Fraction(power, UNIT)), part))
    return total


def _is_odd(power: int) -> bool:
    return power % (2 * UNIT) != 0


@lru_cache(maxsize=256)
def _logarithm_of_prime(prime: int) -> Exact:
    return atom("ln", rational(prime), positive=True)


def power(base: Exact, exponent: Exact) -> Exact:
    """base ** exponent for any exponent that is a sum. Raises Unreadable beyond the bounds."""
    fixed = exact.as_rational(exponent)
    if fixed is not None:
        return raised(base, fixed)
    if len(exponent.denominator) != 1:
        return atom("power", base, exponent)
    result = rational(1)
    for monomial, share in divided(exponent, rational(1)).numerator.items():
        part = _power_of_term(base, monomial, share / _only(exponent.denominator))
        result = multiplied(result, part)
    return result


def _only(denominator: exact.Sum) -> Fraction:
    if ONE not in denominator:
        raise Unreadable("exponent with a root in its denominator")
    return denominator[ONE]


def _power_of_term(base: Exact, monomial: Monomial, share: Fraction) -> Exact:
    """base ** (share * monomial), split over the factors of a base of one term."""
    if monomial == ONE:
        return raised(base, share)
    if base == exact.symbol("e") and monomial == IMAGINARY_PI:
        turn = share * 180
        return added(cosine(turn), multiplied(exact.symbol("i"), sine(turn)))
    prime = LOGARITHM_OF_PRIME.fullmatch(monomial.symbols[0][0]) if len(monomial.symbols) == 1 else None
    if base == exact.symbol("e") and prime and not monomial.primes and not monomial.imaginary:
        return raised(rational(int(prime[1])), share)
    variable = Exact({monomial: Fraction(1)}, {ONE: Fraction(1)})
    if len(base.numerator) != 1 or base.denominator != {ONE: 1}:
        return raised(atom("power", base, variable, positive=is_surely_positive(base)), share)
    ((inside, coefficient),) = base.numerator.items()
    if inside.imaginary:
        return raised(atom("power", base, variable), share)
    result = rational(1)
    parts = [(rational(prime), Fraction(times)) for prime, times in factors_of(abs(coefficient.numerator)).items()]
    parts += [(rational(prime), -Fraction(times)) for prime, times in factors_of(coefficient.denominator).items()]
    parts += [(rational(prime), Fraction(times, UNIT)) for prime, times in inside.primes]
    parts += [(exact.symbol(name), Fraction(times, UNIT)) for name, times in inside.symbols]
    for factor, times in parts:
        named = atom("power", factor, variable, positive=is_surely_positive(factor))
        result = multiplied(result, _scaled_power(named, share * times))
    if coefficient < 0:
        sign = Fraction(share.numerator % (2 * share.denominator), share.denominator)
        result = multiplied(result, _scaled_power(atom("power", rational(-1), variable), sign)) if sign else result
    return result


def _scaled_power(named: Exact, share: Fraction) -> Exact:
    """The share goes straight into the exponent: x^(2n/2) is x^n, with no root taken of a root."""
    ((monomial, _),) = named.numerator.items()
    scaled = share * UNIT
    if scaled.denominator != 1 or abs(share) > 100:
        raise Unreadable("exponent out of bounds")
    symbols = tuple((name, int(scaled)) for name, _ in monomial.symbols)
    return Exact({Monomial(symbols=symbols): Fraction(1)}, {ONE: Fraction(1)})


def degrees(angle: Exact) -> Fraction | None:
    r"""The angle in degrees where it is a rational multiple of \pi, else None."""
    if not angle.numerator:
        return Fraction(0)
    if list(angle.numerator) == [PI] and list(angle.denominator) == [ONE]:
        return 180 * angle.numerator[PI] / angle.denominator[ONE]
    return None


@lru_cache(maxsize=512)
def cosine(turn: Fraction) -> Exact:
    """The cosine of a rational number of degrees."""
    turn = abs(turn) % 360
    if turn > 180:
        turn = 360 - turn
    if turn > 90:
        return negated(cosine(180 - turn))
    for angle, terms, denominator in COSINES:
        if angle == turn:
            value = rational(0)
            for factor, radicand in terms:
                value = added(value, multiplied(rational(Fraction(factor, denominator)), root(rational(radicand), 2)))
            return value
    return atom("cos", rational(turn), positive=True)


def sine(turn: Fraction) -> Exact:
    """The sine of a rational number of degrees."""
    return cosine(turn - 90)


def _sine_of(angle: Exact) -> Exact:
    turn = degrees(angle)
    if turn is not None:
        return sine(turn)
    flipped, angle = _one_sign(angle)
    return negated(atom("sin", angle)) if flipped else atom("sin", angle)


def _cosine_of(angle: Exact) -> Exact:
    turn = degrees(angle)
    return cosine(turn) if turn is not None else atom("cos", _one_sign(angle)[1])


def vanishes_on_circle(terms: exact.Sum) -> bool:
    """Whether the sum is zero once sin^2 is written as 1 - cos^2 throughout."""
    for _ in range(MAX_SQUARES):
        place = next(
            (
                (term, name)
                for term in terms
                for name, times in term.symbols
                if name[1:5] == "sin(" and times >= 2 * UNIT
            ),
            None,
        )
        if place is None:
            return not terms
        terms = _without_square(terms, *place)
    return False


def _without_square(terms: exact.Sum, term: Monomial, name: str) -> exact.Sum:
    rest = {one: part for one, part in terms.items() if one != term}
    symbols = tuple((base, times - 2 * UNIT * (base == name)) for base, times in term.symbols)
    lowered = Monomial(term.primes, term.imaginary, tuple((base, times) for base, times in symbols if times))
    cosine_atom = exact.symbol(f"{name[0]}cos({name[5:]}")
    circle = added(rational(1), negated(multiplied(cosine_atom, cosine_atom)))
    replaced = exact.product({lowered: terms[term]}, circle.numerator)
    return added(Exact(rest, {ONE: Fraction(1)}), Exact(replaced, {ONE: Fraction(1)})).numerator


def _one_sign(value: Exact) -> tuple[bool, Exact]:
    """Whether the first term by order is negative, and the value with it positive."""
    flipped = bool(value.numerator) and value.numerator[min(value.numerator)] < 0
    return flipped, negated(value) if flipped else value


def absolute(value: Exact) -> Exact:
    """The absolute value: exact where the sign is known."""
    number = exact.as_rational(value)
    if number is not None:
        return rational(abs(number))
    if is_surely_positive(value):
        return value
    return atom("abs", _one_sign(value)[1])


@lru_cache(maxsize=1)
def _arcs() -> tuple[tuple[Exact, int], ...]:
    """Cosines of the table with their degrees."""
    return tuple((cosine(Fraction(angle)), angle) for angle, _, _ in COSINES)


def _arc(name: str, value: Exact) -> Exact:
    flipped, positive = _one_sign(value)
    candidates = [(angle, cosine_) for cosine_, angle in _arcs()]
    if name in ("arctan", "arccot"):
        candidates = [(angle, divided(sine(Fraction(angle)), c)) for angle, c in candidates if angle != 90]
    for angle, known in candidates:
        if not exact.equal(positive, known):
            continue
        turn = {"arccos": angle, "arcsin": 90 - angle, "arctan": angle, "arccot": 90 - angle}[name]
        if flipped:
            turn = 180 - turn if name in ("arccos", "arccot") else -turn
        return multiplied(rational(Fraction(turn, 180)), exact.symbol("\\pi"))
    if flipped and name in ("arcsin", "arctan"):
        return negated(atom(name, positive))
    return atom(name, value)


def _hyperbolic(value: Exact, sign: Exact) -> Exact:
    """Half of e^x plus or minus e^-x."""
    up, down = (power(exact.symbol("e"), part) for part in (value, negated(value)))
    return multiplied(rational(Fraction(1, 2)), added(up, multiplied(sign, down)))


FUNCTIONS: dict[str, Callable[[Exact], Exact]] = {
    "sin": _sine_of,
    "cos": _cosine_of,
    "tan": lambda angle: divided(_sine_of(angle), _cosine_of(angle)),
    "cot": lambda angle: divided(_cosine_of(angle), _sine_of(angle)),
    "sec": lambda angle: divided(rational(1), _cosine_of(angle)),
    "csc": lambda angle: divided(rational(1), _sine_of(angle)),
    "arcsin": lambda value: _arc("arcsin", value),
    "arccos": lambda value: _arc("arccos", value),
    "arctan": lambda value: _arc("arctan", value),
    "arccot": lambda value: _arc("arccot", value),
    "ln": logarithm,
    "exp": lambda value: power(exact.symbol("e"), value),
    "abs": absolute,
    "sinh": lambda value: _hyperbolic(value, rational(-1)),
    "cosh": lambda value: _hyperbolic(value, rational(1)),
    "tanh": lambda value: divided(_hyperbolic(value, rational(-1)), _hyperbolic(value, rational(1))),
}
"""Functions of one argument; the rest is read in closed_forms.py."""
