"""Measures made by hand, and the fates that follow from them."""

from collections.abc import Mapping, Sequence

from thinkscale.curation.funnel import decide, fates
from thinkscale.curation.measures import COLUMNS, Measures, table
from thinkscale.curation.rules import Rules
from thinkscale.curation.sampling import SAMPLERS

EVERY = Rules(sampler=SAMPLERS["all"], min_trace_tokens=10, max_trace_tokens=1_000)
"""All rows that pass are selected."""


def measures(
    rows: Sequence[tuple[str, str]], tables: Mapping[str, Sequence[tuple[object, ...]]] | None = None, tokens: int = 100
) -> Measures:
    """Measures of rows (id, source), each with one correct trace `id-0` of `tokens`; other tables by their tuples."""
    given: dict[str, Sequence[tuple[object, ...]]] = {
        "rows": [(place, name, source, "math", "d", "", None) for place, (name, source) in enumerate(rows)],
        "traces": [(place, 0, f"{name}-0", tokens, "correct") for place, (name, _) in enumerate(rows)],
        **(tables or {}),
    }
    made = {
        name: table(name, dict(zip(columns, map(list, zip(*given[name], strict=True)), strict=True)))
        if given.get(name)
        else table(name, {})
        for name, columns in COLUMNS.items()
    }
    return Measures(**made)


def fate_of(given: Measures, rules: Rules = EVERY) -> dict[str, tuple[str, str]]:
    """Id to reason and evidence."""
    return {fate.problem_id: (fate.reason, fate.evidence) for fate in fates(given, decide(given, rules, 42))}


THREE = [("a", "math"), ("b", "math"), ("c", "aime")]


OVERLAPS = [
    (0, "", "aime24", "1", "ngram_overlap", 0.2, "short"),
    (0, "", "math500", "2", "ngram_overlap", 0.9, "long"),
    (1, "b-0", "aime24", "3", "ngram_overlap", 0.5, "in the trace"),
    (2, "c-9", "aime24", "3", "ngram_overlap", 0.5, "in another trace"),
]
