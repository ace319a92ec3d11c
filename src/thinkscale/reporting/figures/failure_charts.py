"""Figures of what goes wrong: answers that waits turn, and what became of every response as thinking grows."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.pairs import BUDGET_FORCING, TRUNCATION
from thinkscale.reporting.theme import BLUE, COLOURS, GREY, INK, VERMILION, Figure, Row, data_of, finished
from thinkscale.reporting.wording import count, percent, waits
from thinkscale.statistics import CellAccount, CellKey, setting_order
from thinkscale.statistics.failures import WaitFlips

if TYPE_CHECKING:
    import altair as alt

WIDTH, HEIGHT = 275, 210
RESCUED, SPOILED = "wrong to right", "right to wrong"
OUTCOMES = {
    "correct": BLUE,
    "wrong": "#c9ced6",
    "no answer": COLOURS[5],
    "cut in thinking": VERMILION,
    "cut in answer": COLOURS[3],
    "cut off": VERMILION,
    "ungradable": COLOURS[6],
}
"""What can become of a response, in the order of the stack, with its colour. `cut off`: nobody recorded where."""


def flips_figure(data: ReportData, analysis: Analysis) -> Figure | None:
    """Answers that each step of waits turned, either way, at the largest budget."""
    items = [item for item in analysis.flips if item.model == data.main_model and item.num_items > item.unchanged]
    panels = [(name, _largest([item for item in items if item.benchmark == name])) for name in data.benchmarks]
    panels = [(name, rows) for name, rows in panels if rows]
    if not panels:
        return None
    import altair as alt

    most = max(100 * max(item.wrong_to_right, item.right_to_wrong) / item.num_items for _, p in panels for item in p)
    charts = [_flip_panel(name, rows, max(most, 1.0)) for name, rows in panels]
    return Figure(
        name="flips",
        title="Answers that a wait turned",
        caption=(
            f"Of the answers of {data.main_model} that were continued, the share that went from wrong to right (blue) "
            "and from right to wrong (vermilion) at each step to the next number of waits, at the largest budget. "
            "Numbers: answers. Equal bars mean that waiting stirs answers without improving them."
        ),
        alt="Bars: share of answers turned from wrong to right and from right to wrong at each step of forced waits.",
        spec=finished(alt.concat(*charts, columns=3)),
    )


def _largest(items: Sequence[WaitFlips]) -> list[WaitFlips]:
    """Those of the largest budget."""
    sizes = [(item.budget_tokens is None, item.budget_tokens or 0) for item in items]
    return [item for item, size in zip(items, sizes, strict=True) if size == max(sizes)]


def _flip_panel(name: str, items: Sequence[WaitFlips], most: float) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    rows: list[Row] = []
    for item in items:
        label = f"{item.first_waits} → {waits(item.second_waits, item.variant)}"
        for part, number, side in ((RESCUED, item.wrong_to_right, 1), (SPOILED, item.right_to_wrong, -1)):
            rows.append(
                {
                    "label": label,
                    "part": part,
                    "share": side * 100 * number / item.num_items,
                    "text": count(number),
                    "tip": f"{count(number)} of {count(item.num_items)} ({percent(number / item.num_items)})",
                }
            )
    order = list(dict.fromkeys(str(row["label"]) for row in rows))
    y = alt.Y("label:N", title=None, sort=order).axis(ticks=False, domain=False, labelPadding=8, labelLimit=200)
    scale = alt.Scale(domain=[-1.5 * most, 1.5 * most], nice=False)
    axis = alt.Axis(tickCount=4, labelExpr="abs(datum.value)")
    x = alt.X("share:Q", title="of the answers (%)", scale=scale, axis=axis)
    colour = alt.Color("part:N", sort=[SPOILED, RESCUED]).scale(domain=[SPOILED, RESCUED], range=[VERMILION, BLUE])
    width = max(150, 275 - 7 * max(len(label) for label in order))
    chart = alt.Chart(data_of(rows), width=width, height=alt.Step(26), title=name)
    tips = [alt.Tooltip("label:N", title="step"), alt.Tooltip("part:N"), alt.Tooltip("tip:N", title="answers")]
    text = chart.mark_text(fontSize=12, color=INK).encode(x, y, alt.Text("text:N"))
    return alt.layer(
        chart.mark_bar(height=15).encode(x, y, colour, tooltip=tips),
        text.transform_filter(f"datum.part == '{RESCUED}'").mark_text(align="left", dx=5, fontSize=12, color=INK),
        text.transform_filter(f"datum.part == '{SPOILED}'").mark_text(align="right", dx=-5, fontSize=12, color=INK),
        alt.Chart(data_of([{"zero": 0}])).mark_rule(color=GREY, strokeWidth=1.2).encode(alt.X("zero:Q")),
    )


def outcomes_figure(data: ReportData, analysis: Analysis) -> Figure | None:
    """What became of every response of truncation and of the first wait string, as thinking grows."""
    panels = [(name, _curve(data, analysis, name)) for name in data.benchmarks]
    panels = [(name, items) for name, items in panels if len(items) > 1]
    if not panels:
        return None
    import altair as alt

    looping = {item.key: item.looping for item in analysis.loops}
    rows = [row for name, items in panels for item in items for row in _outcome_rows(name, item, looping)]
    seen = [part for part in OUTCOMES if any(row["part"] == part for row in rows)]
    charts = [_outcome_panel(name, [row for row in rows if row["panel"] == name], seen) for name, _ in panels]
    loops = any(row["looping"] for row in rows)
    return Figure(
        name="outcomes",
        title="What became of the responses",
        caption=(
            f"Shares of the responses of {data.main_model} under each truncation budget, and without a budget after "
            "each number of forced waits (w). What a limit cut says nothing of the model; a share that grows there "
            "as accuracy falls names the reason."
            + (" Diamonds: responses whose thinking ends in a loop." if loops else "")
        ),
        alt="Stacked bars: correct, wrong, unanswered and cut-off responses for each budget and number of waits.",
        spec=finished(alt.concat(*charts, columns=3).resolve_scale(color="shared")),
    )


def _curve(data: ReportData, analysis: Analysis, benchmark: str) -> list[CellAccount]:
    own = [
        item
        for item in analysis.accounts
        if (item.key.benchmark, item.key.model) == (benchmark, data.main_model)
        and item.key.method in (TRUNCATION, BUDGET_FORCING)
    ]
    cut = [item for item in own if item.key.method == TRUNCATION and not item.key.waits]
    forced = [item for item in own if item.key.waits and item.key.budget_tokens is None]
    strings = [item.key.variant for item in forced]
    chosen = [*cut, *(item for item in forced if item.key.variant == strings[0])]
    return sorted(chosen, key=lambda item: (item.key.waits, setting_order(item.key)))


def _outcome_rows(panel: str, item: CellAccount, looping: Mapping[CellKey, int]) -> list[Row]:
    correct = round((item.accuracy.value or 0.0) * item.num_scores)
    parts = {
        "correct": correct,
        "wrong": item.answered - correct,
        "no answer": item.no_answer,
        "cut in thinking": item.cut_in_thinking,
        "cut in answer": item.cut_in_answer,
        "cut off": item.cut_unstated,
        "ungradable": item.ungradable,
    }
    limit = item.key.budget_tokens
    label = f"{item.key.waits}w" if item.key.waits else "none" if limit is None else _short(limit)
    return [
        {
            "panel": panel,
            "label": label,
            "part": part,
            "order": place,
            "share": 100 * number / item.num_scores,
            "tip": f"{count(number)} of {count(item.num_scores)} ({percent(number / item.num_scores)})",
            "looping": looping.get(item.key, 0),
            "loops": 100 * looping.get(item.key, 0) / item.num_scores,
        }
        for place, (part, number) in enumerate(parts.items())
        if number
    ]


def _short(tokens: int) -> str:
    """500, 1k, 16k: what fits under a bar."""
    return f"{tokens // 1000}k" if tokens >= 1000 and tokens % 1000 == 0 else str(tokens)


def _outcome_panel(name: str, rows: Sequence[Row], seen: list[str]) -> "alt.LayerChart | alt.FacetChart":
    import altair as alt

    order = list(dict.fromkeys(str(row["label"]) for row in rows))
    x = alt.X("label:N", title="budget (tokens), then waits", sort=order).axis(labelAngle=0, labelOverlap=False)
    y = alt.Y("share:Q", title="of the responses (%)").scale(domain=[0, 100], nice=False).axis(tickCount=5)
    colour = alt.Color("part:N", sort=seen).scale(domain=seen, range=[OUTCOMES[part] for part in seen])
    tips = [alt.Tooltip("label:N", title="setting"), alt.Tooltip("part:N"), alt.Tooltip("tip:N", title="responses")]
    bars = alt.Chart(data_of(rows), width=WIDTH, height=HEIGHT, title=name).mark_bar()
    layers: list[alt.Chart] = [bars.encode(x, y, colour, alt.Order("order:Q"), tooltip=tips)]
    loops = [row for row in rows if row["looping"] and row["order"] == min(_orders(rows, row["label"]))]
    if loops:
        marks = alt.Chart(data_of(loops)).mark_point(
            shape="diamond", filled=True, size=70, color=INK, stroke="white", strokeWidth=1
        )
        tip = alt.Tooltip("looping:Q", title="responses in a loop")
        layers.append(marks.encode(x, alt.Y("loops:Q", title="of the responses (%)"), tooltip=tip))
    return alt.layer(*layers)


def _orders(rows: Sequence[Row], label: object) -> list[int]:
    return [int(str(row["order"])) for row in rows if row["label"] == label]
