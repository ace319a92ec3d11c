r"""What an answer is: its shape and its parts, read from the canonical spelling.

Readings that were chosen:
- units, currency and degrees are kept apart from the value (`unit`), so that a missing unit can be read as the
  other side's;
- a bare list (`3, 5`, `3 and 5`, `1 \pm \sqrt 2`) and a set have no order, a tuple has one; `(a, b)` is a tuple,
  and an interval where a bracket is square or an end is infinite;
- `x = 5` is an equation; `x \in S` is S;
- `204_5` is a numeral in base 5.
What fits nothing is `UNKNOWN`: only its spelling can be compared.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from fractions import Fraction

from thinkscale.grading.exact import INFINITY, Exact, negated, rational, symbol
from thinkscale.grading.expressions import read_expression
from thinkscale.grading.monomials import Unreadable
from thinkscale.grading.notation import ROW_END, canonical, compact, encloses, split_top_level

MAX_CHARACTERS = 2_000
MAX_PARTS = 40
MAX_DEPTH = 6


class Shape(StrEnum):
    """What kind of thing an answer is."""

    SCALAR = "scalar"
    NUMERAL = "numeral"
    """Digits in a stated base; parts are (digits, base) in `text` and `unit`."""
    TUPLE = "tuple"
    INTERVAL = "interval"
    LIST = "list"
    SET = "set"
    UNION = "union"
    MATRIX = "matrix"
    """Parts are rows, each a tuple."""
    EQUATION = "equation"
    """Parts are the two sides."""
    RATIO = "ratio"
    TEXT = "text"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """An answer as read; `text` is its compact canonical spelling."""

    shape: Shape
    text: str
    value: Exact | None = None
    unit: str = ""
    parts: tuple["Form", ...] = field(default=())
    brackets: str = ""


def is_named(form: Form) -> bool:
    """Whether the form is an equation that only gives a name to its right side."""
    return form.shape is Shape.EQUATION and NAME.fullmatch(form.parts[0].text) is not None


def understood(form: Form) -> bool:
    """Whether every part was read. Words among values are a sentence with commas; lists in lists have no sure order."""
    shapes = {part.shape for part in form.parts}
    if form.shape is Shape.UNKNOWN or (Shape.TEXT in shapes and len(shapes) > 1) or Shape.LIST in shapes:
        return False
    if is_named(form):
        return understood(form.parts[1])
    return all(understood(part) for part in form.parts)


WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
NAME = re.compile(
    r"\|?[A-Za-z]{1,3}(?:_\{?\w+\}?)?\|?|[A-Za-z]\(\w\)|\(\w(?:,\w)+\)"
    r"|\\(?:angle|alpha|beta|theta|lambda)(?: ?[A-Z]{1,3})?"
)
NUMERAL = re.compile(r"(\d+)_\{?(\d{1,2})\}?")
MATRIX = re.compile(r"\\begin\{pmatrix\}(.*)\\end\{pmatrix\}")
MEMBER_OF = re.compile(r"[A-Za-z](?:_\{?\w\}?)? ?\\in ")
AND_OR = re.compile(r"[,;]? *(?<![A-Za-z\\])(?:and|or)(?![A-Za-z]) *[,;]?")

CURRENCY = re.compile(r"([-+]?) *(?:US|USD)? *(\\dollar|\\euro|\\pound|USD|EUR) *(?=[\d.\\])")
PERCENT = re.compile(r" *(?:\\?%|\\text\{ *(?:percent|%) *\}|(?<![A-Za-z])(?:percent|pct|percentage))$", re.IGNORECASE)
SHORT_UNITS = (
    "mm cm dm km kg mg ml mL kL nm ft yd mi oz lb lbs hr hrs min mins sec secs ms mph kmh kph rpm sq cu rad deg gal "
    "USD EUR units unit cents cent days day miles mile feet foot inches inch hours hour years year"
)
WORD_UNIT = rf"(?:(?:{'|'.join(SHORT_UNITS.split())})(?![A-Za-z])|(?<![A-Za-z])[A-Za-z]{{4,}})"
UNIT = re.compile(
    r"(?<=[\d})!.]) *(\\dollar|\\euro|\\pound|\\degree(?: ?[CF](?![A-Za-z]))?"
    r"|\\text\{[^{}]*\}(?: ?[\^/] ?\{?\w+\}?| ?\\text\{[^{}]*\})*"
    rf"|{WORD_UNIT}(?:[ /]+[A-Za-z]+|\^\{{?[23]\}}?)*)$"
)
UNIT_NAMES = {
    "\\dollar": "dollar", "usd": "dollar", "us dollar": "dollar", "\\euro": "euro", "eur": "euro", "\\pound": "pound",
    "\\degree": "degree", "deg": "degree", "inche": "inch", "in": "inch", "feet": "foot", "ft": "foot", "meter": "m",
    "centimeter": "cm", "kilometer": "km", "hr": "hour", "min": "minute", "sec": "second", "lb": "pound",
    "sq unit": "square unit", "unit^2": "square unit",
}  # fmt: skip


def read(answer: str) -> Form:
    """The form of an answer as a model or a source wrote it. Never raises; beyond 2,000 characters all is unknown."""
    if len(answer) > MAX_CHARACTERS:
        return Form(shape=Shape.UNKNOWN, text=answer.strip())
    return _form(canonical(answer), 0)


def _form(text: str, depth: int) -> Form:
    text = MEMBER_OF.sub("", text, count=1) if MEMBER_OF.match(text) else text.strip()
    value, approximately, _ = text.partition("\\approx")
    if approximately and value.strip() and not NAME.fullmatch(value.strip()):
        text = value.strip()
    if depth < MAX_DEPTH:
        for reader in (_matrix, _collection, _enclosed, _equation, _ratio, _numeral):
            form = reader(text, depth)
            if form is not None:
                return form
    return _scalar(text)


def _parts(texts: list[str], depth: int) -> tuple[Form, ...] | None:
    """The forms of `texts`, None where one is empty or they are too many."""
    if len(texts) > MAX_PARTS or not all(texts):
        return None
    return tuple(form for text in texts for form in _expanded(text, depth + 1))


def _expanded(text: str, depth: int) -> list[Form]:
    r"""The one or, for one \pm, two forms that `text` stands for."""
    if text.count("\\pm") + text.count("\\mp") == 0 or text.count("\\pm") > 1 or any(c in text for c in "([⦃,="):
        return [_form(text, depth)]
    upper = text.replace("\\pm", "+").replace("\\mp", "-")
    lower = text.replace("\\pm", "-").replace("\\mp", "+")
    return [_form(upper, depth), _form(lower, depth)]


def _made(shape: Shape, text: str, parts: tuple[Form, ...] | None, brackets: str = "") -> Form | None:
    return None if parts is None else Form(shape=shape, text=compact(text), parts=parts, brackets=brackets)


def _matrix(text: str, depth: int) -> Form | None:
    match = MATRIX.fullmatch(text)
    if match is None:
        return None
    rows = [row for row in match.group(1).split(ROW_END) if row.strip()]
    parts = [_made(Shape.TUPLE, row, _parts([cell.strip() for cell in row.split("&")], depth)) for row in rows]
    found = tuple(part for part in parts if part is not None)
    return Form(shape=Shape.MATRIX, text=compact(text), parts=found) if found and len(found) == len(rows) else None


def _collection(text: str, depth: int) -> Form | None:
    pieces = [piece.strip() for piece in text.split("\\cup")]
    if len(pieces) > 1:
        return _made(Shape.UNION, text, _parts(pieces, depth))
    joined = AND_OR.sub(",", text)
    pieces = split_top_level(joined, ";")
    pieces = pieces if len(pieces) > 1 else split_top_level(joined, ",")
    if len(pieces) > 1:
        return _made(Shape.LIST, text, _parts([_shared_name(piece, pieces[0]) for piece in pieces], depth))
    if "\\pm" in text and "=" not in text and not encloses(text):
        forms = tuple(_expanded(text, depth + 1))
        return _made(Shape.LIST, text, forms) if len(forms) > 1 else None
    return None


def _shared_name(piece: str, first: str) -> str:
    """In `x = 1, 2` the name of the first part is the name of all, so that `x = 1, x = 2` is the same."""
    name, equals, _ = first.partition("=")
    return f"{name}={piece}" if equals and "=" not in piece and re.fullmatch(r"[A-Za-z] *", name) else piece


def _enclosed(text: str, depth: int) -> Form | None:
    if not encloses(text):
        return None
    brackets, inner = text[0] + text[-1], text[1:-1].strip()
    pieces = split_top_level(inner, ";")
    pieces = pieces if len(pieces) > 1 else split_top_level(inner, ",")
    if brackets == "⦃⦄" or (brackets == "{}" and len(pieces) > 1):
        return _made(Shape.SET, text, _parts(pieces, depth) if inner else ())
    if len(pieces) == 1:
        return _form(inner, depth + 1) if brackets in ("()", "{}") and depth < MAX_DEPTH else None
    shape = Shape.TUPLE
    if len(pieces) == 2 and (brackets != "()" or INFINITY in text):
        shape = Shape.INTERVAL
    return _made(shape, text, _parts(pieces, depth), brackets) if set(brackets) <= set("()[]") else None


def _equation(text: str, depth: int) -> Form | None:
    sides = split_top_level(text, "=")
    return _made(Shape.EQUATION, text, _parts(sides, depth)) if len(sides) == 2 else None


def _ratio(text: str, depth: int) -> Form | None:
    sides = split_top_level(text, ":")
    if len(sides) == 1 or not re.fullmatch(r"[\d.: ]+", text):
        return None
    return _made(Shape.RATIO, text, _parts(sides, depth))


def _numeral(text: str, depth: int) -> Form | None:
    match = NUMERAL.fullmatch(text.replace(" ", "").replace("\\text", ""))
    if match is None or not 2 <= int(match[2]) <= 36:
        return None
    return Form(shape=Shape.NUMERAL, text=match[1].lstrip("0") or "0", unit=match[2])


def _scalar(text: str) -> Form:
    plain = compact(text)
    if WORDS.fullmatch(text) and len(text) > 1:
        return Form(shape=Shape.TEXT, text=" ".join(text.casefold().split()))
    core, unit = split_unit(text)
    try:
        value = _value(core)
    except Unreadable:
        return Form(shape=Shape.UNKNOWN, text=plain, unit=unit)
    return Form(shape=Shape.SCALAR, text=compact(core), value=value, unit=unit)


def _value(core: str) -> Exact:
    infinite = re.fullmatch(r"([-+]?) *\\infty", core)
    if infinite:
        return negated(symbol(INFINITY)) if infinite[1] == "-" else symbol(INFINITY)
    if re.fullmatch(r"[-+]?\d{1,30}(?:\.\d{1,30})?[eE][-+]?\d{1,3}", core):
        return rational(Fraction(core))
    return read_expression(core)


def split_unit(text: str) -> tuple[str, str]:
    r"""Value and unit of a canonical scalar: currency in front; percent, degrees, `\text{}` or words after a number."""
    percent = PERCENT.search(text)
    if percent and percent.start():
        return text[: percent.start()].strip(), "%"
    currency = CURRENCY.match(text)
    if currency:
        text = currency[1] + text[currency.end() :]
    unit = UNIT.search(text)
    if unit is None:
        return text.strip(), _unit_name(currency[2]) if currency else ""
    return text[: unit.start()].strip(), _unit_name(unit[1])


def _unit_name(unit: str) -> str:
    name = " ".join(re.sub(r"\\text|[{}]", " ", unit).casefold().split()).replace(" ^", "^").replace("^ ", "^")
    if len(name) > 2 and name.endswith("s") and not name.endswith("ss"):
        name = name[:-1]
    return UNIT_NAMES.get(name, name)
