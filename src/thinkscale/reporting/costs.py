"""What an answer of each cell takes: tokens exactly, seconds, joules and dollars at the rate of the sweep.

The sweep shares prefixes, so nobody measured what a cell takes alone. Tokens of a run of its own are known exactly;
everything else is these tokens times what the whole sweep took for each token that it generated.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from thinkscale.records import Cell
from thinkscale.reporting.data import ReportData, SweepCost
from thinkscale.reporting.wording import method_place

SECONDS_AN_HOUR = 3600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """What one generated token of the sweep took; None where nobody measured or nothing is charged."""

    seconds: float | None
    joules: float | None
    usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CellCost:
    """One cell with what one of its answers takes."""

    cell: Cell
    on_frontier: bool
    """No other cell of its model and benchmark is at least as accurate with fewer tokens."""
    seconds: float | None
    joules: float | None
    usd: float | None


def rates(cost: SweepCost | None) -> Rates:
    """The sweep's totals over its generated tokens."""
    if cost is None or not cost.generated_tokens:
        return Rates(seconds=None, joules=None, usd=None)
    tokens, seconds = cost.generated_tokens, cost.seconds
    hourly = cost.usd_per_hour or 0.0
    usd = cost.usd + (seconds or 0.0) / SECONDS_AN_HOUR * hourly
    return Rates(
        seconds=None if seconds is None else seconds / tokens,
        joules=sum(cost.joules.values()) / tokens if cost.joules else None,
        usd=usd / tokens if usd else None,
    )


def cell_costs(data: ReportData) -> list[CellCost]:
    """Every cell that knows its generated tokens, in the report's order."""
    each = rates(data.cost)
    cells = [cell for cell in data.cells if cell.mean_generated_tokens > 0]
    best = {id(cell) for group in _groups(cells) for cell in frontier(group)}
    return [
        CellCost(
            cell=cell,
            on_frontier=id(cell) in best,
            seconds=_times(each.seconds, cell),
            joules=_times(each.joules, cell),
            usd=_times(each.usd, cell),
        )
        for cell in cells
    ]


def _times(rate: float | None, cell: Cell) -> float | None:
    return None if rate is None else rate * cell.mean_generated_tokens


def _groups(cells: Iterable[Cell]) -> list[list[Cell]]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.benchmark, cell.model), []).append(cell)
    return list(groups.values())


def _preference(cell: Cell) -> tuple[float, float, int, int]:
    return cell.mean_generated_tokens, -cell.accuracy, method_place(cell.method), cell.waits


def frontier(cells: Sequence[Cell]) -> list[Cell]:
    """Cells that no other beats with fewer tokens: tokens and accuracy grow along the list.

    pass@k is left out: it takes a grader to pick the right sample, so it is no way to answer. Of cells that are alike
    (truncation, and forcing without a wait) the first of the report's order is named.
    """
    best: list[Cell] = []
    usable = (cell for cell in cells if cell.method != "pass")
    for cell in sorted(usable, key=_preference):
        if not best or cell.accuracy > best[-1].accuracy:
            best.append(cell)
    return best
