"""Scores gathered into cells: sums by problem and cell, and what each cell says."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from thinkscale.errors import DataError
from thinkscale.records import Cell, Cut, Score, Verdict
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Floats,
    percentile_interval,
    resample_counts,
    wilson_of_share,
)

OVER_BUDGET_SLACK_TOKENS = 10
"""Thinking may pass its budget by this much before it counts as over: closing words, a token cut in two."""

VERDICTS = tuple(Verdict)
CUTS = (Cut.THINKING, Cut.ANSWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class CellKey:
    """What names a cell: equal keys are one cell."""

    benchmark: str
    model: str
    method: str
    budget_tokens: int | None
    waits: int
    variant: str
    k: int = 1
    """Samples that one answer is made of."""


def cell_key(item: Score | Cell) -> CellKey:
    """The cell that `item` belongs to, or is."""
    return CellKey(
        benchmark=item.benchmark,
        model=item.model,
        method=item.method,
        budget_tokens=item.budget_tokens,
        waits=item.waits,
        variant=item.variant,
        k=_samples_of(item),
    )


def setting_order(item: CellKey | Cell | Score) -> tuple[bool, int, int, str, int]:
    """Sort key of the settings of one method: small budgets first, no budget last, then waits, variant, samples."""
    return (item.budget_tokens is None, item.budget_tokens or 0, item.waits, item.variant, _samples_of(item))


def _samples_of(item: CellKey | Cell | Score) -> int:
    """A score is what one sample says."""
    return 1 if isinstance(item, Score) else item.k


@dataclass(frozen=True, slots=True, kw_only=True)
class Totals:
    """Sums for each cell, in the last axis. A leading axis, where there is one, is the resample."""

    count: Floats
    tokens: Floats
    generated: Floats
    over_budget: Floats
    correct: Floats

    @property
    def accuracy(self) -> Floats:
        """Correct over all, in percent."""
        return np.asarray(100 * self.correct / self.count)

    @property
    def mean_tokens(self) -> Floats:
        """Thinking tokens a score."""
        return np.asarray(self.tokens / self.count)

    @property
    def mean_generated(self) -> Floats:
        """All tokens a score."""
        return np.asarray(self.generated / self.count)


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Sums of one group of scores: rows are problems (sorted by id), columns are cells (`keys`)."""

    keys: tuple[CellKey, ...]
    problems: tuple[str, ...]
    count: Floats
    tokens: Floats
    generated: Floats
    """All tokens, beside those of the thinking."""
    over_budget: Floats
    verdicts: Floats
    """(verdict in the order of `VERDICTS`, problem, cell)."""
    cut: Floats
    """Of the cut-off: (in the thinking, in the answer; problem, cell)."""

    @property
    def correct(self) -> Floats:
        """Correct scores by problem and cell."""
        return np.asarray(self.verdicts[VERDICTS.index(Verdict.CORRECT)])


def grouped(scores: Iterable[Score]) -> dict[tuple[str, str, str], list[Score]]:
    """Scores by (benchmark, model, method), in order of first appearance."""
    groups: dict[tuple[str, str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.benchmark, score.model, score.method), []).append(score)
    return groups


def is_over_budget(score: Score) -> bool:
    """Whether the thinking passed its budget by more than the slack; never where there is no budget."""
    return score.budget_tokens is not None and score.thinking_tokens > score.budget_tokens + OVER_BUDGET_SLACK_TOKENS


def grid_of(scores: Sequence[Score]) -> Grid:
    """The sums of `scores` by problem and cell.

    The result does not depend on the order of `scores`. Raises DataError where a cell holds the same
    sample of the same problem twice: it would count double.
    """
    found = [cell_key(score) for score in scores]
    keys = tuple(sorted(set(found), key=lambda key: (key.benchmark, key.model, key.method, setting_order(key))))
    problems = tuple(sorted({score.problem_id for score in scores}))
    column = {key: index for index, key in enumerate(keys)}
    row = {name: index for index, name in enumerate(problems)}
    shape = (len(problems), len(keys))
    count, tokens, generated, over = (np.zeros(shape) for _ in range(4))
    verdicts, cut = np.zeros((len(VERDICTS), *shape)), np.zeros((len(CUTS), *shape))
    order = {verdict: index for index, verdict in enumerate(VERDICTS)}
    seen: set[tuple[int, int, int]] = set()
    for score, key in zip(scores, found, strict=True):
        at = (row[score.problem_id], column[key])
        if (*at, score.sample) in seen:
            raise DataError(f"{key} has two scores for sample {score.sample} of problem {score.problem_id!r}")
        seen.add((*at, score.sample))
        count[at] += 1
        tokens[at] += score.thinking_tokens
        generated[at] += score.generated_tokens
        over[at] += is_over_budget(score)
        verdicts[(order[score.verdict], *at)] += 1
        if score.verdict is Verdict.CUT_OFF and score.cut is not Cut.NONE:
            cut[(CUTS.index(score.cut), *at)] += 1
    return Grid(
        keys=keys,
        problems=problems,
        count=count,
        tokens=tokens,
        generated=generated,
        over_budget=over,
        verdicts=verdicts,
        cut=cut,
    )


