"""What a report says first: findings in sentences and warnings, all computed from the data."""

from collections.abc import Iterator

from thinkscale.records import Cell
from thinkscale.reporting.analysis import Analysis, Comparison
from thinkscale.reporting.data import ReportData, drop_counts
from thinkscale.reporting.pairs import DIRECT
from thinkscale.reporting.wording import (
    SAMPLED,
    budget,
    count,
    difference,
    judgement,
    loss,
    method_name,
    percent,
    setting,
    waits,
)

CUT_OFF_ALARM = 0.10
"""Above this share of cut-off responses an accuracy says as much about the limit as about the model."""


def findings(data: ReportData, analysis: Analysis) -> list[str]:
    """The headline sentences, most important first."""
    return [
        *_base_findings(data, analysis),
        *_span_findings(data, analysis),
        *_wait_findings(data, analysis),
        *_fall_findings(data, analysis),
        *_saving_findings(data),
        *_training_findings(data),
        *_selection_findings(data),
    ]


def _base_findings(data: ReportData, analysis: Analysis) -> Iterator[str]:
    """One sentence for each benchmark, at the first method that the base model was evaluated with."""
    told: set[str] = set()
    for item in analysis.versus_base.of_model(data.main_model):
        if item.second.benchmark not in told:
            told.add(item.second.benchmark)
            yield (
                f"On {item.second.benchmark}, {item.second.model} answers {percent(item.paired.second)} correctly, "
                f"the base model {item.first.model} {percent(item.paired.first)} ({_how(item.first)}): "
                f"{difference(item.paired)}, {judgement(item.paired, item.beyond_noise)}."
            )


def _training_findings(data: ReportData) -> Iterator[str]:
    for facts in data.trainings:
        if not facts.steps:
            continue
        first, last = facts.steps[0], facts.steps[-1]
        text = f"In {count(len(facts.steps))} steps of training the loss went from {loss(first.loss)} to "
        text += loss(last.loss)
        if best := facts.best:
            text += f"; on {count(best.num_rows)} held-out rows from {loss(facts.held_out[0].loss)} to "
            text += f"{loss(facts.held_out[-1].loss)}, the least being {loss(best.loss)} at step {count(best.step)}"
        yield f"{text}."


def _how(cell: Cell) -> str:
    return "answering at once" if cell.method == DIRECT else setting(cell)


def _span_findings(data: ReportData, analysis: Analysis) -> Iterator[str]:
    for item in analysis.spans.of_model(data.main_model):
        yield (
            f"On {item.second.benchmark}, accuracy of {item.second.model} {_verb(item)} from "
            f"{percent(item.paired.first)} ({budget(item.first.budget_tokens)}) to {percent(item.paired.second)} "
            f"({budget(item.second.budget_tokens)}) under {method_name(item.second.method)}: "
            f"{difference(item.paired)}, {judgement(item.paired, item.beyond_noise)}."
        )


def _wait_findings(data: ReportData, analysis: Analysis) -> Iterator[str]:
    """The largest number of waits of the first wait string on each benchmark."""
    last: dict[str, Comparison] = {}
    for item in analysis.wait_effects.of_model(data.main_model):
        known = last.get(item.second.benchmark)
        if known is None or (item.second.variant == known.second.variant and item.second.waits > known.second.waits):
            last[item.second.benchmark] = item
    for item in last.values():
        yield (
            f"On {item.second.benchmark}, forcing {waits(item.second.waits, item.second.variant)} "
            f"({budget(item.second.budget_tokens)}) changes accuracy by {difference(item.paired)}: "
            f"{judgement(item.paired, item.beyond_noise)}."
        )


def _fall_findings(data: ReportData, analysis: Analysis) -> Iterator[str]:
    steps = analysis.steps_up.of_model(data.main_model)
    falls = [item for item in steps if item.paired.difference < 0]
    if not steps:
        return
    clear = sum(item.beyond_noise for item in falls)
    told = (
        f"; {count(clear) if clear else 'none'} of these {'is' if clear <= 1 else 'are'} beyond noise" if falls else ""
    )
    yield (
        f"Of {count(len(steps))} steps to longer thinking, {count(len(falls)) if falls else 'none'} "
        f"{'lowers' if len(falls) <= 1 else 'lower'} the accuracy of {data.main_model}{told}."
    )


