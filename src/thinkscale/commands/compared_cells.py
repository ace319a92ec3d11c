"""The cells of a comparison, worked out: over problems for a run on each side, over problems and seeds for several."""

from collections.abc import Callable, Sequence

from thinkscale.reporting.compared import ComparedCell, Resolution
from thinkscale.statistics import (
    RESAMPLES,
    SEED,
    CellKey,
    Contrast,
    compare_family,
    difference_over_seeds,
    holm,
)
from thinkscale.statistics.intervals import ALPHA
from thinkscale.statistics.seeds import SeedDifference, detectable_over_seeds, t_interval

Outcomes = dict[CellKey, dict[str, list[float]]]
RunCells = tuple[Outcomes, dict[CellKey, float]]
"""Of one run: outcomes by cell and problem, and mean thinking tokens by cell. Keys are without the model."""
Worked = tuple[tuple[ComparedCell, ...], tuple[Resolution, ...], list[str]]
"""Cells, what could be seen, and what is to be said of the numbers."""


def over_problems(
    keys: Sequence[CellKey], before: RunCells, after: RunCells, resamples: int = RESAMPLES, seed: int = SEED
) -> Worked:
    """One run on each side: one family of paired comparisons."""
    (first, first_tokens), (second, second_tokens) = before, after
    contrasts = [
        Contrast(name=str(place), benchmark=key.benchmark, first=first[key], second=second[key])
        for place, key in enumerate(keys)
    ]
    family = compare_family("equal cells", contrasts, resamples, seed)
    cells = tuple(
        ComparedCell(
            key=key,
            num_problems=item.paired.num_problems,
            first=item.paired.first,
            second=item.paired.second,
            difference=item.paired.difference,
            low=item.paired.low,
            high=item.paired.high,
            low_simultaneous=item.low_simultaneous,
            high_simultaneous=item.high_simultaneous,
            p_value=item.paired.p_value,
            p_holm=item.p_holm,
            gained=item.paired.gained,
            lost=item.paired.lost,
            first_tokens=first_tokens[key],
            second_tokens=second_tokens[key],
            beyond_noise=item.beyond_noise,
        )
        for key, item in zip(keys, family.comparisons, strict=True)
    )
    resolutions = tuple(
        Resolution(
            benchmark=item.benchmark,
            num_problems=item.num_problems,
            conservative=item.conservative,
            observed=item.observed,
        )
        for item in family.detectable
    )
    return cells, resolutions, []


def over_seeds(keys: Sequence[CellKey], before: Sequence[RunCells], after: Sequence[RunCells]) -> Worked:
    """Several runs on a side: random effects of problems and seeds."""
    level = ALPHA / len(keys)
    found = [
        difference_over_seeds([cells[key] for cells, _ in before], [cells[key] for cells, _ in after]) for key in keys
    ]
    adjusted = holm([item.p_value for item in found])
    cells = tuple(
        _seed_cell(key, item, p_holm, level, [_mean_tokens(side, key) for side in (before, after)])
        for key, item, p_holm in zip(keys, found, adjusted, strict=True)
    )
    resolutions = []
    for benchmark in dict.fromkeys(key.benchmark for key in keys):
        members = [item for key, item in zip(keys, found, strict=True) if key.benchmark == benchmark]
        resolutions.append(
            Resolution(
                benchmark=benchmark,
                num_problems=max(item.num_problems for item in members),
                conservative=None,
                observed=_largest(members, lambda item: detectable_over_seeds(item, level)),
            )
        )
    notes = [
        f"{len(before)} runs against {len(after)}: {note}." for note in dict.fromkeys(i.note for i in found) if note
    ]
    return cells, tuple(resolutions), notes


def _largest(members: Sequence[SeedDifference], of: Callable[[SeedDifference], float | None]) -> float | None:
    """The worst of a benchmark's cells; None where some would not show at all."""
    values = [of(item) for item in members if item.degrees_of_freedom]
    known = [value for value in values if value is not None]
    return max(known) if known and len(known) == len(values) else None


def _mean_tokens(side: Sequence[RunCells], key: CellKey) -> float:
    return sum(tokens[key] for _, tokens in side) / len(side)


def _seed_cell(
    key: CellKey, found: SeedDifference, p_holm: float, level: float, tokens: Sequence[float]
) -> ComparedCell:
    corrected = t_interval(found, level)
    low, high = corrected or (None, None)
    clear = corrected is not None and (corrected[0] > 0 or corrected[1] < 0)
    assert found.estimate.value is not None
    return ComparedCell(
        key=key,
        num_problems=found.num_problems,
        first=found.first,
        second=found.second,
        difference=found.estimate.value,
        low=found.estimate.low,
        high=found.estimate.high,
        low_simultaneous=low,
        high_simultaneous=high,
        p_value=found.p_value,
        p_holm=p_holm,
        gained=None,
        lost=None,
        first_tokens=tokens[0],
        second_tokens=tokens[1],
        beyond_noise=clear and p_holm < ALPHA,
    )
