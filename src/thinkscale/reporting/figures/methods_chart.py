"""The figure that compares methods: the best cell of each, with its interval, beside what others published."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thinkscale.records import Cell
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.figures.marks import Legend, legend_of
from thinkscale.reporting.pairs import BUDGET_FORCING, TRUNCATION
from thinkscale.reporting.published import PublishedPoint
from thinkscale.reporting.theme import GREY, INK, Figure, Row, data_of, finished, percent_ticks
from thinkscale.reporting.wording import accuracy, count, method_name, percent, setting

if TYPE_CHECKING:
    import altair as alt

WIDTH = 240
MOST_PUBLISHED = 10
PLAIN = ("other", "direct", "unforced")
"""Methods of others that are nothing but asking the model."""
OURS, THEIRS = "this run", "published"


def methods_figure(data: ReportData) -> Figure | None:
    """The best cell of each method on each benchmark; None where there is one method and nothing published."""
    cells = [cell for cell in data.cells if cell.model == data.main_model]
    if any(cell.method == TRUNCATION for cell in cells):
        # Budget forcing without a wait is the same, and would copy its row.
        cells = [cell for cell in cells if cell.method != BUDGET_FORCING or cell.waits]
    base = [cell for cell in data.cells if cell.model != data.main_model and cell.k == 1]
    legend = legend_of(cells)
    panels = []
    for name in data.benchmarks:
        rows = _own_rows([cell for cell in cells if cell.benchmark == name], legend)
        rows += _base_rows([cell for cell in base if cell.benchmark == name])
        rows += _published_rows([point for point in data.published if point.benchmark == name])
        if rows:
            panels.append((name, rows))
    if max((len(rows) for _, rows in panels), default=0) < 2:
        return None
    import altair as alt

    charts = [_panel(name, rows) for name, rows in panels]
    theirs = " Hollow: published by others, without intervals." if data.published else ""
    return Figure(
        name="methods",
        title="The best cell of each method",
        caption=(
            f"Accuracy of the best cell of each method of {data.main_model}, with its 95% bootstrap interval over "
            "problems and the mean of the tokens that an answer generates (thinking alone where that is all that is "
            "known, as for published points). The best of many cells is partly luck: methods with more cells "
            f"gain from that.{theirs}"
        ),
        alt="Accuracy of the best cell of each method with its interval, for each benchmark.",
        spec=finished(alt.concat(*charts, columns=2).resolve_scale(color="independent", fill="independent")),
    )


def _own_rows(cells: Sequence[Cell], legend: Legend) -> list[Row]:
    best: dict[str, Cell] = {}
    for cell in cells:
        name = legend.name(cell)
        best[name] = max(best.get(name, cell), cell, key=_rank)
    return [_row(name, best[name], legend.marks[name][0]) for name in legend.names if name in best]


def _rank(cell: Cell) -> tuple[float, float]:
    """The more accurate, and of equals the one that takes fewer tokens."""
    return cell.accuracy, -(cell.mean_generated_tokens or cell.mean_thinking_tokens)


def _base_rows(cells: Sequence[Cell]) -> list[Row]:
    """The other models: one row each."""
    best: dict[str, Cell] = {}
    for cell in cells:
        best[cell.model] = max(best.get(cell.model, cell), cell, key=_rank)
    return [_row(f"{model}: {method_name(cell.method)}", cell, GREY) for model, cell in best.items()]


def _row(label: str, cell: Cell, tone: str) -> Row:
    return {
        "label": label,
        "source": OURS,
        "percent": 100 * cell.accuracy,
        "low": 100 * cell.accuracy_low,
        "high": 100 * cell.accuracy_high,
        "tone": tone,
        "text": f"{percent(cell.accuracy)}, {count(cell.mean_generated_tokens or cell.mean_thinking_tokens)} tokens",
        "tip": f"{setting(cell)}: {accuracy(cell)}",
    }


def _published_rows(points: Sequence[PublishedPoint]) -> list[Row]:
    """The best point of each model that others published, the best models first."""
    best: dict[str, PublishedPoint] = {}
    for point in points:
        if point.model not in best or point.accuracy > best[point.model].accuracy:
            best[point.model] = point
    chosen = sorted(best.values(), key=lambda point: -point.accuracy)[:MOST_PUBLISHED]
    return [
        {
            "label": point.model if point.method in PLAIN else f"{point.model}: {method_name(point.method)}",
            "source": THEIRS,
            "percent": 100 * point.accuracy,
            "low": 100 * point.accuracy,
            "high": 100 * point.accuracy,
            "tone": GREY,
            "text": percent(point.accuracy)
            + (f", {count(point.thinking_tokens)} tokens" if point.thinking_tokens else ""),
            "tip": f"{point.source}: {percent(point.accuracy)}",
        }
        for point in chosen
    ]


def _panel(name: str, rows: Sequence[Row]) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    lows, highs = [_number(row["low"]) for row in rows], [_number(row["high"]) for row in rows]
    ticks = percent_ticks(min(lows), max(highs))
    order = [str(row["label"]) for row in rows]
    y = alt.Y("label:N", title=None, sort=order).axis(labelLimit=300, ticks=False, domain=False, labelPadding=8)
    scale = alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False)
    axis = alt.Axis(values=ticks, labelFlush=False)
    low, middle = (alt.X(f"{field}:Q", title="accuracy (%)", scale=scale, axis=axis) for field in ("low", "percent"))
    tones = list(dict.fromkeys(str(row["tone"]) for row in rows))
    tone = alt.Color("tone:N", legend=None).scale(domain=tones, range=tones)
    filled = alt.Fill("tone:N", legend=None).scale(domain=tones, range=tones)
    fill = alt.when(f"datum.source == '{THEIRS}'").then(alt.value("white")).otherwise(filled)
    tips = [alt.Tooltip("label:N", title="method"), alt.Tooltip("tip:N", title="best cell")]
    chart = alt.Chart(data_of(rows), width=WIDTH, height=alt.Step(24), title=name)
    return alt.layer(
        chart.mark_rule(strokeWidth=2).encode(low, y, alt.X2("high:Q"), tone),
        chart.mark_point(size=75, strokeWidth=1.8, opacity=1).encode(middle, y, tone, fill=fill, tooltip=tips),
        chart.mark_text(align="left", dx=6, fontSize=11.5, color=INK).encode(
            y, alt.Text("text:N"), x=alt.value("width")
        ),
    )


def _number(value: object) -> float:
    assert isinstance(value, (int, float))
    return float(value)
