"""The main figures: accuracy against thinking, and against everything generated, a panel for each benchmark."""

from collections.abc import Callable, Sequence

from thinkscale.records import Cell
from thinkscale.reporting.costs import frontier
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.figures.accuracy_panel import Panel, drawn_panel
from thinkscale.reporting.figures.marks import legend_of
from thinkscale.reporting.pairs import TRUNCATION
from thinkscale.reporting.published import PublishedPoint
from thinkscale.reporting.theme import Figure, finished
from thinkscale.reporting.wording import SAMPLED, count, method_name

FORCING = ("truncation", "budget_forcing", "minimum", "class_conditional")
"""Methods of the main figure; the model need not have been trained for them."""
CONDITIONAL = (
    "token_conditional", "token_conditional_forced", "step_conditional", "step_conditional_forced", "rejection",
)  # fmt: skip
"""Methods that tell the model a number, or wait for a short enough thinking."""
THINKING, GENERATED = "mean thinking tokens (log scale)", "mean generated tokens (log scale)"


def scaling_figure(data: ReportData) -> Figure | None:
    """Accuracy against mean thinking tokens of the report's main model, its base model as a reference."""
    own = [cell for cell in data.cells if cell.model == data.main_model and cell.method in FORCING]
    cells = [cell for cell in _without_twins(own) if cell.mean_thinking_tokens > 0]
    if not cells:
        return None
    points = _published(data, FORCING)
    return Figure(
        name="scaling",
        title="Truncation, forcing and prompt classes",
        caption=_caption(data, sum(cell.mean_thinking_tokens == 0 for cell in own), points),
        alt=f"Accuracy against mean thinking tokens (log scale) by method: {_names(cells)}.",
        spec=_drawn(data, cells, THINKING, lambda cell: cell.mean_thinking_tokens, points, reference=True),
    )


def conditional_figure(data: ReportData) -> Figure | None:
    """Methods that tell the model a number, and rejection sampling, beside plain truncation."""
    own = [cell for cell in data.cells if cell.model == data.main_model and cell.mean_thinking_tokens > 0]
    told = [cell for cell in own if cell.method in CONDITIONAL]
    if not told:
        return None
    benchmarks = {cell.benchmark for cell in told}
    plain = [cell for cell in own if cell.method == TRUNCATION and cell.benchmark in benchmarks]
    points = _published(data, CONDITIONAL)
    return Figure(
        name="conditional",
        title="Told how long to think, or sampled until short enough",
        caption=(
            f"Cells of {data.main_model} that were told a number of tokens or steps in the prompt, with and without "
            "forcing it, and rejection sampling (a response is drawn again until it is under the budget), beside "
            "truncation of the same model. Lines join growing numbers; bars are 95% bootstrap intervals over problems. "
            "A method in control of its thinking moves right along its line. "
            f"Labels: budgets of truncation.{_published_words(data, points)}"
        ),
        alt=f"Accuracy against mean thinking tokens of conditional methods: {_names(told)}.",
        spec=_drawn(data, [*plain, *told], THINKING, lambda cell: cell.mean_thinking_tokens, points),
    )


def generated_figure(data: ReportData) -> Figure | None:
    """Every method on the axis that sequential and parallel scaling share: all tokens that an answer takes."""
    own = [cell for cell in data.cells if cell.model == data.main_model and cell.mean_generated_tokens > 0]
    cells = _without_twins(_of_largest_pools(own))
    if len({cell.method for cell in cells}) < 2:
        return None
    return Figure(
        name="generated",
        title="All methods on one axis: what an answer generates",
        caption=(
            f"Each point is one cell of {data.main_model}: accuracy against all tokens that one answer takes "
            "(thinking and answer of every sample that it is made of, thrown-away attempts included). Bars are 95% "
            "bootstrap intervals over problems. Grey band: the frontier, cells that none beats with fewer tokens; "
            "pass@k is no way to answer, since only the reference can pick the right sample, and is left out of it. "
            "Votes and choices are drawn for the largest budget of the samples; the table of cells has the others. "
            "Labels: samples (k) at the end of each curve, budgets of truncation, forced waits (w)."
        ),
        alt=f"Accuracy against generated tokens (log scale) by method: {_names(cells)}.",
        spec=_drawn(data, cells, GENERATED, lambda cell: cell.mean_generated_tokens, (), with_frontier=True),
    )


