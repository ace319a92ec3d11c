"""The sections about the run: savings, selection, samples, provenance."""

from collections import Counter
from collections.abc import Mapping

from thinkscale.keys import JSON, canonical_json
from thinkscale.reporting.data import ReportData, Sample, SweepSaving, drop_counts
from thinkscale.reporting.document import Block, Drawing, Section, Table, Text, Trace
from thinkscale.reporting.sections import notes
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import STEPPED, budget, count, method_name, percent, shortened, waits

Figures = Mapping[str, Figure]
MOST_LABEL_VALUES = 20


def saving_section(data: ReportData, figures: Figures) -> Section | None:
    """What sharing prefixes between the cells of a sweep saved."""
    if not data.savings:
        return None
    blocks: list[Block] = [Drawing(figure=figures["saving"])] if "saving" in figures else []
    table = Table(
        headers=(
            "benchmark", "model", "trajectories", "thinking tokens, separate runs", "thinking tokens generated",
            "separate / generated", "answers", "answer tokens generated",
        ),
        rows=tuple(_saving_row(saving) for saving in data.savings),
        num_words=2,
    )  # fmt: skip
    return Section(anchor="saving", title="Tokens saved by sharing prefixes", blocks=(*blocks, table))


def _saving_row(saving: SweepSaving) -> tuple[str, ...]:
    generated = saving.thinking_tokens_generated
    return (
        saving.benchmark,
        saving.model,
        count(saving.trajectories),
        count(saving.thinking_tokens_separate),
        count(generated),
        f"{saving.thinking_tokens_separate / generated:.2f}" if generated else "n/a (nothing generated)",
        count(saving.answers),
        count(saving.answer_tokens_generated),
    )


def teacher_section(data: ReportData, _figures: Figures) -> Section | None:
    """What the teacher gave, what it took, and why responses failed."""
    if not data.teachers:
        return None
    headers = (
        "teacher", "responses", "ended", "cut", "failed", "retried", "thinking tokens: median", "90%", "most",
        "tokens read", "tokens written", "US dollars",
    )  # fmt: skip
    rows = tuple(
        (
            item.model,
            *map(count, (item.responses, item.ended, item.cut, item.failed, item.retried, *item.thinking_tokens)),
            count(item.prompt_tokens),
            count(item.completion_tokens),
            f"{item.usd:,.2f}",
        )
        for item in data.teachers
    )
    blocks: list[Block] = [Table(headers=headers, rows=rows, num_words=1)]
    failures = [
        (kind.replace("_", " "), count(number)) for item in data.teachers for kind, number in item.failures.items()
    ]
    if failures:
        blocks.append(Table(headers=("why responses failed", "responses"), rows=tuple(failures), num_words=1))
    return Section(anchor="teacher", title="The teacher's responses", blocks=tuple(blocks))


def selection_section(data: ReportData, figures: Figures) -> Section | None:
    """The funnel, and every reason for a drop with its count and one piece of evidence."""
    if not data.stages and not data.fates:
        return None
    drops = drop_counts(data.fates)
    blocks: list[Block] = [Drawing(figure=figures["selection"])] if "selection" in figures else []
    by_stage: Counter[str] = Counter()
    for (stage, _), number in drops.items():
        by_stage[stage] += number
    if data.stages:
        flow = [
            (item.stage, count(item.rows_in), count(by_stage[item.stage]), count(item.rows_out)) for item in data.stages
        ]
        headers = ("stage", "rows in", "dropped with a reason", "rows out")
        blocks.append(Table(title="Stages", headers=headers, rows=tuple(flow), num_words=1))
    if drops:
        blocks.append(_reason_table(data, drops))
    return Section(anchor="selection", title="The selection", blocks=(*blocks, *_label_tables(data)))


def _reason_table(data: ReportData, drops: Mapping[tuple[str, str], int]) -> Table:
    examples: dict[tuple[str, str], str] = {}
    for fate in data.fates:
        key = (fate.stage, fate.reason)
        if key in drops and fate.evidence:
            examples.setdefault(key, f"{fate.problem_id}: {shortened(fate.evidence, 90)}")
    rows_in = {item.stage: item.rows_in for item in data.stages}
    rows = [
        (
            stage,
            reason.replace("_", " "),
            examples.get((stage, reason), "–"),
            count(number),
            percent(number / rows_in[stage]) if rows_in.get(stage) else "–",
        )
        for (stage, reason), number in drops.items()
    ]
    headers = ("stage", "reason", "first evidence", "rows dropped", "of the rows in")
    return Table(title="Every reason for a drop", headers=headers, rows=tuple(rows), num_words=3)


