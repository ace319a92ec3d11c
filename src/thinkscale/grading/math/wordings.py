"""Equality of words with words and with other forms, by the policies that comparison.py states."""

import re

from thinkscale.grading.math.exact import as_rational
from thinkscale.grading.math.forms import Form
from thinkscale.grading.math.nodes import names_in
from thinkscale.grading.math.values import DIFFERENT, EQUAL, UNDECIDED, Outcome, exact_or_none
from thinkscale.grading.math.words import MONEY, NEGATIONS, NUMBER_WORDS, VALUE_IN_TEXT, same_text, standard, values_in

IDENTIFIER = re.compile(r"[^\W\d_]{2,}\d+[^\W\d_]+\w*")
"""One word with digits inside its letters, such as a number plate: no quantity."""
Ruling = tuple[Outcome, str]
ARITHMETIC = frozenset("+*/=^")
ZERO_WORDS = frozenset({"no", "none", "nothing", "nobody", "no solution"})
EMPTY_WORDS = frozenset({"no solution", "none"})


def texts(left: Form, right: Form) -> Ruling:
    same = same_text(left.text, right.text)
    if same is None:
        return UNDECIDED, "similar words"
    return (EQUAL if same else DIFFERENT), "text"


def text_and_scalar(text: Form, scalar: Form) -> Ruling:
    """A sentence with one number in it says that number; words that may be a value leave it undecided."""
    words = set(text.text.replace("-", " ").split())
    zero = scalar.number == 0 and (words & ZERO_WORDS or standard(text.text) in ZERO_WORDS)
    if zero or scalar.tree is None:
        return UNDECIDED, "words against a value"
    if standard(text.text) in (*EMPTY_WORDS, "dne", "yes", "no"):
        return DIFFERENT, "text"
    if scalar.number is None and (words & NUMBER_WORDS or names_in(scalar.tree)):
        letter = len(scalar.text) == 1 and scalar.text.casefold() not in words
        return (DIFFERENT, "text") if letter else (UNDECIDED, "words against a value")
    return _value_in_sentence(text, scalar, words)


def _value_in_sentence(text: Form, scalar: Form, words: set[str]) -> Ruling:
    value = scalar.number
    if value is None and scalar.tree is not None:
        found = exact_or_none(scalar.tree)
        value = as_rational(found) if found is not None else None
    values = set(values_in(text.text))
    whole = MONEY.search(text.text) or not any(map(str.isdigit, VALUE_IN_TEXT.sub("", text.text)))
    only = whole and (len(values) == 1 or (value not in values and not ARITHMETIC.intersection(text.text)))
    if only and values and not words & NEGATIONS and value is not None:
        return (EQUAL if value in values else DIFFERENT), "sentence"
    if IDENTIFIER.fullmatch(text.text):
        return DIFFERENT, "text"
    if words & NUMBER_WORDS or any(character.isdigit() for character in text.text):
        return UNDECIDED, "words against a value"
    return DIFFERENT, "text"


def text_and_set(text: Form, other: Form) -> Ruling:
    if not other.parts:
        return (EQUAL if standard(text.text) in EMPTY_WORDS else DIFFERENT), "text"
    return (UNDECIDED, "words against a value") if len(text.text.split()) > 4 else (DIFFERENT, "text")


def text_and_other(text: Form, other: Form) -> Ruling:
    if len(text.text.split()) > 4 or standard(text.text) not in (*EMPTY_WORDS, "dne", "yes", "no"):
        return UNDECIDED, "words against a value"
    return DIFFERENT, "text"
