"""Everything that a report says about its cells, computed once: metrics and paired comparisons."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean

from thinkscale.records import Cell, Score, Verdict
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.wording import budget
from thinkscale.statistics import (
    CLASS_CONDITIONAL,
    CellKey,
    MethodMetrics,
    PairedDifference,
    cell_key,
    detectable_difference,
    method_metrics,
    paired_difference,
    setting_order,
)

TRUNCATION = "truncation"
BUDGET_FORCING = "budget_forcing"
DIRECT = "direct"

Outcomes = Mapping[CellKey, Mapping[str, Sequence[float]]]
"""For each cell, 1 for each correct and 0 for each other sample, by problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two cells on the same problems: `second` minus `first`."""

    first: Cell
    second: Cell
    what: str
    """The change in words, such as `64 → 128 tokens`."""
    paired: PairedDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What differences a benchmark is able to show."""

    benchmark: str
    num_problems: int
    conservative: float | None
    """Detectable difference (a fraction) when half of all pairs are discordant; None where nothing would show."""
    discordant_rate: float | None
    """Mean over this report's comparisons on the benchmark; None without comparisons."""
    observed: float | None
    """Detectable difference at that rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What was computed from the cells and scores of a report."""

    metrics: tuple[MethodMetrics, ...]
    steps_up: tuple[Comparison, ...]
    """Every step to the next larger budget, the next number of waits or the longer prompt class that made the
    mean thinking longer."""
    wait_effects: tuple[Comparison, ...]
    """Each number of waits against none, at the largest budget that has both."""
    spans: tuple[Comparison, ...]
    """The smallest against the largest budget of truncation (else of the first method with budgets)."""
    versus_base: tuple[Comparison, ...]
    """Each trained model against the base model at the same setting: the largest budget that both have."""
    resolutions: tuple[Resolution, ...]

    @property
    def falls(self) -> tuple[Comparison, ...]:
        """Steps up at which the accuracy went down, largest fall first."""
        falling = [item for item in self.steps_up if item.paired.difference < 0]
        return tuple(sorted(falling, key=lambda item: item.paired.difference))


def analyse(data: ReportData) -> Analysis:
    """Metrics and comparisons of `data`. Cells without scores are shown in tables but not compared."""
    comparer = _Comparer(_outcomes(data.scores), data.resamples, data.seed)
    cells = [cell for cell in data.cells if cell_key(cell) in comparer.outcomes]
    steps_up = tuple(comparer.pairs(_steps_up(cells)))
    wait_effects = tuple(comparer.pairs(_wait_pairs(cells)))
    spans = tuple(comparer.pairs(_span_pairs(cells)))
    versus_base = tuple(comparer.pairs(_base_pairs(cells, data.base_model)))
    seen = [*steps_up, *wait_effects, *versus_base]
    return Analysis(
        metrics=tuple(method_metrics(data.scores, data.targets_tokens, data.resamples, data.seed)),
        steps_up=steps_up,
        wait_effects=wait_effects,
        spans=spans,
        versus_base=versus_base,
        resolutions=tuple(_resolution(name, num, seen) for name, num in data.problems_by_benchmark.items()),
    )


Candidate = tuple[Cell, Cell, str]


@dataclass(frozen=True, slots=True)
class _Comparer:
    outcomes: Outcomes
    resamples: int
    seed: int

    def pairs(self, candidates: Iterable[Candidate]) -> Iterator[Comparison]:
        """The comparisons of those candidates that share problems."""
        for first, second, what in candidates:
            before, after = self.outcomes[cell_key(first)], self.outcomes[cell_key(second)]
            if before.keys() & after.keys():
                paired = paired_difference(before, after, self.resamples, self.seed)
                yield Comparison(first=first, second=second, what=what, paired=paired)


