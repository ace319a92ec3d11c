r"""One spelling for each notation: LaTeX and Unicode variants of an answer brought to a canonical string.

Only spelling changes here, never a value: fonts, spacing, delimiters, names of the same symbol, and
thousands separators that cannot be anything else (`10,\!080`, `10{,}080`, `1,234,567` alone). The result
is for the readers in forms.py; set braces become ⦃ ⦄ so that they differ from LaTeX groups, \\ in a matrix ⏎,
and \$ \dollar.
"""

import re

from thinkscale.grading.answers import boxes

UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "±": "\\pm ", "∓": "\\mp ",
        "≤": "\\le ", "≥": "\\ge ", "≠": "\\ne ", "π": "\\pi ", "θ": "\\theta ", "√": " sqrt ", "∞": "\\infty ",
        "°": "\\degree ", "∪": "\\cup ", "∈": "\\in ", "∅": "\\emptyset ", "²": "^2 ", "³": "^3 ",
        "½": "\\frac{1}{2}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}", "€": "\\euro ", "£": "\\pound ",
        "，": ",", "：": ":", "（": "(", "）": ")", "’": "'", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "\f": "\\f", "\b": "\\b",
    }
)  # fmt: skip
"""The control characters are what a careless JSON decoder makes of \\frac and \\begin."""

ROW_END = "⏎"
NAMES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "infin": "infty",
    "geq": "ge", "geqslant": "ge", "leq": "le", "leqslant": "le", "neq": "ne", "deg": "degree",
    "varnothing": "emptyset",
    "mbox": "text", "textbf": "text", "textit": "text", "textrm": "text", "textnormal": "text", "mathrm": "text",
    "mathbf": "text", "mathit": "text", "mathsf": "text", "operatorname": "text",
}  # fmt: skip

REPLACED_BY_SPACE = re.compile(
    r"\\(?:quad|qquad|displaystyle|textstyle|limits|rm|bf|hfill|newline|strut|thinspace|enspace)(?![A-Za-z])"
    r"|\\[,;:> ]|~|[ \t\r\n]+"
)
SIZES = re.compile(r"\\(?:left|right|middle|bigg?|Bigg?)[lrm]?(?![A-Za-z])")
OPERATORS = (
    (re.compile(r"\\(?:cdot|times|ast)(?![A-Za-z])"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r">=|=>"), r"\\ge "),
    (re.compile(r"<=|=<"), r"\\le "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\(?:\{|lbrace(?![A-Za-z]))"), "⦃"),
    (re.compile(r"\\(?:\}|rbrace(?![A-Za-z]))"), "⦄"),
    (re.compile(r"\^\s*(?:\\degree|\\circ|\{\s*(?:\\circ|\\degree)\s*\})(?![A-Za-z])"), r"\\degree "),
    (re.compile(r"\\(?:begin|end)\{(?:bmatrix|vmatrix|Bmatrix|matrix)\}"), lambda match: _matrix_name(match.group())),
)
THOUSANDS_BY_COMMAND = re.compile(r"(?<=\d)(?:,\s*\\!\s*|\\!\s*,\s*|\{,\}|\\,)\s*(?=\d{3}(?!\d))")
THOUSANDS_BY_COMMA = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?!\d|,\d)")
THOUSANDS_BY_SPACE = re.compile(r"[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?")
PLAIN_MIXED = re.compile(r"(-?\d+) (\d+)/(\d+)")
WHOLE_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
LETTER_TEXT = re.compile(r"\\text\s*\{\s*([A-Za-z])\s*\}")
WORD_TEXT = re.compile(r"\\text\s*\{\s*(and|or)\s*\}")


def canonical(answer: str) -> str:
    """The canonical spelling of `answer`; linear in its length. An empty string where nothing is left."""
    text = _unboxed(answer.strip(" \t\r\n*")).translate(UNICODE)
    text = text.replace("\\\\", ROW_END) if "\\begin" in text else re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
    text = _without_delimiters(text)
    text = THOUSANDS_BY_COMMAND.sub("", text)
    text = SIZES.sub("", text.replace("\\!", ""))
    text = re.sub(r"\\([A-Za-z]+)", lambda match: "\\" + NAMES.get(match.group(1), match.group(1)), text)
    for pattern, replacement in OPERATORS:
        text = pattern.sub(replacement, text)
    text = REPLACED_BY_SPACE.sub(" ", text)
    text = LETTER_TEXT.sub(r"\1", WORD_TEXT.sub(r" \1 ", text)).strip()
    whole = WHOLE_TEXT.fullmatch(text)
    text = _trimmed(whole.group(1) if whole else text)
    return re.sub(" +", " ", _joined_digits(text))


def compact(text: str) -> str:
    """`canonical` text without the spaces that carry no meaning: those not between two letters or digits."""
    return re.sub(r"(?<![A-Za-z0-9]) +| +(?![A-Za-z0-9])", "", text)


def split_top_level(text: str, separators: str) -> list[str]:
    """`text` cut at each character of `separators` that stands outside all brackets, parts stripped."""
    parts, start, depth = [], 0, 0
    for position, character in enumerate(text):
        if character in "([{⦃":
            depth += 1
        elif character in ")]}⦄":
            depth -= 1
        elif depth == 0 and character in separators:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]


def encloses(text: str) -> bool:
    """Whether the first character is a bracket that the last one closes, whatever the two kinds are."""
    if len(text) < 2 or text[0] not in "([{⦃":
        return False
    depth = 0
    for position, character in enumerate(text):
        depth += (character in "([{⦃") - (character in ")]}⦄")
        if depth == 0:
            return position == len(text) - 1
    return False


def _matrix_name(command: str) -> str:
    return command[: command.index("{")] + "{pmatrix}"


def _unboxed(text: str) -> str:
    for _ in range(3):
        inner = boxes(text)
        if len(inner) != 1 or inner[0].span != (0, len(text)):
            break
        text = inner[0].text.strip()
    return text


def _without_delimiters(text: str) -> str:
    """Drops $, $$, \\( \\) and \\[ \\]; a single $ beside a number is money."""
    text = re.sub(r"(?<!\\)\\[()\[\]](?![0-9.]+(?:pt|em|ex))", " ", text)
    text = text.replace("\\$", "\\dollar ").replace("\\%", "%")
    if text.count("$") == 1:
        return text.replace("$", "\\dollar ")
    return text.replace("$", " ")


def _trimmed(text: str) -> str:
    text = text.strip(" *_`") if not text.startswith("⦃") else text.strip()
    while (text and text[-1] in ".,;:") or text.endswith("\\"):
        text = text[:-1].rstrip()
    return text


def _joined_digits(text: str) -> str:
    if THOUSANDS_BY_SPACE.fullmatch(text.lstrip("+-")):
        text = text.replace(" ", "")
    if not any(bracket in text for bracket in "([⦃"):
        text = THOUSANDS_BY_COMMA.sub(lambda match: match.group().replace(",", ""), text)
    mixed = PLAIN_MIXED.fullmatch(text)
    return f"{mixed[1]}\\frac{{{mixed[2]}}}{{{mixed[3]}}}" if mixed else text