def _label_tables(data: ReportData) -> list[Table]:
    tables = []
    for name in dict.fromkeys(label.name for label in data.labels):
        values = Counter(label.value for label in data.labels if label.name == name)
        shown = values.most_common(MOST_LABEL_VALUES)
        rows = [(value, count(number), percent(number / values.total())) for value, number in shown]
        rest = values.total() - sum(number for _, number in shown)
        if rest:
            others = f"{count(len(values) - len(shown))} other values"
            rows.append((others, count(rest), percent(rest / values.total())))
        headers = (name.replace("_", " "), "rows", "share")
        tables.append(Table(title=f"Selected rows by {name}", headers=headers, rows=tuple(rows), num_words=1))
    return tables


def samples_section(data: ReportData) -> Section | None:
    """Responses in full, right or wrong, with what is known of each."""
    if not data.samples:
        return None
    left = data.samples_left_out
    rest = f" The rule chooses {count(left)} more, which the recipe leaves no room for." if left else ""
    note = Text(text=notes.SAMPLES.format(model=data.main_model, seed=data.seed) + rest)
    return Section(anchor="samples", title="Samples", blocks=(note, *(_trace(sample) for sample in data.samples)))


def _trace(sample: Sample) -> Trace:
    response, grade = sample.response, sample.grade
    facts = [
        ("verdict", grade.verdict.value.replace("_", " ")),
        ("reference", _given(sample.problem.reference)),
        ("extracted", _given(grade.extracted)),
        (
            "decided by",
            f"{grade.grader}, tier {grade.tier or 'none'}" + (f": {grade.evidence}" if grade.evidence else ""),
        ),
        ("model", response.model),
        ("cell", _origin(sample)),
        ("thinking tokens", count(response.thinking_tokens)),
        ("answer tokens", count(response.answer_tokens)),
        ("finish", response.finish.value),
    ]
    if sample.why:
        facts.insert(0, ("chosen as", sample.why))
    if response.error:
        facts.append(("error", response.error))
    num_forced = len(response.forced) or sum(piece.forced for piece in sample.pieces)
    title = f"{sample.problem.id} · {grade.verdict.value.replace('_', ' ')} · {_origin(sample)}"
    return Trace(sample=sample, title=title, facts=tuple(facts), num_forced=num_forced)


def _given(text: str | None) -> str:
    return "none" if text is None else text


def _origin(sample: Sample) -> str:
    if not sample.method:
        return f"{sample.response.role.value} response"
    parts = [sample.benchmark, method_name(sample.method)]
    if sample.method not in STEPPED:
        parts.append(budget(sample.budget_tokens))
    if sample.waits:
        parts.append(waits(sample.waits, sample.variant))
    elif sample.variant:
        parts.append(f"{sample.variant} steps" if sample.method in STEPPED else sample.variant)
    return ", ".join(parts)


def provenance_section(data: ReportData) -> Section | None:
    """Where the full tables lie, and everything that is recorded about how they were made."""
    blocks: list[Block] = []
    if data.setup.environment:
        facts = data.setup.environment
        blocks.append(Table(title="Environment", headers=("what", "value"), rows=facts, num_words=2))
    if data.files:
        rows = tuple((what, path) for what, path in data.files.items())
        blocks.append(Table(title="Full tables", headers=("what", "file"), rows=rows, num_words=2))
    if data.provenance:
        rows = tuple(_flat("", dict(data.provenance)))
        blocks.append(
            Table(title="Provenance", headers=("field", "value"), rows=rows, num_words=2, folded=len(rows) > 20)
        )
    title = "Environment, files and provenance"
    return Section(anchor="provenance", title=title, blocks=tuple(blocks)) if blocks else None


def _flat(prefix: str, value: JSON) -> list[tuple[str, str]]:
    """Nested objects as rows with dotted names; lists and scalars in one cell."""
    if isinstance(value, dict) and value:
        return [row for key, item in value.items() for row in _flat(f"{prefix}.{key}" if prefix else key, item)]
    return [(prefix, value if isinstance(value, str) else canonical_json(value))]
