"""A selection as rows, for a program and for a person: what `select` and its replay have in common."""

from collections.abc import Iterable, Iterator, Mapping

from thinkscale.curation.filters import Objection
from thinkscale.curation.funnel import PAPER_COLLECTED, PAPER_LEFT, Decisions, Sifted, dropped_fates, fates
from thinkscale.curation.measures import Measures
from thinkscale.keys import JSON
from thinkscale.records import Fate

FATE_COLUMNS = ("problem_id", "decision", "step", "reason", "evidence")


def fate_rows(measures: Measures, decisions: Decisions) -> Iterator[dict[str, JSON]]:
    """A row for each fate, with the step that decided."""
    return _fate_rows(fates(measures, decisions), decisions.dropped, measures)


def dropped_rows(measures: Measures, sifted: Sifted) -> Iterator[dict[str, JSON]]:
    """A row for each fate that is known where the draw could not be made."""
    return _fate_rows(dropped_fates(measures, sifted), sifted.dropped, measures)


def _fate_rows(
    made: Iterable[Fate], dropped: Mapping[int, tuple[str, Objection]], measures: Measures
) -> Iterator[dict[str, JSON]]:
    steps = {row: step for row, (step, _) in dropped.items()}
    numbers = dict(measures.rows.select("problem_id", "row").iter_rows())
    for fate in made:
        yield {
            "problem_id": fate.problem_id, "decision": fate.decision.value,
            "step": steps.get(numbers[fate.problem_id], "draw"), "reason": fate.reason, "evidence": fate.evidence,
        }  # fmt: skip


def funnel_json(measures: Measures, decisions: Decisions) -> list[JSON]:
    """Rows left after each step, with the s1 paper's where it states them."""
    rows: list[JSON] = [{"step": "collected", "rows": len(measures.rows), "s1": PAPER_COLLECTED, "dropped": {}}]
    for step in decisions.steps:
        dropped: dict[str, JSON] = dict(step.reasons)
        rows.append({"step": step.name, "rows": step.rows_out, "s1": PAPER_LEFT.get(step.name), "dropped": dropped})
    return rows


def funnel_text(measures: Measures, decisions: Decisions) -> str:
    """The funnel as a table, the s1 paper's beside it."""
    lines = [f"  {'step':<13} {'rows left':>10} {'in s1':>8}   dropped"]
    for row in funnel_json(measures, decisions):
        assert isinstance(row, dict)
        dropped = row["dropped"]
        assert isinstance(dropped, dict)
        paper = f"{row['s1']:,}" if isinstance(row["s1"], int) else ""
        reasons = ", ".join(f"{reason} {number:,}" for reason, number in dropped.items())
        lines.append(f"  {row['step']!s:<13} {row['rows']:>10,} {paper:>8}   {reasons}".rstrip())
    return "\n".join(lines)
