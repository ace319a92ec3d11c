"""The samplers by name: each is a rule for the domain and a rule for the row within it.

| name     | domain                          | row within the domain           | where from                         |
|----------|---------------------------------|---------------------------------|------------------------------------|
| s1       | drawn uniformly                 | weight 2^-rank, longest first   | arXiv 2501.19393, Algorithm 1      |
| balanced | equal quotas, by water-filling  | weight 2^-rank                  | s1's aim without its chance        |
| diverse  | drawn uniformly                 | all alike                       | the paper's 1K-diverse             |
| random   | not looked at                   | all alike                       | the paper's 1K-random              |
| longest  | not looked at                   | the longest                     | the paper's 1K-longest             |
| all      | not looked at                   | every row                       | the paper's 59K-full               |

An `exponent` a puts weight rank^-a in the place of the row's rule: 0 is all alike, and the larger it is, the closer to
the longest. Of the two power laws, rank^-a rather than length^a: ranks mean the same in a domain of short traces as in
one of long traces and are not moved by a single runaway trace, and one table of weights serves every domain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction

from thinkscale.errors import ConfigError


class Domains(StrEnum):
    """How the domain of the next row is chosen."""

    UNIFORM = "uniform"
    """Each with rows left alike."""
    BALANCED = "balanced"
    """Quotas that differ by at most one, but where a domain has too few rows; kept rows count."""
    IGNORED = "ignored"


class Within(StrEnum):
    """How the row is chosen among those of a domain, ranked by trace length, longest first."""

    HALVING = "halving"
    """Weight 2^-rank: nearly always one of the longest five."""
    POWER = "power"
    """Weight rank^-exponent."""
    LONGEST = "longest"
    EVERY = "every"
    """No row is left out, however many were asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPhase:
    """s1's notebook, not its paper: the last `count` rows are drawn from domains as some sources have them.

    `shares` weighs the sources (names, with `*` for any characters). In the notebook: 300 rows, AIME 1, GPQA 1/2. A
    domain's weight is the sum over the sources of share times the domain's part of the source's candidates. Where no
    domain with a weight has rows left, all domains are alike again.
    """

    count: int
    shares: Mapping[str, Fraction]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """A rule for the domain and one for the row. `exponent` belongs to Within.POWER; it is a multiple of 1/4."""

    domains: Domains
    within: Within
    exponent: Fraction = Fraction(0)
    last_phase: LastPhase | None = None


ALL = Sampler(domains=Domains.IGNORED, within=Within.EVERY)
SAMPLERS: Mapping[str, Sampler] = {
    "s1": Sampler(domains=Domains.UNIFORM, within=Within.HALVING),
    "balanced": Sampler(domains=Domains.BALANCED, within=Within.HALVING),
    "diverse": Sampler(domains=Domains.UNIFORM, within=Within.POWER),
    "random": Sampler(domains=Domains.IGNORED, within=Within.POWER),
    "longest": Sampler(domains=Domains.IGNORED, within=Within.LONGEST),
    "all": ALL,
}


def named_sampler(name: str, exponent: Fraction | None = None, last_phase: LastPhase | None = None) -> Sampler:
    """A sampler of the table, perhaps with a power law within domains, perhaps with a last phase.

    ConfigError where a dial does not belong to it.
    """
    sampler = SAMPLERS[name]
    if exponent is not None:
        if sampler.within in (Within.LONGEST, Within.EVERY):
            raise ConfigError(f"select.exponent: the sampler {name} draws nothing by weight; leave one of the two out")
        sampler = replace(sampler, within=Within.POWER, exponent=exponent)
    if last_phase is not None:
        if sampler.domains is not Domains.UNIFORM:
            raise ConfigError(f"select.last_phase: the sampler {name} does not draw domains; use s1 or diverse")
        sampler = replace(sampler, last_phase=last_phase)
    return sampler
