"""A set of short and long thinking in fixed numbers: two draws, one from each side of a length.

Small students learn less from long traces than big ones do, and lose what they could (users of s1 report it of 0.5 to 7
billion parameters); Li et al. (arXiv 2502.12143) had students of up to 3 billion gain from one long trace to four short
ones. Here the sampler of the recipe draws each side as if it were the whole pool, so that quality and diversity are the
same on both.

Rejected: a weight by length in one draw. The numbers would then hang on chance and on the pool, and a study of the mix
needs them fixed.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from thinkscale.curation.sampling.drawing import select
from thinkscale.curation.sampling.samplers import Sampler
from thinkscale.curation.sampling.selection import Candidate, Pick, Selection
from thinkscale.errors import StageError
from thinkscale.keys import seed_from


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """`short_rows` of all that are selected have traces of at most `short_tokens` tokens, the others longer ones."""

    short_rows: int
    short_tokens: int


def select_mixed(
    candidates: Iterable[Candidate], count: int, seed: int, keep_all: Collection[str], sampler: Sampler, mix: Mix
) -> Selection:
    """`select` on both sides: the short rows come first. Kept rows count on their side.

    Raises StageError where a side has too few rows, or more kept ones than its number.
    """
    rows = list(candidates)
    sides = {
        f"of at most {mix.short_tokens:,} trace tokens": (
            [row for row in rows if row.trace_tokens <= mix.short_tokens],
            mix.short_rows,
        ),
        f"of more than {mix.short_tokens:,} trace tokens": (
            [row for row in rows if row.trace_tokens > mix.short_tokens],
            count - mix.short_rows,
        ),
    }
    picks: list[Pick] = []
    for name, (side, wanted) in sides.items():
        kept = {row.problem_id for row in side if row.problem_id in keep_all}
        if len(side) < wanted or len(kept) > wanted:
            what = f"{len(kept)} kept" if len(kept) > wanted else f"only {len(side)}"
            raise StageError(f"select.mix asks for {wanted} rows {name}, but there are {what}")
        drawn = select(side, wanted, seed_from("mix", seed, name), kept, sampler) if wanted else None
        picks += [replace(pick, order=len(picks) + pick.order) for pick in drawn.picks] if drawn else []
    return Selection(picks=tuple(picks), seed=seed)
