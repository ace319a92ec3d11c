"""Which cells are compared with which: candidates for paired comparisons, in words."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from thinkscale.records import Cell
from thinkscale.reporting.wording import SAMPLED, budget, method_name, setting, waits
from thinkscale.statistics import CLASS_CONDITIONAL, setting_order

TRUNCATION = "truncation"
BUDGET_FORCING = "budget_forcing"
DIRECT = "direct"

Candidate = tuple[Cell, Cell, str]
"""First, second, and the change from one to the other in words."""


def series_of(cells: Iterable[Cell]) -> dict[tuple[str, str, str, int, str], list[Cell]]:
    """Cells that differ in nothing but the budget (the steps told, the minimum): the curves of an evaluation.

    Of methods that take several samples: those that differ in nothing but the number of samples.
    Keyed by benchmark, model, method, waits and what else names the curve; small settings first.
    """
    series: dict[tuple[str, str, str, int, str], list[Cell]] = {}
    for cell in cells:
        pool = f" of {budget(cell.budget_tokens)}" if cell.method in SAMPLED else ""
        name = (cell.benchmark, cell.model, cell.method, cell.waits, f"{curve_variant(cell)}{pool}")
        series.setdefault(name, []).append(cell)
    for curve in series.values():
        curve.sort(key=lambda cell: (cell.k, setting_order(cell)[:3], len(cell.variant), cell.variant))
    return series


NUMBERED = ("step_conditional", "step_conditional_forced", "minimum")
"""Methods whose variant is the number that makes the curve, and no name of a curve."""


def curve_variant(cell: Cell) -> str:
    """What tells curves of one method apart beside the waits: a wait string, a prompt class, a scorer."""
    return "" if cell.method in NUMBERED else cell.variant


def steps_up(cells: Sequence[Cell]) -> Iterator[Candidate]:
    """Every step to the next budget, number of waits or prompt class that made the mean thinking longer."""
    candidates = [*_budget_steps(cells), *_wait_steps(cells), *_class_steps(cells)]
    for first, second, what in candidates:
        if second.mean_thinking_tokens > first.mean_thinking_tokens:
            yield first, second, what


def _budget_steps(cells: Iterable[Cell]) -> Iterator[Candidate]:
    for (_, _, method, num_waits, variant), curve in series_of(cells).items():
        tail = f", {waits(num_waits, variant)}" if num_waits else f", {variant}" if variant else ""
        for first, second in pairwise(curve):
            told = f"{setting(first)} → {setting(second)}" if method in NUMBERED else f"{_arrow(first, second)}{tail}"
            yield first, second, told


def _arrow(first: Cell, second: Cell) -> str:
    if first.budget_tokens is not None and second.budget_tokens is not None:
        return f"{first.budget_tokens:,} → {second.budget_tokens:,} tokens"
    return f"{budget(first.budget_tokens)} → {budget(second.budget_tokens)}"


def _wait_curves(cells: Iterable[Cell]) -> Iterator[list[Cell]]:
    """For each forced curve at one budget: its cell without waits, then its cells by growing number of waits.

    The cell without waits may be shared by all wait strings (an empty variant).
    """
    none: dict[tuple[str, str, str, int | None, str], Cell] = {}
    forced: dict[tuple[str, str, str, int | None, str], list[Cell]] = {}
    for cell in cells:
        group = (cell.benchmark, cell.model, cell.method, cell.budget_tokens, cell.variant)
        if cell.waits:
            forced.setdefault(group, []).append(cell)
        else:
            none[group] = cell
    for group, curve in forced.items():
        benchmark, model, method, limit, _ = group
        shared, plain = (benchmark, model, method, limit, ""), (benchmark, model, TRUNCATION, limit, "")
        start = none.get(group) or none.get(shared) or none.get(plain)
        yield ([start] if start else []) + sorted(curve, key=setting_order)


def _wait_steps(cells: Iterable[Cell]) -> Iterator[Candidate]:
    for curve in _wait_curves(cells):
        for first, second in pairwise(curve):
            yield (
                first,
                second,
                f"{first.waits} → {waits(second.waits, second.variant)}, {budget(second.budget_tokens)}",
            )


def _class_steps(cells: Iterable[Cell]) -> Iterator[Candidate]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.method == CLASS_CONDITIONAL:
            groups.setdefault((cell.benchmark, cell.model), []).append(cell)
    for group in groups.values():
        group.sort(key=lambda cell: cell.mean_thinking_tokens)
        for first, second in pairwise(group):
            yield first, second, f"{first.variant} → {second.variant} prompt"


def wait_pairs(cells: Sequence[Cell]) -> Iterator[Candidate]:
    """Each number of waits against none, at the largest budget that has both."""
    curves = [curve for curve in _wait_curves(cells) if curve[0].waits == 0]
    largest: dict[tuple[str, str], tuple[bool, int]] = {}
    for curve in curves:
        group = (curve[0].benchmark, curve[0].model)
        largest[group] = max(largest.get(group, (False, 0)), _size(curve[0]))
    for curve in curves:
        first = curve[0]
        if _size(first) == largest[first.benchmark, first.model]:
            for second in curve[1:]:
                yield first, second, f"0 → {waits(second.waits, second.variant)}"


def _size(cell: Cell) -> tuple[bool, int]:
    return (cell.budget_tokens is None, cell.budget_tokens or 0)


def span_pairs(cells: Sequence[Cell]) -> Iterator[Candidate]:
    """The smallest against the largest budget of truncation, else of the first method with budgets."""
    chosen: dict[tuple[str, str], list[Cell]] = {}
    for (benchmark, model, method, num_waits, _), curve in series_of(cells).items():
        if num_waits == 0 and len(curve) > 1 and (method == TRUNCATION or (benchmark, model) not in chosen):
            chosen[benchmark, model] = curve
    for curve in chosen.values():
        yield curve[0], curve[-1], _arrow(curve[0], curve[-1])


def base_pairs(cells: Sequence[Cell], base_model: str | None) -> Iterator[Candidate]:
    """One pair for each benchmark, trained model and method that the base has too: no waits, largest common budget.

    Where the base was also asked to answer at once and does better so, that is what its rivals are measured against.
    """
    base = {
        (cell.benchmark, cell.method, cell.variant, cell.budget_tokens): cell
        for cell in cells
        if cell.model == base_model and cell.waits == 0
    }
    at_once = {cell.benchmark: cell for cell in base.values() if cell.method == DIRECT}
    best: dict[tuple[str, str, str, str], tuple[Cell, Cell]] = {}
    for cell in cells:
        match = base.get((cell.benchmark, cell.method, cell.variant, cell.budget_tokens))
        if cell.model == base_model or cell.waits or match is None:
            continue
        group = (cell.benchmark, cell.model, cell.method, cell.variant)
        if group not in best or _size(cell) > _size(best[group][1]):
            match = max(match, at_once.get(cell.benchmark, match), key=lambda item: item.accuracy)
            best[group] = (match, cell)
    for first, second in best.values():
        yield first, second, f"{first.model} → {second.model}"


def plain_pairs(cells: Sequence[Cell]) -> Iterator[Candidate]:
    """Thinking as long as the model likes (truncation without a budget) against every setting of the other methods.

    Budget forcing is left out: `wait_pairs` compares it.
    """
    plain = {
        (cell.benchmark, cell.model): cell
        for cell in cells
        if cell.method == TRUNCATION and cell.budget_tokens is None and not cell.waits
    }
    for cell in cells:
        first = plain.get((cell.benchmark, cell.model))
        if first is not None and cell.method not in (TRUNCATION, BUDGET_FORCING):
            yield first, cell, f"plain thinking → {method_name(cell.method)}, {setting(cell)}"
