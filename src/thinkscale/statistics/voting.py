"""Several samples a problem: exact expectations over which k of the n samples were drawn.

No k-prefix of the pool is privileged and nothing is simulated: the expectation runs over all k-subsets, in whole
numbers; only the last division rounds. Each estimator comes for one k and as the curve over all of them, which costs
about as much as its most expensive point.

Not here: a majority weighted by rewards. Its expectation over subsets depends on sums of real numbers, of which there
are as many as subsets; there is no exact way that ends, and a simulation would be the only estimate of this file.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from thinkscale.errors import DataError

Integers = npt.NDArray[np.object_]


@dataclass(frozen=True, slots=True)
class Rated:
    """One sample as a scorer sees it. `reward` is None where the scorer says nothing: it comes behind all others."""

    correct: bool
    reward: float | None


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that at least one of `k` samples drawn without replacement is correct: 1 - C(n - c, k) / C(n, k).

    The unbiased estimator of Chen et al. (arXiv 2107.03374, section 2.1). Raises DataError unless 1 <= k <= n.
    """
    _check_k(num_samples, k)
    return float(1 - Fraction(math.comb(num_samples - num_correct, k), math.comb(num_samples, k)))


def pass_curve(num_samples: int, num_correct: int) -> list[float]:
    """`pass_at_k` for k from 1 to `num_samples`."""
    return [pass_at_k(num_samples, num_correct, k) for k in range(1, num_samples + 1)]


def majority_at_k(votes: Mapping[str, int], correct: Collection[str], k: int, abstentions: int = 0) -> float:
    """Chance that the majority answer of `k` samples, drawn without replacement, is correct. Exact.

    `votes` counts the pool's samples by answer (one name for each class of equal answers), `correct` names
    the right answers, and `abstentions` counts samples without an answer: they are drawn but do not vote.
    A tie for first place is decided by a fair draw among the tied answers; no votes at all is not correct.
    The reference plays no part in the vote. Raises DataError unless 1 <= k <= n.
    """
    _check_k(sum(votes.values()) + abstentions, k)
    return majority_curve(votes, dict.fromkeys(correct, 1), abstentions, most_drawn=k)[-1]


def majority_curve(
    votes: Mapping[str, int],
    worth: Mapping[str, float | Fraction],
    abstentions: int = 0,
    *,
    most_drawn: int | None = None,
) -> list[float]:
    """Expected worth of the majority answer of k samples, for k from 1 to the size of the pool (or `most_drawn`).

    `worth` of an answer is what it earns where it wins, 0 where it is not named: 1 for a right answer. Where graders
    differ over the samples of one class, it is the share of them that is correct. The rest is as in `majority_at_k`.
    """
    num_samples = sum(votes.values()) + abstentions
    most_drawn = num_samples if most_drawn is None else most_drawn
    # Shares of a tie in whole numbers: all over one denominator, which is divided by at the end.
    denominator = math.lcm(*range(1, min(len(votes), most_drawn) + 1))
    earned = [Fraction(0)] * (most_drawn + 1)
    for answer, value in worth.items():
        wins: Integers = np.zeros(most_drawn + 1, dtype=object)
        others = [count for name, count in votes.items() if name != answer]
        for most in range(1, min(votes.get(answer, 0), most_drawn) + 1):
            ways = _ways_with_at_most(others, abstentions, most, most_drawn - most)
            shares = np.array([denominator // (ties + 1) for ties in range(ways.shape[1])], dtype=object)
            wins[most:] += math.comb(votes[answer], most) * (ways @ shares)
        earned = [before + Fraction(value) * int(won) for before, won in zip(earned, wins, strict=True)]
    return [float(earned[k] / (denominator * math.comb(num_samples, k))) for k in range(1, most_drawn + 1)]


def _ways_with_at_most(counts: Sequence[int], abstentions: int, most: int, drawn: int) -> Integers:
    """`ways[rest, ties]`: to draw `rest` <= `drawn` samples such that no answer gets more than `most`, `ties` of them
    exactly `most`. Whole numbers of any size.

    A generating function. Answers that cannot reach `most` and abstentions restrict nothing, so together they are one
    binomial; the others enter one at a time.
    """
    rivals = [count for count in counts if count >= most]
    free = abstentions + sum(counts) - sum(rivals)
    ways: Integers = np.zeros((drawn + 1, min(len(rivals), drawn // most) + 1), dtype=object)
    for rest in range(min(free, drawn) + 1):
        ways[rest, 0] = math.comb(free, rest)
    for count in rivals:
        grown: Integers = np.zeros_like(ways)
        for taken in range(min(most - 1, drawn) + 1):
            grown[taken:] += math.comb(count, taken) * ways[: drawn + 1 - taken]
        if most <= drawn and ways.shape[1] > 1:
            grown[most:, 1:] += math.comb(count, most) * ways[: drawn + 1 - most, :-1]
        ways = grown
    return ways


def best_of_k(samples: Sequence[Rated], k: int) -> float:
    """Chance that the sample with the highest reward of `k`, drawn without replacement, is correct. Exact.

    A tie for the highest reward is decided by a fair draw among the tied. Raises DataError unless 1 <= k <= n, and
    on a reward that is not a number.
    """
    _check_k(len(samples), k)
    return best_of_curve(samples)[k - 1]


def best_of_curve(samples: Sequence[Rated]) -> list[float]:
    """`best_of_k` for k from 1 to the number of samples.

    The subsets whose highest reward is r are those within the samples of at most r, less those within the samples of
    less. Within them every sample of reward r is as likely to be chosen as another, so they earn the share of correct.
    """
    if any(sample.reward is not None and not math.isfinite(sample.reward) for sample in samples):
        raise DataError("a reward is not a finite number, so it has no place in an order")
    num_samples = len(samples)
    levels: dict[float | None, list[bool]] = {}
    for sample in samples:
        levels.setdefault(sample.reward, []).append(sample.correct)
    sizes = [len(level) for level in levels.values()]
    denominator = math.lcm(*sizes)
    earned = [0] * num_samples
    below = 0
    for level in sorted(levels, key=lambda reward: (reward is not None, reward or 0.0)):
        share = sum(levels[level]) * (denominator // len(levels[level]))
        within = below + len(levels[level])
        if share:
            for k in range(1, within + 1):
                earned[k - 1] += share * (math.comb(within, k) - math.comb(below, k))
        below = within
    return [float(Fraction(value, denominator * math.comb(num_samples, k))) for k, value in enumerate(earned, start=1)]


def _check_k(num_samples: int, k: int) -> None:
    if not 1 <= k <= num_samples:
        raise DataError(f"k is {k}, but the pool has {num_samples} samples: k must lie between 1 and that")
