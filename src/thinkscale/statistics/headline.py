"""The one accuracy of each benchmark that a table of models shows.

Of many cells the one that says what a model answers when it is asked once and not interfered with: thinking with no
budget, no waits, no class prompt. Where a sweep has no such cell it is the one that comes nearest, in a fixed order, so
that a model's number never is the best of many, which would grow with the number of cells.
"""

from collections.abc import Iterable

from thinkscale.records import Cell

METHODS = ("truncation", "budget_forcing", "direct")
"""The methods that may give the headline, in order of preference."""
STUDENT = "student"


def headline(cells: Iterable[Cell], model: str = STUDENT) -> dict[str, Cell]:
    """Benchmark to the cell of `model` that stands for it, in the order in which benchmarks come.

    Without a budget before any budget, then the largest; the fewest waits. A benchmark with cells of other methods
    alone is left out.
    """
    found: dict[str, Cell] = {}
    for cell in cells:
        if cell.model != model or cell.k != 1 or cell.method not in METHODS:
            continue
        other = found.get(cell.benchmark)
        if other is None or _rank(cell) < _rank(other):
            found[cell.benchmark] = cell
    return found


def _rank(cell: Cell) -> tuple[int, int, bool, int, str]:
    """The lower, the nearer to an answer that nobody interfered with."""
    budget = cell.budget_tokens
    return cell.waits, METHODS.index(cell.method), budget is not None, -(budget or 0), cell.variant
