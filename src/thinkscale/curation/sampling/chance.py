"""Draws from the bits of a seeded generator, in integers: the same rows on every platform and version of Python.

Python promises the stream of Mersenne Twister's bits for a seed, but not the algorithms on top of them
(`randrange`, `choices`), and floating-point powers differ between C libraries in their last digit.
"""

import random
from bisect import bisect_right
from collections.abc import Sequence
from fractions import Fraction
from itertools import accumulate
from math import isqrt

WEIGHT_BITS = 64
"""A weight is a multiple of 2^-64: ranks whose weight is smaller are never drawn."""
QUARTERS = 4
"""Exponents are whole numbers of quarters, since a fourth root is two exact integer square roots."""


def below(generator: random.Random, size: int) -> int:
    """A number from 0 to `size` - 1, each alike. ValueError where `size` is below 1."""
    if size < 1:
        raise ValueError(f"a number below {size}: there is none")
    bits = size.bit_length()
    while (number := generator.getrandbits(bits)) >= size:
        pass
    return number


def halving_rank(generator: random.Random, rows: int) -> int:
    """A rank from 1 to `rows` with weight 2^-rank: coin flips up to the first head, again where that is beyond."""
    while True:
        rank = 1
        while rank <= rows and not generator.getrandbits(1):
            rank += 1
        if rank <= rows:
            return rank


def power_sums(exponent: Fraction, most: int) -> Sequence[int]:
    """Running sums of floor(2^64 * rank^-exponent) over the ranks from 1 to `most`, beginning with 0."""
    quarters = exponent * QUARTERS
    if quarters.denominator != 1 or quarters < 0:
        raise ValueError(f"exponent {exponent}: a multiple of 1/4, at least 0")
    power = quarters.numerator
    whole = 1 << (QUARTERS * WEIGHT_BITS)
    return [0, *accumulate(isqrt(isqrt(whole // rank**power)) for rank in range(1, most + 1))]


def weighted(generator: random.Random, sums: Sequence[int], size: int) -> int:
    """A place from 1 to `size`, each with the weight by which `sums` rises at it."""
    return bisect_right(sums, below(generator, sums[size]), hi=size + 1)
