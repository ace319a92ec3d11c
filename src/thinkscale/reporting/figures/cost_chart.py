"""The figure of trade-offs: how accurate an answer is for its seconds, joules and dollars."""

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from thinkscale.reporting.costs import CellCost, cell_costs
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.theme import COLOURS, SHAPES, Figure, Row, data_of, finished, percent_ticks
from thinkscale.reporting.wording import accuracy, method_name, setting

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 275, 240
SPAN = 1.3
"""Room left and right of the outermost points, as a factor."""
STEPS = ((1,), (1, 3), (1, 2, 5), (1, 1.5, 2, 3, 5, 7))
UNITS: tuple[tuple[str, Callable[[CellCost], float | None]], ...] = (
    ("seconds an answer (log scale)", lambda item: item.seconds),
    ("joules an answer (log scale)", lambda item: item.joules),
    ("US dollars an answer (log scale)", lambda item: item.usd),
)


def costs_figure(data: ReportData) -> Figure | None:
    """Accuracy on the frontier against each cost that is known; None where nobody measured any."""
    best = [item for item in cell_costs(data) if item.on_frontier and item.cell.model == data.main_model]
    known = [(title, value) for title, value in UNITS if best and all(value(item) for item in best)]
    if not known:
        return None
    import altair as alt

    charts = [_panel(title, value, best, data.benchmarks) for title, value in known]
    return Figure(
        name="costs",
        title="The frontier: what accuracy costs",
        caption=(
            f"Cells of {data.main_model} that no other beats with fewer generated tokens, on each benchmark: accuracy "
            "with its 95% bootstrap interval against what one answer takes at the rate of this sweep. Clock readings, "
            "so they differ from run to run."
        ),
        alt="Accuracy of the cells on the frontier against seconds, joules and dollars for an answer.",
        spec=finished(alt.concat(*charts, columns=3).resolve_scale(color="shared", shape="shared")),
    )


def _panel(
    title: str, value: Callable[[CellCost], float | None], items: Sequence[CellCost], benchmarks: Sequence[str]
) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    names = [name for name in benchmarks if any(item.cell.benchmark == name for item in items)]
    rows: list[Row] = [
        {
            "cost": value(item),
            "percent": 100 * item.cell.accuracy,
            "low": 100 * item.cell.accuracy_low,
            "high": 100 * item.cell.accuracy_high,
            "benchmark": item.cell.benchmark,
            "tip": f"{method_name(item.cell.method)}, {setting(item.cell)}: {accuracy(item.cell)}",
        }
        for item in items
    ]
    ticks = percent_ticks(
        min(100 * item.cell.accuracy_low for item in items), max(100 * item.cell.accuracy_high for item in items)
    )
    known = [cost for item in items if (cost := value(item))]
    domain = [min(known) / SPAN, max(known) * SPAN]
    x = (
        alt.X("cost:Q", title=title)
        .scale(type="log", domain=domain, nice=False)
        .axis(values=_round_values(*domain), format="~g", grid=False)
    )
    scale, axis = alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False), alt.Axis(values=ticks)
    y = alt.Y("percent:Q", title="accuracy (%)", scale=scale, axis=axis)
    low = alt.Y("low:Q", title="accuracy (%)", scale=scale, axis=axis)
    colour = alt.Color("benchmark:N", sort=names).scale(domain=names, range=_cycled(COLOURS, names))
    shape = alt.Shape("benchmark:N", sort=names).scale(domain=names, range=_cycled(SHAPES, names))
    tips = [alt.Tooltip("benchmark:N"), alt.Tooltip("tip:N", title="cell"), alt.Tooltip("cost:Q", format=".3g")]
    chart = alt.Chart(data_of(rows), width=WIDTH, height=HEIGHT)
    return alt.layer(
        chart.mark_rule(opacity=0.4, strokeWidth=1.3).encode(x, low, alt.Y2("high:Q"), colour),
        chart.mark_line(opacity=0.75, strokeWidth=1.7).encode(x, y, colour),
        chart.mark_point(filled=True, size=62, opacity=1, stroke="white", strokeWidth=0.7).encode(
            x, y, colour, shape, tooltip=tips
        ),
    )


def _round_values(low: float, high: float) -> list[float]:
    """The coarsest of STEPS, times powers of ten, of which three fall inside; what there is of the finest."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    values: list[float] = []
    for steps in STEPS:
        values = [value for power in powers for step in steps if low <= (value := float(f"{step}e{power}")) <= high]
        if len(values) >= 3:
            break
    return values


def _cycled(values: Sequence[str], names: Sequence[str]) -> list[str]:
    return [values[place % len(values)] for place in range(len(names))]
