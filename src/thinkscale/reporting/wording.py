"""How numbers and settings read in a report: one place, so that tables, figures and sentences agree."""

import math

from thinkscale.records import Cell
from thinkscale.statistics import CellKey, Estimate, PairedDifference

MINUS = "\N{MINUS SIGN}"
GIB = 1024**3
METHOD_NAMES = {
    "direct": "answer at once",
    "truncation": "truncation",
    "budget_forcing": "budget forcing",
    "minimum": "minimum thinking",
    "class_conditional": "class-conditional",
    "token_conditional": "token-conditional",
    "token_conditional_forced": "token-conditional, forced",
    "step_conditional": "step-conditional",
    "step_conditional_forced": "step-conditional, forced",
    "rejection": "rejection sampling",
    "majority": "majority vote",
    "pass": "pass@k",
    "best_of_n": "best of n",
    "unforced": "own end of thinking",
    "other": "other models",
}


METHOD_ORDER = tuple(METHOD_NAMES)
"""In which methods are listed, whatever order they were run in."""


def method_place(method: str) -> int:
    """Where a method stands in lists; unknown ones last."""
    return METHOD_ORDER.index(method) if method in METHOD_ORDER else len(METHOD_ORDER)


def method_name(method: str) -> str:
    """`budget_forcing` as `budget forcing`; names without an entry read as they are, spaces for underscores."""
    return METHOD_NAMES.get(method, method.replace("_", " "))


def count(number: float) -> str:
    """1234567 as 1,234,567."""
    return f"{number:,.0f}"


def percent(fraction: float) -> str:
    """0.1234 as 12.3%."""
    return f"{100 * fraction:.1f}%"


def significant(number: float, digits: int = 3) -> str:
    """A positive number with so many digits that say something, never with an exponent: 0.0000165, 1,234."""
    if number <= 0:
        return "0"
    return f"{number:,.{max(0, digits - 1 - math.floor(math.log10(number)))}f}"


def signed(number: float, digits: int = 1) -> str:
    """+1.2 or −1.2 with a real minus sign; what rounds to zero has no sign."""
    text = f"{abs(number):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{MINUS if number < 0 else '+'}{text}"


def loss(value: float) -> str:
    """1.234, or 0.00024 where three places would say nothing."""
    if abs(value) >= 0.01 or value == 0:
        return plain(value, 3)
    return f"{MINUS if value < 0 else ''}{significant(abs(value), 2)}"


def gibibytes(num_bytes: float) -> str:
    """61.2 GiB."""
    return f"{num_bytes / GIB:,.1f} GiB" if num_bytes >= GIB / 10 else f"{num_bytes / 1024**2:,.0f} MiB"


def points(fraction: float) -> str:
    """A difference of fractions in points: 0.123 as +12.3."""
    return signed(100 * fraction)


def setting(item: Cell | CellKey) -> str:
    """`4,000 tokens, 2 × Wait`: what sets a cell apart from the others of its method."""
    if item.method in SAMPLED:
        pool = [f"{count(item.budget_tokens)} tokens"] if item.budget_tokens is not None else []
        return ", ".join([f"k = {count(item.k)}", *pool, *([item.variant] if item.variant else [])])
    if item.method in STEPPED:
        return f"{item.variant} {'step' if item.variant == '1' else 'steps'}"
    if item.method == "minimum":
        return f"at least {count(int(item.variant)) if item.variant.isdigit() else item.variant} tokens"
    parts = []
    if item.budget_tokens is not None:
        parts.append(f"{count(item.budget_tokens)} tokens")
    if item.waits:
        parts.append(waits(item.waits, item.variant))
    elif item.variant:
        parts.append(item.variant)
    return ", ".join(parts) if parts else "no budget"


SAMPLED = ("majority", "pass", "best_of_n")
"""Methods whose setting is the number of samples."""
STEPPED = ("step_conditional", "step_conditional_forced")
"""Methods whose setting is the number of steps told; their budget is worked out of it."""


def waits(number: int, string: str) -> str:
    """`2 × Wait`, or `2 × no string` where the end of thinking is suppressed and nothing put in its place."""
    return f"{number} × {'no string' if string in ('', 'none') else string}"


def budget(budget_tokens: int | None) -> str:
    """`4,000 tokens`, or `no budget`."""
    return "no budget" if budget_tokens is None else f"{count(budget_tokens)} tokens"


def interval(low: float, high: float, digits: int = 1) -> str:
    """[1.2, 3.4] with real minus signs."""
    return f"[{plain(low, digits)}, {plain(high, digits)}]"


def plain(number: float, digits: int = 1) -> str:
    """1.2 or −1.2 with a real minus sign."""
    text = f"{abs(number):.{digits}f}"
    return f"{MINUS}{text}" if number < 0 and float(text) != 0 else text


def estimate(value: Estimate, unit: str = "", digits: int = 1) -> str:
    """`12.3% [4.5, 6.7]`, or `n/a (one cell)` with the reason."""
    if value.value is None:
        return f"n/a ({value.reason})"
    number = f"{plain(value.value, digits)}{unit}"
    if value.low is None or value.high is None:
        return f"{number} ({value.reason})" if value.reason else number
    return f"{number} {interval(value.low, value.high, digits)}"


def share(value: Estimate) -> str:
    """An estimate of a fraction in percent: `56.7% [38.2, 73.3]`."""
    if value.value is None or value.low is None or value.high is None:
        return estimate(value, "%")
    return f"{percent(value.value)} {interval(100 * value.low, 100 * value.high)}"


def accuracy(cell: Cell) -> str:
    """`56.7% [38.2, 73.3]`: accuracy of a cell with its interval."""
    return f"{percent(cell.accuracy)} {interval(100 * cell.accuracy_low, 100 * cell.accuracy_high)}"


def difference(paired: PairedDifference) -> str:
    """`−1.2 points [−4.0, 1.6]`."""
    return f"{points(paired.difference)} points {interval(100 * paired.low, 100 * paired.high)}"


def judgement(paired: PairedDifference, beyond_noise: bool | None = None) -> str:
    """Whether a paired difference can be told from zero, in words; `beyond_noise` where a correction decided that."""
    if paired.gained + paired.lost == 0:
        return f"the same on all {count(paired.num_problems)} problems"
    clear = paired.beyond_noise if beyond_noise is None else beyond_noise
    return "beyond noise" if clear else "not distinguishable from zero"


def p_value(value: float) -> str:
    """0.034, or < 0.001."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def shortened(text: str, most: int) -> str:
    """`text` on one line, at most `most` characters, an ellipsis where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
