"""The sections about the evaluation: what came out, how sure it is, and where it did not work."""

from collections.abc import Iterable, Mapping, Sequence

from thinkscale.records import Cell
from thinkscale.reporting import notes
from thinkscale.reporting.analysis import Analysis, Comparison
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Alarm, Block, Bullets, Drawing, Section, Table, Text
from thinkscale.reporting.findings import CUT_OFF_ALARM, findings, warnings
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import (
    accuracy,
    count,
    estimate,
    interval,
    judgement,
    method_name,
    p_value,
    percent,
    points,
    setting,
)
from thinkscale.statistics import MethodMetrics

Figures = Mapping[str, Figure]


def findings_section(data: ReportData, analysis: Analysis) -> Section:
    """Warnings, what the benchmarks can show, and then the headline sentences."""
    blocks: list[Block] = []
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
            _detectable(item.conservative),
            "n/a (no comparisons)" if item.discordant_rate is None else percent(item.discordant_rate),
            "n/a (no comparisons)" if item.discordant_rate is None else _detectable(item.observed),
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


def _detectable(difference: float | None) -> str:
    return "n/a (too few problems)" if difference is None else f"{100 * difference:.1f}"


def scaling_section(figures: Figures) -> Section | None:
    """The main figures."""
    blocks = _drawings(figures, "scaling", "truncation")
    return Section(anchor="scaling", title="Accuracy against thinking", blocks=blocks) if blocks else None


def _drawings(figures: Figures, *names: str) -> tuple[Drawing, ...]:
    return tuple(Drawing(figure=figures[name]) for name in names if name in figures)


def metrics_section(data: ReportData, analysis: Analysis) -> Section | None:
    """Control, budget error, scaling and performance of each method, a table for each benchmark."""
    if not analysis.metrics:
        return None
    tables = []
    for benchmark in dict.fromkeys(item.benchmark for item in analysis.metrics):
        rows = tuple(_metrics_row(item) for item in analysis.metrics if item.benchmark == benchmark)
        tables.append(Table(title=benchmark, headers=METRICS_HEADERS, rows=rows, num_words=2))
    targets = ", ".join(count(target) for target in data.targets_tokens)
    note = Text(text=notes.METRICS.format(targets=targets), note=True)
    return Section(anchor="metrics", title="Metrics", blocks=(*tables, note))


METRICS_HEADERS = (
    "model", "method", "cells", "control", "control of cells", "over budget", "budget error",
    "points per 1,000 tokens", "points per doubling", "max performance",
)  # fmt: skip


def _metrics_row(item: MethodMetrics) -> tuple[str, ...]:
    return (
        item.model,
        method_name(item.method),
        count(item.num_cells),
        estimate(item.control, "%"),
        estimate(item.control_of_cells, "%"),
        estimate(item.over_budget_rate, "%"),
        estimate(item.budget_error, "%"),
        estimate(item.scaling_per_1000_tokens),
        estimate(item.scaling_per_doubling),
        estimate(item.max_accuracy, "%"),
    )


COMPARISON_HEADERS = (
    "judgement", "problems", "from", "to", "change (points)", "gained", "lost", "p",
)  # fmt: skip


def comparisons_section(data: ReportData, analysis: Analysis, figures: Figures) -> Section | None:
    """Trained against base model, and forced waits against none, on the same problems."""
    blocks: list[Block] = []
    if analysis.versus_base:
        blocks.append(
            Table(
                title=f"Trained models against {data.base_model}",
                headers=("benchmark", "model", "method", "setting", *COMPARISON_HEADERS),
                rows=tuple((*_words(item), setting(item.second), *_numbers(item)) for item in analysis.versus_base),
                num_words=5,
            )
        )
    if analysis.wait_effects:
        blocks += _drawings(figures, "waits")
        blocks.append(
            Table(
                title="Forced waits against none",
                headers=("benchmark", "model", "method", "waits", *COMPARISON_HEADERS),
                rows=tuple((*_words(item), item.what, *_numbers(item)) for item in analysis.wait_effects),
                num_words=5,
            )
        )
    if not blocks:
        return None
    note = Text(text=notes.COMPARISONS)
    return Section(anchor="comparisons", title="Paired comparisons", blocks=(note, *blocks))


def _words(item: Comparison) -> tuple[str, str, str]:
    return item.second.benchmark, item.second.model, method_name(item.second.method)


