"""Figures of the run itself: what the selection dropped, what the sweep saved."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from thinkscale.reporting.data import ReportData, drop_counts
from thinkscale.reporting.theme import BLUE, COLOURS, INK, VERMILION, Figure, Row, data_of, finished
from thinkscale.reporting.wording import count, percent, shortened

if TYPE_CHECKING:
    import altair as alt

MOST_REASONS = 16


def selection_figure(data: ReportData) -> Figure | None:
    """Rows left after each stage, and how many rows each reason dropped; None where nothing was selected or dropped."""
    if not data.stages or (len(data.stages) == 1 and not data.fates):
        return None
    import altair as alt

    start: Row = {"label": "start", "rows": data.stages[0].rows_in}
    flow = [start] + [{"label": stage.stage, "rows": stage.rows_out} for stage in data.stages]
    drops = drop_counts(data.fates)
    reasons: list[Row] = [
        {"label": f"{stage}: {shortened(reason.replace('_', ' '), 48)}", "rows": number}
        for (stage, reason), number in drops.most_common(MOST_REASONS)
    ]
    panels = [_bars(flow, BLUE, 330, "Rows left after each stage")]
    if reasons:
        panels.append(_bars(reasons, VERMILION, 330, "Rows dropped, by reason"))
    left_out = len(drops) - len(reasons)
    return Figure(
        name="selection",
        title="What was kept, and why the rest was not",
        caption="Every dropped row has one reason, given by the stage that dropped it."
        + (f" The {left_out} rarest reasons are in the table only." if left_out else ""),
        alt="Bars: rows left after each stage, and rows dropped for each reason.",
        spec=finished(alt.concat(*panels, columns=2)),
    )


def _bars(rows: Sequence[Row], colour: str, width: int, title: str) -> "alt.LayerChart | alt.FacetChart":
    """Horizontal bars in the order given, each with its number behind it."""
    import altair as alt

    labelled: list[Row] = [{**row, "text": count(_number(row["rows"]))} for row in rows]
    most = max(_number(row["rows"]) for row in rows)
    y = alt.Y("label:N", title=None, sort=[str(row["label"]) for row in rows])
    y = y.axis(labelLimit=330, ticks=False, domain=False, labelPadding=8)
    x = (
        alt.X("rows:Q", title="rows")
        .scale(domain=[0, max(1.0, most * 1.18)], nice=False)
        .axis(tickCount=4, format=",d")
    )
    chart = alt.Chart(data_of(labelled), width=width, height=alt.Step(26), title=title)
    return alt.layer(
        chart.mark_bar(color=colour, height=15, cornerRadiusEnd=2).encode(x, y, tooltip=["label:N", "text:N"]),
        chart.mark_text(align="left", dx=6, fontSize=12, color=INK).encode(x, y, alt.Text("text:N")),
    )


def _number(value: object) -> float:
    assert isinstance(value, (int, float))
    return value


SEPARATE, SHARED, ANSWERS = "separate run for each cell", "shared prefixes: thinking", "shared prefixes: answers"


def saving_figure(data: ReportData) -> Figure | None:
    """Tokens of separate runs beside the tokens that were generated, for each sweep."""
    if not data.savings:
        return None
    import altair as alt

    chart = alt.Chart(data_of(_saving_rows(data)), width=560, height=alt.Step(16, **{"for": "offset"}))
    colour = alt.Color("part:N", sort=[SEPARATE, SHARED, ANSWERS]).scale(
        domain=[SEPARATE, SHARED, ANSWERS], range=["#9ca3af", BLUE, COLOURS[4]]
    )
    y = alt.Y("sweep:N", title=None, sort=None).axis(labelLimit=330, ticks=False, domain=False, labelPadding=8)
    side = alt.YOffset("run:N", sort=["separate", "shared"])
    x = alt.X("start:Q", title="tokens generated").axis(format=",d", tickCount=5)
    drawn = alt.layer(
        chart.mark_bar(height=13).encode(
            x, alt.X2("end:Q"), y, side, colour, tooltip=["sweep:N", "part:N", "tokens:N"]
        ),
        chart.mark_text(align="left", dx=6, fontSize=12, color=INK).encode(
            alt.X("end:Q", title="tokens generated"), y, side, alt.Text("text:N")
        ),
    )
    return Figure(
        name="saving",
        title="What sharing prefixes saved",
        caption=(
            "Thinking tokens that a separate run of each cell would generate, against those that were generated, with "
            f"the short answers on top. {_total(data)} Separate runs need answers too; they are not counted there."
        ),
        alt="Bars: thinking tokens of separate runs beside generated thinking and answer tokens, for each sweep.",
        spec=finished(drawn),
    )


def _saving_rows(data: ReportData) -> list[Row]:
    """Three bars for each sweep; the answers start where the shared thinking ends."""
    several = len({saving.model for saving in data.savings}) > 1
    rows: list[Row] = []
    for saving in data.savings:
        sweep = f"{saving.benchmark} · {saving.model}" if several else saving.benchmark
        generated = saving.thinking_tokens_generated
        times = f"{saving.thinking_tokens_separate / generated:.1f}× fewer" if generated else ""
        parts = [
            ("separate", SEPARATE, saving.thinking_tokens_separate, 0),
            ("shared", SHARED, generated, 0),
            ("shared", ANSWERS, saving.answer_tokens_generated, generated),
        ]
        rows += [
            {
                "sweep": sweep, "run": run, "part": part, "start": start, "end": start + tokens,
                "tokens": count(tokens), "text": times if part == ANSWERS else "",
            }
            for run, part, tokens, start in parts
        ]  # fmt: skip
    return rows


def _total(data: ReportData) -> str:
    separate = sum(saving.thinking_tokens_separate for saving in data.savings)
    generated = sum(saving.thinking_tokens_generated for saving in data.savings)
    return f"In all {percent(generated / separate)} of the thinking was generated." if separate else ""
