"""One panel: accuracy of cells against tokens, with intervals, curves, labels, and others' points beside them."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thinkscale.records import Cell
from thinkscale.reporting.figures.frame import HEIGHT, WIDTH, Frame
from thinkscale.reporting.figures.marks import MARKS, Legend
from thinkscale.reporting.figures.placement import Box, Label, placed
from thinkscale.reporting.pairs import TRUNCATION, curve_variant, series_of
from thinkscale.reporting.published import PublishedPoint
from thinkscale.reporting.theme import GREY, INK, Row, data_of, percent_ticks
from thinkscale.reporting.wording import SAMPLED, STEPPED, accuracy, count, method_name, percent, setting

if TYPE_CHECKING:
    import altair as alt

POINT = 13.0
"""Side of the square that a point takes up."""
LEGEND_COLUMNS = 5
SPAN = 1.35
"""Room left and right of the outermost points, as a factor."""

_TIPS = {
    "method": "method",
    "setting": "setting",
    "accuracy": "accuracy",
    "mean": "mean tokens",
    "counts": "of",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """What one panel shows; its tokens are `tokens` of each cell."""

    title: str
    axis: str
    tokens: Callable[[Cell], float]
    cells: Sequence[Cell]
    legend: Legend
    reference: Cell | None = None
    """Drawn as a dashed line."""
    published: Sequence[PublishedPoint] = ()
    frontier: Sequence[Cell] = ()
    labels: bool = True


def drawn_panel(panel: Panel) -> "alt.LayerChart | alt.FacetChart":
    """The panel as a chart."""
    import altair as alt

    frame = _frame(panel)
    legend, ticks = panel.legend, frame.percent_ticks
    x = (
        alt.X("tokens:Q", title=panel.axis)
        .scale(type="log", domain=[frame.least_tokens, frame.most_tokens], nice=False)
        .axis(values=frame.token_ticks, format="~s" if frame.most_tokens >= 1000 else "d", grid=False)
    )
    scale, axis = alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False), alt.Axis(values=ticks)
    y = alt.Y("percent:Q", title="accuracy (%)", scale=scale, axis=axis)
    low = alt.Y("low:Q", title="accuracy (%)", scale=scale, axis=axis)
    listed = alt.Legend(columns=min(len(legend.names), LEGEND_COLUMNS))
    colour = alt.Color("method:N", sort=legend.names, legend=listed).scale(domain=legend.names, range=legend.colours)
    shape = alt.Shape("method:N", sort=legend.names, legend=listed).scale(domain=legend.names, range=legend.shapes)
    tips = [alt.Tooltip(f"{field}:N", title=title) for field, title in _TIPS.items()]
    points = alt.Chart(data_of(_point_rows(panel)), width=WIDTH, height=HEIGHT, title=panel.title)
    return alt.layer(
        *_reference_layers(panel.reference),
        *_frontier_layers(panel),
        points.mark_rule(opacity=0.4, strokeWidth=1.3).encode(x, low, alt.Y2("high:Q"), colour),
        points.mark_line(opacity=0.75, strokeWidth=1.7).encode(
            x, y, colour, alt.Detail("curve:N"), alt.Order("order:Q")
        ),
        *_published_layers(panel.published),
        points.mark_point(filled=True, size=62, opacity=1, stroke="white", strokeWidth=0.7).encode(
            x, y, colour, shape, tooltip=tips
        ),
        *(_label_layers(frame, panel) if panel.labels or panel.reference else []),
    )


def _frame(panel: Panel) -> Frame:
    tokens = [panel.tokens(cell) for cell in panel.cells]
    tokens += [point.thinking_tokens for point in panel.published if point.thinking_tokens]
    middle = [100 * panel.reference.accuracy] if panel.reference else []
    middle += [100 * point.accuracy for point in panel.published]
    lows = [100 * cell.accuracy_low for cell in panel.cells]
    highs = [100 * cell.accuracy_high for cell in panel.cells]
    return Frame(
        least_tokens=min(tokens) / SPAN,
        most_tokens=max(tokens) * SPAN,
        percent_ticks=percent_ticks(min(lows + middle), max(highs + middle)),
    )


def _point_rows(panel: Panel) -> list[Row]:
    rows: list[Row] = []
    names = panel.legend.names
    # The first method is drawn last, over the others that meet it where they change nothing.
    curves = sorted(series_of(panel.cells).values(), key=lambda curve: -names.index(panel.legend.name(curve[0])))
    for curve in curves:
        rows += [
            {
                "tokens": panel.tokens(cell),
                "percent": 100 * cell.accuracy,
                "low": 100 * cell.accuracy_low,
                "high": 100 * cell.accuracy_high,
                "method": panel.legend.name(cell),
                "curve": _joined(curve),
                "order": panel.tokens(cell) if len(curve) == 1 else order,
                "setting": setting(cell),
                "accuracy": accuracy(cell),
                "mean": count(panel.tokens(cell)),
                "counts": f"{count(cell.correct)} of {count(cell.num_scores)} correct, {count(cell.cut_off)} cut off",
            }
            for order, cell in enumerate(curve)
        ]
    return rows


def _joined(curve: Sequence[Cell]) -> str:
    """The line that a series belongs to: its own where it has several budgets.

    Single cells of one method join each other: numbers of waits of one string, or prompt classes.
    """
    first = curve[0]
    if len(curve) > 1:
        pool = first.budget_tokens if first.method in SAMPLED else ""
        return f"{first.method} {first.waits} {curve_variant(first)} {pool}"
    return f"{first.method} {first.variant if first.waits else ''}"


def _reference_layers(reference: Cell | None) -> "list[alt.Chart]":
    if reference is None:
        return []
    import altair as alt

    rows: list[Row] = [{"percent": 100 * reference.accuracy, "tip": f"{reference.model}: {accuracy(reference)}"}]
    rule = alt.Chart(data_of(rows)).mark_rule(color=GREY, strokeDash=[6, 4], strokeWidth=1.5)
    return [rule.encode(alt.Y("percent:Q"), tooltip=alt.Tooltip("tip:N", title="base model"))]


def _frontier_layers(panel: Panel) -> "list[alt.Chart]":
    if len(panel.frontier) < 2:
        return []
    import altair as alt

    rows: list[Row] = [{"tokens": panel.tokens(cell), "percent": 100 * cell.accuracy} for cell in panel.frontier]
    line = alt.Chart(data_of(rows)).mark_line(color="#9ca3af", strokeWidth=6, opacity=0.45, interpolate="step-after")
    return [line.encode(alt.X("tokens:Q"), alt.Y("percent:Q"))]


def _published_layers(published: Sequence[PublishedPoint]) -> "list[alt.Chart]":
    """Others' points: hollow, in the method's colour."""
    placed_points = [point for point in published if point.thinking_tokens]
    if not placed_points:
        return []
    import altair as alt

    by_tone: dict[str, list[Row]] = {}
    for point in placed_points:
        tip = f"{point.model}, {method_name(point.method)}: {percent(point.accuracy)} ({point.source})"
        row: Row = {"tokens": point.thinking_tokens, "percent": 100 * point.accuracy, "tip": tip}
        by_tone.setdefault(MARKS.get(point.method, (GREY, ""))[0], []).append(row)
    # A layer for each tone: a colour channel of their own would take the legend from ours.
    return [
        alt.Chart(data_of(rows))
        .mark_point(filled=False, size=46, strokeWidth=1.4, shape="circle", opacity=1, color=tone)
        .encode(alt.X("tokens:Q"), alt.Y("percent:Q"), tooltip=alt.Tooltip("tip:N", title="published"))
        for tone, rows in by_tone.items()
    ]


def _label_layers(frame: Frame, panel: Panel) -> "list[alt.Chart]":
    """Labels where there is room: first the reference, then budgets without waits, then the rest of the ends."""
    import altair as alt

    cells, reference = panel.cells, panel.reference
    obstacles = [Box(frame.x(panel.tokens(cell)), frame.y(100 * cell.accuracy), POINT, POINT) for cell in cells]
    obstacles += [
        Box(frame.x(point.thinking_tokens), frame.y(100 * point.accuracy), POINT, POINT)
        for point in panel.published
        if point.thinking_tokens
    ]
    wanted = []
    if reference is not None:
        text, level = f"base model {percent(reference.accuracy)}", frame.y(100 * reference.accuracy)
        obstacles.append(Box(WIDTH / 2, level, WIDTH, 2))
        wanted.append(Label(text, WIDTH - 3.4 * len(text), level))
    for cell, text in _texts(cells) if panel.labels else []:
        wanted.append(Label(text, frame.x(panel.tokens(cell)), frame.y(100 * cell.accuracy)))
    rows: list[Row] = [
        {"tokens": frame.tokens_at(label.x), "percent": frame.percent_at(label.y), "text": label.text}
        for label in placed(wanted, obstacles, WIDTH, HEIGHT)
    ]
    text_of = alt.Chart(data_of(rows)).encode(alt.X("tokens:Q"), alt.Y("percent:Q"), alt.Text("text:N"))
    return [
        text_of.mark_text(fontSize=11, stroke="white", strokeWidth=3, strokeJoin="round", opacity=0.9),
        text_of.mark_text(fontSize=11, color=INK),
    ]


def _texts(cells: Sequence[Cell]) -> list[tuple[Cell, str]]:
    """The shortest text that tells a cell from its neighbours, for the cells that get one.

    These are the budgets of one method, the waits of one string without a budget, the ends of the curves over samples
    and steps, and prompt classes: the others lie beside them, and tooltips name them.
    """
    budgeted = {cell.method for cell in cells if cell.budget_tokens is not None and cell.method not in STEPPED}
    told = TRUNCATION if TRUNCATION in budgeted else min(budgeted, default="")
    strings = [cell.variant for cell in cells if cell.waits]
    most = {cell.method: max(item.k for item in cells if item.method == cell.method) for cell in cells}
    found = []
    for cell in sorted(cells, key=lambda cell: cell.waits > 0):
        if cell.waits:
            text = f"{cell.waits}w" if cell.budget_tokens is None and cell.variant == strings[0] else ""
        elif cell.method in SAMPLED:
            text = f"k={count(cell.k)}" if cell.k == most[cell.method] else ""
        elif cell.method == told:
            text = count(cell.budget_tokens) if cell.budget_tokens is not None else "none"
        elif cell.method in STEPPED or cell.method == "minimum" or cell.budget_tokens is not None:
            text = ""
        else:
            text = "at once" if cell.method == "direct" else cell.variant
        if text:
            found.append((cell, text))
    return found
