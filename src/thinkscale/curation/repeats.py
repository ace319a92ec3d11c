"""The filter that looks at other rows: which of those that are left repeat a better one."""

from collections.abc import Collection, Iterator, Mapping
from typing import TYPE_CHECKING, TypeAlias

from thinkscale.curation.duplicates import Edges, Repeat, kept
from thinkscale.curation.filters import Chosen, Objection, Objections
from thinkscale.curation.measures import Measures
from thinkscale.curation.overlap import ANSWER_AWARE, WHOLE_QUESTION
from thinkscale.curation.rules import Preference, Rules
from thinkscale.records import Verdict

if TYPE_CHECKING:
    import polars as pl


def duplicates(measures: Measures, rules: Rules, chosen: Chosen, left: Collection[int]) -> Objections:
    """Rows of `left` that repeat a better row of `left`, greedily in the order of preference (`kept`)."""
    import polars as pl

    if rules.duplicate_share is None:
        return {}
    near = measures.edges.filter(is_repeat(rules))
    concerned = {*near["a"].to_list(), *near["b"].to_list()}
    order = by_preference(measures, rules, chosen, [row for row in left if row in concerned])
    same = (near["reason"] == WHOLE_QUESTION).to_numpy()
    # Whatever is near by the answer is near enough; which of several is named goes by the share beyond that.
    shares = near.select(pl.max_horizontal("share", pl.lit(rules.duplicate_share)))["share"].to_numpy()
    graph = Edges(near["a"].to_numpy(), near["b"].to_numpy(), shares, same)
    ids = dict(measures.rows.select("row", "problem_id").iter_rows())
    facts = {(a, b): (reason, share, span) for a, b, reason, share, span in _facts(near)}
    first = dict(near.filter(same).select("b", "a").iter_rows())
    found: Objections = {}
    for repeat in kept(graph, order, rules.duplicate_share):
        low, high = sorted((first.get(repeat.row, repeat.row), first.get(repeat.kept, repeat.kept)))
        reason, share, span = facts.get((low, high)) or (WHOLE_QUESTION, 1.0, _own_span(facts, first, repeat))
        found[repeat.row] = Objection("duplicate", f"{ids[repeat.kept]} ({reason}, {share:.0%}): {span}")
    return found


def is_repeat(rules: Rules) -> "pl.Expr":
    """Whether an edge is near enough for one of its rows to be dropped."""
    import polars as pl

    near = (pl.col("share") >= rules.duplicate_share) | (pl.col("reason") == WHOLE_QUESTION)
    if rules.same_answer_share is None:
        return near
    return near | ((pl.col("reason") == ANSWER_AWARE) & (pl.col("share") >= rules.same_answer_share))


Fact: TypeAlias = tuple[str, float, str]


def _facts(edges: "pl.DataFrame") -> Iterator[tuple[int, int, str, float, str]]:
    return edges.select("a", "b", "reason", "share", "span").iter_rows()


def _own_span(facts: Mapping[tuple[int, int], Fact], first: Mapping[int, int], repeat: Repeat) -> str:
    """The words of a row that repeats another whole: they stand at the edge of either to the first of their copies."""
    return next((facts[first[end], end][2] for end in (repeat.row, repeat.kept) if end in first), "")


def by_preference(measures: Measures, rules: Rules, chosen: Chosen, rows: Collection[int]) -> list[int]:
    """`rows`, the better ones first."""
    import polars as pl

    known = pl.DataFrame(
        {
            "row": list(chosen.tokens),
            "longer": list(chosen.tokens.values()),
            "correct": [verdict == Verdict.CORRECT for verdict in chosen.verdict.values()],
        },
        schema={"row": pl.Int64, "longer": pl.Int64, "correct": pl.Boolean},
    )
    names = measures.rows["source"].unique(maintain_order=True)
    sources = pl.DataFrame({"name": names, "source": range(len(names))})
    facts = (
        measures.rows.select("row", "problem_id", name="source")
        .filter(pl.col("row").is_in(list(rows)))
        .join(known, on="row", how="left")
        .join(sources, on="name", how="left")
        .with_columns(pl.col("longer").fill_null(0), pl.col("correct").fill_null(value=False))
    )
    wanted = [item.value for item in rules.prefer]
    descending = [item is not Preference.SOURCE for item in rules.prefer]
    return facts.sort([*wanted, "problem_id"], descending=[*descending, False])["row"].to_list()
