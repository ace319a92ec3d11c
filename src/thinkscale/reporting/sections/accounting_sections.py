"""The sections that count: how many responses came to an answer, and every cell with its verdicts."""

from collections.abc import Sequence

from thinkscale.records import Cell
from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Block, Section, Table, Text
from thinkscale.reporting.sections import notes
from thinkscale.reporting.sections.findings import CUT_OFF_ALARM
from thinkscale.reporting.wording import SAMPLED, accuracy, count, method_name, method_place, percent, setting, share
from thinkscale.statistics import CellAccount

ROWS_SHOWN = 14
"""Longer tables are folded."""


PARTS = ("answered", "no answer", "cut in thinking", "cut in answer", "ungradable")
BOUNDS = ("accuracy, cut-off wrong", "accuracy, cut-off left out")


def accounting_section(data: ReportData, analysis: Analysis) -> Section | None:
    """How many responses came to an answer, where limits cut the rest, and both bounds of the accuracy."""
    groups: dict[tuple[str, str, str], list[CellAccount]] = {}
    for account in analysis.accounts:
        groups.setdefault((account.key.benchmark, account.key.model, account.key.method), []).append(account)
    if not groups:
        return None
    total = Table(
        title="By method",
        headers=("benchmark", "model", "method", "scores", *PARTS, "alarm"),
        rows=tuple(
            (*key[:2], method_name(key[2]), *_accounts(items))
            for key, items in sorted(groups.items(), key=lambda item: _place(data, item[0]))
        ),
        num_words=3,
        note=notes.ACCOUNTING,
    )
    return Section(
        anchor="accounting",
        title="Answered, unanswered, cut off",
        blocks=(total, *_by_cell(data, analysis.accounts)),
    )


def _place(data: ReportData, group: tuple[str, str, str]) -> tuple[int, int, int]:
    benchmark, model, method = group
    return data.benchmarks.index(benchmark), data.models.index(model), method_place(method)


def _accounts(items: Sequence[CellAccount]) -> tuple[str, ...]:
    scores = sum(item.num_scores for item in items)
    parts = [sum(numbers) for numbers in zip(*map(_parts, items), strict=True)]
    alarm = any(sum(_parts(item)[2:5]) > CUT_OFF_ALARM * item.num_scores for item in items)
    return (count(scores), *_shares(parts, scores), "CUT OFF > 10%" if alarm else "–")


def _parts(item: CellAccount) -> tuple[int, ...]:
    """Answered, no answer, cut in thinking, cut in answer, cut nobody knows where, ungradable."""
    return (
        item.answered,
        item.no_answer,
        item.cut_in_thinking,
        item.cut_in_answer,
        item.cut_unstated,
        item.ungradable,
    )


def _shares(parts: Sequence[int], scores: int) -> list[str]:
    """The parts as counts and percent; runs of older versions did not record where a limit cut."""
    answered, none, thinking, answer, somewhere, ungradable = (
        f"{count(part)} ({percent(part / scores)})" for part in parts
    )
    if parts[4]:
        thinking, answer = f"{somewhere} in either", "–"
    return [answered, none, thinking, answer, ungradable]


def _by_cell(data: ReportData, accounts: Sequence[CellAccount]) -> tuple[Table, ...]:
    """The same for every cell of the main model in which something was not answered."""
    shown = [item for item in accounts if item.key.model == data.main_model and item.answered < item.num_scores]
    if not shown:
        return ()
    rows = tuple(
        (
            item.key.benchmark,
            method_name(item.key.method),
            setting(item.key),
            *_shares(_parts(item), item.num_scores),
            share(item.accuracy),
            share(item.accuracy_of_finished),
        )
        for item in shown
    )
    table = Table(
        title=f"Cells of {data.main_model} in which some response was not answered ({count(len(shown))})",
        headers=("benchmark", "method", "setting", *PARTS, *BOUNDS),
        rows=rows,
        num_words=3,
        folded=len(rows) > ROWS_SHOWN,
    )
    return (table,)


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
            "generated tokens (mean)", "over budget", "correct", "wrong", "no answer", "cut off",
            "of these in the answer", "ungradable",
        ),
        rows=tuple(_cell_row(cell) for cell in cells),
        num_words=3,
        folded=True,
    )  # fmt: skip


def _cell_row(cell: Cell) -> tuple[str, ...]:
    counted = cell.method not in SAMPLED
    verdicts = (cell.correct, cell.wrong, cell.no_answer, cell.cut_off, cell.cut_in_answer, cell.ungradable)
    return (
        cell.model,
        method_name(cell.method),
        setting(cell),
        count(cell.num_scores),
        accuracy(cell),
        percent(cell.accuracy_of_finished) if cell.cut_off < cell.num_scores else "n/a (all cut off)",
        f"{cell.mean_thinking_tokens:,.1f}",
        f"{cell.mean_generated_tokens:,.1f}" if cell.mean_generated_tokens else "–",
        "n/a (no budget)" if cell.budget_tokens is None else count(cell.over_budget),
        *(count(number) if counted else "–" for number in verdicts),
    )
