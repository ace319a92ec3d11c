"""A paired comparison of two sides, cell by cell: as text for a terminal, as markdown and as JSON.

What could be seen stands before what was seen: the detectable difference is the first table of each form. All of the
cells are one family, so both corrections count every row.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from thinkscale.keys import JSON, plain
from thinkscale.reporting.wording import count, interval, method_name, p_value, percent, points, setting
from thinkscale.statistics import CellKey


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side of a comparison: one model in one or several runs."""

    runs: tuple[str, ...]
    model: str

    @property
    def label(self) -> str:
        """The model and where it was run."""
        return f"{self.model} ({', '.join(self.runs)})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a benchmark could show: the smallest difference (a fraction) at 80% power and the family's level."""

    benchmark: str
    num_problems: int
    conservative: float | None
    """Where half of all pairs are discordant; None where nothing would show, or for runs over several seeds."""
    observed: float | None
    """At the discordance, or the variance over problems and seeds, that was seen."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedCell:
    """`second` minus `first` in one cell. Accuracies and differences are fractions."""

    key: CellKey
    """Its model is empty, since each side has its own; in a study it is the variant."""
    num_problems: int
    first: float
    second: float
    difference: float
    low: float | None
    high: float | None
    """As if nothing else had been compared; None where nothing tells the spread."""
    low_simultaneous: float | None
    high_simultaneous: float | None
    p_value: float
    p_holm: float
    gained: int | None
    lost: int | None
    """Problems on which the second is better, or worse; None over several seeds."""
    first_tokens: float
    second_tokens: float
    """Mean thinking tokens."""
    beyond_noise: bool
    """After correction, by interval and test."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Everything that a comparison says."""

    first: Side
    second: Side
    over_seeds: bool
    """Whether a side has several runs: then intervals are over problems and seeds."""
    resolutions: tuple[Resolution, ...]
    cells: tuple[ComparedCell, ...]
    notes: tuple[str, ...]
    """What was left out, and what the numbers cannot show."""

    @property
    def num_clear(self) -> int:
        """Cells whose difference is beyond noise."""
        return sum(cell.beyond_noise for cell in self.cells)


def comparison_json(found: Comparison) -> dict[str, JSON]:
    """Fields by name; fractions, not percent."""
    value = plain(found)
    assert isinstance(value, dict)
    return {**value, "beyond_noise": found.num_clear}


def comparison_text(found: Comparison) -> str:
    """Lines for a terminal."""
    return "\n".join([*_head(found), "", *_aligned(_detectable(found)), "", *_aligned(_rows(found)), "", *_tail(found)])


def comparison_markdown(found: Comparison, figure: str | None = None) -> str:
    """A page; `figure` is the path of the drawing relative to it."""
    lines = ["# Comparison", "", *_head(found), "", "## What could be seen", "", *_markdown(_detectable(found)), ""]
    lines += ["## What was seen", "", *([f"![Differences by cell]({figure})", ""] if figure else [])]
    lines += [*_markdown(_rows(found)), "", *(f"- {line}" for line in _tail(found)), ""]
    return "\n".join(lines)


def cell_name(key: CellKey) -> str:
    """`truncation, 500 tokens`; of a study with the variant, which stands where the model does, before it."""
    return f"{f'{key.model}: ' if key.model else ''}{method_name(key.method)}, {setting(key)}"


def _head(found: Comparison) -> list[str]:
    return [f"first:  {found.first.label}", f"second: {found.second.label}"]


def _detectable(found: Comparison) -> list[list[str]]:
    level = f"{len(found.cells)} comparison{'s' * (len(found.cells) != 1)}"
    seen = "at the variance over problems and seeds" if found.over_seeds else "at the discordance seen"
    head = [f"detectable difference, 80% power, {level}", "problems"]
    wide = [] if found.over_seeds else ["if half are discordant"]
    rows = [[*head, *wide, seen]]
    for item in found.resolutions:
        most = [] if found.over_seeds else [_points_or(item.conservative)]
        rows.append([item.benchmark, count(item.num_problems), *most, _points_or(item.observed)])
    return rows


def _points_or(value: float | None) -> str:
    return "none would show" if value is None else f"{100 * value:.1f} points"


def _rows(found: Comparison) -> list[list[str]]:
    counts = [] if found.over_seeds else ["gained", "lost"]
    head = ["cell", "first", "second", "difference (points)", "corrected interval", "p", "Holm", *counts, "tokens", ""]
    rows = [head]
    for cell in found.cells:
        moved = [] if found.over_seeds else [str(cell.gained), str(cell.lost)]
        rows.append(
            [
                f"{cell.key.benchmark}: {cell_name(cell.key)}",
                percent(cell.first),
                percent(cell.second),
                points(cell.difference),
                _interval(cell.low_simultaneous, cell.high_simultaneous),
                p_value(cell.p_value),
                p_value(cell.p_holm),
                *moved,
                f"{count(cell.first_tokens)} → {count(cell.second_tokens)}",
                "beyond noise" if cell.beyond_noise else "",
            ]
        )
    return rows


def _interval(low: float | None, high: float | None) -> str:
    return "no spread" if low is None or high is None else interval(100 * low, 100 * high)


def _tail(found: Comparison) -> list[str]:
    total = len(found.cells)
    method = (
        "Student's t over problems and seeds, Bonferroni intervals"
        if found.over_seeds
        else "sign-flip test, intervals by the largest |t| of the family"
    )
    verdict = f"{found.num_clear} of {total} differences are beyond noise after correction (one family; {method})."
    return [verdict, *found.notes]


def _aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns of one width, the first and the last to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    last = len(widths) - 1
    return [
        "  ".join(
            cell.ljust(widths[place]) if place in (0, last) else cell.rjust(widths[place])
            for place, cell in enumerate(row)
        ).rstrip()
        for row in rows
    ]


def _markdown(rows: Sequence[Sequence[str]]) -> list[str]:
    head, *body = ([cell.replace("|", "\\|") for cell in row] for row in rows)
    rule = ["---", *("---:" for _ in head[1:])]
    return [_line(head), _line(rule), *map(_line, body)]


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
