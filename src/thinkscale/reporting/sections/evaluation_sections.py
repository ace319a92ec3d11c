"""The sections about the evaluation: what came out, how sure it is, and where it did not work."""

from collections.abc import Mapping

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Alarm, Block, Bullets, Drawing, Section, Table, Text
from thinkscale.reporting.published import PublishedPoint, published_metrics
from thinkscale.reporting.sections import notes
from thinkscale.reporting.sections.comparison_sections import detectable
from thinkscale.reporting.sections.findings import findings, warnings
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import STEPPED, count, estimate, method_name, method_place, percent, plain, waits
from thinkscale.statistics import MethodMetrics

Figures = Mapping[str, Figure]


def findings_section(data: ReportData, analysis: Analysis) -> Section:
    """Warnings, what the benchmarks can show, and then the headline sentences."""
    blocks: list[Block] = [Alarm(items=data.notice, title="Read this first")] if data.notice else []
    alarms = warnings(data)
    if alarms:
        blocks.append(Alarm(items=tuple(alarms)))
    if analysis.resolutions:
        blocks.append(_resolution_table(analysis))
    sentences = findings(data, analysis)
    blocks.append(Bullets(items=tuple(sentences)) if sentences else Text(text="There is nothing to report yet."))
    return Section(anchor="findings", title="Findings", blocks=tuple(blocks))


def _resolution_table(analysis: Analysis) -> Table:
    rows = [
        (
            item.benchmark,
            count(item.num_problems),
            detectable(item.conservative),
            "n/a (no comparisons)" if item.discordant_rate is None else percent(item.discordant_rate),
            "n/a (no comparisons)" if item.discordant_rate is None else detectable(item.observed),
        )
        for item in analysis.resolutions
    ]
    return Table(
        title="What the benchmarks can show",
        headers=(
            "benchmark", "problems", "detectable difference, worst case (points)", "discordant pairs here",
            "detectable difference at that rate (points)",
        ),
        rows=tuple(rows),
        num_words=1,
        note=notes.RESOLUTION,
    )  # fmt: skip


def scaling_section(figures: Figures) -> Section | None:
    """The main figures."""
    blocks = _drawings(figures, "scaling", "conditional", "generated", "methods", "truncation")
    return Section(anchor="scaling", title="Accuracy against thinking", blocks=blocks) if blocks else None


def _drawings(figures: Figures, *names: str) -> tuple[Drawing, ...]:
    return tuple(Drawing(figure=figures[name]) for name in names if name in figures)


def metrics_section(data: ReportData, analysis: Analysis) -> Section | None:
    """Control, budget error, scaling and performance of each method, for each benchmark, and what others printed."""
    if not analysis.metrics:
        return None
    tables = []
    for benchmark in dict.fromkeys(item.benchmark for item in analysis.metrics):
        members = [item for item in analysis.metrics if item.benchmark == benchmark]
        members.sort(key=lambda item: (data.models.index(item.model), method_place(item.method)))
        rows = tuple(_metrics_row(item) for item in members)
        tables.append(Table(title=benchmark, headers=METRICS_HEADERS, rows=rows, num_words=2))
    targets = ", ".join(count(target) for target in data.targets_tokens)
    note = Text(text=notes.METRICS.format(targets=targets), note=True)
    return Section(anchor="metrics", title="Metrics", blocks=(*tables, note, *_published_tables(data)))


def _published_tables(data: ReportData) -> list[Table]:
    """Metrics and points that others published on these benchmarks, where the recipe asks for them."""
    names = {point.study for point in data.published}
    rows = tuple(
        (item.benchmark, item.study, method_name(item.method), count(item.num_runs), f"{item.control_percent:.0f}%",
         plain(item.scaling_per_doubling, 0), f"{item.performance_percent:.1f}%", item.source)
        for item in published_metrics()
        if item.study in names and item.benchmark in {point.benchmark for point in data.published}
    )  # fmt: skip
    headers = ("benchmark", "study", "method", "cells", "control of cells", "points per doubling", "max performance",
               "source")  # fmt: skip
    tables = [Table(title="Published metrics", headers=headers, rows=rows, num_words=3)] if rows else []
    points = tuple(
        (
            point.benchmark, point.study, point.model, method_name(point.method), _published_setting(point),
            f"{100 * point.accuracy:.1f}%",
            "–" if point.thinking_tokens is None else count(point.thinking_tokens),
            point.source + (", read from the figure" if point.digitised else ""),
        )
        for point in data.published
    )  # fmt: skip
    if points:
        headers = ("benchmark", "study", "model", "method", "setting", "accuracy", "thinking tokens (mean)", "source")
        tables.append(
            Table(
                title=f"Published points ({count(len(points))})", headers=headers, rows=points, num_words=5, folded=True
            )
        )
    return tables


def _published_setting(point: PublishedPoint) -> str:
    parts = [point.label] if point.label else []
    if point.method in STEPPED:
        parts.append(f"{point.variant} steps")
    elif point.budget_tokens is not None:
        parts.append(f"{count(point.budget_tokens)} tokens")
    if point.waits:
        parts.append(waits(point.waits, point.variant))
    elif point.variant and point.method not in STEPPED:
        parts.append(point.variant)
    return ", ".join(parts) or "–"


METRICS_HEADERS = (
    "model", "method", "cells", "control", "control of cells", "over budget", "budget error",
    "points per 1,000 tokens", "points per doubling", "points per doubling of generated", "max performance",
)  # fmt: skip


def _metrics_row(item: MethodMetrics) -> tuple[str, ...]:
    return (
        item.model,
        f"{method_name(item.method)} ({item.variant})" if item.variant else method_name(item.method),
        count(item.num_cells),
        estimate(item.control, "%"),
        estimate(item.control_of_cells, "%"),
        estimate(item.over_budget_rate, "%"),
        estimate(item.budget_error, "%"),
        estimate(item.scaling_per_1000_tokens),
        estimate(item.scaling_per_doubling),
        estimate(item.scaling_per_doubling_of_generated),
        estimate(item.max_accuracy, "%"),
    )
