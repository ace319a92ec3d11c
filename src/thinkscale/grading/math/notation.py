r"""One spelling for each notation: LaTeX and Unicode variants of an answer brought to a canonical string.

Only spelling changes here, never a value: fonts, spacing, delimiters, names of the same symbol, and
thousands separators that cannot be anything else (`10,\!080`, `10{,}080`, `1,234,567` alone). The result
is for the readers in forms.py; set braces become ⦃ ⦄ so that they differ from LaTeX groups, \\ in a matrix ⏎,
and \$ \dollar.
"""

import re
from fractions import Fraction

from thinkscale.grading.answers import boxes

UNICODE = str.maketrans(
    {
        "−": "-", "–": "-", "—": "-", "×": "*", "·": "*", "⋅": "*", "÷": "/", "±": "\\pm ", "∓": "\\mp ",
        "≤": "\\le ", "≥": "\\ge ", "≠": "\\ne ", "π": "\\pi ", "θ": "\\theta ", "√": " sqrt ", "∞": "\\infty ",
        "°": "\\degree ", "∪": "\\cup ", "∈": "\\in ", "∅": "\\emptyset ", "ℝ": "\\reals ",
        "≈": "\\approx ", "∩": "\\cap ", "∖": "\\setminus ", "²": "^2 ", "³": "^3 ",
        "½": "\\frac{1}{2}", "¼": "\\frac{1}{4}", "¾": "\\frac{3}{4}", "€": "\\euro ", "£": "\\pound ",
        "％": "%", "＝": "=", "＋": "+", "－": "-", "∠": "\\angle ", "⅓": "\\frac{1}{3}", "⅔": "\\frac{2}{3}",
        "⅕": "\\frac{1}{5}", "⅛": "\\frac{1}{8}", "，": ",", "。": ".", "；": ";", "、": ",",
        "：": ":", "（": "(", "）": ")", "’": "'", "\u00a0": " ", "\u2009": " ", "\u202f": " ",
        "⟨": "(", "⟩": ")",
        **{chr(0xFF10 + digit): str(digit) for digit in range(10)},
        "\f": "\\f", "\b": "\\b",
    }
)  # fmt: skip
"""The control characters are what a careless JSON decoder makes of \\frac and \\begin."""

RAISED = re.compile("[⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ]{2,}|[⁰¹⁴⁵⁶⁷⁸⁹ⁿ]")
RAISED_CHARACTERS = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻ⁿ", "0123456789+-n")
LOWERED = re.compile("[₀-₉]+")
LOWERED_CHARACTERS = str.maketrans("₀₁₂₃₄₅₆₇₈₉", "0123456789")
ROW_END = "⏎"
NAMES = {
    "dfrac": "frac", "tfrac": "frac", "cfrac": "frac", "dbinom": "binom", "tbinom": "binom", "infin": "infty",
    "geq": "ge", "geqslant": "ge", "leq": "le", "leqslant": "le", "neq": "ne", "deg": "degree",
    "varnothing": "emptyset",
    "mbox": "text", "textbf": "text", "textit": "text", "textrm": "text", "textnormal": "text", "mathrm": "text",
    "mathbf": "text", "mathit": "text", "mathsf": "text", "operatorname": "text",
}  # fmt: skip

