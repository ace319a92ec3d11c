"""Figures of a selection: its domains and its trace lengths, before and after."""

from thinkscale.reporting.data import ReportData
from thinkscale.reporting.selection import SelectionFacts
from thinkscale.reporting.theme import BLUE, GREY, INK, VERMILION, Figure, Row, data_of, finished
from thinkscale.reporting.wording import count, percent, shortened

MOST_DOMAINS = 40
CANDIDATES, SELECTED = "pass the filters", "selected"


def domains_figure(data: ReportData) -> Figure | None:
    """Rows of each domain before and after the draw; None where there is only one domain."""
    facts = data.selection
    if facts is None or len(facts.domains) < 2:
        return None
    import altair as alt

    shown = [group for group in facts.domains if group.candidates][:MOST_DOMAINS]
    names = [shortened(group.name, 44) for group in shown]
    totals = _totals(facts)
    panels: list[alt.LayerChart | alt.FacetChart] = []
    for title, colour, numbers in (
        ("Rows that pass the filters", BLUE, [group.candidates for group in shown]),
        ("Selected rows", VERMILION, [group.selected for group in shown]),
    ):
        rows: list[Row] = [
            {"domain": name, "rows": number, "text": count(number)} for name, number in zip(names, numbers, strict=True)
        ]
        first = not panels
        y = alt.Y("domain:N", title=None, sort=names)
        y = y.axis(labelLimit=330, ticks=False, domain=False, labelPadding=8) if first else y.axis(None)
        x = alt.X("rows:Q", title="rows").scale(domain=[0, max(1, *numbers) * 1.2], nice=False)
        x = x.axis(tickCount=4, format=",d")
        chart = alt.Chart(data_of(rows), width=300, height=alt.Step(20), title=title)
        panels.append(
            alt.layer(
                chart.mark_bar(color=colour, height=12, cornerRadiusEnd=2).encode(x, y, tooltip=["domain:N", "text:N"]),
                chart.mark_text(align="left", dx=5, fontSize=11, color=INK).encode(x, y, alt.Text("text:N")),
            )
        )
    left_out = sum(bool(group.candidates) for group in facts.domains) - len(shown)
    return Figure(
        name="selection_domains",
        title="Domains before and after the draw",
        caption=f"{count(totals[0])} rows pass the filters, {count(totals[1])} are selected; most candidates first."
        + (f" The {left_out} smallest domains are in the table only." if left_out else ""),
        alt="Bars for each domain: rows that pass the filters, and selected rows.",
        spec=finished(alt.hconcat(*panels)),
    )


def _totals(facts: SelectionFacts) -> tuple[int, int]:
    return sum(group.candidates for group in facts.domains), sum(group.selected for group in facts.domains)


def lengths_figure(data: ReportData) -> Figure | None:
    """The distribution of trace lengths before and after; None where no trace has a length."""
    facts = data.selection
    if facts is None or not facts.lengths:
        return None
    import altair as alt

    before, after = sum(item.candidates for item in facts.lengths), sum(item.selected for item in facts.lengths)
    rows: list[Row] = [
        {
            "low": item.low,
            "high": item.high,
            "which": which,
            "floor": 0,
            "share": number / total if total else 0.0,
            "tokens": f"{count(item.low)} to {count(item.high)} tokens",
            "rows": f"{count(number)} rows, {percent(number / total if total else 0.0)}",
        }
        for item in facts.lengths
        for which, number, total in ((CANDIDATES, item.candidates, before), (SELECTED, item.selected, after))
    ]
    ends = [facts.lengths[0].low, facts.lengths[-1].high]
    x = alt.X("low:Q", title="thinking tokens").scale(type="log", nice=False, domain=ends)
    x = x.axis(format="~s", tickCount=8, grid=False)
    y = alt.Y("share:Q", title="share of the rows").axis(format=".0%", tickCount=5)
    names = [CANDIDATES, SELECTED]
    colour = alt.Color("which:N", sort=names).scale(domain=names, range=[GREY, VERMILION])
    chart = alt.Chart(data_of(rows), width=720, height=280)
    drawn = chart.mark_rect(opacity=0.5, stroke="white", strokeWidth=0.5).encode(
        x, alt.X2("high:Q"), y, alt.Y2("floor:Q"), colour, tooltip=["which:N", "tokens:N", "rows:N"]
    )
    return Figure(
        name="selection_lengths",
        title="Trace lengths before and after the draw",
        caption="Share of the rows in bins of equal width on a logarithmic scale: of the rows that pass the filters "
        f"({count(before)}) and of those that are selected ({count(after)}).",
        alt="Two histograms of thinking tokens: rows that pass the filters, and selected rows.",
        spec=finished(drawn),
    )
