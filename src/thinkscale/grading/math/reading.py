r"""From the canonical spelling of an answer to its form.

Readings that were chosen:
- a bare list (`3, 5`, `3 and 5`, `1 \pm \sqrt 2`) and a set have no order, a tuple has one; `(a, b)` is a tuple,
  and an interval where a bracket is square, an end is infinite, or the other side is a set of reals;
- `x = 5` is an equation; `x \in S` is S; `a = b = c` with a name in front ends in its value;
- `204_5` is a numeral in base 5; `3:30 pm` a time, `2:3` a ratio;
- words are text; what fits nothing is `UNKNOWN`: only its spelling can be compared.
"""

import re
from fractions import Fraction

from thinkscale.grading.math.expressions import read_tree
from thinkscale.grading.math.forms import Form, Shape
from thinkscale.grading.math.matrices import Entries, combined, pieces
from thinkscale.grading.math.monomials import Unreadable
from thinkscale.grading.math.nodes import Node, number
from thinkscale.grading.math.notation import (
    LARGEST_PLAIN_NUMBER,
    ROW_END,
    canonical,
    compact,
    encloses,
    plain_number,
    split_top_level,
)
from thinkscale.grading.math.quantities import compound
from thinkscale.grading.math.units import split_unit
from thinkscale.grading.math.words import LARGE, ORDINAL, minutes_of_day, number_in_words, plain_words

MAX_CHARACTERS = 2_000
MAX_PARTS = 40
MAX_DEPTH = 6

WORDS = re.compile(r"[^\W\d_]+(?:[ '-]+[^\W\d_]+)*")
DIFFERENCE = re.compile(r"[A-Za-z](?: ?- ?[A-Za-z])+")
PAIR_OF_WORDS = re.compile(r"[^\W\d_]+(?: [^\W\d_]+)? (?:and|or) [^\W\d_]+(?: [^\W\d_]+)?")
NAME = re.compile(
    r"\|?[A-Za-z]{1,3}(?:_\{?\w+\}?)?'*\|?|[A-Za-z]'*(?:_\{?\w\}?)?\(\w(?:,\w)*\)|\(\w(?:,\w)+\)"
    r"|\\(?:angle|triangle|alpha|beta|theta|lambda|mu|phi|gamma|sigma|rho|overline)(?: ?\{?[A-Z]{1,3}\}?)?"
    r"|\\frac\{d[a-z]\}\{d[a-z]\}|m ?\\angle ?[A-Z]{1,3}|[A-Z]_\{\\triangle ?[A-Z]{3}\}"
    r"|(?:P|E|\\mathbb\{?[PE]\}?)\([^()=]{1,20}\)"
    r"|\\text ?\{[A-Za-z ]{1,30}\}"
)
POINTS = re.compile(
    r"(?:\\frac\{[A-Z]{2}\}\{[A-Z]{2}\}|[A-Z](?:_\{?\w+\}?)?[A-Z]{0,2}[/:][A-Z](?:_\{?\w+\}?)?[A-Z]{0,2})"
)
"""A ratio of lengths or of named quantities."""
DIGITS_AND_COMMA = re.compile(r"[0-9]+,[0-9]+")
NUMERAL = re.compile(r"(\d[\dA-F]*|[\dA-F]{2,}(?=_\{?16\}?$))_\{?(?:\\text)?\{?(\d{1,2}|two|three|five|eight|ten)\}*")
BASES = {"two": "2", "three": "3", "five": "5", "eight": "8", "ten": "10"}
MATRIX = re.compile(r"\[?\\begin\{(pmatrix|array)\}(?:\{[lcr| ]*\})?(.*)\\end\{\1\}\]?")
DERIVATIVE = re.compile(r"\\frac ?\{d(?:\^\{?\d\}?)?\}\{d[a-z](?:\^\{?\d\}?)?\}")
OUTWARD = re.compile(r"([\[\](])([^\[\]()⦃]+)([\[\])])")
"""An interval whose open ends are written with brackets that look outward: `]0, 1[`."""
CASES = re.compile(r"\\begin\{cases\}(.*)\\end\{cases\}")
MEMBER_OF = re.compile(r"[A-Za-z](?:_\{?\w\}?)? ?\\in ?(?![A-Za-z])")
AND_OR = re.compile(r"[,;]? *(?<![A-Za-z\\])(and|or)(?![a-z]) *[,;]?")
SIGNS = re.compile(r"<|>|\\(?:le|ge|ne)(?![A-Za-z])")
WITHOUT = re.compile(r"\\reals *(?:\\setminus|\\backslash|-) *(.+)")
BUILDER = re.compile(r"[⦃{] *(?:[A-Za-z](?: ?\\in ?\\reals)?) *(?:\||:|\\mid(?![A-Za-z])) *(.+)[⦄}]")
CONDITION = re.compile(
    r"(?<=.)[,;]? *(?:\\text\{ *(?:where|for|with|and)? *\}|where|for)? *"
    r"\(?(?<![A-Za-z\\])[a-z](?:, ?[a-z])* ?\\in ?\\(?:mathbb ?\{? ?[ZNQR] ?\}?(?:\^[+*])?|reals) *\)?$"
)
r"""What parameters run over, behind a value: `\frac{\pi}{2} + k\pi, k \in \mathbb{Z}`."""
APPROXIMATELY = re.compile(r"(?:\\approx|\\sim|\\simeq|approximately|about|roughly)(?![A-Za-z]) *(?=[-\d\\.])")
TRIGONOMETRIC = re.compile(r"sin|cos|tan|cot|sec|csc")
SCIENTIFIC = re.compile(r"[-+]?\d{1,30}(?:\.\d{1,30})?[eE][-+]?\d{1,3}")
SPELLED_VALUE = re.compile(r"\\frac ?\{\d+\}\{\d+\}|\\(?:dollar|euro|pound)")
MARKUP = re.compile(r"[\\{}]")
SENTENCE = re.compile(r"\\text ?\{ *[A-Za-z]{2,}|(?<![\\A-Za-z])[^\W\d_]{3,}|[\u3040-\u9fff]{2,}")


