"""Uncertainty over problems: the bootstrap, paired differences, and what a benchmark is able to show.

The problem is the unit that is resampled: samples of one problem are not independent of each other, so
they stay together (the cluster bootstrap; Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
chapters 8 and 13). All intervals are 95% percentile intervals.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from statistics import NormalDist

import numpy as np
import numpy.typing as npt

from thinkscale.errors import DataError

Floats = npt.NDArray[np.float64]

RESAMPLES = 2000
SEED = 42
ALPHA = 0.05
POWER = 0.8
Z = NormalDist().inv_cdf(1 - ALPHA / 2)
CONSERVATIVE_DISCORDANT_RATE = 0.5
"""Two answers that are right half of the time and know nothing of each other; pairing only lowers it."""

FLIPS = 4000
"""Random sign patterns where the sign-flip test is not exact."""
LARGEST_STEP, MOST_SUMS = 10_000, 50_000_000
"""Bounds of the exact test: of the common denominator of all differences, and of the work."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A number with its 95% interval, or the reason why there is none."""

    value: float | None
    low: float | None
    high: float | None
    reason: str = ""
    """Why `value` is None, such as `one cell`; empty where it is a number."""


def undefined(reason: str) -> Estimate:
    """The estimate of what cannot be computed."""
    return Estimate(value=None, low=None, high=None, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedDifference:
    """Second minus first on the problems that both have. Differences are fractions, not percent."""

    num_problems: int
    num_unpaired: int
    """Problems that only one side has; they are left out."""
    first: float
    second: float
    difference: float
    low: float
    high: float
    gained: int
    """Problems on which the second is better."""
    lost: int
    p_value: float
    """Two-sided sign-flip test; with one sample a problem this is the exact McNemar test."""
    discordant_rate: float
    """Mean square of the problems' differences: with one sample a problem, the share on which the sides differ. This
    is what `detectable_difference` needs; two sides of sixteen samples differ a little nearly everywhere."""

    @property
    def beyond_noise(self) -> bool:
        """The interval leaves zero out and the test agrees.

        Both, since the percentile bootstrap is too sure of itself when a handful of problems differ:
        four gains and no loss give an interval above zero at p = 0.125.
        """
        return (self.low > 0 or self.high < 0) and self.p_value < ALPHA


@lru_cache(maxsize=2)
def resample_counts(num_problems: int, resamples: int, seed: int) -> Floats:
    """How often each problem is drawn in each resample: (resamples, num_problems), rows sum to `num_problems`.

    Whole numbers held as float64, so that sums of counts and tokens are exact in any order: two cells
    with equal tokens stay equal in every resample.
    """
    random = np.random.default_rng(seed)
    drawn = random.integers(0, num_problems, size=(resamples, num_problems))
    drawn += np.arange(resamples)[:, None] * num_problems
    counts = np.bincount(drawn.ravel(), minlength=resamples * num_problems)
    counts_by_resample = counts.reshape(resamples, num_problems).astype(np.float64)
    counts_by_resample.setflags(write=False)
    return counts_by_resample


def percentile_interval(values: Floats) -> tuple[float, float]:
    """The central 95% of `values` (at least one)."""
    low, high = np.quantile(values, [ALPHA / 2, 1 - ALPHA / 2])
    return float(low), float(high)


def mean_interval(
    samples_by_problem: Mapping[str, Sequence[float]], resamples: int = RESAMPLES, seed: int = SEED
) -> Estimate:
    """Mean over all samples, with a bootstrap interval over problems (clusters of samples).

    Samples weigh the same, so a problem with more of them weighs more; the interval takes that in.
    """
    groups = [samples_by_problem[name] for name in sorted(samples_by_problem) if samples_by_problem[name]]
    if not groups:
        return undefined("no samples")
    sums = np.array([[math.fsum(group), len(group)] for group in groups], dtype=np.float64)
    totals = resample_counts(len(groups), resamples, seed) @ sums
    low, high = percentile_interval(totals[:, 0] / totals[:, 1])
    return Estimate(value=float(sums[:, 0].sum() / sums[:, 1].sum()), low=low, high=high)


def paired_difference(
    first: Mapping[str, Sequence[float]],
    second: Mapping[str, Sequence[float]],
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> PairedDifference:
    """Mean difference, second minus first, over the problems in both; a problem's value is the mean of its samples.

    Raises DataError where no problem is in both.
    """
    shared = sorted(name for name in first.keys() & second.keys() if first[name] and second[name])
    if not shared:
        raise DataError("the two sides of a paired comparison have no problem in common")
    before = np.array([math.fsum(first[name]) / len(first[name]) for name in shared])
    after = np.array([math.fsum(second[name]) / len(second[name]) for name in shared])
    differences = after - before
    low, high = percentile_interval(resample_counts(len(shared), resamples, seed) @ differences / len(shared))
    if np.ptp(differences) == 0:
        low, high = interval_of_constant(float(differences[0]), len(shared))
    return PairedDifference(
        num_problems=len(shared),
        num_unpaired=len(first.keys() | second.keys()) - len(shared),
        first=float(before.mean()),
        second=float(after.mean()),
        difference=float(differences.mean()),
        low=low,
        high=high,
        gained=int((differences > 0).sum()),
        lost=int((differences < 0).sum()),
        p_value=sign_flip_p_value(differences, seed),
        discordant_rate=float((differences**2).mean()),
    )


def interval_of_constant(value: float, num_problems: int, z: float = Z) -> tuple[float, float]:
    """Interval of a difference that is the same on every problem, where a bootstrap has no width.

    That 30 of 30 problems do not differ does not prove that none does: up to a share z^2 / (n + z^2) of all problems
    may (Wilson's bound for 0 of n), and each may differ by up to 1.
    """
    half = z**2 / (num_problems + z**2)
    return max(-1.0, value - half), min(1.0, value + half)


def sign_flip_p_value(differences: Floats, seed: int = SEED) -> float:
    """Two-sided p of "each problem's difference is as likely positive as negative" (Fisher's randomisation test).

    Exact where all differences that are not zero have one size (one sample a problem: the exact McNemar test), and
    where they have a common denominator, as means of samples have; else from `FLIPS` random sign patterns, which can
    say no less than 1 in 4,001. 1 where nothing differs.
    """
    moved = differences[differences != 0]
    if len(moved) == 0:
        return 1.0
    sizes = np.abs(moved)
    if np.ptp(sizes) == 0:
        return _binomial_p_value(int((moved > 0).sum()), len(moved))
    exact = _exact_p_value(moved)
    if exact is not None:
        return exact
    random = np.random.default_rng(seed)
    signs = random.integers(0, 2, size=(FLIPS, len(moved))) * 2.0 - 1.0
    # A hair of tolerance: the same set of differences summed in another order must count as a tie.
    as_extreme = np.abs(signs @ sizes) >= abs(float(moved.sum())) - 1e-9
    return float((1 + as_extreme.sum()) / (1 + FLIPS))


def _exact_p_value(moved: Floats) -> float | None:
    """Over all sign patterns, by the distribution of the sum of those that are positive. None where it is too wide."""
    step = math.lcm(*(Fraction(float(value)).limit_denominator(LARGEST_STEP).denominator for value in moved))
    if step > LARGEST_STEP:
        return None
    units = np.rint(moved * step).astype(np.int64)
    total = int(np.abs(units).sum())
    if np.abs(units / step - moved).max() > 1e-12 or total * len(units) > MOST_SUMS:
        return None
    chances = np.zeros(total + 1)
    chances[0] = 1.0
    for size in np.abs(units):
        chances[size:] += chances[:-size].copy()
        chances /= 2
    tail = (total - abs(int(units.sum()))) // 2
    return min(1.0, 2 * float(chances[: tail + 1].sum()))


def _binomial_p_value(successes: int, trials: int) -> float:
    """Two-sided exact p of `successes` of `trials` fair coin flips."""
    tail = sum(math.comb(trials, count) for count in range(min(successes, trials - successes) + 1))
    return min(1.0, float(Fraction(2 * tail, 2**trials)))


def detectable_difference(
    num_problems: int,
    discordant_rate: float = CONSERVATIVE_DISCORDANT_RATE,
    power: float = POWER,
    alpha: float = ALPHA,
) -> float | None:
    """The smallest paired difference (a fraction) that `num_problems` show with `power` at a two-sided `alpha`.

    Connor (Biometrics 43, 1987, 207-211) needs n = (z_a sqrt(q) + z_b sqrt(q - d^2))^2 / d^2 pairs for a
    difference d where a share q of the pairs is discordant. Solved for d:

        d = sqrt(q) c,   c = (z_a sqrt(n) + z_b sqrt(n + z_b^2 - z_a^2)) / (n + z_b^2)

    A difference cannot exceed the discordant rate, so where sqrt(q) c > q the answer is c^2, the least
    difference that shows when all discordant pairs go one way. None where even 100 points would not show.
    The approximation is normal: for a few discordant pairs the exact test asks for somewhat more.
    """
    z_alpha = NormalDist().inv_cdf(1 - alpha / 2)
    z_beta = NormalDist().inv_cdf(power)
    inside = num_problems + z_beta**2 - z_alpha**2
    if inside < 0:
        return None
    scale = (z_alpha * math.sqrt(num_problems) + z_beta * math.sqrt(inside)) / (num_problems + z_beta**2)
    difference = max(math.sqrt(discordant_rate) * scale, scale**2)
    return difference if difference <= 1 else None


def wilson_interval(successes: int, trials: int) -> tuple[float, float]:
    """95% score interval of a proportion (Wilson, JASA 22, 1927): has width even at 0 and at 1. `trials` >= 1."""
    return wilson_of_share(successes / trials, trials)


def wilson_of_share(share: float, trials: float, z: float = Z) -> tuple[float, float]:
    """The same of a share of any number of trials, such as the effective number where samples cluster."""
    middle = share + z**2 / (2 * trials)
    half = z * math.sqrt(share * (1 - share) / trials + z**2 / (4 * trials**2))
    scale = 1 + z**2 / trials
    # At 0 and at 1 the bound is exact in theory; rounding must not take it past the estimate.
    low, high = (middle - half) / scale, (middle + half) / scale
    return max(0.0, min(share, low)), min(1.0, max(share, high))
