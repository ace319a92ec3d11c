"""The section of paired comparisons, and the table that it shares with others."""

from collections.abc import Mapping, Sequence

from thinkscale.reporting.analysis import Analysis, Comparison, Comparisons
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Block, Drawing, Section, Table, Text
from thinkscale.reporting.sections import notes
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import count, interval, judgement, method_name, p_value, percent, points, setting

ROWS_SHOWN = 14
"""Longer tables are folded."""

HEADERS = (
    "judgement", "problems", "from", "to", "change (points)", "corrected interval", "gained", "lost", "p",
    "p, corrected",
)  # fmt: skip


def comparisons_section(data: ReportData, analysis: Analysis, figures: Mapping[str, Figure]) -> Section | None:
    """Trained against base model, forced waits against none, other methods against plain thinking.

    What each family is able to show stands before it.
    """
    families = (
        (f"Trained models against {data.base_model}", "setting", analysis.versus_base),
        ("The largest against the smallest budget", "step", analysis.spans),
        ("Forced waits against none", "waits", analysis.wait_effects),
        ("Other methods against plain thinking", "step", analysis.versus_plain),
    )
    if not any(family.items for _, _, family in families):
        return None
    shown = _detectable_table([(name, made) for name, _, made in families])
    blocks: list[Block] = [Text(text=notes.COMPARISONS), shown]
    for name, label, family in families:
        if family is analysis.wait_effects and "waits" in figures:
            blocks.append(Drawing(figure=figures["waits"]))
        if family.items:
            blocks.append(comparison_table(name, label, family.items))
    return Section(anchor="comparisons", title="Paired comparisons", blocks=tuple(blocks))


def _detectable_table(families: Sequence[tuple[str, Comparisons]]) -> Table:
    rows = tuple(
        (
            name,
            item.benchmark,
            count(item.num_comparisons),
            count(item.num_problems),
            detectable(item.conservative),
            percent(item.discordant_rate),
            detectable(item.observed),
        )
        for name, family in families
        for item in family.detectable
    )
    return Table(
        title="What these comparisons can show, after correction",
        headers=(
            "question", "benchmark", "comparisons", "problems", "detectable difference, worst case (points)",
            "discordant pairs here", "detectable difference at that rate (points)",
        ),
        rows=rows,
        num_words=2,
    )  # fmt: skip


def detectable(difference: float | None) -> str:
    """A detectable difference in points, or why there is none."""
    return "n/a (too few problems)" if difference is None else f"{100 * difference:.1f}"


def comparison_table(title: str, label: str, items: Sequence[Comparison], folded: bool | None = None) -> Table:
    """A row for each comparison; `label` heads the column that says what changed."""
    return Table(
        title=f"{title} ({count(len(items))})",
        headers=("benchmark", "model", "method", label, *HEADERS),
        rows=tuple((*_words(item, label), *_numbers(item)) for item in items),
        num_words=5,
        folded=len(items) > ROWS_SHOWN if folded is None else folded,
    )


def _words(item: Comparison, label: str) -> tuple[str, ...]:
    change = setting(item.second) if label == "setting" else item.what
    return item.second.benchmark, item.second.model, method_name(item.second.method), change


def _numbers(item: Comparison) -> tuple[str, ...]:
    paired, compared = item.paired, item.compared
    return (
        judgement(paired, item.beyond_noise),
        count(paired.num_problems) + (f" ({count(paired.num_unpaired)} unpaired)" if paired.num_unpaired else ""),
        percent(paired.first),
        percent(paired.second),
        f"{points(paired.difference)} {interval(100 * paired.low, 100 * paired.high)}",
        interval(100 * compared.low_simultaneous, 100 * compared.high_simultaneous),
        count(paired.gained),
        count(paired.lost),
        p_value(paired.p_value),
        p_value(compared.p_holm),
    )