def read(answer: str) -> Form:
    """The form of an answer as a model or a source wrote it. Never raises; beyond 2,000 characters all is unknown."""
    fast = plain_number(answer)
    if fast is not None:
        return _number_form(*fast)
    if len(answer) > MAX_CHARACTERS:
        return Form(shape=Shape.UNKNOWN, text=answer.strip())
    return _form(canonical(answer), 0)


def _number_form(text: str, value: Fraction, unit: str = "") -> Form:
    return Form(shape=Shape.SCALAR, text=text, tree=number(value), number=value, unit=unit)


def _form(text: str, depth: int) -> Form:
    text = MEMBER_OF.sub("", text, count=1) if MEMBER_OF.match(text) else text.strip()
    text = APPROXIMATELY.sub("", text, count=1) if APPROXIMATELY.match(text) else text
    value, approximately, _ = text.partition("\\approx")
    if approximately and value.strip():
        text = text[len(value) + 7 :].strip() if NAME.fullmatch(value.strip()) else value.strip()
    fast = plain_number(text)
    if fast is not None:
        return _number_form(*fast)
    text = CONDITION.sub("", text) if CONDITION.search(text) else text
    text = _inward(text) if text[:1] == "]" or text[-1:] == "[" else text
    if text[:1] == "-" and text[1:2] in ("[", "⦃") and encloses(text[1:]):
        return Form(shape=Shape.INTERVAL if text[1] == "[" else Shape.SET, text=compact(text))
    if depth < MAX_DEPTH:
        for reader in (
            _words,
            _matrix,
            _cases,
            _without,
            _collection,
            _enclosed,
            _relation,
            _equation,
            _ratio,
            _numeral,
        ):
            form = reader(text, depth)
            if form is not None:
                return form
    return _scalar(text)


def _inward(text: str) -> str:
    match = OUTWARD.fullmatch(text)
    if match is None or len(re.findall("[,;]", match[2])) != 1:
        return text
    return {"]": "("}.get(match[1], match[1]) + match[2] + {"[": ")"}.get(match[3], match[3])


def _parts(texts: list[str], depth: int) -> tuple[Form, ...] | None:
    """The forms of `texts`, None where one is empty or they are too many."""
    if len(texts) > MAX_PARTS or not all(texts):
        return None
    return tuple(form for text in texts for form in _expanded(text, depth + 1))


def _expanded(text: str, depth: int) -> list[Form]:
    r"""The one or, for one \pm, two forms that `text` stands for."""
    name, equals, rest = text.partition("=")
    bare = rest if equals and NAME.fullmatch(name.strip()) else text
    if bare.count("\\pm") + bare.count("\\mp") == 0 or bare.count("\\pm") > 1 or any(c in bare for c in "[⦃,="):
        return [_form(text, depth)]
    upper = bare.replace("\\pm", "+").replace("\\mp", "-")
    lower = bare.replace("\\pm", "-").replace("\\mp", "+")
    return [_form(upper, depth), _form(lower, depth)]


def _made(shape: Shape, text: str, parts: tuple[Form, ...] | None, brackets: str = "") -> Form | None:
    return None if parts is None else Form(shape=shape, text=compact(text), parts=parts, brackets=brackets)


