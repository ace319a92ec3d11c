"""A second reader of rows that quality rules drop: is a row lost rightly, and is it still dropped today?

Up to 30 rows that each rule hit were drawn by hash and read by someone who did not write the rules. `wrong`: a sound,
self-contained question with its answer, whatever the rule says of it. The labels are
curation_labels/quality_second_reader.jsonl; the rules have changed since, so what counts is what is still dropped.
"""

from collections import Counter
from typing import Any

from curation_data import label_rows, place, pool, text_hash

from thinkscale.curation.quality import DEFAULT_RULES, question_faults
from thinkscale.records import Kind, Problem


def second_reader() -> dict[str, Any]:
    """For each rule of which rows were read: labels, and how many rows of either label any default rule drops today."""
    labels = label_rows("quality_second_reader")
    wanted = {label["place"] for label in labels}
    rows = {place(row): row for row in pool() if place(row) in wanted}
    found: dict[str, Counter[str]] = {}
    for label in labels:
        row = rows[label["place"]]
        assert text_hash(row.text) == label["text"], f"{label['place']} is another text than the one that was read"
        counts = found.setdefault(label["rule"], Counter())
        counts[f"read {label['drop']}"] += 1
        counts[f"still dropped {label['drop']}"] += _is_dropped(row.text, row.answer, row.source)
    return {rule: dict(counts) for rule, counts in found.items()}


def _is_dropped(question: str, answer: str, source: str) -> bool:
    problem = Problem(id="row", source=source, question=question, reference=answer or "given", kind=Kind.MATH)
    return bool(question_faults(problem, DEFAULT_RULES))
