"""What was done, why its numbers can be believed, and where it differs from the paper: from recipe and tables alone."""

from collections.abc import Callable, Iterable

from thinkscale.reporting.analysis import Analysis, Comparison
from thinkscale.reporting.data import ReferenceCheck, ReportData
from thinkscale.reporting.document import Block, Bullets, Section, Table
from thinkscale.reporting.regraded import GraderRange
from thinkscale.reporting.sections import notes
from thinkscale.reporting.wording import count, estimate, judgement, method_name, points, share, waits
from thinkscale.statistics import Certificate

ROWS_SHOWN = 14


def approach_section(data: ReportData) -> Section | None:
    """Each step of the chain with what it does in this run."""
    if not data.setup.approach:
        return None
    table = Table(headers=("step", "what it does here"), rows=data.setup.approach, num_words=2)
    return Section(anchor="approach", title="Approach", blocks=(table,))


def deviations_section(data: ReportData) -> Section | None:
    """Settings that differ from the paper's recipe."""
    setup = data.setup
    if not setup.compared_with:
        return None
    rows = tuple((item.setting, item.here, item.there) for item in setup.deviations)
    table = Table(
        title=f"Settings that differ ({count(len(rows))})",
        headers=("setting", "here", f"in {setup.compared_with}"),
        rows=rows,
        num_words=3,
        note=notes.DEVIATIONS.format(name=setup.compared_with, agreeing=count(setup.agreeing)),
        folded=len(rows) > ROWS_SHOWN,
    )
    return Section(anchor="deviations", title="Deviations from the paper", blocks=(table,))


def evidence_section(data: ReportData, analysis: Analysis) -> Section | None:
    """Checks of what is stored: the grader, the budgets, shared responses, repeated generations, contamination."""
    if not data.scores:
        return None
    blocks: list[Block] = [Bullets(items=tuple(_checks(data, analysis)))]
    if data.references:
        blocks.append(_references(data.references))
    if data.decided:
        rows = tuple(
            (item.grader, item.tier.replace("_", " ") or "–", item.verdict.replace("_", " "), count(item.responses))
            for item in data.decided
        )
        blocks.append(
            Table(
                title="What decided the verdicts",
                headers=("grader", "tier", "verdict", "responses"),
                rows=rows,
                num_words=3,
                note=notes.DECIDED,
                folded=len(rows) > ROWS_SHOWN,
            )
        )
    if data.graders:
        blocks.append(_graders(data.graders))
    blocks.append(_certificate(analysis.certificates))
    return Section(anchor="evidence", title="Evidence of correctness", blocks=tuple(blocks))


def _checks(data: ReportData, analysis: Analysis) -> Iterable[str]:
    found = analysis.agreement
    grace = f" and its grace of {count(data.grace_tokens)}" if data.grace_tokens else ""
    yield (
        f"Budgets: of {count(found.num_cutting)} scores of methods that cut, {count(found.over_budget)} have more "
        f"thinking than their budget{grace}, by however little."
    )
    yield (
        f"Shared responses: {count(found.num_sharing)} of {count(found.num_scores)} scores read a response that "
        f"another setting reads too; {count(found.differing)} of them differ from the first in verdict, tokens or "
        "answer."
    )
    yield f"Limits: {count(found.without_cut)} scores are called cut off without a limit that cut, or the other way."
    sizes: dict[tuple[str, str], set[int]] = {}
    for cell in data.cells:
        sizes.setdefault((cell.benchmark, cell.model), set()).add(cell.num_problems)
    uneven = sum(len(numbers) > 1 for numbers in sizes.values())
    yield (
        f"Complete: in {count(len(sizes) - uneven)} of {count(len(sizes))} pairs of benchmark and model every cell has "
        "the same number of problems."
    )
    if data.selection:
        yield (
            f"Contamination: {count(data.selection.contaminated)} collected rows were dropped since they share text "
            "with a benchmark; accuracy on the items they touched stands in the section on the training set."
        )


def _references(checks: Iterable[ReferenceCheck]) -> Table:
    rows = tuple(
        (
            item.benchmark,
            "; ".join(item.examples) or "–",
            count(item.problems),
            count(item.accepted),
            f"{count(item.accepted_others)} of {count(item.tried_others)}",
            count(item.undecided),
        )
        for item in checks
    )
    headers = ("benchmark", "not as it must be", "problems", "own reference right", "another's right", "undecided")
    return Table(
        title="The grader on the benchmarks' own references",
        headers=headers,
        rows=rows,
        num_words=2,
        note=notes.REFERENCES,
    )


