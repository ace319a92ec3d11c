r"""Edits that leave a benchmark item the same problem: spacing, LaTeX spelling, signs, punctuation, case, numbers."""

import random
import re
from collections.abc import Callable, Sequence

from curation_wrappers import (
    Edit,
    doubled_backslashes,
    figure_note,
    in_a_list,
    instruction_after,
    instruction_before,
    label_before,
    markup,
    tag_after,
)

MATHS = re.compile(r"\$\$.*?\$\$|\$[^$]+\$|\\\[.*?\\\]|\\\(.*?\\\)", re.DOTALL)
NUMBER = re.compile(r"(?<![\w.\\])\d+(?![\w.]*\w)")


def _within_maths(text: str, change: Callable[[str], str]) -> str:
    return MATHS.sub(lambda match: change(match.group()), text)


def _parts(text: str) -> list[str]:
    """What lies outside of formulas at even places, the formulas at odd ones."""
    return re.split(f"({MATHS.pattern})", text, flags=re.DOTALL)


def _replaced(text: str, pairs: Sequence[tuple[str, str]]) -> str | None:
    edited = text
    for pattern, replacement in pairs:
        edited = re.sub(pattern, replacement, edited)
    return edited if edited != text else None


def spaces_added(text: str, draw: random.Random) -> str:
    """Doubled, non-breaking and tabbed spaces between words, and spaces around signs within formulas."""
    spaced = _within_maths(text, lambda part: re.sub(r"\s*([=+<>])\s*", r"  \1 ", part))
    return re.sub(r" ", lambda _: draw.choice((" ", " ", "  ", "\u00a0", "\t")), spaced)


def spaces_removed(text: str, _draw: random.Random) -> str:
    """Formulas without the spaces that LaTeX ignores."""
    return _within_maths(text, lambda part: re.sub(r"(?<![a-zA-Z\\])\s+|(?<=[a-zA-Z])\s+(?=[^a-zA-Z])", "", part))


def line_breaks(text: str, draw: random.Random) -> str:
    """Hard line breaks every few words, an empty line now and then."""
    return re.sub(r" ", lambda _: draw.choice((" ", " ", " ", " ", "\n", "\n\n")), text)


def fractions(text: str, draw: random.Random) -> str | None:
    r"""`\frac` as `\dfrac` or `\tfrac`, `\frac{1}{2}` as `\frac12`, and back."""
    longer = re.sub(r"\\[dt]?frac\s*(\d)\s*(\d)", r"\\frac{\1}{\2}", text)
    edited = re.sub(r"\\[dt]frac", r"\\frac", longer)
    if edited == text:
        edited = re.sub(r"\\frac\{(\d)\}\{(\d)\}", r"\\frac\1\2", text).replace(
            r"\frac{", draw.choice((r"\dfrac{", r"\tfrac{"))
        )
    return edited if edited != text else None


def bracket_sizes(text: str, _draw: random.Random) -> str | None:
    r"""`(` as `\left(` within formulas, or `\left(` as `\Big(` where they have sizes."""
    if r"\left" in text:
        return (
            text.replace(r"\left.", "").replace(r"\right.", "").replace(r"\left", r"\Big").replace(r"\right", r"\Big")
        )
    edited = _within_maths(
        text,
        lambda part: (
            re.sub(r"(?<!\\)\(([^()]*)\)", r"\\left(\1\\right)", part[1:-1]).join((part[0], part[-1]))
            if part[0] == "$" != part[1]
            else part
        ),
    )
    return edited if edited != text else None


def delimiters(text: str, _draw: random.Random) -> str | None:
    r"""`$..$` as `\(..\)`, `$$..$$` as `\[..\]`, `\[..\]` as `$$..$$`."""
    text_without_escapes = text.replace(r"\$", "\0")

    def other(match: re.Match[str]) -> str:
        part = match.group()
        if part.startswith("$$"):
            return rf"\[{part[2:-2]}\]"
        if part.startswith("$"):
            return rf"\({part[1:-1]}\)"
        return f"$${part[2:-2]}$$" if part.startswith(r"\[") else f"${part[2:-2]}$"

    edited = MATHS.sub(other, text_without_escapes).replace("\0", r"\$")
    return edited if edited != text else None


