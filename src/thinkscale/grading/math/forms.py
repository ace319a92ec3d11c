"""What an answer is: the noun that reading.py makes and comparison.py compares."""

from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from thinkscale.grading.math.nodes import Node
from thinkscale.grading.math.units import split_unit

__all__ = ["Form", "Shape", "split_unit", "understood"]


class Shape(StrEnum):
    """What kind of thing an answer is."""

    SCALAR = "scalar"
    NUMERAL = "numeral"
    """Digits in a stated base; parts are (digits, base) in `text` and `unit`."""
    TUPLE = "tuple"
    INTERVAL = "interval"
    LIST = "list"
    """`brackets` is `and` or `or` where the parts were joined by that word, a comma in two runs of digits (`1,22`)."""
    SET = "set"
    UNION = "union"
    WITHOUT = "without"
    """The reals without the points or intervals in the one part."""
    MATRIX = "matrix"
    """Parts are rows, each a tuple."""
    EQUATION = "equation"
    """Parts are the sides."""
    RELATION = "relation"
    """Parts are the sides, `brackets` the signs between them, each a word."""
    RATIO = "ratio"
    TIME = "time"
    """A time of day with a.m. or p.m.; `number` counts minutes."""
    TEXT = "text"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An answer as read; `text` is its compact canonical spelling, `number` a value known without arithmetic."""

    shape: Shape
    text: str
    tree: Node | None = None
    number: Fraction | None = None
    unit: str = ""
    parts: tuple["Form", ...] = field(default=())
    brackets: str = ""
    named: bool = False
    """Of an equation: the left side is a mere name, the right one the value."""


def understood(form: Form) -> bool:
    """Whether every part was read. Words among values are a sentence with commas."""
    if form.named and form.parts[-1].shape is not Shape.TEXT:
        return understood(form.parts[-1])
    shapes = {part.shape for part in form.parts}
    if form.shape is Shape.UNKNOWN or (Shape.TEXT in shapes and len(shapes) > 1):
        return False
    if form.named:
        return understood(form.parts[-1])
    return all(understood(part) for part in form.parts)
