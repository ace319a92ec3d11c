"""Figures of differences: truncation with its bounds, the effect of waits, and where accuracy falls."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thinkscale.records import Cell
from thinkscale.reporting.analysis import Analysis, Comparison
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.pairs import TRUNCATION, series_of
from thinkscale.reporting.theme import (
    BLUE,
    COLOURS,
    GREY,
    INK,
    SHAPES,
    VERMILION,
    Figure,
    Row,
    data_of,
    finished,
    percent_ticks,
)
from thinkscale.reporting.wording import (
    accuracy,
    budget,
    count,
    difference,
    judgement,
    method_name,
    percent,
    points,
    waits,
)

if TYPE_CHECKING:
    import altair as alt

MOST_FALLS = 15
INTERVALS = (
    "Thick: 95% paired bootstrap interval of this difference alone; thin: corrected for all comparisons of its table. "
    "Filled: beyond noise after correction. Hollow: not distinguishable from zero."
)
WIDTH, HEIGHT = 275, 230


def truncation_figure(data: ReportData) -> Figure | None:
    """Accuracy against the truncation budget, with both ways to count the cut-off, for all models."""
    cells = [cell for cell in data.cells if cell.method == TRUNCATION and not cell.waits]
    panels = [(name, [cell for cell in cells if cell.benchmark == name]) for name in data.benchmarks]
    panels = [(name, panel) for name, panel in panels if panel]
    if len({cell.budget_tokens for cell in cells}) < 2:
        return None
    import altair as alt

    models = [model for model in reversed(data.models) if any(cell.model == model for cell in cells)]
    charts = [_truncation_panel(name, panel, models) for name, panel in panels]
    return Figure(
        name="truncation",
        title="Truncation, with both ways to count what was cut off",
        caption=(
            "Points count the cut-off as wrong and carry 95% bootstrap intervals over problems. The shaded band "
            "reaches up to the accuracy with the cut-off left out: where it shows, a limit and not the model decided."
        ),
        alt="Accuracy in percent for each truncation budget and model, with intervals and bounds.",
        spec=finished(alt.concat(*charts, columns=3).resolve_scale(color="shared", shape="shared")),
    )


def _truncation_panel(name: str, cells: Sequence[Cell], models: list[str]) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    ordered = sorted({cell.budget_tokens for cell in cells}, key=lambda limit: (limit is None, limit or 0))
    ticks = percent_ticks(
        min(100 * cell.accuracy_low for cell in cells),
        max(100 * max(cell.accuracy_high, cell.accuracy_of_finished) for cell in cells),
    )
    scale, axis = alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False), alt.Axis(values=ticks)
    x = alt.X("budget:O", title="budget (tokens)", sort=[_short_budget(limit) for limit in ordered]).axis(labelAngle=0)
    y = alt.Y("percent:Q", title="accuracy (%)", scale=scale, axis=axis)
    low = alt.Y("low:Q", title="accuracy (%)", scale=scale, axis=axis)
    colour = alt.Color("model:N").scale(domain=models, range=list(COLOURS[: len(models)]))
    shape = alt.Shape("model:N").scale(domain=models, range=list(SHAPES[: len(models)]))
    tips = {"model": "model", "budget": "budget", "accuracy": "accuracy", "bound": "cut-off left out", "cut": "cut off"}
    chart = alt.Chart(data_of(_truncation_rows(cells)), width=WIDTH, height=HEIGHT, title=name)
    return alt.layer(
        chart.mark_area(opacity=0.22).encode(x, y, alt.Y2("finished:Q"), colour),
        chart.mark_rule(opacity=0.5, strokeWidth=1.5).encode(x, low, alt.Y2("high:Q"), colour),
        chart.mark_line(strokeWidth=1.8).encode(x, y, colour, alt.Order("order:Q")),
        chart.mark_point(filled=True, size=65, opacity=1, stroke="white", strokeWidth=0.7).encode(
            x, y, colour, shape, tooltip=[alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]
        ),
    )


def _truncation_rows(cells: Sequence[Cell]) -> list[Row]:
    rows: list[Row] = []
    for curve in series_of(cells).values():
        rows += [
            {
                "budget": _short_budget(cell.budget_tokens),
                "order": order,
                "model": cell.model,
                "percent": 100 * cell.accuracy,
                "low": 100 * cell.accuracy_low,
                "high": 100 * cell.accuracy_high,
                "finished": 100 * cell.accuracy_of_finished,
                "accuracy": accuracy(cell),
                "bound": percent(cell.accuracy_of_finished),
                "cut": f"{count(cell.cut_off)} of {count(cell.num_scores)}",
            }
            for order, cell in enumerate(curve)
        ]
    return rows


def _short_budget(budget_tokens: int | None) -> str:
    return "none" if budget_tokens is None else count(budget_tokens)


def waits_figure(data: ReportData, analysis: Analysis) -> Figure | None:
    """What each number of forced waits changes, against none, on each benchmark."""
    items = analysis.wait_effects.of_model(data.main_model)
    if not items:
        return None
    import altair as alt

    rows = [
        _difference_row(item, waits(item.second.waits, item.second.variant), item.second.benchmark) for item in items
    ]
    settings = list(dict.fromkeys(str(row["label"]) for row in rows))
    domain = _domain(items)
    width = max(150, 290 - 7 * max(len(label) for label in settings))  # so that three panels fit a page
    charts = [
        _difference_panel([row for row in rows if row["group"] == name], settings, domain, width).properties(title=name)
        for name in data.benchmarks
        if any(row["group"] == name for row in rows)
    ]
    return Figure(
        name="waits",
        title="What forcing the model to go on changes",
        caption=(
            f"Difference in accuracy of {data.main_model} to the same trajectories without a forced wait "
            f"({budget(items[0].first.budget_tokens)}), on the same problems. {INTERVALS}"
        ),
        alt="Paired difference in accuracy for each number of forced waits on each benchmark.",
        spec=finished(alt.concat(*charts, columns=3)),
    )


def falls_figure(data: ReportData, analysis: Analysis) -> Figure | None:
    """The steps to longer thinking that cost accuracy, the largest falls first; None where there are none."""
    falls = [item for item in analysis.falls if item.second.model == data.main_model]
    if not falls:
        return None
    shown = falls[:MOST_FALLS]
    rows = [
        _difference_row(item, f"{item.second.benchmark}, {method_name(item.second.method)} · {item.what}", "")
        for item in shown
    ]
    chart = _difference_panel(rows, [str(row["label"]) for row in rows], _domain(shown), 430)
    rest = f" The {len(shown)} largest of {len(falls)} are shown." if len(falls) > len(shown) else ""
    return Figure(
        name="falls",
        title="Where more thinking costs accuracy",
        caption=(
            f"Steps to a longer mean thinking at which the accuracy of {data.main_model} falls. {INTERVALS}{rest}"
        ),
        alt="Paired difference in accuracy for each step to longer thinking at which accuracy falls.",
        spec=finished(chart),
    )


def _difference_row(item: Comparison, label: str, group: str) -> Row:
    return {
        "label": label,
        "group": group,
        "points": 100 * item.paired.difference,
        "low": 100 * item.paired.low,
        "high": 100 * item.paired.high,
        "low_all": 100 * min(item.compared.low_simultaneous, item.paired.low),
        "high_all": 100 * max(item.compared.high_simultaneous, item.paired.high),
        "text": points(item.paired.difference),
        "clear": item.beyond_noise,
        "tip": difference(item.paired),
        "judgement": judgement(item.paired, item.beyond_noise),
        "moved": f"{item.paired.gained} gained, {item.paired.lost} lost of {item.paired.num_problems}",
    }


def _domain(items: Sequence[Comparison]) -> list[float]:
    """Room for all intervals, zero included."""
    low = min(0.0, *(100 * min(item.paired.low, item.compared.low_simultaneous) for item in items))
    high = max(0.0, *(100 * max(item.paired.high, item.compared.high_simultaneous) for item in items))
    margin = 0.06 * max(high - low, 4.0)
    return [low - margin, high + margin]


def _difference_panel(
    rows: Sequence[Row], order: list[str], domain: list[float], width: int
) -> "alt.LayerChart | alt.FacetChart":
    """A row for each difference: its interval, its point, and at the right edge its number."""
    import altair as alt

    y = alt.Y("label:N", title=None, sort=order).axis(labelLimit=420, ticks=False, domain=False, labelPadding=8)
    scale = alt.Scale(domain=domain, nice=False)
    axis = alt.Axis(tickCount=5, format="d", labelExpr="(datum.value > 0 ? '+' : '') + datum.label")
    low, low_all, middle = (
        alt.X(f"{field}:Q", title="change in accuracy (points)", scale=scale, axis=axis)
        for field in ("low", "low_all", "points")
    )
    fall = "datum.points < 0"
    tone = alt.when(fall).then(alt.value(VERMILION)).otherwise(alt.value(BLUE))
    hollow = alt.when("!datum.clear").then(alt.value("white"))
    fill = hollow.when(fall).then(alt.value(VERMILION)).otherwise(alt.value(BLUE))
    tips = {"label": "step", "tip": "change", "judgement": "judgement", "moved": "problems"}
    tooltip = [alt.Tooltip(f"{field}:N", title=title) for field, title in tips.items()]
    chart = alt.Chart(data_of(rows), width=width, height=alt.Step(26))
    zero = alt.Chart(data_of([{"zero": 0}])).mark_rule(color=GREY, strokeWidth=1.2).encode(alt.X("zero:Q"))
    return alt.layer(
        zero,
        chart.mark_rule(strokeWidth=1).encode(low_all, y, alt.X2("high_all:Q"), color=tone),
        chart.mark_rule(strokeWidth=3).encode(low, y, alt.X2("high:Q"), color=tone),
        chart.mark_point(size=75, strokeWidth=2, opacity=1).encode(middle, y, color=tone, fill=fill, tooltip=tooltip),
        chart.mark_text(align="left", dx=6, fontSize=12, color=INK).encode(y, alt.Text("text:N"), x=alt.value("width")),
    )