def _saving_findings(data: ReportData) -> Iterator[str]:
    separate = sum(saving.thinking_tokens_separate for saving in data.savings)
    generated = sum(saving.thinking_tokens_generated for saving in data.savings)
    if generated:
        yield (
            f"The sweeps generated {count(generated)} thinking tokens where separate runs of each cell would have "
            f"generated {count(separate)}: {separate / generated:.1f} times fewer."
        )


def _selection_findings(data: ReportData) -> Iterator[str]:
    for item in data.teachers:
        failed = f", {count(item.failed)} failed" if item.failed else ""
        price = f" They cost ${item.usd:,.2f}." if item.usd else ""
        yield (
            f"{item.model} gave {count(item.responses)} responses: {count(item.ended)} ended, {count(item.cut)} were "
            f"cut by their token limit{failed}; half of them think for {count(item.thinking_tokens[0])} tokens or more."
            f"{price}"
        )
    if any(item.stage == "select" for item in data.stages):
        first, last = data.stages[0], data.stages[-1]
        reason = ""
        drops = drop_counts(data.fates).most_common(1)
        if drops:
            (stage, name), dropped = drops[0]
            reason = f" The most frequent reason for a drop: {name.replace('_', ' ')} ({stage}), {count(dropped)} rows."
        yield f"{count(last.rows_out)} of {count(first.rows_in)} problems were selected.{reason}"


def _verb(item: Comparison) -> str:
    change = item.paired.difference
    return "stays level" if change == 0 else "rises" if change > 0 else "falls"


def warnings(data: ReportData) -> list[str]:
    """What a reader must know before believing the numbers: handed in, then found in the data."""
    return [*data.warnings, *_cut_off_warnings(data), *_ungradable_warnings(data), *_flow_warnings(data)]


def _cut_off_warnings(data: ReportData) -> Iterator[str]:
    worst: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in data.cells:
        if cell.method not in SAMPLED and cell.cut_off > CUT_OFF_ALARM * cell.num_scores:
            worst.setdefault((cell.benchmark, cell.model, cell.method), []).append(cell)
    for (benchmark, model, method), cells in worst.items():
        cell = max(cells, key=lambda item: item.cut_off / item.num_scores)
        yield (
            f"{benchmark}, {model}, {method_name(method)}: more than 10% of the responses are cut off in "
            f"{count(len(cells))} {'cell' if len(cells) == 1 else 'cells'}, at worst {count(cell.cut_off)} of "
            f"{count(cell.num_scores)} ({percent(cell.cut_off / cell.num_scores)}; {setting(cell)}). {_bounds(cell)}"
        )


def _bounds(cell: Cell) -> str:
    if cell.cut_off == cell.num_scores:
        return "Nothing is known of its accuracy but that limit."
    return (
        f"Its accuracy lies between {percent(cell.accuracy)} (cut-off counted wrong) and "
        f"{percent(cell.accuracy_of_finished)} (cut-off left out)."
    )


def _ungradable_warnings(data: ReportData) -> Iterator[str]:
    for benchmark in data.benchmarks:
        own = [cell for cell in data.cells if cell.benchmark == benchmark and cell.method not in SAMPLED]
        cells = [cell for cell in own if cell.ungradable]
        if cells:
            cell = max(cells, key=lambda item: item.ungradable / item.num_scores)
            yield (
                f"{benchmark}: some responses could not be graded and count as not correct, at worst "
                f"{count(cell.ungradable)} of {count(cell.num_scores)} ({cell.model}, {method_name(cell.method)}, "
                f"{setting(cell)})."
            )


def _flow_warnings(data: ReportData) -> Iterator[str]:
    drops = drop_counts(data.fates)
    for flow in data.stages:
        told = sum(number for (stage, _), number in drops.items() if stage == flow.stage)
        lost = flow.rows_in - flow.rows_out
        if told < lost:
            yield (
                f"Stage {flow.stage}: {count(flow.rows_in)} rows in and {count(flow.rows_out)} out, but "
                f"{count(told)} drops with a reason: {count(lost - told)} rows are unaccounted for."
            )
