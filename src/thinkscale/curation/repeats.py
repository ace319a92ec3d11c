"""The filter that looks at other rows: which of those that are left repeat a better one."""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from thinkscale.curation.edges import ANSWER_AWARE, NEAR_COPY, WHOLE_QUESTION, Edges
from thinkscale.curation.filters import Chosen, Objection, Objections
from thinkscale.curation.keeping import Repeats, repeats
from thinkscale.curation.measures import Measures
from thinkscale.curation.rules import Preference, Rules
from thinkscale.curation.units import Integers
from thinkscale.records import Verdict

if TYPE_CHECKING:
    import polars as pl


def duplicates(measures: Measures, rules: Rules, chosen: Chosen, left: Collection[int]) -> Objections:
    """Rows of `left` that repeat a better row of `left`, greedily in the order of preference (keeping.py)."""
    import polars as pl

    if rules.duplicate_share is None:
        return {}
    near = measures.edges.filter(is_repeat(rules))
    concerned = {*near["a"].to_list(), *near["b"].to_list()}
    order = by_preference(measures, rules, chosen, [row for row in left if row in concerned])
    ranks = np.full(len(measures.rows), -1, np.int64)
    ranks[order] = np.arange(len(order))
    same = (near["reason"].is_in([WHOLE_QUESTION, NEAR_COPY])).to_numpy()
    # Whatever is near by the answer is near enough; which of several is named goes by the share beyond that.
    shares = near.select(pl.max_horizontal("share", pl.lit(rules.duplicate_share)))["share"].to_numpy()
    found = repeats([Edges(near["a"].to_numpy(), near["b"].to_numpy(), shares, same)], ranks, rules.duplicate_share)
    shown = near[_shown(near, found, len(ranks))]
    ids = measures.rows["problem_id"].to_list()
    facts = zip(found.rows.tolist(), found.kept.tolist(), *(shown[name].to_list() for name in FACTS), strict=True)
    return {
        row: Objection("duplicate", f"{ids[kept]} ({reason}, {share:.0%}): {span}")
        for row, kept, reason, share, span in facts
    }


FACTS = ("reason", "share", "span")


def _shown(near: "pl.DataFrame", found: Repeats, num_rows: int) -> Integers:
    """For each row that is dropped the position of the edge that shows it.

    That is the edge of a copy to the first with its words, or of a member of a crowd to the first row of that; for
    others the edge of the largest share between the texts, or crowds, of the two rows.
    """
    a, b = near["a"].to_numpy(), near["b"].to_numpy()
    first, whole = _level(near, WHOLE_QUESTION, num_rows)
    crowd, member = _level(near, NEAR_COPY, num_rows)
    row, kept = first[found.rows], first[found.kept]
    shown = np.where(whole[found.rows] >= 0, whole[found.rows], whole[found.kept])
    in_crowd = row != kept
    shown[in_crowd] = np.where(member[row] >= 0, member[row], member[kept])[in_crowd]
    apart = np.flatnonzero(crowd[row] != crowd[kept])
    others = np.flatnonzero(~near["reason"].is_in([WHOLE_QUESTION, NEAR_COPY]).to_numpy())
    keys = _pair(crowd[first[a[others]]], crowd[first[b[others]]])
    best = np.lexsort((others, -near["share"].to_numpy()[others], keys))
    places = np.searchsorted(keys[best], _pair(crowd[row[apart]], crowd[kept[apart]]))
    shown[apart] = others[best[places]]
    return shown


def _level(near: "pl.DataFrame", reason: str, num_rows: int) -> tuple[Integers, Integers]:
    """For each row the one that it is a copy of by `reason`, itself if none, and the position of that edge or -1."""
    chosen = np.flatnonzero((near["reason"] == reason).to_numpy())
    first, position = np.arange(num_rows), np.full(num_rows, -1, np.int64)
    copies = near["b"].to_numpy()[chosen]
    first[copies] = near["a"].to_numpy()[chosen]
    position[copies] = chosen
    return first, position


def _pair(one: Integers, other: Integers) -> Integers:
    return np.minimum(one, other) << 32 | np.maximum(one, other)


def is_repeat(rules: Rules) -> "pl.Expr":
    """Whether an edge is near enough for one of its rows to be dropped."""
    import polars as pl

    near = (pl.col("share") >= rules.duplicate_share) | (pl.col("reason") == WHOLE_QUESTION)
    if rules.same_answer_share is None:
        return near
    return near | ((pl.col("reason") == ANSWER_AWARE) & (pl.col("share") >= rules.same_answer_share))


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