def _outcomes(scores: Iterable[Score]) -> Outcomes:
    outcomes: dict[CellKey, dict[str, list[float]]] = {}
    for score in scores:
        by_problem = outcomes.setdefault(cell_key(score), {})
        by_problem.setdefault(score.problem_id, []).append(float(score.verdict is Verdict.CORRECT))
    return outcomes


def series_of(cells: Iterable[Cell]) -> dict[tuple[str, str, str, int, str], list[Cell]]:
    """Cells that differ in nothing but the budget, small budgets first: the curves of an evaluation."""
    series: dict[tuple[str, str, str, int, str], list[Cell]] = {}
    for cell in cells:
        series.setdefault((cell.benchmark, cell.model, cell.method, cell.waits, cell.variant), []).append(cell)
    for curve in series.values():
        curve.sort(key=setting_order)
    return series


def _steps_up(cells: Sequence[Cell]) -> Iterator[Candidate]:
    candidates = [*_budget_steps(cells), *_wait_steps(cells), *_class_steps(cells)]
    for first, second, what in candidates:
        if second.mean_thinking_tokens > first.mean_thinking_tokens:
            yield first, second, what


def _budget_steps(cells: Iterable[Cell]) -> Iterator[Candidate]:
    for (_, _, _, waits, variant), curve in series_of(cells).items():
        tail = f", {waits} × {variant or 'no string'}" if waits else f", {variant}" if variant else ""
        for first, second in pairwise(curve):
            yield first, second, f"{_arrow(first, second)}{tail}"


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
            waits = f"{first.waits} → {second.waits} × {second.variant or 'no string'}"
            yield first, second, f"{waits}, {budget(second.budget_tokens)}"


def _class_steps(cells: Iterable[Cell]) -> Iterator[Candidate]:
    groups: dict[tuple[str, str], list[Cell]] = {}
    for cell in cells:
        if cell.method == CLASS_CONDITIONAL:
            groups.setdefault((cell.benchmark, cell.model), []).append(cell)
    for group in groups.values():
        group.sort(key=lambda cell: cell.mean_thinking_tokens)
        for first, second in pairwise(group):
            yield first, second, f"{first.variant} → {second.variant} prompt"


def _wait_pairs(cells: Sequence[Cell]) -> Iterator[Candidate]:
    curves = [curve for curve in _wait_curves(cells) if curve[0].waits == 0]
    largest: dict[tuple[str, str], tuple[bool, int]] = {}
    for curve in curves:
        group = (curve[0].benchmark, curve[0].model)
        largest[group] = max(largest.get(group, (False, 0)), _size(curve[0]))
    for curve in curves:
        first = curve[0]
        if _size(first) == largest[first.benchmark, first.model]:
            for second in curve[1:]:
                yield first, second, f"0 → {second.waits} × {second.variant or 'no string'}"


def _size(cell: Cell) -> tuple[bool, int]:
    return (cell.budget_tokens is None, cell.budget_tokens or 0)


def _span_pairs(cells: Sequence[Cell]) -> Iterator[Candidate]:
    chosen: dict[tuple[str, str], list[Cell]] = {}
    for (benchmark, model, method, waits, _), curve in series_of(cells).items():
        if waits == 0 and len(curve) > 1 and (method == TRUNCATION or (benchmark, model) not in chosen):
            chosen[benchmark, model] = curve
    for curve in chosen.values():
        yield curve[0], curve[-1], _arrow(curve[0], curve[-1])


def _base_pairs(cells: Sequence[Cell], base_model: str | None) -> Iterator[Candidate]:
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


def _resolution(benchmark: str, num_problems: int, comparisons: Sequence[Comparison]) -> Resolution:
    rates = [item.paired.discordant_rate for item in comparisons if item.first.benchmark == benchmark]
    rate = fmean(rates) if rates else None
    return Resolution(
        benchmark=benchmark,
        num_problems=num_problems,
        conservative=detectable_difference(num_problems),
        discordant_rate=rate,
        observed=None if rate is None else detectable_difference(num_problems, rate),
    )
