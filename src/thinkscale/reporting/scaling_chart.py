"""The main figure: accuracy against thinking, a panel for each benchmark."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from thinkscale.records import Cell
from thinkscale.reporting.analysis import TRUNCATION, series_of
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.placement import Box, Label, placed
from thinkscale.reporting.theme import COLOURS, GREY, INK, SHAPES, Figure, Row, data_of, finished, percent_ticks
from thinkscale.reporting.wording import accuracy, count, method_name, percent, setting

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 275, 270
POINT = 13.0
"""Side of the square that a point takes up."""


@dataclass(frozen=True, slots=True)
class Frame:
    """The ranges of a panel, and where its values lie in it."""

    least_tokens: float
    most_tokens: float
    percent_ticks: list[int]

    def x(self, tokens: float) -> float:
        """Distance from the left edge."""
        return WIDTH * math.log(tokens / self.least_tokens) / math.log(self.most_tokens / self.least_tokens)

    def y(self, accuracy_percent: float) -> float:
        """Distance from the upper edge."""
        least, most = self.percent_ticks[0], self.percent_ticks[-1]
        return HEIGHT * (most - accuracy_percent) / (most - least)

    def tokens_at(self, x: float) -> float:
        """The inverse of `x`."""
        return float(self.least_tokens * (self.most_tokens / self.least_tokens) ** (x / WIDTH))

    def percent_at(self, y: float) -> float:
        """The inverse of `y`."""
        least, most = self.percent_ticks[0], self.percent_ticks[-1]
        return most - y / HEIGHT * (most - least)

    @property
    def token_ticks(self) -> list[float]:
        """Doublings that fall inside: 500, 1,000, 2,000, ... where thinking is long, else powers of two.

        The ends of a range without doublings.
        """
        unit = 125.0 if self.most_tokens >= 1000 else 1.0
        doublings = (unit * 2.0**power for power in range(-10, 30))
        ticks = [tick for tick in doublings if self.least_tokens <= tick <= self.most_tokens]
        return ticks if len(ticks) > 1 else [math.ceil(self.least_tokens), math.floor(self.most_tokens)]


def scaling_figure(data: ReportData) -> Figure | None:
    """Accuracy against mean thinking tokens of the report's main model, its base model as a reference."""
    own = [cell for cell in data.cells if cell.model == data.main_model]
    cells = [cell for cell in _without_twins(own) if cell.mean_thinking_tokens > 0]
    panels = [(name, [cell for cell in cells if cell.benchmark == name]) for name in data.benchmarks]
    panels = [(name, panel) for name, panel in panels if panel]
    if not panels:
        return None
    import altair as alt

    methods = list(dict.fromkeys(cell.method for cell in cells))
    charts = [_panel(name, panel, _reference(data, name), methods) for name, panel in panels]
    chart = alt.concat(*charts, columns=3).resolve_scale(color="shared", shape="shared")
    return Figure(
        name="scaling",
        title="Every method",
        caption=_caption(data, sum(cell.mean_thinking_tokens == 0 for cell in own)),
        alt=f"Accuracy against mean thinking tokens (log scale) by method: {', '.join(name for name, _ in panels)}.",
        spec=finished(chart),
    )


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


def _caption(data: ReportData, num_left_out: int) -> str:
    text = (
        f"Each point is one cell of {data.main_model}; lines join cells that differ in nothing but the budget, the "
        "number of waits or the prompt class. Bars are 95% bootstrap intervals over problems; the cells of a panel "
        "share their problems, so differences between them are known better than the bars suggest (see the paired "
        "comparisons). "
        "Labels: budget in tokens, or forced waits (w). Budget forcing without a wait is truncation, and drawn as that."
    )
    if data.base_model in data.models[:-1]:
        text += " Dashed: the base model at its largest budget, or answering at once where that is better."
    if num_left_out:
        text += f" Not drawn, since zero has no logarithm: {count(num_left_out)} cells without any thinking."
    return text


def _reference(data: ReportData, benchmark: str) -> Cell | None:
    """The base model's best cell at its largest budget without waits; None where the report is about the base model."""
    if data.base_model == data.main_model:
        return None
    base = [
        cell for cell in data.cells if (cell.benchmark, cell.model) == (benchmark, data.base_model) and not cell.waits
    ]
    return max(
        base, key=lambda cell: (cell.budget_tokens is None, cell.budget_tokens or 0, cell.accuracy), default=None
    )


def _frame(cells: Sequence[Cell], reference: Cell | None) -> Frame:
    tokens = [cell.mean_thinking_tokens for cell in cells]
    middle = [100 * reference.accuracy] if reference else []
    lows, highs = [100 * cell.accuracy_low for cell in cells], [100 * cell.accuracy_high for cell in cells]
    return Frame(
        least_tokens=min(tokens) / 1.35,
        most_tokens=max(tokens) * 1.35,
        percent_ticks=percent_ticks(min(lows + middle), max(highs + middle)),
    )


