"""why: the fate of one row across all stages."""

from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.records import Example, Fate, Grade, Label, Problem, Record, Response, to_row
from thinkscale.store.run import RunDirectory

KINDS: tuple[type[Record], ...] = (Problem, Response, Grade, Label, Fate, Example)


def why(folder: Path, problem_id: str) -> dict[str, JSON]:
    """Everything stored about a problem: kind of record to rows. DataError where the run knows no such id."""
    found: dict[str, JSON] = {"id": problem_id}
    with RunDirectory.read(folder) as run:
        for kind in KINDS:
            rows: list[JSON] = [to_row(record) for record in run.rows(kind) if _is_about(record, problem_id)]
            if rows:
                found[kind.__name__.lower()] = rows
    if len(found) == 1:
        raise DataError(f"{folder}: no stage knows a row with the id {problem_id!r}; ids stand in problems.parquet")
    return found


def _is_about(record: Record, problem_id: str) -> bool:
    return bool(getattr(record, "id" if isinstance(record, Problem) else "problem_id") == problem_id)


def why_text(found: dict[str, JSON]) -> str:
    """The story of the row, a paragraph a stage."""
    lines = [f"{found['id']}"]
    for row in _rows(found, "problem"):
        lines += [f"  question    {row['question']}", f"  reference   {row['reference']}   (source {row['source']})"]
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
    return "\n".join(lines)


def _rows(found: dict[str, JSON], name: str) -> list[dict[str, JSON]]:
    rows = found.get(name, [])
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]
