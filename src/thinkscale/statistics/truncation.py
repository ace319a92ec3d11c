"""Where responses ended: each cell's scores by what became of them, and the accuracy between its two bounds.

A response that a limit cut is no answer, but it is no wrong answer either: with room it might have been right. So the
accuracy lies between that with the cut counted as wrong and that with the cut left out, and each bound has its own
interval. The second is a ratio whose denominator varies with the problems drawn; both are drawn together.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from thinkscale.records import Score, Verdict
from thinkscale.statistics.cells import CUTS, VERDICTS, CellKey, Grid, grid_of, grouped
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Estimate,
    Floats,
    percentile_interval,
    resample_counts,
    undefined,
    wilson_of_share,
)

ALL_CUT = "all were cut off"


@dataclass(frozen=True, slots=True, kw_only=True)
class CellAccount:
    """What became of a cell's scores. The counts add up to `num_scores`; accuracies are fractions."""

    key: CellKey
    num_problems: int
    num_scores: int
    answered: int
    """Correct or wrong."""
    no_answer: int
    cut_in_thinking: int
    cut_in_answer: int
    cut_unstated: int
    """Cut off, in a table that does not say where."""
    ungradable: int
    accuracy: Estimate
    """Correct over all: the cut counts as wrong."""
    accuracy_of_finished: Estimate
    """Correct over what was not cut."""

    @property
    def cut_off(self) -> int:
        """Cut anywhere."""
        return self.cut_in_thinking + self.cut_in_answer + self.cut_unstated


def truncation_accounts(scores: Iterable[Score], resamples: int = RESAMPLES, seed: int = SEED) -> list[CellAccount]:
    """One account for each cell, in the order of `cells_from_scores`, with intervals over problems."""
    accounts = []
    for group in grouped(scores).values():
        grid = grid_of(group)
        weights = resample_counts(len(grid.problems), resamples, seed)
        accounts += [_account(grid, index, weights) for index in range(len(grid.keys))]
    return accounts


def _account(grid: Grid, index: int, weights: Floats) -> CellAccount:
    sums = {verdict: int(grid.verdicts[place, :, index].sum()) for place, verdict in enumerate(VERDICTS)}
    cut = {place: int(grid.cut[number, :, index].sum()) for number, place in enumerate(CUTS)}
    correct, count = grid.correct[:, index], grid.count[:, index]
    finished = count - grid.verdicts[VERDICTS.index(Verdict.CUT_OFF), :, index]
    in_thinking, in_answer = (cut[place] for place in CUTS)
    return CellAccount(
        key=grid.keys[index],
        num_problems=int((count > 0).sum()),
        num_scores=int(count.sum()),
        answered=sums[Verdict.CORRECT] + sums[Verdict.WRONG],
        no_answer=sums[Verdict.NO_ANSWER],
        cut_in_thinking=in_thinking,
        cut_in_answer=in_answer,
        cut_unstated=sums[Verdict.CUT_OFF] - in_thinking - in_answer,
        ungradable=sums[Verdict.UNGRADABLE],
        accuracy=_ratio(correct, count, weights),
        accuracy_of_finished=_ratio(correct, finished, weights),
    )


def _ratio(parts: Floats, wholes: Floats, weights: Floats) -> Estimate:
    """Sum of parts over sum of wholes, with its interval; Wilson's over problems where every draw would be alike."""
    whole = float(wholes.sum())
    if whole == 0:
        return undefined(ALL_CUT)
    value = float(parts.sum()) / whole
    drawn = weights @ np.stack([parts, wholes], axis=1)
    ratios = drawn[drawn[:, 1] > 0, 0] / drawn[drawn[:, 1] > 0, 1]
    alike = len(ratios) == 0 or np.ptp(ratios) == 0
    low, high = wilson_of_share(value, int((wholes > 0).sum())) if alike else percentile_interval(ratios)
    return Estimate(value=value, low=low, high=high)