def commands(text: str, _draw: random.Random) -> str | None:
    r"""LaTeX commands with two spellings: `\le` and `\leq`, `\ldots` and `\dots`, `\text` and `\mbox`, `\sin`."""
    pairs = [
        (r"\\leq?(?:slant)?(?![a-zA-Z])", r"\\leqslant "),
        (r"\\geq?(?:slant)?(?![a-zA-Z])", r"\\geqslant "),
        (r"\\neq?(?![a-zA-Z])", r"\\not="),
        (r"\\[lc]?dots(?![a-zA-Z])", r"\\dotsc "),
        (r"\\text(?:bf|rm|it)?\{", r"\\mbox{"),
        (r"\\(?:bold|mathbf)\{", r"\\textbf{"),
        (r"\\operatorname\{(\w+)\}", r"\\mathrm{\1}"),
        (r"(?<=\d)\s*\\cdot\s*(?=\d)", r" \\times "),
        (r"\\overline", r"\\bar"),
        (r"\^\\circ|\^\{\\circ\}", r"^{\\circ}~"),
        (r"\\mathbb\{?([A-Z])\}?", r"\\mathbf{\1}"),
        (r"\\(sin|cos|tan|log|gcd|max|min)(?![a-zA-Z])", r"\\operatorname{\1}"),
        (r"\^(\d)(?!\d)", r"^{\1}"),
        (r"_(\w)", r"_{\1}"),
    ]
    return _replaced(text, pairs)


def thin_spaces(text: str, _draw: random.Random) -> str | None:
    r"""Empty scripts and spacing commands as in copies from the AoPS wiki: `$n^{}_{}$`, `\,`, `~`, `\quad`."""
    edited = re.sub(r"(?<=[a-zA-Z0-9])\$(?=[\s.,?])", r"^{}_{}$", text)
    edited = _within_maths(edited, lambda part: re.sub(r",\s*(?=\w)", r",\\, ", part))
    return edited if edited != text else None


UNICODE = (
    (r"\\pi(?![a-zA-Z])", "π"),
    (r"\\leq?(?![a-zA-Z])", "≤"),
    (r"\\geq?(?![a-zA-Z])", "≥"),
    (r"\\neq?(?![a-zA-Z])", "≠"),
    (r"\\times(?![a-zA-Z])", "×"),
    (r"\\cdot(?![a-zA-Z])", "·"),
    (r"\\angle(?![a-zA-Z])", "∠"),
    (r"\\triangle(?![a-zA-Z])", "△"),
    (r"\^\\circ|\^\{\\circ\}", "°"),
    (r"\\infty(?![a-zA-Z])", "∞"),
    (r"\\l?dots(?![a-zA-Z])", "…"),
    (r"\\alpha(?![a-zA-Z])", "α"),
    (r"\\theta(?![a-zA-Z])", "θ"),
    (r"\\in(?![a-zA-Z])", "∈"),
    (r"\\sqrt\{([^{}]*)\}", r"√(\1)"),
    (r"(?<=[\w)])\^\{?2\}?(?!\d)", "²"),
    (r"(?<=[\w)])\^\{?3\}?(?!\d)", "³"),
    (r"(?<=\s)-(?=\d|\s)", "−"),
    (r"(?<=\w)'(?=s\b)", "’"),
    ('"', "”"),
)


def unicode_signs(text: str, _draw: random.Random) -> str | None:
    """Unicode signs in place of LaTeX commands and of typewriter quotes."""
    return _replaced(text, UNICODE)