def _of_largest_pools(cells: Sequence[Cell]) -> list[Cell]:
    """Leaves out votes and choices among samples of smaller budgets: a curve for each would hide everything."""
    largest: dict[tuple[str, str], tuple[bool, int]] = {}
    for cell in cells:
        group = (cell.benchmark, cell.method)
        largest[group] = max(largest.get(group, (False, 0)), _size(cell))
    return [cell for cell in cells if cell.method not in SAMPLED or _size(cell) == largest[cell.benchmark, cell.method]]


def _size(cell: Cell) -> tuple[bool, int]:
    return cell.budget_tokens is None, cell.budget_tokens or 0


def _names(cells: Sequence[Cell]) -> str:
    return ", ".join(dict.fromkeys(cell.benchmark for cell in cells))


def _drawn(
    data: ReportData,
    cells: Sequence[Cell],
    axis: str,
    tokens: Callable[[Cell], float],
    published: Sequence[PublishedPoint],
    *,
    reference: bool = False,
    with_frontier: bool = False,
) -> dict[str, object]:
    import altair as alt

    legend = legend_of(cells)
    charts = []
    for name in data.benchmarks:
        members = [cell for cell in cells if cell.benchmark == name]
        if members:
            panel = Panel(
                title=name,
                axis=axis,
                tokens=tokens,
                cells=members,
                legend=legend,
                reference=_reference(data, name) if reference else None,
                published=[point for point in published if point.benchmark == name],
                frontier=frontier(members) if with_frontier else (),
            )
            charts.append(drawn_panel(panel))
    return finished(alt.concat(*charts, columns=3).resolve_scale(color="shared", shape="shared"))


def _without_twins(cells: Sequence[Cell]) -> list[Cell]:
    """Leaves out budget forcing without a wait where truncation has the same cell: one point would hide the other."""
    truncated = {(cell.benchmark, cell.model, cell.budget_tokens) for cell in cells if cell.method == TRUNCATION}
    return [
        cell
        for cell in cells
        if cell.method != "budget_forcing"
        or cell.waits
        or (cell.benchmark, cell.model, cell.budget_tokens) not in truncated
    ]


def _published(data: ReportData, methods: Sequence[str]) -> list[PublishedPoint]:
    return [point for point in data.published if point.method in methods and point.thinking_tokens]


def _published_words(data: ReportData, points: Sequence[PublishedPoint]) -> str:
    if not points:
        return ""
    models = ", ".join(dict.fromkeys(point.model for point in points))
    own = {cell.method for cell in data.cells if cell.model == data.main_model}
    others = "; ".join(dict.fromkeys(method_name(point.method) for point in points if point.method not in own))
    missing = f" In colours that the legend has not, since this run has no such cells: {others}." if others else ""
    return f" Hollow circles: published points of {models}, in the colour of their method.{missing}"


def _caption(data: ReportData, num_left_out: int, points: Sequence[PublishedPoint]) -> str:
    text = (
        f"Each point is one cell of {data.main_model}; lines join cells that differ in nothing but the budget, the "
        "number of waits or the prompt class. Bars are 95% bootstrap intervals over problems; the cells of a panel "
        "share their problems, so differences between them are known better than the bars suggest (see the paired "
        "comparisons). "
        "Labels: budget in tokens, or forced waits (w). Budget forcing without a wait is truncation, and drawn as that."
    )
    if data.base_model in data.models[:-1]:
        text += " Dashed: the base model at its largest budget, or answering at once where that is better."
    text += _published_words(data, points)
    if num_left_out:
        text += f" Not drawn, since zero has no logarithm: {count(num_left_out)} cells without any thinking."
    return text


def _reference(data: ReportData, benchmark: str) -> Cell | None:
    """The base model's best cell at its largest budget without waits; None where the report is about the base model."""
    if data.base_model == data.main_model:
        return None
    base = [
        cell
        for cell in data.cells
        if (cell.benchmark, cell.model) == (benchmark, data.base_model) and not cell.waits and cell.k == 1
    ]
    return max(
        base, key=lambda cell: (cell.budget_tokens is None, cell.budget_tokens or 0, cell.accuracy), default=None
    )
