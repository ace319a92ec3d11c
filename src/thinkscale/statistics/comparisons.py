"""Many paired comparisons at once: what they could show, and what stands after correction for their number.

A family is the set of comparisons that answer one question; whoever asks names it, since the correction depends on
what else was looked at. Two corrections, each the standard one for what it corrects:

- p-values by Holm's step-down (Scand. J. Statist. 6, 1979, 65-70), which holds under any dependence. The p-values are
  those of the sign-flip test, exact for one sample a problem, so they hold for thirty problems too.
- intervals by the largest |t| of the family over resamples of problems (Westfall and Young, Resampling-Based Multiple
  Testing, 1993, chapter 2; single step). Comparisons on one benchmark are drawn together, so what they share (problems,
  a cell on both sides) makes the intervals narrower than Bonferroni's; benchmarks are drawn apart.

Rejected: step-down max-T for p-values (it needs subset pivotality, which sign flips of cells that share a side do not
give), and the rate of false discoveries (a family of a paper's claims is short, and each claim is read alone).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np

from thinkscale.keys import seed_from
from thinkscale.records import Score, Verdict
from thinkscale.statistics.cells import CellKey, cell_key
from thinkscale.statistics.intervals import (
    ALPHA,
    RESAMPLES,
    SEED,
    Floats,
    PairedDifference,
    Z,
    detectable_difference,
    interval_of_constant,
    paired_difference,
    resample_counts,
)

Outcomes = Mapping[str, Sequence[float]]
"""The outcomes of the samples of each problem."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contrast:
    """Two sides to be compared: `second` minus `first`, problem by problem."""

    name: str
    benchmark: str
    first: Outcomes
    second: Outcomes


@dataclass(frozen=True, slots=True, kw_only=True)
class Detectable:
    """The smallest difference (a fraction) that one comparison of the family shows with 80% power on a benchmark.

    At the level of Holm's first step, alpha / `num_comparisons`, so that it holds whatever else comes out."""

    benchmark: str
    num_problems: int
    num_comparisons: int
    alpha: float
    conservative: float | None
    """Where half of all pairs are discordant; None where nothing would show."""
    discordant_rate: float
    """Mean over the family's comparisons on the benchmark."""
    observed: float | None
    """At that rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Compared:
    """One comparison of a family. Differences are fractions."""

    name: str
    benchmark: str
    paired: PairedDifference
    """Uncorrected: as if nothing else had been looked at."""
    p_holm: float
    low_simultaneous: float
    high_simultaneous: float
    """All intervals of the family hold together in 95 of 100 repetitions."""

    @property
    def beyond_noise(self) -> bool:
        """After correction, the interval leaves zero out and the test agrees."""
        return (self.low_simultaneous > 0 or self.high_simultaneous < 0) and self.p_holm < ALPHA


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Comparisons that answer one question; `detectable` is to be told before them."""

    name: str
    detectable: tuple[Detectable, ...]
    comparisons: tuple[Compared, ...]
    critical_value: float
    """What the largest |t| of the family stays under in 95 of 100 draws; 1.96 for one comparison of many problems."""


def outcomes_of(scores: Iterable[Score]) -> dict[CellKey, dict[str, list[float]]]:
    """For each cell, 1 for each correct and 0 for each other sample, by problem; all in order of appearance."""
    outcomes: dict[CellKey, dict[str, list[float]]] = {}
    for score in scores:
        by_problem = outcomes.setdefault(cell_key(score), {})
        by_problem.setdefault(score.problem_id, []).append(float(score.verdict is Verdict.CORRECT))
    return outcomes