def compatibility_forms(text: str, draw: random.Random) -> str:
    """Full-width digits and signs, zero-width spaces, ligatures: what a PDF or a web page leaves."""
    wide = {ord("0") + digit: 0xFF10 + digit for digit in range(10)} | {
        ord("("): 0xFF08,
        ord(")"): 0xFF09,
        ord(","): 0xFF0C,
    }
    edited = text.replace("fi", "\ufb01").translate(wide)
    return re.sub(r"(?<=\w) (?=\w)", lambda _: draw.choice((" ", " ", " \u200b")), edited)


def plain_maths(text: str, _draw: random.Random) -> str | None:
    r"""Formulas without dollar signs, braces and backslashes: `$\frac{a}{b}$` as `(a)/(b)`."""
    pairs = [
        (r"\\[dt]?frac\{([^{}]*)\}\{([^{}]*)\}", r"(\1)/(\2)"),
        (r"\\sqrt\{([^{}]*)\}", r"sqrt(\1)"),
        (r"\\(?:left|right|displaystyle|,|;|!)", ""),
        (r"\\(?:text|mathrm|mathbf|overline)\{([^{}]*)\}", r"\1"),
        (r"(?<!\\)\$|\\[\[\]()]", ""),
        (r"\\([a-zA-Z]+)", r"\1"),
        (r"[{}]", ""),
    ]
    return _replaced(text, pairs)


def punctuation(text: str, draw: random.Random) -> str | None:
    """Without commas between words, other ends of sentences, other quotes, words with a hyphen."""
    parts = _parts(text)
    parts[::2] = [re.sub(r"(?<=[a-z]),(?= [a-z])", "", part) for part in parts[::2]]
    sign = draw.choice((" ", "\u2010", ""))
    parts[::2] = [re.sub(r"(?<=[a-z])-(?=[a-z])", sign, part) for part in parts[::2]]
    edited = re.sub(r"[.?:]\s*$", draw.choice(("", " .", ":", "?.", " ...")), "".join(parts))
    edited = edited.replace("``", '"').replace("''", '"')
    return edited if edited != text else None


def case(text: str, draw: random.Random) -> str:
    """All words outside formulas in capitals, or all in small letters."""
    shout = draw.random() < 0.5
    return "".join(
        part if place % 2 else (part.upper() if shout else part.lower()) for place, part in enumerate(_parts(text))
    )


def number_format(text: str, draw: random.Random) -> str | None:
    """1000 as 1,000, 1{,}000 or 1 000, and back."""
    without = re.sub(r"(?<![(,\[\d.{])(\d{1,3})(?:\{,\}|,\\?!?)(\d{3})(?!\d)", r"\1\2", text)
    if without != text:
        return without
    sign = draw.choice((",", "{,}", r"\,", " "))
    edited = re.sub(r"(?<![\d.])(\d{1,3})(\d{3})(?![\d.]*\d)", lambda match: match[1] + sign + match[2], text)
    return edited if edited != text else None


def several(text: str, draw: random.Random) -> str:
    """Three edits of other kinds, one after the other."""
    names = draw.sample([name for name in COPIES if name not in ("several", "doubled_backslashes")], 3)
    for name in names:
        text = COPIES[name](text, draw) or text
    return text


COPIES: dict[str, Edit] = {
    "spaces_added": spaces_added,
    "spaces_removed": spaces_removed,
    "line_breaks": line_breaks,
    "fractions": fractions,
    "bracket_sizes": bracket_sizes,
    "delimiters": delimiters,
    "commands": commands,
    "thin_spaces": thin_spaces,
    "unicode_signs": unicode_signs,
    "compatibility_forms": compatibility_forms,
    "plain_maths": plain_maths,
    "markup": markup,
    "doubled_backslashes": doubled_backslashes,
    "punctuation": punctuation,
    "case": case,
    "instruction_before": instruction_before,
    "instruction_after": instruction_after,
    "label_before": label_before,
    "tag_after": tag_after,
    "figure_note": figure_note,
    "number_format": number_format,
    "in_a_list": in_a_list,
    "several": several,
}