REPLACED_BY_SPACE = re.compile(
    r"\\q?quad|\\(?:displaystyle|textstyle|limits|rm|bf|hfill|newline|strut|thinspace|enspace)(?![A-Za-z])"
    r"|\\[,;:> ]|~|[ \t\r\n]+"
)
SIZES = re.compile(r"\\(?:left|right|middle|bigg?|Bigg?)[lrm]?(?![A-Za-z])")
OPERATORS = (
    (re.compile(r"\\(?:cdot(?!s)|times|ast(?![A-Za-z]))"), "*"),
    (re.compile(r"\\div(?![A-Za-z])"), "/"),
    (re.compile(r"\\(?:mathbb ?\{? ?R ?\}?|R(?:eal|eals)?(?![A-Za-z]))"), r"\\reals "),
    (re.compile(r"\\langle(?![A-Za-z])"), "("),
    (re.compile(r"\\rangle(?![A-Za-z])"), ")"),
    (re.compile(r"\\[lr]?vert(?![A-Za-z])"), "|"),
    (re.compile(r"(?<![A-Za-z\\])(?:inf|infty|infinity|oo)(?![A-Za-z])", re.IGNORECASE), r"\\infty "),
    (re.compile(r"\+ ?\\infty"), r"\\infty"),
    (re.compile(r"(?<![A-Za-z])(?:np|math|sympy)\."), ""),
    (re.compile(r"(?<![A-Za-z\\])frac(?=\{)"), r"\\frac"),
    (re.compile(r"\\lt(?![A-Za-z])"), "<"),
    (re.compile(r"\\gt(?![A-Za-z])"), ">"),
    (re.compile(r">=|=>"), r"\\ge "),
    (re.compile(r"<=|=<"), r"\\le "),
    (re.compile(r"!="), r"\\ne "),
    (re.compile(r"\*\*"), "^"),
    (re.compile(r"\\(?:\{|lbrace(?![A-Za-z]))"), "⦃"),
    (re.compile(r"\\(?:\}|rbrace(?![A-Za-z]))"), "⦄"),
    (re.compile(r"\^\s*(?:\\degree|\\circ|\{\s*(?:\\circ|\\degree)\s*\})(?![A-Za-z])"), r"\\degree "),
    (re.compile(r"\\(?:begin|end)\{(?:bmatrix|Bmatrix|matrix)\}"), lambda match: _matrix_name(match.group())),
)
THOUSANDS_BY_COMMAND = re.compile(r"(?<=\d)(?:,\s*\\!\s*|\\!\s*,\s*|\s*\{\s*,\s*\}|\\,)\s*(?=\d{3}(?!\d))")
THOUSANDS_BY_COMMA = re.compile(r"(?<![\d.,])[1-9]\d{0,2}(?:,\d{3})+(?:\.\d+)?(?!\d|,\d)")
THOUSANDS_BY_SPACE = re.compile(r"[1-9]\d{0,2}(?: \d{3})+(?:\.\d+)?")
SPLIT_DECIMAL = re.compile(r"^(\d+)\. (\d+)$")
PLAIN_MIXED = re.compile(r"(-?\d+) (\d+)/(\d+)")
BARE_BOX = re.compile(r"\s*boxed\{([^{}]*)\}\s*")
SUBSCRIPT_TEXT = re.compile(r"_ ?\{? ?\\text ?\{ ?([A-Za-z0-9]+) ?\} ?\}?")
WHOLE_TEXT = re.compile(r"\\text\s*\{([^{}]*)\}")
LETTER_TEXT = re.compile(r"(?<![\d}).])\\text\s*\{\s*([A-Za-z])\s*\}|\\text\s*\{([ied])\}")
BOLD_DIGITS = re.compile(r"\\(?:mathbf|boldsymbol|text\w*|mathrm)\s*\{\s*(\d(?: ?\d)*)\s*\}")
"""Bold digits, which some sources set one by one: `\\mathbf{1 8}` is 18."""
BOLD_LETTER = re.compile(r"\\(?:mathbf|mathit|boldsymbol|bm)\s*\{\s*(\\?[A-Za-z]+)\s*\}")
CHOOSE = re.compile(r"\{?([^{}]{1,40})\\choose(?![A-Za-z]) *([^{}]{1,40})\}?")
DOTTED = re.compile(r"(\d*\.\d*)\\dot ?\{?(\d)\}?(?:(\d*)\\dot ?\{?(\d)\}?)?")
GOES_ON = re.compile(r"(?<!\d)(\d{1,15}\.\d{0,30}?)(\d{1,15})\2+(?:\.\.\.|\\[lc]?dots|…)")
SEGMENT = re.compile(r"\\overline ?\{ ?([A-Z]{2}) ?\}")
UNIT_VECTOR = re.compile(r"\\(?:hat|vec|widehat) ?\{? ?(?:\\([ij])math|([ijk]))(?![A-Za-z]) ?\}?")
TEXT_MONEY = re.compile(r"\\text\s*\{\s*(\\(?:dollar|euro|pound) ?)\}")
WORD_TEXT = re.compile(r"\\text\s*\{\s*(and|or)\s*\}")


