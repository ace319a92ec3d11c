"""How numbers and settings read in a report: one place, so that tables, figures and sentences agree."""

from thinkscale.records import Cell
from thinkscale.statistics import CellKey, Estimate, PairedDifference

MINUS = "\N{MINUS SIGN}"
METHOD_NAMES = {
    "truncation": "truncation",
    "budget_forcing": "budget forcing",
    "class_conditional": "class-conditional",
    "token_conditional": "token-conditional",
    "step_conditional": "step-conditional",
    "best_of_n": "best of n",
}


def method_name(method: str) -> str:
    """`budget_forcing` as `budget forcing`; names without an entry read as they are, spaces for underscores."""
    return METHOD_NAMES.get(method, method.replace("_", " "))


def count(number: float) -> str:
    """1234567 as 1,234,567."""
    return f"{number:,.0f}"


def percent(fraction: float) -> str:
    """0.1234 as 12.3%."""
    return f"{100 * fraction:.1f}%"


def signed(number: float, digits: int = 1) -> str:
    """+1.2 or −1.2 with a real minus sign; what rounds to zero has no sign."""
    text = f"{abs(number):.{digits}f}"
    if float(text) == 0:
        return text
    return f"{MINUS if number < 0 else '+'}{text}"


def points(fraction: float) -> str:
    """A difference of fractions in points: 0.123 as +12.3."""
    return signed(100 * fraction)


def setting(item: Cell | CellKey) -> str:
    """`4,000 tokens, 2 × Wait`: what sets a cell apart from the others of its method."""
    parts = []
    if item.budget_tokens is not None:
        parts.append(f"{count(item.budget_tokens)} tokens")
    if item.waits:
        parts.append(f"{item.waits} × {item.variant or 'no string'}")
    elif item.variant:
        parts.append(item.variant)
    return ", ".join(parts) if parts else "no budget"


def budget(budget_tokens: int | None) -> str:
    """`4,000 tokens`, or `no budget`."""
    return "no budget" if budget_tokens is None else f"{count(budget_tokens)} tokens"


def interval(low: float, high: float, digits: int = 1) -> str:
    """[1.2, 3.4] with real minus signs."""
    return f"[{_plain(low, digits)}, {_plain(high, digits)}]"


def _plain(number: float, digits: int) -> str:
    text = f"{abs(number):.{digits}f}"
    return f"{MINUS}{text}" if number < 0 and float(text) != 0 else text


def estimate(value: Estimate, unit: str = "", digits: int = 1) -> str:
    """`12.3% [4.5, 6.7]`, or `n/a (one cell)` with the reason."""
    if value.value is None:
        return f"n/a ({value.reason})"
    number = f"{_plain(value.value, digits)}{unit}"
    if value.low is None or value.high is None:
        return f"{number} ({value.reason})" if value.reason else number
    return f"{number} {interval(value.low, value.high, digits)}"


def accuracy(cell: Cell) -> str:
    """`56.7% [38.2, 73.3]`: accuracy of a cell with its interval."""
    return f"{percent(cell.accuracy)} {interval(100 * cell.accuracy_low, 100 * cell.accuracy_high)}"


def difference(paired: PairedDifference) -> str:
    """`−1.2 points [−4.0, 1.6]`."""
    return f"{points(paired.difference)} points {interval(100 * paired.low, 100 * paired.high)}"


def judgement(paired: PairedDifference) -> str:
    """Whether a paired difference can be told from zero, in words."""
    if paired.gained + paired.lost == 0:
        return f"the same on all {count(paired.num_problems)} problems"
    return "beyond noise" if paired.beyond_noise else "not distinguishable from zero"


def p_value(value: float) -> str:
    """0.034, or < 0.001."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def shortened(text: str, most: int) -> str:
    """`text` on one line, at most `most` characters, an ellipsis where it was cut."""
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1].rstrip() + "…"