def _graders(found: GraderRange) -> Table:
    rows = tuple(
        (
            item.benchmark,
            item.what,
            *(estimate(item.by_grader[name], "%" if item.unit == "%" else "") for name in found.graders),
            "n/a" if item.range.width is None else f"{item.range.width:.1f}",
        )
        for item in found.headlines
    )
    return Table(
        title="The headline numbers under several graders",
        headers=("benchmark", "number", *(name.replace("_", " ") for name in found.graders), "range (points)"),
        rows=rows,
        num_words=2,
        note=notes.GRADERS.format(number=count(found.num_responses)),
    )


def _certificate(certificates: Iterable[Certificate]) -> Table | Bullets:
    rows = tuple(
        (
            item.model,
            item.engine or "–",
            ", ".join(f"{name} {value}" for name, value in item.conditions.items()) or "–",
            part.batch or "–",
            f"{count(part.num_equal)} of {count(part.num_replayed)}",
            share(part.agreement),
            ", ".join(map(count, item.first_differences[:5])) if part.num_equal < part.num_replayed else "–",
        )
        for item in certificates
        for part in item.batches
    )
    if not rows:
        return Bullets(
            items=("Determinism: no trajectory was generated a second time in this run (evaluate.replays is 0).",)
        )
    return Table(
        title="Determinism certificate",
        headers=(
            "model", "engine", "conditions", "batch", "equal", "agreement", "first differences at token (any batch)",
        ),
        rows=rows,
        num_words=4,
        note=notes.CERTIFICATE,
    )  # fmt: skip


Expectation = tuple[str, list[Comparison], Callable[[Comparison], bool]]


def expectations_section(analysis: Analysis) -> Section | None:
    """What one would expect, in how many cases it holds, and the worst case against it."""
    at_once = [item for item in analysis.versus_plain.items if item.second.method == "direct"]
    expectations: list[Expectation] = [
        ("training raises the accuracy", list(analysis.versus_base.items), lambda item: item.paired.difference > 0),
        (
            "the largest budget beats the smallest",
            list(analysis.spans.items),
            lambda item: item.paired.difference > 0,
        ),
        (
            "a step to longer thinking does not lower the accuracy",
            list(analysis.steps_up.items),
            lambda item: item.paired.difference >= 0,
        ),
        (
            "forced waits do not lower the accuracy",
            list(analysis.wait_effects.items),
            lambda item: item.paired.difference >= 0,
        ),
        ("thinking beats answering at once", at_once, lambda item: item.paired.difference < 0),
    ]
    rows = tuple(_expectation(*item) for item in expectations if item[1])
    rows += tuple(_flip_rows(analysis))
    if not rows:
        return None
    table = Table(
        headers=("expected", "worst case against it", "cases", "as expected", "against it", "beyond noise"),
        rows=rows,
        num_words=2,
        note=notes.EXPECTATIONS,
    )
    return Section(anchor="expectations", title="Expectations and surprises", blocks=(table,))


def _expectation(name: str, items: list[Comparison], holds: Callable[[Comparison], bool]) -> tuple[str, ...]:
    against = [item for item in items if not holds(item)]
    clear = [item for item in against if item.beyond_noise]
    worst = max(against, key=lambda item: (item.beyond_noise, abs(item.paired.difference)), default=None)
    told = "–"
    if worst is not None:
        told = (
            f"{worst.second.benchmark}, {worst.second.model}, {method_name(worst.second.method)}: {worst.what}: "
            f"{points(worst.paired.difference)} points, {judgement(worst.paired, worst.beyond_noise)}"
        )
    return (name, told, count(len(items)), count(len(items) - len(against)), count(len(against)), count(len(clear)))


def _flip_rows(analysis: Analysis) -> Iterable[tuple[str, ...]]:
    """Every step of waits that had room for one."""
    rows = [item for item in analysis.flips if item.num_items > item.unchanged]
    if not rows:
        return
    against = [item for item in rows if item.right_to_wrong > item.wrong_to_right]
    worst = max(against, key=lambda item: item.right_to_wrong - item.wrong_to_right, default=None)
    told = "–"
    if worst is not None:
        told = (
            f"{worst.benchmark}, {worst.model}: {worst.first_waits} → {waits(worst.second_waits, worst.variant)}: "
            f"{count(worst.wrong_to_right)} rescued, {count(worst.right_to_wrong)} spoiled"
        )
    yield (
        "a wait rescues at least as many answers as it spoils",
        told,
        count(len(rows)),
        count(len(rows) - len(against)),
        count(len(against)),
        "– (see the falls)",
    )
