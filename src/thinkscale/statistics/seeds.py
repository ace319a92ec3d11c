"""Several runs of one recipe under different seeds: their mean, with the variance over problems and over seeds.

Every run answers the same problems, so problems and seeds are crossed. The model is the two-way one with random
effects of both,

    y[r, i] = mean + seed_r + problem_i + (both)_ri

whose mean squares give each variance (Searle, Casella and McCulloch, Variance Components, 1992, chapter 4). A mean over
R runs of n problems has the variance v_problem / n + v_seed / R + v_both / (n R). Of a difference of two sides, the
problems are paired and the seeds are not: a seed of one side says nothing of the same seed of the other, once the
recipes differ. The interval is Student's t with Satterthwaite's degrees of freedom (Biometrics Bulletin 2, 1946,
110-114); a variance that comes out negative is taken as 0.

Few seeds: with one the variance over seeds is unknown and the interval is over problems alone, which `note` says. With
two or three it is estimated from one or two degrees of freedom, so the interval is wide where seeds matter (t = 12.7 at
one degree), and where they happen to agree it can be too narrow: the estimate of 0 is then luck. Five are a fair start.

Rejected: resampling runs and problems together (Owen, Ann. Appl. Stat. 1, 2007), which draws the variance of two runs
too small by half and of one run as nothing.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thinkscale.errors import DataError
from thinkscale.statistics.intervals import ALPHA, POWER, Estimate, Floats

FEW_SEEDS = 5
Run = Mapping[str, Sequence[float]]
"""Outcomes of the samples of each problem in one run."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedEstimate:
    """The mean over runs and problems."""

    estimate: Estimate
    by_run: tuple[float, ...]
    num_problems: int
    deviation_over_seeds: float | None
    """Standard deviation of a run's accuracy that is due to its seed; None of one run."""
    degrees_of_freedom: float
    note: str
    """What so few seeds cannot show; empty where there are enough."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SeedDifference:
    """Second minus first, each the mean over its runs, on the problems that all runs have."""

    num_problems: int
    num_runs: tuple[int, int]
    first: float
    second: float
    estimate: Estimate
    p_value: float
    standard_error: float
    degrees_of_freedom: float
    deviations_over_seeds: tuple[float | None, float | None]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Part:
    """An estimated part of a variance, as a sum of mean squares with weights."""

    value: float
    terms: tuple[tuple[float, float], ...]
    """(weight times mean square, its degrees of freedom)."""


def mean_over_seeds(runs: Sequence[Run]) -> SeedEstimate:
    """The mean of `runs` over the problems that all of them have. Raises DataError where there is none."""
    table = _tables(runs)[0]
    parts = [_problem_part(table.mean(axis=0)), _seed_part(table)]
    mean = float(table.mean())
    error, degrees = _combined(parts)
    half = _t_quantile(degrees) * error if degrees else 0.0
    estimate = (
        Estimate(value=mean, low=max(0.0, mean - half), high=min(1.0, mean + half))
        if degrees
        else undefined_spread(mean)
    )
    return SeedEstimate(
        estimate=estimate,
        by_run=tuple(float(value) for value in table.mean(axis=1)),
        num_problems=table.shape[1],
        deviation_over_seeds=_deviation(table),
        degrees_of_freedom=degrees,
        note=_note(len(table)),
    )


def difference_over_seeds(first: Sequence[Run], second: Sequence[Run]) -> SeedDifference:
    """The paired difference of two sides of any number of runs. Raises DataError where they share no problem."""
    before, after = _tables(first, second)
    moved = after.mean(axis=0) - before.mean(axis=0)
    error, degrees = _combined([_problem_part(moved), _seed_part(before), _seed_part(after)])
    difference = float(moved.mean())
    half = _t_quantile(degrees) * error if degrees else 0.0
    estimate = (
        Estimate(value=difference, low=max(-1.0, difference - half), high=min(1.0, difference + half))
        if degrees
        else undefined_spread(difference)
    )
    return SeedDifference(
        num_problems=len(moved),
        num_runs=(len(before), len(after)),
        first=float(before.mean()),
        second=float(after.mean()),
        estimate=estimate,
        p_value=_p_value(difference, error, degrees, len(moved)),
        standard_error=error,
        degrees_of_freedom=degrees,
        deviations_over_seeds=(_deviation(before), _deviation(after)),
        note=_note_of_both(len(before), len(after)),
    )


def undefined_spread(value: float) -> Estimate:
    """A number whose spread nothing tells: all problems and runs are alike, or there is one problem."""
    return Estimate(value=value, low=None, high=None, reason="no spread over problems or seeds")


def t_interval(found: SeedDifference, alpha: float = ALPHA) -> tuple[float, float] | None:
    """The interval at another level, such as alpha / m for m comparisons (Bonferroni); None without a spread."""
    if not found.degrees_of_freedom or found.estimate.value is None:
        return None
    half = _t_quantile(found.degrees_of_freedom, alpha) * found.standard_error
    return max(-1.0, found.estimate.value - half), min(1.0, found.estimate.value + half)


def detectable_over_seeds(found: SeedDifference, alpha: float = ALPHA) -> float | None:
    """The smallest difference that such runs and problems show with 80% power: (t_alpha + t_power) standard errors."""
    if not found.degrees_of_freedom:
        return None
    both = _t_quantile(found.degrees_of_freedom, alpha) + _t_quantile(found.degrees_of_freedom, 2 * (1 - POWER))
    difference = both * found.standard_error
    return difference if difference <= 1 else None


def _tables(*sides: Sequence[Run]) -> list[Floats]:
    """A table (runs, problems) of each side, a problem's value being the mean of its samples in the run."""
    if not all(sides):
        raise DataError("a comparison over seeds needs at least one run on each side")
    shared = set.intersection(*({name for name in run if run[name]} for side in sides for run in side))
    if not shared:
        raise DataError("the runs have no problem in common")
    return [
        np.array([[math.fsum(run[name]) / len(run[name]) for name in sorted(shared)] for run in side]) for side in sides
    ]


