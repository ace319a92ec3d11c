r"""What an answer is, for the symbolic tier: its shape, with sympy expressions at the leaves.

The spelling is made canonical by the rules' own normaliser (grading/math/notation.py), and shapes are those of
grading/math/forms.py with relations added. A leaf is read by our own reader (latex.py). What that cannot read goes to
the LaTeX parser that math-verify uses (latex2sympy2_extended), and then both sides do, since the two name symbols
differently. Neither evaluates text: of math-verify only the way from its `ExprExtractionConfig` to
`sympy.parse_expr` does (math_verify/parser.py, extract_expr), and that way is not taken.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from sympy import Expr

from thinkscale.grading.math.notation import ROW_END, canonical, encloses, split_top_level
from thinkscale.verification.symbolic.latex import UnreadableError

MAX_CHARACTERS = 2_000
MAX_PARTS = 30
MAX_DEPTH = 5

Reader = Callable[[str], Expr]


class Shape(StrEnum):
    """What kind of thing an answer is."""

    SCALAR = "scalar"
    TUPLE = "tuple"
    INTERVAL = "interval"
    LIST = "list"
    """No order, written without braces."""
    SET = "set"
    UNION = "union"
    MATRIX = "matrix"
    """Parts are rows, each a tuple."""
    EQUATION = "equation"
    """Parts are the sides, two or more."""
    RELATION = "relation"
    """A chain of inequalities: parts are the sides, `marks` what stands between them."""
    ANY_OF = "any of"
    """Relations joined by "or"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Thing:
    """An answer as read."""

    shape: Shape
    text: str
    value: Expr | None = None
    parts: tuple["Thing", ...] = ()
    marks: tuple[str, ...] = ()
    """Brackets of an interval or a tuple; the signs of a relation."""


MARK = re.compile(r"\\(?:le|ge|ne)(?![A-Za-z])|[<>]")
MEMBER = re.compile(r"[A-Za-z](?:_\{?\w\}?)? ?\\in(?![A-Za-z]) ?")
MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}")
OR = re.compile(r"[,;]? *(?<![A-Za-z\\])or(?![A-Za-z]) *|\\(?:lor|vee)(?![A-Za-z])")
AND = re.compile(r"[,;]? *(?<![A-Za-z\\])and(?![A-Za-z]) *[,;]?|\\(?:land|wedge)(?![A-Za-z])")


def read_thing(answer: str, reader: Reader) -> Thing:
    """The thing that `answer` says. Raises UnreadableError."""
    if len(answer) > MAX_CHARACTERS:
        raise UnreadableError("too long")
    text = canonical(answer)
    if not text:
        raise UnreadableError("empty")
    return _read(text, reader, 0)


def _read(text: str, reader: Reader, depth: int) -> Thing:
    text = text.strip()
    if depth > MAX_DEPTH:
        raise UnreadableError("nested too deeply")
    member = MEMBER.match(text)
    if member:
        text = text[member.end() :]
    for read in (_matrix, _alternatives, _union, _list, _enclosed, _relation, _equation, _two_signs):
        thing = read(text, reader, depth)
        if thing is not None:
            return thing
    return Thing(shape=Shape.SCALAR, text=text, value=reader(text))


def _made(shape: Shape, text: str, pieces: list[str], reader: Reader, depth: int, marks: tuple[str, ...] = ()) -> Thing:
    if len(pieces) > MAX_PARTS or not all(piece.strip() for piece in pieces):
        raise UnreadableError("parts missing or too many")
    parts = tuple(_read(piece, reader, depth + 1) for piece in pieces)
    if shape in (Shape.LIST, Shape.SET):
        parts = tuple(_flat(parts))
    return Thing(shape=shape, text=text, parts=parts, marks=marks)


def _flat(parts: tuple[Thing, ...]) -> Iterator[Thing]:
    r"""A part with \pm stands for its two values."""
    for part in parts:
        yield from part.parts if part.shape is Shape.LIST and "\\pm" in part.text else (part,)


def _matrix(text: str, reader: Reader, depth: int) -> Thing | None:
    match = MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[1]:
        return None
    rows = [row for row in match[1].split(ROW_END) if row.strip()]
    if not rows or len(rows) > MAX_PARTS:
        raise UnreadableError("rows missing or too many")
    made = tuple(_made(Shape.TUPLE, row, row.split("&"), reader, depth) for row in rows)
    return Thing(shape=Shape.MATRIX, text=text, parts=made)


def _alternatives(text: str, reader: Reader, depth: int) -> Thing | None:
    pieces = OR.split(text)
    if len(pieces) == 1:
        return None
    shape = Shape.ANY_OF if any(MARK.search(piece) for piece in pieces) else Shape.LIST
    return _made(shape, text, pieces, reader, depth)


def _union(text: str, reader: Reader, depth: int) -> Thing | None:
    pieces = re.split(r"\\cup(?![A-Za-z])", text)
    return _made(Shape.UNION, text, pieces, reader, depth) if len(pieces) > 1 else None


def _list(text: str, reader: Reader, depth: int) -> Thing | None:
    joined = AND.sub(";", text)
    for separator in ";,":
        pieces = split_top_level(joined, separator)
        if len(pieces) > 1:
            return _made(Shape.LIST, text, _with_shared_name(pieces), reader, depth)
    return None


def _with_shared_name(pieces: list[str]) -> list[str]:
    """In `x = 1, 2` the name of the first part is the name of all."""
    name, equals, _ = pieces[0].partition("=")
    if not equals or not re.fullmatch(r"[A-Za-z] *", name):
        return pieces
    return [piece if "=" in piece else f"{name}={piece}" for piece in pieces]


def _enclosed(text: str, reader: Reader, depth: int) -> Thing | None:
    if not encloses(text):
        return None
    brackets, inner = (text[0], text[-1]), text[1:-1].strip()
    if brackets == ("⦃", "⦄") and not inner:
        return Thing(shape=Shape.SET, text=text)
    semicolons = split_top_level(inner, ";")
    pieces = semicolons if len(semicolons) > 1 else split_top_level(inner, ",")
    if brackets == ("⦃", "⦄") or (brackets == ("{", "}") and len(pieces) > 1):
        if re.search(r"\\mid|\||:", inner):
            raise UnreadableError("a set by a condition")
        return _made(Shape.SET, text, pieces, reader, depth)
    if len(pieces) == 1:
        return _read(inner, reader, depth + 1) if brackets in (("(", ")"), ("{", "}")) else None
    if not {*brackets} <= set("()[]"):
        raise UnreadableError("brackets")
    interval = len(pieces) == 2 and (brackets != ("(", ")") or "\\infty" in inner)
    return _made(Shape.INTERVAL if interval else Shape.TUPLE, text, pieces, reader, depth, brackets)


def _relation(text: str, reader: Reader, depth: int) -> Thing | None:
    marks = tuple(match.group() for match in MARK.finditer(text))
    if not marks:
        return None
    return _made(Shape.RELATION, text, MARK.split(text), reader, depth, marks)


def _equation(text: str, reader: Reader, depth: int) -> Thing | None:
    sides = split_top_level(text, "=")
    return _made(Shape.EQUATION, text, sides, reader, depth) if len(sides) > 1 else None


def _two_signs(text: str, reader: Reader, depth: int) -> Thing | None:
    if len(re.findall(r"\\pm|\\mp", text)) != 1:
        return None
    pieces = [re.sub(r"\\pm|\\mp", sign, text) for sign in "+-"]
    return _made(Shape.LIST, text, pieces, reader, depth)
