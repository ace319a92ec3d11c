r"""Compound quantities: `2 hours and 30 minutes` as one, and `9 boxes, 0 left over` as 9 boxes."""

import re
from fractions import Fraction

from thinkscale.grading.math.units import scale_of, unit_name

PART = re.compile(
    r"(\d{1,20}(?:\.\d{1,20})?) ?(?:\\text ?\{ *([^{}]{1,40}?) *\}|([A-Za-z][A-Za-z ]{0,40}?))"
    r" *(?:$|,|;|(?:\band\b)|(?=\d))"
)
MAX_CHARACTERS = 200


def compound(text: str) -> str | None:
    """One quantity for several in a row: their sum where the units are known and of one kind, or the only one that
    is not zero. None where `text` is anything else."""
    if not text[:1].isdigit() or len(text) > MAX_CHARACTERS:
        return None
    parts, position = [], 0
    while position < len(text):
        match = PART.match(text, position)
        if match is None:
            return None
        unit = re.sub(r"[,; ]+(?:and)?[,; ]*$", "", (match[2] or match[3]).strip())
        parts.append((Fraction(match[1]), unit))
        position = match.end()
        while position < len(text) and text[position] in " ,;":
            position += 1
        position += 4 if text.startswith("and ", position) else 0
    return _joined(parts) if len(parts) > 1 else None


def _joined(parts: list[tuple[Fraction, str]]) -> str | None:
    scales = [scale_of(unit_name(unit)) for _, unit in parts]
    if all(scales) and len({scale[0] for scale in scales if scale}) == 1:
        smallest = min((scale[1], unit) for scale, (_, unit) in zip(scales, parts, strict=True) if scale)
        total = sum(
            (amount * scale[1] for scale, (amount, _) in zip(scales, parts, strict=True) if scale), start=Fraction(0)
        )
        return f"{total / smallest[0]} \\text{{{smallest[1]}}}"
    present = [(amount, unit) for amount, unit in parts if amount]
    if len(present) == 1:
        return f"{present[0][0]} \\text{{{present[0][1]}}}"
    return None
