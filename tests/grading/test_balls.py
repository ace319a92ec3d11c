"""Floating-point values with error bounds: the truth lies inside, and what is apart is different."""

import random
from fractions import Fraction

import pytest

from thinkscale.grading import Outcome, compare
from thinkscale.grading.math.balls import apart, evaluate, points_for
from thinkscale.grading.math.expressions import read_tree

IDENTITIES = (
    (r"\sqrt{2+\sqrt{3}}", r"\frac{\sqrt6+\sqrt2}{2}"),
    (r"\ln(2+\sqrt3)", r"-\ln(2-\sqrt3)"),
    (r"\arctan\frac12+\arctan\frac13", r"\frac{\pi}{4}"),
    (r"\cos\frac{2\pi}{7}+\cos\frac{4\pi}{7}+\cos\frac{6\pi}{7}", r"-\frac12"),
    (r"\sqrt[3]{2+\sqrt5}+\sqrt[3]{2-\sqrt5}", "1"),
    (r"\sqrt{10^{20}+1}-10^{10}", r"\frac{1}{\sqrt{10^{20}+1}+10^{10}}"),
    (r"\sin 2x", r"2\sin x\cos x"),
    (r"\ln x^2", r"2\ln x"),
    (r"\frac{n!}{(n-2)!}", "n(n-1)"),
    (r"\cosh^2 x-\sinh^2 x", "1"),
)


def fraction_text(generator: random.Random, depth: int) -> tuple[str, Fraction]:
    """A random rational expression and its true value."""
    if depth == 0:
        top, bottom = generator.randint(-50, 50), generator.randint(1, 50)
        return rf"\frac{{{top}}}{{{bottom}}}", Fraction(top, bottom)
    (left, a), (right, b) = (fraction_text(generator, depth - 1) for _ in range(2))
    sign = generator.choice("+-*/" if b else "+-*")
    value = {"+": a + b, "-": a - b, "*": a * b, "/": a / b if b else a}[sign]
    return f"({left}){sign}({right})", value


@pytest.mark.parametrize("seed", range(60))
def test_the_true_value_lies_within_the_radius(seed: int) -> None:
    text, value = fraction_text(random.Random(seed), 3)
    ball = evaluate(read_tree(text), {})
    if ball is not None:
        assert abs(Fraction(ball.value.real) - value) <= Fraction(ball.radius)
        assert ball.value.imag == 0


@pytest.mark.parametrize(("left", "right"), IDENTITIES)
def test_equal_values_are_never_apart(left: str, right: str) -> None:
    trees = [read_tree(text) for text in (left, right)]
    names = frozenset({"x"} if "x" in left else {"n"} if "n!" in left else set())
    for point in points_for(names) or [{}]:
        a, b = (evaluate(tree, point) for tree in trees)
        assert a is None or b is None or not apart(a, b)
    assert compare(left, right).outcome is not Outcome.DIFFERENT


@pytest.mark.parametrize("seed", range(100))
def test_two_rationals_are_equal_exactly_where_their_fractions_are(seed: int) -> None:
    generator = random.Random(seed)
    (left, a), (right, b) = (fraction_text(generator, 2) for _ in range(2))
    assert compare(left, right).outcome is (Outcome.EQUAL if a == b else Outcome.DIFFERENT)
    assert compare(left, rf"\frac{{{a.numerator}}}{{{a.denominator}}}").outcome is Outcome.EQUAL


def polynomial(generator: random.Random) -> str:
    terms = [f"{generator.randint(1, 9)}{generator.choice(['x', 'y', 'x^2', 'xy', ''])}" for _ in range(3)]
    return generator.choice("+-").join(terms)


@pytest.mark.parametrize("seed", range(60))
def test_expanded_products_equal_their_factors_and_nothing_else(seed: int) -> None:
    generator = random.Random(seed)
    a, b, c = (polynomial(generator) for _ in range(3))
    assert compare(f"({a})({b}+{c})", f"({a})({b})+({c})({a})").outcome is Outcome.EQUAL
    assert compare(f"({a})({b}+{c})", f"({a})({b})+({c})({a})+1").outcome is Outcome.DIFFERENT


def test_a_value_that_no_float_can_hold_is_no_value() -> None:
    for text in ("9^{9^{9^{9}}}", "10^{400}", r"\ln 0", r"\frac{1}{\sqrt2-\sqrt2}", r"\tan\frac{\pi}{2}"):
        assert evaluate(read_tree(text), {}) is None
