"""What the report says of a selection: counts, lengths and overlaps, worked out by the stage that hands them in."""

from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.curation.sampling import Uniformity
from thinkscale.statistics import SplitAccuracy


@dataclass(frozen=True, slots=True, kw_only=True)
class FunnelStep:
    """Rows left after one step; `paper` is what the s1 paper had left, None where it has no such step."""

    name: str
    rows_left: int
    paper: int | None
    dropped: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupCounts:
    """Rows of one domain or source: collected, left by all filters, and selected."""

    name: str
    collected: int
    candidates: int
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LengthBin:
    """Rows whose traces have from `low` to below `high` thinking tokens."""

    low: float
    high: float
    candidates: int
    selected: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Contamination:
    """A row that was dropped since it shares text with a benchmark, and one item that shows it."""

    problem_id: str
    against: str
    against_id: str
    reason: str
    share: float
    span: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SelectionFacts:
    """The whole selection. A candidate is a row that every filter lets pass."""

    sampler: str
    seed: int
    num_kept: int
    """Selected rows that a rule kept before anything was drawn."""
    funnel: tuple[FunnelStep, ...]
    domains: tuple[GroupCounts, ...]
    """Most candidates first."""
    sources: tuple[GroupCounts, ...]
    lengths: tuple[LengthBin, ...]
    quantiles: Mapping[str, tuple[int, ...]]
    """Least, quartiles and most thinking tokens of `candidates` and of `selected`."""
    uniformity: Uniformity | None
    """Drawn rows against equal shares of all domains with candidates."""
    other_seed: int
    other_overlap: float
    """Jaccard of the selection under `other_seed` with this one."""
    contaminated: int
    """Rows dropped for their overlaps."""
    contaminations: tuple[Contamination, ...]
    """The first of them."""
    touched: tuple[SplitAccuracy, ...] = ()
    """Each model on the items of each benchmark that some collected row overlaps with, and on the others."""
