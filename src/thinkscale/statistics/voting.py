"""Several samples a problem: exact expectations over which k of the n samples were drawn.

No k-prefix of the pool is privileged and nothing is simulated: the expectation runs over all k-subsets.
"""

import math
from collections.abc import Collection, Mapping
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from thinkscale.errors import DataError

Integers = npt.NDArray[np.object_]


def pass_at_k(num_samples: int, num_correct: int, k: int) -> float:
    """Chance that at least one of `k` samples drawn without replacement is correct: 1 - C(n - c, k) / C(n, k).

    The unbiased estimator of Chen et al. (arXiv 2107.03374, section 2.1). Raises DataError unless 1 <= k <= n.
    """
    _check_k(num_samples, k)
    return float(1 - Fraction(math.comb(num_samples - num_correct, k), math.comb(num_samples, k)))


def majority_at_k(votes: Mapping[str, int], correct: Collection[str], k: int, abstentions: int = 0) -> float:
    """Chance that the majority answer of `k` samples, drawn without replacement, is correct. Exact.

    `votes` counts the pool's samples by answer (one name for each class of equal answers), `correct` names
    the right answers, and `abstentions` counts samples without an answer: they are drawn but do not vote.
    A tie for first place is decided by a fair draw among the tied answers; no votes at all is not correct.
    The reference plays no part in the vote. Raises DataError unless 1 <= k <= n.
    """
    num_samples = sum(votes.values()) + abstentions
    _check_k(num_samples, k)
    wins = Fraction(0)
    for answer in correct:
        others = [count for name, count in votes.items() if name != answer]
        for most in range(1, min(votes.get(answer, 0), k) + 1):
            rest = _ways_with_at_most(others, abstentions, most, k - most)
            chosen = math.comb(votes[answer], most)
            wins += sum(Fraction(chosen * int(ways), ties + 1) for ties, ways in enumerate(rest))
    return float(wins / math.comb(num_samples, k))


def _ways_with_at_most(counts: list[int], abstentions: int, most: int, drawn: int) -> Integers:
    """Ways to draw `drawn` samples such that no answer gets more than `most`, by how many answers get exactly `most`.

    A generating function: `ways[votes, ties]` grows by one answer at a time. Whole numbers of any size.
    """
    max_ties = drawn // most
    ways: Integers = np.zeros((drawn + 1, max_ties + 1), dtype=object)
    for silent in range(min(abstentions, drawn) + 1):
        ways[silent, 0] = math.comb(abstentions, silent)
    for count in counts:
        grown: Integers = np.zeros_like(ways)
        for taken in range(min(count, most, drawn) + 1):
            from_ways, choices = ways[: drawn + 1 - taken], math.comb(count, taken)
            if taken < most:
                grown[taken:] += choices * from_ways
            else:
                grown[taken:, 1:] += choices * from_ways[:, :max_ties]
        ways = grown
    return np.asarray(ways[drawn])


def _check_k(num_samples: int, k: int) -> None:
    if not 1 <= k <= num_samples:
        raise DataError(f"k is {k}, but the pool has {num_samples} samples: k must lie between 1 and that")
