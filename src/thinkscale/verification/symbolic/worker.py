"""The inside of the symbolic tier: reads two answers into sympy and compares them. Runs only in a killable worker.

Started by grader.py as `python -m thinkscale.verification.symbolic.worker`.
"""

import re
from functools import partial

import sympy
from latex2sympy2_extended.latex2sympy2 import ConversionConfig, _Latex2Sympy
from sympy import Expr, Integer, Rational

from thinkscale.grading.math.forms import split_unit
from thinkscale.grading.math.notation import canonical
from thinkscale.grading.math.values import DIFFERENT, EQUAL, UNDECIDED
from thinkscale.keys import JSON
from thinkscale.sandbox.serving import Handler, compiling, serve
from thinkscale.verification.symbolic.equality import compare_things
from thinkscale.verification.symbolic.evaluation import Found
from thinkscale.verification.symbolic.latex import (
    MAX_CHARACTERS,
    WORD,
    UnknownCommandError,
    UnreadableError,
    read_latex,
)
from thinkscale.verification.symbolic.shapes import Thing, read_thing

BARE_LOGARITHM = re.compile(r"log(?![A-Za-z]|\s*\^?\{?[^_]{0,8}\}?_)")
NATURAL = re.compile(r"ln(?![A-Za-z])|(?<![A-Za-z])e(?![A-Za-z])")
NOT_FOR_SECOND = re.compile(r"\\text|\\degree|\\dollar|\\euro|\\pound|%|\d\s*_|\d\s+\.?\d|⦃|⦄|⏎|\\begin")
"""What latex2sympy2_extended reads as something else: words and spaced digits as products, a base as nothing, a
percent as a factor."""
MAX_SECOND_CHARACTERS = 300
"""Its grammar is ambiguous: a row of bars or subscripts takes it seconds a hundred characters."""
WARMING = (
    (r"\frac{\sin^2 x}{\sqrt{2}}", r"\frac{1-\cos^2 x}{\sqrt{2}}"), (r"\int_0^1 x^2 dx", r"\frac{1}{3}"),
    (r"x^2-4x<3", r"(2-\sqrt{7},2+\sqrt{7})"), (r"\sum_{k=1}^{n} k", r"\binom{n+1}{2}"), ("x^2+y=2", "y=2-x^2"),
    (r"\overrightarrow{a}+\frac{d}{dx} x^2 \bmod 3", r"\sqrt[3]{2} \overline{a}_{1} \cdot \sin (2x)^{2}"),
    (r"\overline{a}_{1}=\frac{1}{2}e^{-t}", r"\overline{a}=\binom{n}{2}+|x-\dot{y}|"), (r"\partial x", "\\hat{x}"),
    (r"\lim_{x\to 0} \frac{\sin x}{x}", "1"), (r"|x-1|\le 2", "[-1,3]"), (r"\overline{z}", r"\overline{z}+1"),
    (r"\log_2 x", r"\frac{\ln x}{\ln 2}"), (r"\lfloor 2.5 \rfloor!", "2"), ("x^3-x=0", "x^2-1=0"),
)  # fmt: skip
"""Compared once before the first request, so that no request pays for what sympy imports and makes on first use."""


def compare(answer: str, reference: str) -> Found:
    """Whether `answer` equals `reference`, and on what evidence. May raise whatever sympy does."""
    texts = _without_units(answer, reference)
    if isinstance(texts, str):
        return UNDECIDED, texts
    if texts[0] == texts[1]:
        return EQUAL, "the same spelling"
    try:
        pairs, certain = read_pairs(*texts)
    except UnreadableError as error:
        return UNDECIDED, f"not read: {error}"
    with compiling():
        found = [compare_things(left, right) for left, right in pairs]
    outcome, evidence = found[0] if len(found) == 1 else _under_both_bases(" ".join(texts), found)
    return (outcome, evidence) if certain or outcome is EQUAL else (UNDECIDED, f"second reader: {evidence}")


def read_pairs(left: str, right: str) -> tuple[list[tuple[Thing, Thing]], bool]:
    """Both sides as one reader reads them, twice where the base of a logarithm is open. Raises UnreadableError.

    Also whether our reader was the one: what the other takes for a symbol may be something else, so that it can show
    that two texts say the same, but not that they differ.
    """
    bases: tuple[Expr, ...] = (Integer(10), sympy.E) if BARE_LOGARITHM.search(left + " " + right) else (Integer(10),)
    readers = [partial(read_latex, log_base=base) for base in bases]
    try:
        return [(read_thing(left, reader), read_thing(right, reader)) for reader in readers], True
    except UnknownCommandError:
        return [(read_thing(left, _second_reader), read_thing(right, _second_reader))], False


def _without_units(answer: str, reference: str) -> tuple[str, str] | str:
    """Both in canonical spelling, or why not. As by the rules, a unit on one side only is ignored."""
    texts = [canonical(text[: MAX_CHARACTERS + 1]) for text in (answer, reference)]
    (left, ours), (right, theirs) = (split_unit(text) for text in texts)
    if ours and theirs and ours != theirs:
        return "units differ"
    return "a percent sign" if "%" in (ours, theirs) and ours != theirs else (left, right)


def _under_both_bases(text: str, found: list[Found]) -> Found:
    """A logarithm without a base is the decimal one where nothing natural stands beside it, else either."""
    (decimal, evidence), (natural, _) = found
    if decimal is natural:
        return decimal, evidence
    if decimal is EQUAL and natural is DIFFERENT and not NATURAL.search(text):
        return EQUAL, f"decimal logarithm: {evidence}"
    return UNDECIDED, "the base of the logarithm"


def _second_reader(text: str) -> Expr:
    """The LaTeX parser of math-verify. Raises UnreadableError on whatever it does not read as one expression."""
    if len(text) > MAX_SECOND_CHARACTERS:
        raise UnreadableError("too long for the second reader")
    if NOT_FOR_SECOND.search(text) or WORD.search(text):
        raise UnreadableError("words or units")
    converter = _Latex2Sympy(config=ConversionConfig(lowercase_symbols=False))
    converter.parse_number = _number
    try:
        value = converter.parse(text)
    except MemoryError:
        raise
    except Exception as error:  # the parser raises bare Exception on a syntax error
        raise UnreadableError(f"{type(error).__name__} in the second reader") from error
    if not isinstance(value, Expr):
        raise UnreadableError("no expression for the second reader")
    return value


def _number(text: str) -> Expr:
    """In place of its own `sympy.Number(text)`, which hands a string of digits to eval()."""
    return Rational(text.replace(",", ""))


def load() -> Handler:
    """Warms what comparisons use; the handler of `{"answer": ..., "reference": ...}`."""
    for answer, reference in WARMING:
        compare(answer, reference)
    return _handled


def _handled(body: JSON) -> JSON:
    assert isinstance(body, dict)
    outcome, evidence = compare(str(body["answer"]), str(body["reference"]))
    return {"outcome": str(outcome), "evidence": evidence[:300]}


if __name__ == "__main__":
    serve(load)