def canonical(answer: str) -> str:
    """The canonical spelling of `answer`; linear in its length. An empty string where nothing is left."""
    text = _on_the_line(_unboxed(answer.strip(" \t\r\n*"))).translate(UNICODE)
    text = text.replace("\\\\", ROW_END) if "\\begin" in text else re.sub(r"\\\\(?=[A-Za-z])", r"\\", text)
    text = _without_delimiters(text)
    text = THOUSANDS_BY_COMMAND.sub("", text)
    text = SIZES.sub("", text.replace("\\!", ""))
    text = BOLD_DIGITS.sub(lambda match: match[1].replace(" ", ""), text)
    text = BOLD_LETTER.sub(r"\1", text)
    text = re.sub(r"\\([A-Za-z]+)", lambda match: _known_name(match.group(1)), text)
    for pattern, replacement in OPERATORS:
        text = pattern.sub(replacement, text)
    text = REPLACED_BY_SPACE.sub(" ", text)
    text = SEGMENT.sub(r"\1", _repeating(CHOOSE.sub(r"\\binom{\1}{\2}", text)))
    text = SUBSCRIPT_TEXT.sub(r"_{\1}", text)
    text = UNIT_VECTOR.sub(lambda match: match[1] or match[2], TEXT_MONEY.sub(r"\1", text))
    text = LETTER_TEXT.sub(lambda match: match[1] or match[2], WORD_TEXT.sub(r" \1 ", text)).strip()
    whole = WHOLE_TEXT.fullmatch(text)
    text = _trimmed(whole.group(1) if whole else text)
    return re.sub(" +", " ", _joined_digits(text))


PLAIN_NUMBER = re.compile(r"[ $]*([-+]?) ?([1-9]\d{0,2}(?:,\d{3})+|\d+)(\.\d+)?\.?[ $]*", re.ASCII)
LARGEST_PLAIN_NUMBER = 60
"""Digits of a number that is read at once; longer ones go through the bounds of exact arithmetic."""


def plain_number(text: str) -> tuple[str, Fraction] | None:
    """Spelling and value of a plain integer or decimal (`-1,234.50`), None for anything else."""
    if len(text) > LARGEST_PLAIN_NUMBER:
        return None
    match = PLAIN_NUMBER.fullmatch(text)
    if match is None or text.count("$") == 1:
        return None
    sign, whole, places = match.groups()
    spelled = f"{'-' if sign == '-' else ''}{whole.replace(',', '')}{places or ''}"
    return spelled, Fraction(spelled) if places else Fraction(int(spelled))


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


def _on_the_line(text: str) -> str:
    """Raised and lowered digits of Unicode as LaTeX writes them."""
    if text.isascii():
        return text
    text = RAISED.sub(lambda match: f"^{{{match.group().translate(RAISED_CHARACTERS)}}}", text)
    return LOWERED.sub(lambda match: f"_{{{match.group().translate(LOWERED_CHARACTERS)}}}", text)


def _matrix_name(command: str) -> str:
    return command[: command.index("{")] + "{pmatrix}"


def _unboxed(text: str) -> str:
    bare = BARE_BOX.fullmatch(text)
    text = bare[1] if bare else text
    for _ in range(3 if "\\boxed" in text or "\\fbox" in text else 0):
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


def _known_name(name: str) -> str:
    r"""The command's canonical name; `\lex` is what `\le x` becomes where a source drops spaces."""
    if len(name) == 3 and name[:2] in ("le", "ge", "ne") and name[2] != "q":
        return f"\\{name[:2]} {name[2]}"
    return "\\" + NAMES.get(name, name)


def _repeating(text: str) -> str:
    """Repeating decimals with dots over or behind the digits, as with a bar."""
    if "dot" not in text and "..." not in text and "…" not in text:
        return text
    text = DOTTED.sub(lambda match: f"{match[1]}\\overline{{{match[2]}{match[3] or ''}{match[4] or ''}}}", text)
    return GOES_ON.sub(r"\1\\overline{\2}", text)


def _joined_digits(text: str) -> str:
    if THOUSANDS_BY_SPACE.fullmatch(text.lstrip("+-")):
        text = text.replace(" ", "")
    if not any(bracket in text for bracket in "([⦃"):
        text = THOUSANDS_BY_COMMA.sub(lambda match: match.group().replace(",", ""), text)
    text = SPLIT_DECIMAL.sub(r"\1.\2", text)
    mixed = PLAIN_MIXED.fullmatch(text)
    return f"{mixed[1]}\\frac{{{mixed[2]}}}{{{mixed[3]}}}" if mixed else text
