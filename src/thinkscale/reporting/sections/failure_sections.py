"""Where scaling did not happen: falls, answers that a Wait turned, loops, and what limits cut. All of it is counted."""

from collections.abc import Mapping, Sequence

from thinkscale.reporting.analysis import Analysis
from thinkscale.reporting.data import Loop, ReportData
from thinkscale.reporting.document import Block, Bullets, Drawing, Section, Table
from thinkscale.reporting.sections import notes
from thinkscale.reporting.sections.comparison_sections import ROWS_SHOWN, comparison_table
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import budget, count, method_name, percent, setting, shortened, signed, waits
from thinkscale.statistics.failures import LoopCount, WaitFlips

Figures = Mapping[str, Figure]
MOST_UNITS = 8
"""Loops that are shown with what they repeat."""


def failures_section(data: ReportData, analysis: Analysis, figures: Figures) -> Section | None:
    """Every step to longer thinking at which accuracy fell, and what is known of the reasons."""
    if not analysis.steps_up.items and not analysis.flips and not analysis.loops:
        return None
    blocks: list[Block] = [Bullets(items=tuple(_summary(data, analysis)))]
    blocks += _drawings(figures, "falls")
    if analysis.falls:
        blocks.append(comparison_table("Falls", "step", analysis.falls))
    blocks += [*_drawings(figures, "flips"), *_flip_table(analysis.flips)]
    blocks += [*_drawings(figures, "outcomes"), *_loop_tables(data, analysis.loops)]
    return Section(anchor="falls", title="Where scaling did not happen", blocks=tuple(blocks))


def _drawings(figures: Figures, *names: str) -> list[Block]:
    return [Drawing(figure=figures[name]) for name in names if name in figures]


def _summary(data: ReportData, analysis: Analysis) -> list[str]:
    level = sum(item.paired.difference == 0 for item in analysis.steps_up.items)
    clear = [item for item in analysis.falls if item.beyond_noise]
    sentences = [
        f"Of {count(len(analysis.steps_up.items))} steps to a longer mean thinking (the next budget, the next number "
        f"of waits, the longer prompt class; all models; cells that read the same responses count once), "
        f"{count(len(analysis.falls))} lower the accuracy and {count(level)} leave it as it is. Falls beyond noise, "
        f"corrected for all of these steps: {count(len(clear))}."
    ]
    return [*sentences, *_flip_sentences(data, analysis.flips), *_loop_sentences(data, analysis)]


def _flip_sentences(data: ReportData, flips: Sequence[WaitFlips]) -> list[str]:
    """For each benchmark of the main model: all steps without a budget together."""
    told = []
    for benchmark in data.benchmarks:
        rows = [
            item
            for item in flips
            if (item.benchmark, item.model, item.budget_tokens) == (benchmark, data.main_model, None)
        ]
        if rows:
            right, wrong, items = (
                sum(item.wrong_to_right for item in rows),
                sum(item.right_to_wrong for item in rows),
                sum(item.num_items for item in rows),
            )
            told.append(
                f"On {benchmark}, without a budget, forced waits turned {count(right)} "
                f"{'answer' if right == 1 else 'answers'} from wrong to right and {count(wrong)} from right to wrong, "
                f"of {count(items)} that were continued."
            )
    return told


def _loop_sentences(data: ReportData, analysis: Analysis) -> list[str]:
    if not data.scores:
        return []
    responses = {score.response_key for score in data.scores}
    keys = {loop.response_key for loop in data.loops}
    rate = f" ({percent(len(keys) / len(responses))})" if responses else ""
    told = [f"{count(len(keys))} of {count(len(responses))} responses{rate} end in a loop of their own thinking."]
    inside, outside = (
        sum(item.correct_looping for item in analysis.loops),
        sum(item.looping for item in analysis.loops),
    )
    if outside:
        told.append(f"Of the scores that read such a response, {percent(inside / outside)} are correct.")
    return told


def _flip_table(flips: Sequence[WaitFlips]) -> list[Block]:
    if not flips:
        return []
    rows = tuple(
        (
            item.benchmark, item.model, f"{item.first_waits} → {waits(item.second_waits, item.variant)}",
            budget(item.budget_tokens), count(item.num_items), count(item.right_to_wrong), count(item.wrong_to_right),
            signed((item.wrong_to_right - item.right_to_wrong) * 100 / item.num_items) if item.num_items else "–",
            count(item.newly_cut), count(item.unchanged), f"{item.added_tokens:,.1f}",
        )
        for item in flips
    )  # fmt: skip
    headers = (
        "benchmark", "model", "waits", "budget", "answers", "right to wrong", "wrong to right", "net (points)",
        "newly cut off", "no room for it", "tokens added (mean)",
    )  # fmt: skip
    return [
        Table(
            title=f"What each wait turned ({count(len(flips))} steps)",
            headers=headers,
            rows=rows,
            num_words=4,
            note=notes.FLIPS,
            folded=len(rows) > ROWS_SHOWN,
        )
    ]


def _loop_tables(data: ReportData, loops: Sequence[LoopCount]) -> list[Block]:
    if not loops:
        return []
    rows = tuple(
        (
            item.key.benchmark, item.key.model, method_name(item.key.method), setting(item.key),
            f"{count(item.looping)} of {count(item.num_scores)} ({percent(item.share)})", count(item.cut_looping),
            percent(item.correct_looping / item.looping), _rate(item.correct_others, item.num_scores - item.looping),
        )
        for item in loops
    )  # fmt: skip
    headers = (
        "benchmark", "model", "method", "setting", "responses in a loop", "of these ended by a limit",
        "accuracy in loops", "accuracy of the others",
    )  # fmt: skip
    cells = Table(
        title=f"Cells with loops ({count(len(rows))})",
        headers=headers,
        rows=rows,
        num_words=4,
        note=notes.LOOPS,
        folded=len(rows) > ROWS_SHOWN,
    )
    return [cells, _units(data.loops)]


def _rate(correct: int, scores: int) -> str:
    return percent(correct / scores) if scores else "n/a (none)"


def _units(loops: Sequence[Loop]) -> Table:
    """The longest loops with what they repeat: one for each repeated text."""
    by_unit: dict[str, list[Loop]] = {}
    for loop in loops:
        by_unit.setdefault(" ".join(loop.unit.split()), []).append(loop)
    most = sorted(by_unit.items(), key=lambda item: (-len(item[1]), -max(loop.repeats for loop in item[1]), item[0]))
    rows = tuple(
        (shortened(unit, 90) or "(blank)", count(len(group)), count(max(loop.repeats for loop in group)))
        for unit, group in most[:MOST_UNITS]
    )
    return Table(
        title="What is repeated", headers=("text", "responses", "times, at most"), rows=rows, num_words=1, folded=True
    )
