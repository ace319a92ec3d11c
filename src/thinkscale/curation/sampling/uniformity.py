"""How far the domains of a selection are from equal shares."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Uniformity:
    """Pearson's chi-square of counts against equal shares, and the chance of one as large if shares are equal."""

    statistic: float
    degrees_of_freedom: int
    p_value: float


def against_uniform(counts: Sequence[int]) -> Uniformity | None:
    """`counts` against their mean; None for less than two domains, or no rows."""
    from scipy.special import chdtrc

    total = sum(counts)
    if len(counts) < 2 or not total:
        return None
    expected = total / len(counts)
    statistic = sum((number - expected) ** 2 for number in counts) / expected
    freedom = len(counts) - 1
    return Uniformity(statistic=statistic, degrees_of_freedom=freedom, p_value=float(chdtrc(float(freedom), statistic)))
