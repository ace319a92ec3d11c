"""Agreement of graders on the same rows, and the accuracy that each of them would report.

Everything follows from counts: how often each combination of verdicts occurs. So an audit of any number of rows needs
one number for each combination (at most 5^k for k graders), and its statistics never see the rows.

Rows are the unit of the intervals. Several samples of one problem are not independent, so where rows are such samples
the intervals are somewhat too narrow.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from thinkscale.errors import DataError
from thinkscale.records import Verdict
from thinkscale.statistics.intervals import (
    RESAMPLES,
    SEED,
    Estimate,
    Floats,
    percentile_interval,
    undefined,
    wilson_interval,
)

VERDICTS = tuple(Verdict)
"""The order of rows and columns of every table here."""

Pattern = tuple[Verdict, ...]
"""One row's verdicts, in the order of the graders."""

Counts = npt.NDArray[np.int64]
Category = TypeVar("Category", bound=str)

ONE_CATEGORY = "both graders say the same one thing of every row, so chance agreement is 1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """Two graders on the same rows."""

    first: str
    second: str
    num_rows: int
    table: tuple[tuple[int, ...], ...]
    """Rows: the first's verdict, columns: the second's, both in the order of `VERDICTS`."""
    agreement: Estimate
    """Share of rows with equal verdicts, with its Wilson interval."""
    kappa: Estimate
    """Cohen's kappa, with a bootstrap interval over rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Headline:
    """The accuracy that one grader would report, as its two bounds."""

    grader: str
    counts: Mapping[Verdict, int]
    of_all: Estimate
    """Correct over all rows: whatever is not correct counts against it. The lower bound."""
    of_decided: Estimate
    """Correct over correct and wrong: rows without a decision are left out. The upper bound."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """The lowest and the highest value over graders, None where no grader has one."""

    low: float | None
    high: float | None

    @property
    def width(self) -> float | None:
        """What the choice of the grader alone can move."""
        return None if self.low is None or self.high is None else self.high - self.low


def confusion_table(patterns: Mapping[Pattern, int], first: int, second: int) -> Counts:
    """How often the grader at `first` said one verdict and that at `second` another."""
    order = {verdict: index for index, verdict in enumerate(VERDICTS)}
    table = np.zeros((len(VERDICTS), len(VERDICTS)), dtype=np.int64)
    for pattern, count in patterns.items():
        table[order[pattern[first]], order[pattern[second]]] += count
    return table


def cohens_kappa(table: Counts) -> float | None:
    """(p_o - p_e) / (1 - p_e) of a square table of counts (Cohen, Educ. Psychol. Meas. 20, 1960, 37-46).

    None without rows, and where chance agreement is 1: both graders use one and the same category.
    """
    kappas = _kappas(table[None].astype(np.float64))
    return float(kappas[0]) if len(kappas) else None


def _kappas(tables: Floats) -> Floats:
    """Kappa of each table in the leading axis; tables in which it does not exist are left out."""
    total = tables.sum(axis=(1, 2))
    tables = tables[total > 0] / total[total > 0, None, None]
    observed = np.trace(tables, axis1=1, axis2=2)
    by_chance = (tables.sum(axis=2) * tables.sum(axis=1)).sum(axis=1)
    # Where chance agreement is 1 it is so but for rounding: all mass lies in one cell of the diagonal.
    exists = tables.max(axis=(1, 2)) < 1
    exists |= observed < 1
    return np.asarray((observed[exists] - by_chance[exists]) / (1 - by_chance[exists]))


def kappa_estimate(table: Counts, resamples: int = RESAMPLES, seed: int = SEED) -> Estimate:
    """Cohen's kappa with its 95% percentile bootstrap interval over rows.

    Drawing n rows with replacement is drawing a table from the multinomial of the observed shares. Draws in which
    kappa does not exist say nothing and are left out.
    """
    total = int(table.sum())
    if total == 0:
        return undefined("no rows")
    value = cohens_kappa(table)
    if value is None:
        return undefined(ONE_CATEGORY)
    drawn = np.random.default_rng(seed).multinomial(total, table.ravel() / total, size=resamples)
    kappas = _kappas(drawn.reshape(resamples, *table.shape).astype(np.float64))
    low, high = percentile_interval(kappas) if len(kappas) else (value, value)
    if low == high:
        # All draws are alike, as with complete agreement; 30 rows of 30 do not prove 1. So the Wilson interval of the
        # observed agreement, at the observed chance agreement.
        observed = int(np.trace(table))
        by_chance = float((table.sum(axis=1) * table.sum(axis=0)).sum()) / total**2
        low, high = ((bound - by_chance) / (1 - by_chance) for bound in wilson_interval(observed, total))
    return Estimate(value=value, low=low, high=high)


def proportion(successes: int, trials: int) -> Estimate:
    """A share with its Wilson interval."""
    if trials == 0:
        return undefined("no rows")
    low, high = wilson_interval(successes, trials)
    return Estimate(value=successes / trials, low=low, high=high)


def pairwise_agreement(
    graders: Sequence[str], patterns: Mapping[Pattern, int], resamples: int = RESAMPLES, seed: int = SEED
) -> tuple[Agreement, ...]:
    """Each pair of graders, in the order of `graders`. Raises DataError where a pattern has another length."""
    _check(graders, patterns)
    found = []
    for first, second in combinations(range(len(graders)), 2):
        table = confusion_table(patterns, first, second)
        found.append(
            Agreement(
                first=graders[first],
                second=graders[second],
                num_rows=int(table.sum()),
                table=tuple(tuple(int(count) for count in row) for row in table),
                agreement=proportion(int(np.trace(table)), int(table.sum())),
                kappa=kappa_estimate(table, resamples, seed),
            )
        )
    return tuple(found)


def fleiss_kappa(patterns: Mapping[tuple[Category, ...], int]) -> float | None:
    """Fleiss' kappa of any fixed number of raters (Psychol. Bull. 76, 1971, 378-382).

    A pattern is one subject's categories, one for each rater, mapped to the number of such subjects. None where there
    are no subjects, fewer than two raters, or only one category. Raises DataError where subjects differ in raters.
    """
    sizes = {len(pattern) for pattern in patterns}
    if len(sizes) > 1:
        raise DataError(f"Fleiss' kappa needs as many verdicts for every row, there are rows with {sorted(sizes)}")
    num_raters = sizes.pop() if sizes else 0
    num_subjects = sum(patterns.values())
    if num_raters < 2 or num_subjects == 0:
        return None
    totals: dict[Category, int] = {}
    agreeing = 0
    for pattern, count in patterns.items():
        for category in set(pattern):
            votes = pattern.count(category)
            totals[category] = totals.get(category, 0) + votes * count
            agreeing += votes * (votes - 1) * count
    if sum(total > 0 for total in totals.values()) < 2:
        return None
    observed = agreeing / (num_subjects * num_raters * (num_raters - 1))
    by_chance = sum((total / (num_subjects * num_raters)) ** 2 for total in totals.values())
    return (observed - by_chance) / (1 - by_chance)


def headlines(graders: Sequence[str], patterns: Mapping[Pattern, int]) -> tuple[Headline, ...]:
    """What each grader would report. Raises DataError where a pattern has another length than `graders`."""
    _check(graders, patterns)
    found = []
    for index, grader in enumerate(graders):
        counts = dict.fromkeys(VERDICTS, 0)
        for pattern, count in patterns.items():
            counts[pattern[index]] += count
        correct = counts[Verdict.CORRECT]
        found.append(
            Headline(
                grader=grader,
                counts=counts,
                of_all=proportion(correct, sum(counts.values())),
                of_decided=proportion(correct, correct + counts[Verdict.WRONG]),
            )
        )
    return tuple(found)


def range_of(estimates: Sequence[Estimate]) -> Range:
    """From the lowest to the highest value of those that have one."""
    values = [estimate.value for estimate in estimates if estimate.value is not None]
    return Range(low=min(values, default=None), high=max(values, default=None))


def _check(graders: Sequence[str], patterns: Mapping[Pattern, int]) -> None:
    wrong = next((pattern for pattern in patterns if len(pattern) != len(graders)), None)
    if wrong is not None:
        raise DataError(f"a row has {len(wrong)} verdicts, there are {len(graders)} graders: {', '.join(graders)}")