def holm(p_values: Sequence[float]) -> tuple[float, ...]:
    """Adjusted p-values in the order given: the i-th smallest times (m - i + 1), never below a smaller one's."""
    adjusted = [0.0] * len(p_values)
    largest = 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=lambda place: (p_values[place], place))):
        largest = max(largest, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = largest
    return tuple(adjusted)


def compare_family(name: str, contrasts: Sequence[Contrast], resamples: int = RESAMPLES, seed: int = SEED) -> Family:
    """The comparisons of one family in the order given. Raises DataError where two sides share no problem."""
    paired = [paired_difference(item.first, item.second, resamples, seed) for item in contrasts]
    adjusted = holm([item.p_value for item in paired])
    differences = [_differences(item) for item in contrasts]
    critical = _critical_value([item.benchmark for item in contrasts], differences, resamples, seed)
    compared = []
    for item, found, p_holm, moved in zip(contrasts, paired, adjusted, differences, strict=True):
        low, high = _simultaneous(np.array(list(moved.values())), critical)
        compared.append(
            Compared(
                name=item.name,
                benchmark=item.benchmark,
                paired=found,
                p_holm=p_holm,
                low_simultaneous=low,
                high_simultaneous=high,
            )
        )
    return Family(name=name, detectable=_detectable(compared), comparisons=tuple(compared), critical_value=critical)


def _differences(contrast: Contrast) -> dict[str, float]:
    shared = sorted(name for name in contrast.first.keys() & contrast.second.keys())
    return {
        name: math.fsum(contrast.second[name]) / len(contrast.second[name])
        - math.fsum(contrast.first[name]) / len(contrast.first[name])
        for name in shared
        if contrast.first[name] and contrast.second[name]
    }


def _detectable(compared: Sequence[Compared]) -> tuple[Detectable, ...]:
    alpha = ALPHA / max(1, len(compared))
    made = []
    for benchmark in dict.fromkeys(item.benchmark for item in compared):
        members = [item.paired for item in compared if item.benchmark == benchmark]
        num_problems = max(item.num_problems for item in members)
        rate = fmean(item.discordant_rate for item in members)
        made.append(
            Detectable(
                benchmark=benchmark,
                num_problems=num_problems,
                num_comparisons=len(compared),
                alpha=alpha,
                conservative=detectable_difference(num_problems, alpha=alpha),
                discordant_rate=rate,
                observed=detectable_difference(num_problems, rate, alpha=alpha),
            )
        )
    return tuple(made)


def _critical_value(
    benchmarks: Sequence[str], differences: Sequence[Mapping[str, float]], resamples: int, seed: int
) -> float:
    """The 95th percentile of the largest |t| over resamples; never under 1.96, which one comparison alone needs.

    t is the distance from the observed difference in standard errors of the observed data. Comparisons without any
    spread are left out: their intervals do not come from a bootstrap.
    """
    largest = np.zeros(resamples)
    for benchmark in dict.fromkeys(benchmarks):
        members = [item for name, item in zip(benchmarks, differences, strict=True) if name == benchmark]
        problems = sorted(set().union(*members))
        weights = resample_counts(len(problems), resamples, seed_from(seed, benchmark) % 2**32)
        for item in members:
            values = np.array([item.get(name, 0.0) for name in problems])
            present = np.array([float(name in item) for name in problems])
            error = _standard_error(np.array(list(item.values())))
            if error == 0:
                continue
            counts = weights @ present
            means = np.divide(weights @ values, counts, out=np.full(resamples, np.nan), where=counts > 0)
            distances = np.abs(means - math.fsum(item.values()) / len(item)) / error
            largest = np.fmax(largest, distances)
    return max(Z, float(np.quantile(largest, 1 - ALPHA)))


def _standard_error(differences: Floats) -> float:
    """Of the mean over problems; 0 where all are alike."""
    return 0.0 if np.ptp(differences) == 0 else float(differences.std(ddof=1)) / math.sqrt(len(differences))


def _simultaneous(differences: Floats, critical: float) -> tuple[float, float]:
    mean, error = float(differences.mean()), _standard_error(differences)
    if error == 0:
        return interval_of_constant(mean, len(differences), critical)
    return max(-1.0, mean - critical * error), min(1.0, mean + critical * error)