def _words(text: str, _depth: int) -> Form | None:
    """Words only: a number written out, the name of a set, or text."""
    if (len(text) < 2 and text < "\u4e00") or not WORDS.fullmatch(text) or DIFFERENCE.fullmatch(text):
        return None
    value = number_in_words(text)
    if value is None and PAIR_OF_WORDS.fullmatch(text):
        return None
    return _number_form(str(value), value) if value is not None else Form(shape=Shape.TEXT, text=plain_words(text))


def _matrix(text: str, depth: int) -> Form | None:
    several = pieces(text) if text.count("\\begin{pmatrix}") > 1 else None
    if several:
        return _matrix_expression(text, several, depth)
    match = MATRIX.fullmatch(text)
    if match is None or "\\begin" in match[2]:
        return None
    rows = [row for row in match.group(2).split(ROW_END) if row.strip()]
    parts = [_made(Shape.TUPLE, row, _parts([cell.strip() for cell in row.split("&")], depth)) for row in rows]
    found = tuple(part for part in parts if part is not None)
    return Form(shape=Shape.MATRIX, text=compact(text), parts=found) if found and len(found) == len(rows) else None


def _matrix_expression(text: str, several: list[tuple[str, str]], depth: int) -> Form | None:
    """A sum or product of matrices as the matrix that it is."""
    matrices: list[Entries] = []
    for _, part in several:
        form = _matrix(part, depth + 1)
        if form is None or len({len(row.parts) for row in form.parts}) != 1:
            return None
        matrices.append([[cell.tree for cell in row.parts if cell.tree is not None] for row in form.parts])
        if any(len(row) != len(form.parts[0].parts) for row in matrices[-1]):
            return None
    entries = combined([sign for sign, _ in several], matrices)
    if entries is None:
        return None
    rows = [tuple(Form(shape=Shape.SCALAR, text="", tree=entry) for entry in row) for row in entries]
    parts = tuple(Form(shape=Shape.TUPLE, text="", parts=row) for row in rows)
    return Form(shape=Shape.MATRIX, text=compact(text), parts=parts)


def _cases(text: str, depth: int) -> Form | None:
    """The lines of a system, as a list."""
    match = CASES.fullmatch(text)
    if match is None or "&" in match[1]:
        return None
    rows = [row.strip(" ,;") for row in match[1].split(ROW_END) if row.strip()]
    return _made(Shape.LIST, text, _parts(rows, depth), "and")


def _without(text: str, depth: int) -> Form | None:
    if text == "\\emptyset":
        return Form(shape=Shape.SET, text=text)
    if text == "\\reals":
        return Form(shape=Shape.WITHOUT, text=text)
    match = WITHOUT.fullmatch(text)
    return _made(Shape.WITHOUT, text, _parts([match[1]], depth)) if match else None


def _collection(text: str, depth: int) -> Form | None:
    pieces = [piece.strip() for piece in re.split(r"\\cup(?![A-Za-z])", text)]
    if len(pieces) > 1:
        return _made(Shape.UNION, text, _parts(pieces, depth))
    joint = AND_OR.search(text)
    joined = AND_OR.sub(",", text) if joint else text
    pieces = split_top_level(joined, ";")
    pieces = pieces if len(pieces) > 1 else split_top_level(joined, ",")
    if len(pieces) > 1:
        total = compound(text)
        if total is not None:
            return _scalar(total)
        parts = _parts([_shared_name(piece, pieces[0]) for piece in pieces], depth)
        tight = "," if DIGITS_AND_COMMA.fullmatch(text) else ""
        return _made(Shape.LIST, text, parts, joint[1] if joint else tight)
    if "\\pm" in text and not encloses(text):
        forms = tuple(_expanded(text, depth + 1))
        return _made(Shape.LIST, text, forms) if len(forms) > 1 else None
    return None


def _shared_name(piece: str, first: str) -> str:
    """In `x = 1, 2` the name of the first part is the name of all, so that `x = 1, x = 2` is the same."""
    name, equals, _ = first.partition("=")
    if equals and not SIGNS.search(piece) and "=" not in piece and re.fullmatch(r"[A-Za-z] *", name):
        return f"{name}={piece}"
    name, sign, _ = first.partition("\\ne ")
    return f"{name}\\ne {piece}" if sign and not SIGNS.search(piece) and "=" not in piece else piece


