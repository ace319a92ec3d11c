"""Whether an output is the expected one: text line by line, values by Python's equality with a tolerance for floats.

Text (`first_difference`):
- Trailing white space of a line and empty lines at the end do not count. Everything else about the order and the
  number of lines does: lines are never sorted, joined or made sets, and case matters.
- Two lines are the same where their characters are. Otherwise their words must be the same one by one, a word being
  the same where it has the same characters or where both are numbers, at least one of them with a point or an
  exponent, of nearly the same value. Of two integers every digit counts (so 007 is not 7).
- The white space between words must be the same too, except in a line of numbers only.

Numbers (`near`): within 1e-6, absolute or relative to the expected value; where the expected number is an integer,
absolute only, so that 123456789.5 is not 123456789.

Values (`same_value`): what a call returned, against plain JSON.
- A tuple is a list, as JSON has no tuples. A set is never a list.
- Numbers as above; True is 1 and 1.0 is 1, as in Python. NaN is NaN.
- A key of an expected object is always a text; it also stands for the number, bool or None that JSON writes so.
- Anything that is not plain data equals nothing.
"""

import json
import math
import re
from decimal import Decimal

from thinkscale.keys import JSON

TOLERANCE = 1e-6
NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
MAX_NUMBER_CHARACTERS = 400
"""Longer numbers are compared as text: no float has more digits that matter."""
MAX_DEPTH = 200
SHOWN_CHARACTERS = 80


def first_difference(expected: str, got: str) -> str | None:
    """Where `got` first departs from `expected`, as a sentence; None where they are the same."""
    wanted_lines, lines = _lines(expected), _lines(got)
    for number, (wanted, line) in enumerate(zip(wanted_lines, lines, strict=False), 1):
        if not _same_line(wanted, line):
            return f"line {number}: expected {shown(wanted)}, got {shown(line)}"
    if len(lines) == len(wanted_lines):
        return None
    if len(lines) < len(wanted_lines):
        missing = shown(wanted_lines[len(lines)])
        return f"{len(lines)} lines, expected {len(wanted_lines)}; the next would be {missing}"
    return f"{len(lines)} lines, expected {len(wanted_lines)}; the first too many is {shown(lines[len(wanted_lines)])}"


def same_value(expected: JSON, got: object, depth: int = 0) -> bool:
    """Whether a returned value is the expected one by the rules above. `got` is plain Python data."""
    if depth > MAX_DEPTH:
        return False
    if isinstance(expected, list):
        return (
            isinstance(got, (list, tuple))
            and len(got) == len(expected)
            and all(same_value(wanted, item, depth + 1) for wanted, item in zip(expected, got, strict=True))
        )
    if isinstance(expected, dict):
        return isinstance(got, dict) and _same_object(expected, got, depth)
    if isinstance(expected, (int, float)):
        return isinstance(got, (int, float)) and _same_number(expected, got)
    return type(got) is type(expected) and got == expected


def near(expected: Decimal, got: Decimal, whole: bool) -> bool:
    """Whether `got` is within the tolerance of `expected`; `whole` where the expected number is an integer."""
    allowance = Decimal(TOLERANCE) * (1 if whole else max(Decimal(1), abs(expected)))
    return abs(expected - got) <= allowance


def shown(value: object) -> str:
    """A value for evidence, at most 80 characters."""
    text = value if isinstance(value, str) else _text(value)
    text = text if len(text) <= SHOWN_CHARACTERS else text[: SHOWN_CHARACTERS - 3] + "..."
    return repr(text) if isinstance(value, str) else text


def _text(value: object) -> str:
    try:
        return repr(value)
    except (ValueError, RecursionError):  # integers beyond the limit of digits, very deep lists
        return f"a {type(value).__name__} too large to show"


def _lines(text: str) -> list[str]:
    lines = [line.rstrip() for line in text.split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _same_line(wanted: str, line: str) -> bool:
    if wanted == line:
        return True
    words, others = wanted.split(), line.split()
    if len(words) != len(others) or not all(map(_same_word, words, others)):
        return False
    return all(map(NUMBER.fullmatch, words)) or re.findall(r"\s+", wanted) == re.findall(r"\s+", line)


def _same_word(wanted: str, word: str) -> bool:
    if wanted == word:
        return True
    if max(len(wanted), len(word)) > MAX_NUMBER_CHARACTERS:
        return False
    if not NUMBER.fullmatch(wanted) or not NUMBER.fullmatch(word):
        return False
    whole = INTEGER.fullmatch(wanted) is not None
    if whole and INTEGER.fullmatch(word):
        return False
    return near(Decimal(wanted), Decimal(word), whole)


def _same_number(expected: float, got: float) -> bool:
    if expected == got or (math.isnan(expected) and math.isnan(got)):
        return True
    if not isinstance(expected, float) and not isinstance(got, float):
        return False
    if any(isinstance(number, float) and not math.isfinite(number) for number in (expected, got)):
        return False
    try:
        return near(Decimal(expected), Decimal(got), not isinstance(expected, float))
    except ArithmeticError:  # an integer beyond what Decimal calculates with
        return False


def _same_object(expected: dict[str, JSON], got: dict[object, object], depth: int) -> bool:
    """Keys are matched one to one: `1` and `"1"` in one result would be two keys for one."""
    keys = {_key(key): value for key, value in got.items()}
    if len(keys) != len(got) or keys.keys() != expected.keys():
        return False
    return all(same_value(expected[key], value, depth + 1) for key, value in keys.items() if key is not None)


def _key(key: object) -> str | None:
    """The text under which JSON writes a key, None for what it cannot write."""
    if isinstance(key, str):
        return key
    if key is None or isinstance(key, (bool, int, float)):
        try:
            return json.dumps(key)
        except ValueError:  # an integer beyond the limit of digits
            return None
    return None
