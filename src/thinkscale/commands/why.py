"""why: the fate of one row across all stages, and what every filter of the selection says of it."""

from pathlib import Path

from thinkscale.commands.run_rows import rows_about
from thinkscale.config import Recipe
from thinkscale.curation.filters import FILTERS, Objection, choose_traces
from thinkscale.curation.funnel import STEPS
from thinkscale.curation.measures import Measures, of_rows
from thinkscale.curation.repeats import is_repeat
from thinkscale.curation.rules import Rules
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Example, Fate, Grade, Label, Problem, Record, Response, to_row
from thinkscale.settings import load_settings
from thinkscale.sources.repairs import RECORD
from thinkscale.stages.selection_rules import rules_of
from thinkscale.stages.stored_measures import stored_measures
from thinkscale.store.run import RunDirectory

KINDS: tuple[type[Record], ...] = (Problem, Response, Grade, Label, Fate, Example)


def why(folder: Path, problem_id: str) -> dict[str, JSON]:
    """Everything stored about a problem: kind of record to rows; and `filters`, what each filter of the selection says.

    DataError where the run knows no such id.
    """
    found: dict[str, JSON] = {"id": problem_id}
    with RunDirectory.read(folder) as run:
        for kind in KINDS:
            rows: list[JSON] = [to_row(record) for record in rows_about(run, kind, problem_id)]
            if rows:
                found[kind.__name__.lower()] = rows
        if len(found) == 1:
            raise DataError(f"{folder}: no stage knows a row with the id {problem_id!r}; ids stand in problems.parquet")
        filters = _filters(run, problem_id)
        if filters:
            found["filters"] = filters
    return found


def _filters(run: RunDirectory, problem_id: str) -> list[JSON]:
    """What each filter says of the row by itself, in order, also those behind the one that dropped it."""
    import polars as pl

    recipe = load_settings(Recipe, run.recipe_yaml, name=str(run.path / "recipe.yaml")).value
    if recipe.select is None or run.journal.stage("select") is None:
        return []
    measures = stored_measures(run)
    if measures is None:
        return []
    place = measures.rows.filter(pl.col("problem_id") == problem_id)["row"].to_list()
    if not place:
        return []
    rules, row = rules_of(recipe.select), place[0]
    alone = of_rows(measures, [row])
    chosen = choose_traces(alone, rules)
    said: list[JSON] = []
    for step in STEPS[:-1]:
        if step == "duplicate":
            said += _near(run, measures, rules, row)
        else:
            said.append(_said(step, FILTERS[step](alone, rules, chosen).get(row)))
    return said


def _said(step: str, objection: Objection | None) -> JSON:
    if objection is None:
        return {"filter": step, "passes": True, "reason": "", "evidence": ""}
    return {"filter": step, "passes": False, "reason": objection.reason, "evidence": objection.evidence}


def _near(run: RunDirectory, measures: Measures, rules: Rules, row: int) -> list[JSON]:
    """Rows that are as like this one as duplicates are, with what became of them."""
    import polars as pl

    if rules.duplicate_share is None:
        return [{"filter": "duplicate", "passes": True, "reason": "", "evidence": "duplicates are kept"}]
    ends = (pl.col("a") == row) | (pl.col("b") == row)
    edges = measures.edges.filter(ends & is_repeat(rules))
    said: list[JSON] = []
    for a, b, share, reason, span in edges.iter_rows():
        other = measures.rows.filter(pl.col("row") == (b if a == row else a))["problem_id"].item()
        fate = next((item.reason for item in rows_about(run, Fate, other) if item.stage == "select"), "no fate yet")
        evidence = f"{other}, {fate} ({reason}, {share:.0%}): {span}"
        said.append({"filter": "duplicate", "passes": fate != "selected", "reason": "like", "evidence": evidence})
    return said or [_said("duplicate", None)]


def why_text(found: dict[str, JSON]) -> str:
    """The story of the row, a paragraph a stage."""
    lines = [f"{found['id']}"]
    for row in _rows(found, "problem"):
        lines += [f"  question    {row['question']}", f"  reference   {row['reference']}   (source {row['source']})"]
        lines += _repairs(row)
    verdicts = {row["response_key"]: row for row in _rows(found, "grade")}
    for row in _rows(found, "response"):
        verdict = verdicts.get(row["key"], {})
        lines.append(
            f"  {row['role']!s:<11} {row['model']}, sample {row['sample']}: {verdict.get('verdict', 'not graded')}, "
            f"{row['thinking_tokens']} thinking tokens, finish {row['finish']}; answer {verdict.get('extracted')!r}"
        )
    for row in _rows(found, "label"):
        lines.append(f"  label       {row['name']} = {row['value']} (by {row['by']}) {row['evidence']}".rstrip())
    for row in _rows(found, "fate"):
        lines.append(f"  {row['stage']!s:<11} {row['decision']}: {row['reason']}  {row['evidence']}".rstrip())
    if found.get("filters"):
        lines.append("  what each filter of the selection says of the row:")
    for row in _rows(found, "filters"):
        verdict_text = "passes" if row["passes"] else "objects"
        lines.append(f"    {row['filter']!s:<13} {verdict_text:<8} {row['reason']}  {row['evidence']}".rstrip())
    return "\n".join(lines)


def _repairs(problem: dict[str, JSON]) -> list[str]:
    """What collecting put back into a damaged row."""
    extra = problem["extra"]
    record = extra.get(RECORD) if isinstance(extra, dict) else None
    fields = record if isinstance(record, dict) else {}
    return [
        f"  repaired    {name}: {', '.join(map(str, commands))}"
        for name, commands in fields.items()
        if isinstance(commands, list)
    ]


def _rows(found: dict[str, JSON], name: str) -> list[dict[str, JSON]]:
    rows = found.get(name, [])
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]
