"""The figure of a comparison: a row for each cell, its difference with both intervals, a panel for each benchmark."""

from typing import TYPE_CHECKING

from thinkscale.reporting.compared import ComparedCell, Comparison, cell_name
from thinkscale.reporting.theme import BLUE, GREY, INK, VERMILION, Figure, Row, data_of, finished
from thinkscale.reporting.wording import interval, p_value, percent, points

if TYPE_CHECKING:
    import altair as alt

WIDTH = 420
ROW_HEIGHT = 22
NAMES = ("better", "worse", "not distinguishable from zero")
COLOURS = (BLUE, VERMILION, GREY)
SHAPES = ("triangle-right", "triangle-left", "circle")


def comparison_figure(found: Comparison) -> Figure | None:
    """None where nothing was compared."""
    if not found.cells:
        return None
    import altair as alt

    benchmarks = dict.fromkeys(cell.key.benchmark for cell in found.cells)
    reach = _reach(found)
    panels = [_panel(name, [cell for cell in found.cells if cell.key.benchmark == name], reach) for name in benchmarks]
    over = "problems and seeds" if found.over_seeds else "problems"
    return Figure(
        name="compare",
        title=f"{found.second.label} against {found.first.label}",
        caption=(
            f"Difference of accuracies in points, second minus first, on the same problems. Thick: 95% interval over "
            f"{over} of one comparison alone; thin: corrected for all {len(found.cells)}. Grey circles cannot be told "
            "from zero after correction."
        ),
        alt="Differences of accuracy with intervals, one row for each method and setting.",
        spec=finished(alt.vconcat(*panels).resolve_scale(x="shared", color="shared", shape="shared")),
    )


def _reach(found: Comparison) -> float:
    """Half of the axis, in points."""
    ends = [
        abs(value)
        for cell in found.cells
        for value in (cell.difference, cell.low_simultaneous, cell.high_simultaneous)
        if value is not None
    ]
    return min(100.0, max(5.0, 105 * max(ends)))


def _panel(name: str, cells: list[ComparedCell], reach: float) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    rows = [_row(cell) for cell in cells]
    y = alt.Y("cell:N", title=None, sort=[str(row["cell"]) for row in rows]).axis(labelLimit=320)
    scale = alt.Scale(domain=[-reach, reach], nice=False)
    colour = alt.Color("verdict:N").scale(domain=list(NAMES), range=list(COLOURS))
    shape = alt.Shape("verdict:N").scale(domain=list(NAMES), range=list(SHAPES))
    tips = {
        "cell": "cell", "first": "first", "second": "second", "shown": "difference", "alone": "alone",
        "corrected": "corrected", "p": "p, Holm",
    }  # fmt: skip
    title = "difference of accuracy, second minus first (points)"
    chart = alt.Chart(data_of(rows), width=WIDTH, height=max(60, ROW_HEIGHT * len(rows)), title=name)
    zero = alt.Chart(data_of([{"x": 0}])).mark_rule(color=INK, strokeDash=[4, 3]).encode(x=alt.X("x:Q", scale=scale))
    thin = chart.mark_rule(size=1.5).encode(
        x=alt.X("low_simultaneous:Q", scale=scale, title=title), x2="high_simultaneous:Q", y=y, color=colour
    )
    thick = chart.mark_rule(size=4, opacity=0.55).encode(
        x=alt.X("low:Q", scale=scale, title=title), x2="high:Q", y=y, color=colour
    )
    points_ = chart.mark_point(size=90, filled=True, opacity=1).encode(
        x=alt.X("difference:Q", scale=scale, title=title),
        y=y,
        color=colour,
        shape=shape,
        tooltip=[alt.Tooltip(f"{field}:N", title=words) for field, words in tips.items()],
    )
    return alt.layer(zero, thin, thick, points_)


def _row(cell: ComparedCell) -> Row:
    return {
        "cell": cell_name(cell.key),
        "difference": 100 * cell.difference,
        "low": _percent(cell.low),
        "high": _percent(cell.high),
        "low_simultaneous": _percent(cell.low_simultaneous),
        "high_simultaneous": _percent(cell.high_simultaneous),
        "first": percent(cell.first),
        "second": percent(cell.second),
        "shown": f"{points(cell.difference)} points",
        "alone": _words(cell.low, cell.high),
        "corrected": _words(cell.low_simultaneous, cell.high_simultaneous),
        "p": p_value(cell.p_holm),
        "verdict": NAMES[2] if not cell.beyond_noise else NAMES[0] if cell.difference > 0 else NAMES[1],
    }


def _percent(value: float | None) -> float | None:
    return None if value is None else 100 * value


def _words(low: float | None, high: float | None) -> str:
    return "no spread" if low is None or high is None else interval(100 * low, 100 * high)