def _problem_part(means: Floats) -> _Part:
    """Variance of a mean over problems; it carries what problem and seed do together."""
    num = len(means)
    if num < 2:
        return _Part(value=0.0, terms=())
    value = float(means.var(ddof=1)) / num
    return _Part(value=value, terms=((value, num - 1.0),))


def _seed_part(table: Floats) -> _Part:
    """Variance of a side's mean that its seeds add: v_seed / R = (MS_seed - MS_both) / (n R), or 0."""
    num_runs, num = table.shape
    if num_runs < 2:
        return _Part(value=0.0, terms=())
    by_seed, both = _mean_squares(table)
    if by_seed <= both:
        return _Part(value=0.0, terms=())
    scale = 1 / (num * num_runs)
    terms = [(by_seed * scale, num_runs - 1.0)]
    if num > 1:
        terms.append((-both * scale, (num_runs - 1.0) * (num - 1.0)))
    return _Part(value=(by_seed - both) * scale, terms=tuple(terms))


def _mean_squares(table: Floats) -> tuple[float, float]:
    """Of seeds, and of seeds and problems together."""
    num_runs, num = table.shape
    by_run, by_problem, mean = table.mean(axis=1), table.mean(axis=0), table.mean()
    by_seed = num * float(((by_run - mean) ** 2).sum()) / (num_runs - 1)
    rest = table - by_run[:, None] - by_problem[None, :] + mean
    return by_seed, float((rest**2).sum()) / ((num_runs - 1) * (num - 1)) if num > 1 else 0.0


def _combined(parts: Sequence[_Part]) -> tuple[float, float]:
    """Standard error and degrees of freedom of a sum of parts; (0, 0) without any spread."""
    variance = math.fsum(part.value for part in parts)
    if variance <= 0:
        return 0.0, 0.0
    terms = [term for part in parts for term in part.terms]
    return math.sqrt(variance), max(1.0, variance**2 / math.fsum(value**2 / degrees for value, degrees in terms))


def _deviation(table: Floats) -> float | None:
    if len(table) < 2:
        return None
    by_seed, both = _mean_squares(table)
    return math.sqrt(max(0.0, by_seed - both) / table.shape[1])


def _note_of_both(first: int, second: int) -> str:
    if first != second and min(first, second) == 1:
        more = _note(max(first, second))
        return "one side is a single run, whose seed the interval leaves out" + (
            f"; of the other, {more}" if more else ""
        )
    return _note(min(first, second))


def _note(num_runs: int) -> str:
    if num_runs == 1:
        return "one seed: the interval is over problems alone and says nothing of another seed"
    if num_runs < FEW_SEEDS:
        return f"{num_runs} seeds: their variance is estimated from {num_runs - 1} degrees of freedom"
    return ""


def _t_quantile(degrees: float, alpha: float = ALPHA) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(degrees, 1 - alpha / 2))


def _p_value(difference: float, error: float, degrees: float, num_problems: int) -> float:
    """Two-sided. Without any spread the sign-flip test's: all problems differ alike, or none does."""
    from scipy.special import stdtr

    if not degrees:
        return min(1.0, 2.0 ** (1 - num_problems)) if difference else 1.0
    return float(2 * stdtr(degrees, -abs(difference) / error))