def observed_totals(grid: Grid) -> Totals:
    """Sums over all problems, with a leading axis of length 1."""
    return _weighted_totals(grid, np.ones((1, len(grid.problems))))


def resampled_totals(grid: Grid, resamples: int, seed: int) -> Totals:
    """Sums over problems drawn with replacement.

    A draw in which some cell has no score at all (possible only where cells differ in their problems)
    says nothing about that cell and is left out.
    """
    return _weighted_totals(grid, resample_counts(len(grid.problems), resamples, seed))


def _weighted_totals(grid: Grid, weights: Floats) -> Totals:
    stacked = np.concatenate([grid.count, grid.tokens, grid.generated, grid.over_budget, grid.correct], axis=1)
    summed = weights @ stacked
    full = (summed[:, : len(grid.keys)] > 0).all(axis=1)
    count, tokens, generated, over, correct = np.split(summed[full], 5, axis=1)
    return Totals(count=count, tokens=tokens, generated=generated, over_budget=over, correct=correct)


def accuracy_bounds(correct: int, cut_off: int, total: int) -> tuple[float, float]:
    """Accuracy with the cut-off counted as wrong, and with the cut-off left out (0 where all were cut off)."""
    finished = total - cut_off
    return correct / total, correct / finished if finished else 0.0


def cells_from_scores(scores: Iterable[Score], resamples: int = RESAMPLES, seed: int = SEED) -> list[Cell]:
    """One cell for each setting: benchmarks, models and methods as they first appear, settings by size.

    The interval of the accuracy is a bootstrap over problems; where all problems are alike the bootstrap has
    no width, though 0 of 30 does not prove 0%, and the Wilson interval over problems stands in.
    """
    cells = []
    for group in grouped(scores).values():
        grid = grid_of(group)
        draws = resampled_totals(grid, resamples, seed).accuracy / 100
        cells += [_cell(grid, index, draws[:, index]) for index in range(len(grid.keys))]
    return cells


def _cell(grid: Grid, index: int, draws: Floats) -> Cell:
    key = grid.keys[index]
    total = int(grid.count[:, index].sum())
    num_problems = int((grid.count[:, index] > 0).sum())
    counts = {
        verdict: int(sums) for verdict, sums in zip(VERDICTS, grid.verdicts[:, :, index].sum(axis=1), strict=True)
    }
    correct, cut_off = counts[Verdict.CORRECT], counts[Verdict.CUT_OFF]
    in_thinking, in_answer = (int(sums) for sums in grid.cut[:, :, index].sum(axis=1))
    accuracy, of_finished = accuracy_bounds(correct, cut_off, total)
    if len(draws) == 0 or np.ptp(draws) == 0:
        low, high = wilson_of_share(accuracy, num_problems)
    else:
        low, high = percentile_interval(draws)
    return Cell(
        benchmark=key.benchmark,
        model=key.model,
        method=key.method,
        budget_tokens=key.budget_tokens,
        waits=key.waits,
        variant=key.variant,
        k=key.k,
        num_problems=num_problems,
        num_scores=total,
        accuracy=accuracy,
        accuracy_low=low,
        accuracy_high=high,
        accuracy_of_finished=of_finished,
        mean_thinking_tokens=float(grid.tokens[:, index].sum()) / total,
        mean_generated_tokens=float(grid.generated[:, index].sum()) / total,
        over_budget=int(grid.over_budget[:, index].sum()),
        correct=correct,
        wrong=counts[Verdict.WRONG],
        no_answer=counts[Verdict.NO_ANSWER],
        cut_off=cut_off,
        cut_in_thinking=in_thinking,
        cut_in_answer=in_answer,
        ungradable=counts[Verdict.UNGRADABLE],
    )