def _panel(
    name: str, cells: Sequence[Cell], reference: Cell | None, methods: list[str]
) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    frame = _frame(cells, reference)
    names = [method_name(method) for method in methods]
    ticks = frame.percent_ticks
    x = (
        alt.X("tokens:Q", title="mean thinking tokens (log scale)")
        .scale(type="log", domain=[frame.least_tokens, frame.most_tokens], nice=False)
        .axis(values=frame.token_ticks, format="~s" if frame.most_tokens >= 1000 else "d", grid=False)
    )
    scale, axis = alt.Scale(domain=[ticks[0], ticks[-1]], nice=False, zero=False), alt.Axis(values=ticks)
    y = alt.Y("percent:Q", title="accuracy (%)", scale=scale, axis=axis)
    low = alt.Y("low:Q", title="accuracy (%)", scale=scale, axis=axis)
    colour = alt.Color("method:N", sort=names).scale(domain=names, range=list(COLOURS[: len(names)]))
    shape = alt.Shape("method:N", sort=names).scale(domain=names, range=list(SHAPES[: len(names)]))
    tips = [alt.Tooltip(f"{field}:N", title=title) for field, title in _TIPS.items()]
    points = alt.Chart(data_of(_point_rows(cells, methods)), width=WIDTH, height=HEIGHT, title=name)
    return alt.layer(
        *_reference_layers(reference),
        points.mark_rule(opacity=0.4, strokeWidth=1.3).encode(x, low, alt.Y2("high:Q"), colour),
        points.mark_line(opacity=0.75, strokeWidth=1.7).encode(
            x, y, colour, alt.Detail("curve:N"), alt.Order("order:Q")
        ),
        points.mark_point(filled=True, size=62, opacity=1, stroke="white", strokeWidth=0.7).encode(
            x, y, colour, shape, tooltip=tips
        ),
        *_label_layers(frame, cells, reference),
    )


_TIPS = {
    "method": "method",
    "setting": "setting",
    "accuracy": "accuracy",
    "mean": "mean thinking tokens",
    "counts": "of",
}


def _point_rows(cells: Sequence[Cell], methods: list[str]) -> list[Row]:
    rows: list[Row] = []
    # The first method is drawn last, over the others that meet it where they change nothing.
    curves = sorted(series_of(cells).items(), key=lambda item: -methods.index(item[0][2]))
    for (_, _, method, waits, variant), curve in curves:
        rows += [
            {
                "tokens": cell.mean_thinking_tokens,
                "percent": 100 * cell.accuracy,
                "low": 100 * cell.accuracy_low,
                "high": 100 * cell.accuracy_high,
                "method": method_name(method),
                "curve": _joined(curve, method, waits, variant),
                "order": cell.mean_thinking_tokens if len(curve) == 1 else order,
                "setting": setting(cell),
                "accuracy": accuracy(cell),
                "mean": count(cell.mean_thinking_tokens),
                "counts": f"{count(cell.correct)} of {count(cell.num_scores)} correct, {count(cell.cut_off)} cut off",
            }
            for order, cell in enumerate(curve)
        ]
    return rows


def _joined(curve: Sequence[Cell], method: str, waits: int, variant: str) -> str:
    """The line that a series belongs to: its own where it has several budgets.

    Single cells of one method join each other: numbers of waits of one string, or prompt classes.
    """
    if len(curve) > 1:
        return f"{method} {waits} {variant}"
    return f"{method} {variant if waits else ''}"


def _reference_layers(reference: Cell | None) -> "list[alt.Chart]":
    if reference is None:
        return []
    import altair as alt

    rows: list[Row] = [{"percent": 100 * reference.accuracy, "tip": f"{reference.model}: {accuracy(reference)}"}]
    rule = alt.Chart(data_of(rows)).mark_rule(color=GREY, strokeDash=[6, 4], strokeWidth=1.5)
    return [rule.encode(alt.Y("percent:Q"), tooltip=alt.Tooltip("tip:N", title="base model"))]


def _label_layers(frame: Frame, cells: Sequence[Cell], reference: Cell | None) -> "list[alt.Chart]":
    """Labels where there is room: first the reference, then budgets without waits, then the rest of the ends."""
    import altair as alt

    obstacles = [Box(frame.x(cell.mean_thinking_tokens), frame.y(100 * cell.accuracy), POINT, POINT) for cell in cells]
    wanted = []
    if reference is not None:
        text, level = f"base model {percent(reference.accuracy)}", frame.y(100 * reference.accuracy)
        obstacles.append(Box(WIDTH / 2, level, WIDTH, 2))
        wanted.append(Label(text, WIDTH - 3.4 * len(text), level))
    methods = {cell.method for cell in cells if cell.budget_tokens is not None}
    told = TRUNCATION if TRUNCATION in methods else min(methods, default="")
    strings = [cell.variant for cell in cells if cell.waits]
    for cell in sorted(cells, key=lambda cell: cell.waits > 0):
        if text := _label(cell, told, strings[0] if strings else ""):
            wanted.append(Label(text, frame.x(cell.mean_thinking_tokens), frame.y(100 * cell.accuracy)))
    rows: list[Row] = [
        {"tokens": frame.tokens_at(label.x), "percent": frame.percent_at(label.y), "text": label.text}
        for label in placed(wanted, obstacles, WIDTH, HEIGHT)
    ]
    text_of = alt.Chart(data_of(rows)).encode(alt.X("tokens:Q"), alt.Y("percent:Q"), alt.Text("text:N"))
    return [
        text_of.mark_text(fontSize=11, stroke="white", strokeWidth=3, strokeJoin="round", opacity=0.9),
        text_of.mark_text(fontSize=11, color=INK),
    ]


def _label(cell: Cell, told: str, string: str) -> str:
    """The shortest text that tells the cell from its neighbours.

    Empty but for the budgets of the method `told`, the waits of one `string` without a budget, and prompt
    classes: the others lie beside these, and tooltips name them.
    """
    if cell.waits:
        return f"{cell.waits}w" if cell.budget_tokens is None and cell.variant == string else ""
    if cell.method == told:
        return count(cell.budget_tokens) if cell.budget_tokens is not None else "none"
    return cell.variant
