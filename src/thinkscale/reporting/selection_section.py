"""The tables of a selection."""

from collections.abc import Mapping, Sequence

from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Block, Bullets, Drawing, Section, Table
from thinkscale.reporting.selection import GroupCounts, SelectionFacts
from thinkscale.reporting.theme import Figure
from thinkscale.reporting.wording import count, interval, p_value, percent, points, shortened
from thinkscale.statistics import Estimate

FUNNEL_NOTE = (
    "The paper's counts are of its own pool (arXiv 2501.19393, section 2.2), for comparison of the shape. It compares "
    "with benchmarks and removes duplicates before traces are made, so it has no count for those steps."
)
UNIFORM_NOTE = (
    "Chi-square: drawn rows against equal shares of all domains with candidates. A domain with fewer rows than its "
    "share gives all it has, so a pool with small domains cannot come out equal."
)
TOUCHED_NOTE = (
    "Touched: some collected row, selected or dropped, overlaps with the item. Accuracy is over all cells of the "
    "evaluation together, with a Wilson interval over items; the difference is touched less others, of two groups of "
    "different items. Touched items may be easier or harder than the others, so a gap alone proves no leak."
)
DOMAINS_FOLDED = 20


def choice_section(data: ReportData, figures: Mapping[str, Figure]) -> Section | None:
    """How the training set was chosen: the funnel, domains, sources, lengths, overlaps; None without a selection."""
    facts = data.selection
    if facts is None:
        return None
    blocks: list[Block] = [Bullets(items=tuple(_findings(facts))), _funnel(facts)]
    blocks += [Drawing(figure=figures[name]) for name in ("selection_domains", "selection_lengths") if name in figures]
    blocks += [
        _groups("domain", facts.domains, UNIFORM_NOTE),
        _groups("source", facts.sources, ""),
        *_lengths(facts),
        *_contamination(facts),
        *_touched(facts),
    ]
    return Section(anchor="choice", title="How the training set was chosen", blocks=tuple(blocks))


def _findings(facts: SelectionFacts) -> list[str]:
    selected = sum(group.selected for group in facts.sources)
    domains = sum(group.selected > 0 for group in facts.domains)
    sentences = [
        f"Sampler {facts.sampler}, seed {facts.seed}: {count(selected)} rows of {domains} domains, "
        f"{count(facts.num_kept)} of them kept by rule before the draw."
    ]
    if facts.uniformity:
        found = facts.uniformity
        sentences.append(
            f"Drawn rows against equal shares of the domains: chi-square {found.statistic:,.1f} with "
            f"{found.degrees_of_freedom} degrees of freedom, p {_equals(p_value(found.p_value))}."
        )
    sentences.append(
        f"With seed {facts.other_seed} in the place of {facts.seed}, the overlap of the two selections (Jaccard) is "
        f"{facts.other_overlap:.3f}."
    )
    return sentences


def _equals(text: str) -> str:
    return text if text.startswith("<") else f"= {text}"


def _funnel(facts: SelectionFacts) -> Table:
    rows = tuple(
        (
            step.name,
            ", ".join(f"{reason.replace('_', ' ')} {count(number)}" for reason, number in step.dropped.items()) or "–",
            count(step.rows_left),
            "–" if step.paper is None else count(step.paper),
        )
        for step in facts.funnel
    )
    headers = ("step", "dropped", "rows left", "in the s1 paper")
    return Table(title="The funnel", headers=headers, rows=rows, num_words=2, note=FUNNEL_NOTE)


def _groups(name: str, groups: Sequence[GroupCounts], note: str) -> Table:
    selected = sum(group.selected for group in groups)
    rows = tuple(
        (
            group.name,
            count(group.collected),
            count(group.candidates),
            count(group.selected),
            percent(group.selected / selected) if selected else "–",
        )
        for group in groups
    )
    headers = (name, "collected", "pass the filters", "selected", "of the selected")
    return Table(
        title=f"By {name}", headers=headers, rows=rows, num_words=1, note=note, folded=len(rows) > DOMAINS_FOLDED
    )


def _lengths(facts: SelectionFacts) -> list[Table]:
    rows = tuple((name, *map(count, values)) for name, values in facts.quantiles.items())
    headers = ("thinking tokens of rows that are", "least", "25%", "median", "75%", "most")
    return [Table(title="By trace length", headers=headers, rows=rows, num_words=1)] if rows else []


def _contamination(facts: SelectionFacts) -> list[Table]:
    rows = tuple(
        (item.problem_id, item.against, item.against_id, item.reason, shortened(item.span, 120), percent(item.share))
        for item in facts.contaminations
    )
    if not rows:
        return []
    left_out = facts.contaminated - len(rows)
    note = "Share: of the n-grams of the smaller text." + (
        f" {count(left_out)} more rows are in fates.parquet." if left_out > 0 else ""
    )
    headers = ("row", "benchmark", "item", "reason", "span in both", "share")
    return [
        Table(
            title=f"Rows dropped for what they share with benchmarks ({count(facts.contaminated)})",
            headers=headers, rows=rows, num_words=5, note=note, folded=len(rows) > DOMAINS_FOLDED,
        )
    ]  # fmt: skip


def _touched(facts: SelectionFacts) -> list[Table]:
    rows = tuple(
        (
            item.benchmark,
            item.model,
            count(item.touched_items),
            _rate(item.touched),
            count(item.untouched_items),
            _rate(item.untouched),
            _points(item.difference),
        )
        for item in facts.touched
    )
    if not rows:
        return []
    headers = (
        "benchmark", "model", "touched items", "accuracy on them", "other items", "accuracy on them", "difference",
    )  # fmt: skip
    return [Table(title="Items that the pool touches", headers=headers, rows=rows, num_words=2, note=TOUCHED_NOTE)]


def _rate(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return f"– ({found.reason})"
    return f"{percent(found.value)} {interval(100 * found.low, 100 * found.high)}"


def _points(found: Estimate) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{points(found.value)} points {interval(100 * found.low, 100 * found.high)}"
