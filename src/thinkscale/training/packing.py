"""How the rows of one optimizer step become forward passes: which process, which pass, how full.

A pass holds rows in one of two shapes. *Padded*: each row a line of a rectangle, as long as the longest. *Joined*: all
rows behind each other in one line with boundaries that attention heeds, so nothing is padded. Every process makes as
many passes as any other, since sharded weights are gathered in step; one that lacks rows makes an empty pass. Each row
of the step is in exactly one pass of one process, so batching changes what a step costs and never what it learns.

The slowest process decides how long a pass takes, so the passes that run at the same time get like numbers of tokens.
Rejected: bins that reach over the rows of several steps, which would leave fewer empty tokens in a bin but change
which rows a step trains on; with no padding inside a bin, an emptier bin costs nothing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from thinkscale.training.batches import BatchPlan, epoch_batches
from thinkscale.training.settings import Batching, TrainingSettings

Pass = tuple[int, ...]
"""Indices of the rows of one forward pass of one process; empty where it has none left."""
FILLER_TOKENS = 2
"""Length of the row that an empty pass computes, none of it trained."""
ALIKE = 0.75
"""Rows at least this share of a pass's longest row share its rectangle: at most a quarter of a line is padding."""
JOINED = (Batching.PADDING_FREE, Batching.PACKED)
"""The kinds whose rows lie behind each other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one forward pass may hold; None: no limit. A row that alone exceeds `tokens` has a pass of its own."""

    world_size: int = 1
    rows: int | None = None
    tokens: int | None = None
    """Computed positions, padding included."""


def limits_of(settings: TrainingSettings, plan: BatchPlan, batching: Batching) -> Limits:
    """The limits that the settings mean for this kind of batching."""
    tokens = settings.micro_batch_tokens
    if batching is Batching.PACKED:
        tokens = tokens or settings.max_length
    return Limits(world_size=plan.world_size, rows=settings.micro_batch_size, tokens=tokens)


def divide(rows: Sequence[int], lengths: Sequence[int], batching: Batching, limits: Limits) -> list[list[Pass]]:
    """The passes of each process for one step's `rows`: equally many for all, each row in exactly one of them.

    `lengths` are those of all rows, `rows` index into it. AUTO must have been decided before.
    """
    world = limits.world_size
    if batching in JOINED:
        bins = _balanced_bins(rows, lengths, limits)
    else:
        order = rows if batching is Batching.SHUFFLED else sorted(rows, key=lambda row: -lengths[row])
        bins = _rectangles(order, lengths, limits, alike=batching is Batching.BY_LENGTH)
    bins += [[] for _ in range(-len(bins) % world)]
    dealt: list[list[Pass]] = [[] for _ in range(world)]
    for turn, start in enumerate(range(0, len(bins), world)):
        beside = bins[start : start + world]
        for process, rows_of_pass in enumerate(beside if turn % 2 == 0 else reversed(beside)):
            dealt[process].append(tuple(rows_of_pass))
    return dealt


def computed_positions(rows: Pass, lengths: Sequence[int], batching: Batching) -> int:
    """Positions that a pass computes, padding included."""
    if not rows:
        return FILLER_TOKENS
    if batching in JOINED:
        return sum(lengths[row] for row in rows)
    return len(rows) * max(lengths[row] for row in rows)


def padding_fraction(lengths: Sequence[int], steps: Iterable[list[list[Pass]]], batching: Batching) -> float:
    """The share of computed positions that hold no token of a row, over all processes of all `steps`."""
    passes = [rows for step in steps for process in step for rows in process]
    computed = sum(computed_positions(rows, lengths, batching) for rows in passes)
    return 1 - sum(lengths[row] for rows in passes for row in rows) / computed


def epoch_passes(
    lengths: Sequence[int], settings: TrainingSettings, plan: BatchPlan, batching: Batching, epoch: int
) -> list[list[list[Pass]]]:
    """`divide` for every step of one epoch."""
    limits = limits_of(settings, plan, batching)
    batches = epoch_batches(len(lengths), plan.effective_batch_size, settings.seed, epoch)
    return [divide(rows, lengths, batching, limits) for rows in batches]


def _balanced_bins(rows: Sequence[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """As many bins as first-fit decreasing needs, rounded up to the processes, filled as evenly as can be."""
    order = sorted(rows, key=lambda row: -lengths[row])
    fewest = first_fit(order, lengths, limits)
    count = -(-len(fewest) // limits.world_size) * limits.world_size
    bins = _lightest_first(order, lengths, limits, count) or fewest
    return sorted(bins, key=lambda bin_rows: -sum(lengths[row] for row in bin_rows))


def first_fit(order: Sequence[int], lengths: Sequence[int], limits: Limits) -> list[list[int]]:
    """Each row into the first bin with room, a new one where there is none (first-fit decreasing if sorted so)."""
    bins: list[list[int]] = []
    filled: list[int] = []
    for row in order:
        for place, tokens in enumerate(filled):
            if _fits(len(bins[place]), tokens, lengths[row], limits):
                bins[place].append(row)
                filled[place] += lengths[row]
                break
        else:
            bins.append([row])
            filled.append(lengths[row])
    return bins


def _lightest_first(order: Sequence[int], lengths: Sequence[int], limits: Limits, count: int) -> list[list[int]] | None:
    """Each row into the lightest of `count` bins; None where it has no room there, and so nowhere lighter."""
    bins: list[list[int]] = [[] for _ in range(count)]
    filled = [0] * count
    for row in order:
        open_bins = [place for place in range(count) if _fits(len(bins[place]), filled[place], lengths[row], limits)]
        if not open_bins:
            return None
        place = min(open_bins, key=lambda place: filled[place])
        bins[place].append(row)
        filled[place] += lengths[row]
    return bins


def _fits(num_rows: int, tokens: int, length: int, limits: Limits) -> bool:
    if num_rows == 0:
        return True
    return (limits.rows is None or num_rows < limits.rows) and (
        limits.tokens is None or tokens + length <= limits.tokens
    )


def _rectangles(order: Sequence[int], lengths: Sequence[int], limits: Limits, *, alike: bool) -> list[list[int]]:
    """Runs of `order` within the limits, their number a multiple of the processes if there are rows enough.

    With `alike`, and no limit on rows, a run also ends where a row is much shorter than the run's longest.
    """
    world = limits.world_size
    most = limits.rows or -(-len(order) // world)
    runs: list[list[int]] = []
    for row in order:
        run = runs[-1] if runs else []
        longest = max((lengths[other] for other in (*run, row)), default=0)
        too_wide = limits.tokens is not None and longest * (len(run) + 1) > limits.tokens
        unlike = alike and limits.rows is None and lengths[row] < ALIKE * longest
        if not run or len(run) == most or too_wide or unlike:
            runs.append([row])
        else:
            run.append(row)
    while len(runs) % world and any(len(run) > 1 for run in runs):
        place = max(range(len(runs)), key=lambda at: len(runs[at]))
        half = -(-len(runs[place]) // 2)
        runs[place : place + 1] = [runs[place][:half], runs[place][half:]]
    return runs