def _enclosed(text: str, depth: int) -> Form | None:
    if not encloses(text):
        return None
    brackets, inner = text[0] + text[-1], text[1:-1].strip()
    builder = BUILDER.fullmatch(text)
    if builder:
        return _form(builder[1], depth + 1)
    pieces = split_top_level(inner, ";")
    pieces = pieces if len(pieces) > 1 else split_top_level(inner, ",")
    if brackets == "{}" and len(pieces) > 1:
        return _made(Shape.LIST, inner, _parts(pieces, depth))
    if brackets == "⦃⦄":
        return _made(Shape.SET, text, _parts(pieces, depth) if inner else ())
    if len(pieces) == 1:
        bare = brackets in ("()", "{}") or (brackets == "[]" and WORDS.fullmatch(inner))
        return _form(inner, depth + 1) if bare and depth < MAX_DEPTH else None
    if brackets == "[]" and all(piece[:1] == "[" and encloses(piece) for piece in pieces):
        rows = [_made(Shape.TUPLE, row, _parts(split_top_level(row[1:-1], ","), depth)) for row in pieces]
        return _made(Shape.MATRIX, text, None if None in rows else tuple(row for row in rows if row is not None))
    shape = Shape.TUPLE
    if len(pieces) == 2 and (brackets != "()" or "\\infty" in text):
        shape = Shape.INTERVAL
    return _made(shape, text, _parts(pieces, depth), brackets) if set(brackets) <= set("()[]") else None


def _relation(text: str, depth: int) -> Form | None:
    signs = SIGNS.findall(text)
    if not 0 < len(signs) < 4:
        return None
    sides = [side.strip() for side in SIGNS.split(text)]
    if not all(sides) or any("=" in side for side in sides):
        return None
    return _made(Shape.RELATION, text, _parts(sides, depth), " ".join(signs))


def _equation(text: str, depth: int) -> Form | None:
    sides = split_top_level(text, "=")
    if not 2 <= len(sides) <= 5 or not all(sides):
        return None
    if len(sides) > 2 and not NAME.fullmatch(sides[0]):
        return _form(sides[-1], depth + 1)
    named = NAME.fullmatch(sides[0]) or POINTS.fullmatch(compact(sides[0]))
    parts = _parts(sides if not named else [sides[0], sides[-1]], depth)
    if parts is None or len(parts) < 2:
        return None
    return Form(shape=Shape.EQUATION, text=compact(text), parts=parts, named=bool(named))


def _ratio(text: str, depth: int) -> Form | None:
    minutes = minutes_of_day(plain_words(text)) if text[:1].isdigit() else None
    if minutes is not None:
        return Form(shape=Shape.TIME, text=compact(text), number=minutes)
    sides = split_top_level(text, ":")
    if len(sides) == 1 or not all(sides):
        return None
    parts = _parts(sides, depth)
    if parts is None or any(part.shape is not Shape.SCALAR or part.unit for part in parts):
        return None
    return _made(Shape.RATIO, text, parts)


def _numeral(text: str, _depth: int) -> Form | None:
    match = NUMERAL.fullmatch(text.replace(" ", ""))
    if match is None:
        return None
    base = BASES.get(match[2], match[2])
    if not 2 <= int(base) <= 36:
        return None
    return Form(shape=Shape.NUMERAL, text=match[1].lstrip("0") or "0", unit=base)


def _scalar(text: str) -> Form:
    if DERIVATIVE.search(text):
        return Form(shape=Shape.UNKNOWN, text=compact(text))  # d is an operator there, no factor
    total = compound(text)
    core, unit = split_unit(total if total is not None else text)
    if unit == "degree" and TRIGONOMETRIC.search(core):
        core, unit = text, ""
    fast = plain_number(core)
    if fast is not None:
        large = LARGE.get(unit.partition(" ")[0], 1)
        if large > 1:
            return _number_form(str(fast[1] * large), fast[1] * large, unit=unit.partition(" ")[2])
        return _number_form(*fast, unit=unit)
    try:
        tree = _tree(core)
    except Unreadable:
        return _unread(text, unit)
    return Form(shape=Shape.SCALAR, text=compact(core), tree=tree, unit=unit)


def _unread(text: str, unit: str) -> Form:
    """Text that is no expression: an ordinal, a sentence, or unknown."""
    plain = plain_words(text)
    ordinal = ORDINAL.fullmatch(plain)
    if ordinal and len(ordinal[1]) < LARGEST_PLAIN_NUMBER:
        return _number_form(ordinal[1], Fraction(int(ordinal[1])))
    value = number_in_words(split_unit("1 " + plain)[0][2:] or "-")
    if value is not None:
        return _number_form(str(value), value)
    prose = SENTENCE.search(plain) or SENTENCE.search(text)
    if prose and not MARKUP.search(SPELLED_VALUE.sub("", plain)):
        return Form(shape=Shape.TEXT, text=plain)
    return Form(shape=Shape.UNKNOWN, text=compact(text), unit=unit)


def _tree(core: str) -> Node:
    if SCIENTIFIC.fullmatch(core):
        return number(Fraction(core))
    return read_tree(core)
