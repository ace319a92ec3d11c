"""The exact arithmetic against floats and by its laws."""

import math
import random
from fractions import Fraction

import pytest

from thinkscale.grading.math import exact
from thinkscale.grading.math.balls import evaluate
from thinkscale.grading.math.closed_forms import exact_value
from thinkscale.grading.math.exact import Exact
from thinkscale.grading.math.expressions import read_tree
from thinkscale.grading.math.monomials import Unreadable
from thinkscale.grading.math.radicals import raised, root


def read_expression(text: str) -> Exact:
    return exact_value(read_tree(text))


def random_expression(generator: random.Random, depth: int) -> str:
    if depth == 0:
        return generator.choice(
            ["1", "2", "3", "7", r"\sqrt{2}", r"\sqrt{12}", r"\sqrt[3]{4}", r"\pi", "0.25", r"\frac{2}{3}"]
        )
    left, right = (random_expression(generator, depth - 1) for _ in range(2))
    return generator.choice(["({} + {})", "({} - {})", "{} * {}", r"\frac{{{}}}{{{}}}"]).format(left, right)


def evaluated(text: str) -> float:
    """The same expression by Python's floats; the texts are ours."""
    for old, new in (
        (r"\sqrt[3]{4}", "4**(1/3)"),
        (r"\sqrt{2}", "2**0.5"),
        (r"\sqrt{12}", "12**0.5"),
        (r"\pi", "3.141592653589793"),
    ):
        text = text.replace(old, f"({new})")
    text = text.replace("}{", ")/(").replace(r"\frac{", "((").replace("}", "))")
    return float(eval(text))


@pytest.mark.parametrize("seed", range(60))
def test_exact_values_agree_with_floats(seed: int) -> None:
    text = random_expression(random.Random(seed), 2)
    try:
        expected = evaluated(text)
    except ZeroDivisionError:
        expected = math.inf
    if abs(expected) > 1e9:
        with pytest.raises(Unreadable, match="division by zero"):
            read_expression(text)
        return
    ball = evaluate(read_tree(text), {})
    assert ball is not None
    assert ball.value.real == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert exact.as_rational(read_expression(f"({text}) - ({text})")) == 0


@pytest.mark.parametrize("seed", range(40))
def test_sums_and_products_follow_the_laws_of_a_field(seed: int) -> None:
    generator = random.Random(seed)
    a, b, c = (read_expression(random_expression(generator, 1)) for _ in range(3))
    assert exact.equal(exact.added(a, b), exact.added(b, a))
    assert exact.equal(
        exact.multiplied(a, exact.added(b, c)), exact.added(exact.multiplied(a, b), exact.multiplied(a, c))
    )
    if b.numerator:
        assert exact.equal(exact.multiplied(exact.divided(a, b), b), a)


def test_roots_are_exact() -> None:
    root_of_twelve = root(exact.rational(12), 2)
    assert exact.equal(root_of_twelve, exact.multiplied(exact.rational(2), root(exact.rational(3), 2)))
    assert exact.as_rational(raised(root_of_twelve, Fraction(2))) == 12
    assert exact.as_rational(root(exact.rational(Fraction(-8, 27)), 3)) == Fraction(-2, 3)


@pytest.mark.parametrize(
    "text",
    [
        "1/0",
        "0^0",
        "2^{100000}",
        "x/2y",
        r"1/2\pi",
        "2 3",
        "2^3^2",
        r"\sin(x)^2",
        r"\int x",
        "(1",
    ],
)
def test_what_is_outside_the_language_is_refused(text: str) -> None:
    with pytest.raises(Unreadable):
        read_expression(text)