def _numbers(item: Comparison) -> tuple[str, ...]:
    paired = item.paired
    return (
        judgement(paired),
        count(paired.num_problems) + (f" ({count(paired.num_unpaired)} unpaired)" if paired.num_unpaired else ""),
        percent(paired.first),
        percent(paired.second),
        f"{points(paired.difference)} {interval(100 * paired.low, 100 * paired.high)}",
        count(paired.gained),
        count(paired.lost),
        p_value(paired.p_value),
    )


def falls_section(analysis: Analysis, figures: Figures) -> Section | None:
    """Where scaling did not happen: every step to longer thinking at which accuracy fell."""
    if not analysis.steps_up:
        return None
    clear = sum(item.paired.beyond_noise for item in analysis.falls)
    level = sum(item.paired.difference == 0 for item in analysis.steps_up)
    text = (
        f"Of {count(len(analysis.steps_up))} steps to a longer mean thinking (the next budget, the next number of "
        f"waits, the longer prompt class; all models), {count(len(analysis.falls))} lower the accuracy and "
        f"{count(level)} leave it as it is. Falls beyond noise: {count(clear)}."
    )
    blocks: list[Block] = [Text(text=text), *_drawings(figures, "falls")]
    if analysis.falls:
        blocks.append(
            Table(
                title=f"Falls ({count(len(analysis.falls))})",
                headers=("benchmark", "model", "method", "step", *COMPARISON_HEADERS),
                rows=tuple((*_words(item), item.what, *_numbers(item)) for item in analysis.falls),
                num_words=5,
                folded=len(analysis.falls) > 12,
            )
        )
    return Section(anchor="falls", title="Where scaling did not happen", blocks=tuple(blocks))


def cells_section(data: ReportData) -> Section | None:
    """Every cell with its counts, a table for each benchmark."""
    blocks: list[Block] = []
    for benchmark in data.benchmarks:
        cells = [cell for cell in data.cells if cell.benchmark == benchmark]
        if cells:
            blocks.append(_cell_table(benchmark, cells))
    if not blocks:
        return None
    note = Text(text=notes.CELLS, note=True)
    return Section(anchor="cells", title="Every cell", blocks=(*blocks, note))


def _cell_table(benchmark: str, cells: Sequence[Cell]) -> Table:
    return Table(
        title=f"{benchmark} ({count(len(cells))} cells)",
        headers=(
            "model", "method", "setting", "scores", "accuracy", "accuracy of finished", "thinking tokens (mean)",
            "over budget", "correct", "wrong", "no answer", "cut off", "ungradable",
        ),
        rows=tuple(_cell_row(cell) for cell in cells),
        num_words=3,
        folded=True,
    )  # fmt: skip


def _cell_row(cell: Cell) -> tuple[str, ...]:
    return (
        cell.model,
        method_name(cell.method),
        setting(cell),
        count(cell.num_scores),
        accuracy(cell),
        percent(cell.accuracy_of_finished) if cell.cut_off < cell.num_scores else "n/a (all cut off)",
        f"{cell.mean_thinking_tokens:,.1f}",
        "n/a (no budget)" if cell.budget_tokens is None else count(cell.over_budget),
        *(count(number) for number in _verdict_counts(cell)),
    )


def _verdict_counts(cell: Cell) -> tuple[int, ...]:
    return cell.correct, cell.wrong, cell.no_answer, cell.cut_off, cell.ungradable


def accounting_section(data: ReportData) -> Section | None:
    """How many responses came to an answer, by benchmark, model and method."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in data.cells:
        groups.setdefault((cell.benchmark, cell.model, cell.method), []).append(cell)
    if not groups:
        return None
    table = Table(
        headers=("benchmark", "model", "method", "scores", "answered", "no answer", "cut off", "ungradable", "alarm"),
        rows=tuple((*key[:2], method_name(key[2]), *_accounts(cells)) for key, cells in groups.items()),
        num_words=3,
        note=notes.ACCOUNTING,
    )
    return Section(anchor="accounting", title="Answered, unanswered, cut off", blocks=(table,))


def _accounts(cells: Iterable[Cell]) -> tuple[str, ...]:
    rows = list(cells)
    scores = sum(cell.num_scores for cell in rows)
    correct, wrong, no_answer, cut_off, ungradable = (
        sum(column) for column in zip(*(_verdict_counts(cell) for cell in rows), strict=True)
    )
    alarm = any(cell.cut_off > CUT_OFF_ALARM * cell.num_scores for cell in rows)
    shares = [
        f"{count(number)} ({percent(number / scores)})" for number in (correct + wrong, no_answer, cut_off, ungradable)
    ]
    return (count(scores), *shares, "CUT OFF > 10%" if alarm else "–")
