r"""Units of quantities: taken off a scalar, and compared where both sides have one.

Known units have a dimension and a factor, so that 2 hours are 120 minutes and 5 cm are not 5 m. Any other word after a
number (`12 apples`, `\text{ students}`) is a unit that says nothing: it is kept for the record and never compared.
"""

import re
from collections.abc import Mapping
from fractions import Fraction

CURRENCY = re.compile(r"([-+]?) *(?:US|USD)? *(\\dollar|\\euro|\\pound|USD|EUR) *(?=[-\d.\\(])")
PERCENT = re.compile(r" *(?:\\?%|\\text\{ *(?:percent|%) *\}|(?<![A-Za-z])(?:percent|pct|percentage))$", re.IGNORECASE)
SHORT_UNITS = (
    "mm cm dm km kg mg ml mL kL nm ft yd mi oz lb lbs hr hrs min mins sec secs ms mph kmh kph rpm sq cu rad deg gal "
    "USD EUR units unit cents cent days day miles mile feet foot inches inch hours hour years year Hz "
    "kHz eV keV MeV GeV"
)
ONE_LETTER_UNITS = frozenset("mgLlshJNWVAKC")
WORD_UNIT = rf"(?:(?:{'|'.join(SHORT_UNITS.split())})(?![A-Za-z])|(?<![A-Za-z])[A-Za-z]{{4,}})"
UNIT = re.compile(
    r"(?:(?<=[\d})!.])|(?<=[A-Za-z])(?= *\\text)) *(\\dollar|\\euro|\\pound|\\degree(?: ?[CF](?![A-Za-z]))?"
    r"|\\text\{[^{}]*\}(?: ?[\^/*] ?(?:\{?[-\w]+\}?|\\text\{[^{}]*\})| ?\\text\{[^{}]*\})*"
    r"|(?<= )[mgLl](?:\^\{?[23]\}?)?(?: ?/ ?(?:\\text\{)? ?[hsL]\}?(?:\^\{?2\}?)?)?"
    r"|(?!分之|[万亿百千十](?![克米]))[\u4e00-\u9fff]{1,4}"
    rf"|{WORD_UNIT}(?:[ /]+[A-Za-z]+|\^\{{?[23]\}}?)*)$"
)
UNIT_NAMES = {
    "\\dollar": "dollar", "usd": "dollar", "us dollar": "dollar", "\\euro": "euro", "eur": "euro", "\\pound": "pound",
    "\\degree": "degree", "deg": "degree", "inche": "inch", "in": "inch", "feet": "foot", "ft": "foot", "meter": "m",
    "metre": "m", "centimeter": "cm", "centimetre": "cm", "kilometer": "km", "kilometre": "km", "millimeter": "mm",
    "decimeter": "dm", "hr": "hour", "min": "minute", "sec": "second", "lb": "pound", "mi": "mile", "yd": "yard",
    "kilogram": "kg", "gram": "g", "milligram": "mg", "liter": "l", "litre": "l", "milliliter": "ml", "oz": "ounce",
    "h": "hour", "s": "second", "hrs": "hour", "mins": "minute", "secs": "second", "kilo": "kg", "radian": "rad",
    "厘米": "cm", "米": "m", "千米": "km", "公里": "km", "毫米": "mm", "克": "g", "千克": "kg", "公斤": "kg",
    "小时": "hour", "分钟": "minute", "秒": "second", "天": "day", "度": "degree", "升": "l", "毫升": "ml",
}  # fmt: skip
Scale = tuple[str, Fraction]
SCALES: Mapping[str, Scale] = {
    "mm": ("length", Fraction(1, 1000)), "cm": ("length", Fraction(1, 100)), "dm": ("length", Fraction(1, 10)),
    "m": ("length", Fraction(1)), "km": ("length", Fraction(1000)), "inch": ("length", Fraction(254, 10000)),
    "foot": ("length", Fraction(3048, 10000)), "yard": ("length", Fraction(9144, 10000)),
    "mile": ("length", Fraction(1609344, 1000)),
    "mg": ("mass", Fraction(1, 1000)), "g": ("mass", Fraction(1)), "kg": ("mass", Fraction(1000)),
    "ton": ("mass", Fraction(1000000)), "ounce": ("weight", Fraction(1)), "pound": ("weight", Fraction(16)),
    "second": ("time", Fraction(1)), "minute": ("time", Fraction(60)), "hour": ("time", Fraction(3600)),
    "day": ("time", Fraction(86400)), "week": ("time", Fraction(604800)),
    "month": ("months", Fraction(1)), "year": ("months", Fraction(12)),
    "ml": ("volume", Fraction(1, 1000)), "l": ("volume", Fraction(1)),
    "cent": ("money", Fraction(1, 100)), "dollar": ("money", Fraction(1)), "euro": ("euro", Fraction(1)),
}  # fmt: skip
SIMPLE = re.compile(r"(?:(square|sq|cubic|cu)\.? )?([a-z]+)(?:\^\{?([23])\}?)?")
POWERS = {"square": 2, "sq": 2, "cubic": 3, "cu": 3, None: 1}


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
        return text.strip(), unit_name(currency[2]) if currency else ""
    return text[: unit.start()].strip(), unit_name(unit[1])


def unit_name(unit: str) -> str:
    """One name for the spellings of a unit, in the singular."""
    name = " ".join(re.sub(r"\\text|[{}.]", " ", unit).casefold().split()).replace(" ^", "^").replace("^ ", "^")
    if len(name) > 2 and name.endswith("s") and name[-2] not in "s/ ":
        name = name[:-1]
    return UNIT_NAMES.get(name, name)


def scale_of(unit: str) -> tuple[tuple[tuple[str, int], ...], Fraction] | None:
    """Dimension and factor of a known unit (`km/hour`, `square foot`, `m^2`), None for any other."""
    powers: dict[str, int] = {}
    factor = Fraction(1)
    for place, part in enumerate(re.split(r" ?/ ?| per ", unit.replace("mph", "mile/hour"))):
        match = SIMPLE.fullmatch(part.strip())
        name = UNIT_NAMES.get(match[2], match[2]) if match else ""
        found = SCALES.get(name) or SCALES.get(UNIT_NAMES.get(name.rstrip("s"), name.rstrip("s")))
        if match is None or found is None:
            return None
        power = (int(match[3]) if match[3] else POWERS[match[1]]) * (-1 if place else 1)
        dimension, size = found
        powers[dimension] = powers.get(dimension, 0) + power
        factor *= size**power
    return tuple(sorted(powers.items())), factor
