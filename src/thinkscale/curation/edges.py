"""Pairs of rows that may repeat each other, and why: what near-duplicates are found as and decided from.

Apart from the search for them (duplicates.py, crowds.py), so that who decides again loads no part of it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.units import Integers

WHOLE_QUESTION, ANSWER_AWARE, NGRAM_OVERLAP = "whole_question", "answer_aware", "ngram_overlap"
NEAR_COPY = "near_copy"
"""The reason of an edge between the first row of a crowd and another of its rows (crowds.py)."""
MIN_SHARE = 0.3
"""Pairs with less are not kept as edges; the lowest threshold that can be asked for."""


@dataclass(frozen=True, slots=True)
class Edges:
    """Pairs of rows, `a[k]` < `b[k]`, that repeat each other; `same` where all words are the same.

    Copies of the same words have one edge each, to the first of them, and only the first has edges to other texts. Who
    decides may also call the members of a crowd (crowds.py) the `same` as its first row, at either end of other edges.
    """

    a: Integers
    b: Integers
    share: NDArray[np.float64]
    same: NDArray[np.bool_]
