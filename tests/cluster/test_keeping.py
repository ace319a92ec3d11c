"""The greedy pass in whole arrays: what `curation.duplicates.kept` says, on chains, copies and random pools."""

import random

import numpy as np
import pytest

from thinkscale.curation.duplicates import kept
from thinkscale.curation.edges import Edges
from thinkscale.curation.keeping import repeats


def edges_of(near: list[tuple[int, int, float]], copies: list[tuple[int, int]]) -> Edges:
    rows = sorted([(a, b, share, False) for a, b, share in near] + [(a, b, 1.0, True) for a, b in copies])
    return Edges(
        np.array([row[0] for row in rows], np.int64),
        np.array([row[1] for row in rows], np.int64),
        np.array([row[2] for row in rows], np.float64),
        np.array([row[3] for row in rows], np.bool_),
    )


def told(edges: Edges, order: list[int], size: int, threshold: float) -> list[tuple[int, int, float, bool]]:
    ranks = np.full(size, -1, np.int64)
    ranks[order] = np.arange(len(order))
    found = repeats([edges], ranks, threshold)
    columns = (found.rows.tolist(), found.kept.tolist(), found.share.tolist(), found.same.tolist())
    return list(zip(*columns, strict=True))


def test_a_chain_is_decided_from_its_best_end() -> None:
    chain = edges_of([(0, 1, 0.6), (1, 2, 0.7), (2, 3, 0.8)], [])
    assert told(chain, [0, 1, 2, 3], 4, 0.5) == [(1, 0, 0.6, False), (3, 2, 0.8, False)]
    assert told(chain, [1, 0, 3, 2], 4, 0.5) == [(0, 1, 0.6, False), (2, 3, 0.8, False)]
    assert told(chain, [0, 1, 2, 3], 4, 0.75) == [(3, 2, 0.8, False)]


def test_a_copy_stands_for_its_text_where_the_text_is_not_asked_about() -> None:
    edges = edges_of([(0, 3, 0.9)], [(0, 1), (0, 2)])
    assert told(edges, [3, 2, 1], 4, 0.5) == [(1, 3, 0.9, False), (2, 3, 0.9, False)]
    assert told(edges, [2, 3, 1], 4, 0.5) == [(1, 2, 1.0, True), (3, 2, 0.9, False)]


@pytest.mark.parametrize("seed", range(40))
def test_it_says_what_the_pass_row_by_row_says(seed: int) -> None:
    chance = random.Random(seed)
    size = 60
    originals = [row for row in range(size) if row < 10 or chance.random() < 0.7]
    copies = [
        (chance.choice([first for first in originals if first < row]), row)
        for row in range(size)
        if row not in originals
    ]
    pairs = {tuple(sorted(chance.sample(originals, 2))) for _ in range(chance.randrange(120))}
    firsts, others = originals[: len(originals) // 4], originals[len(originals) // 4 :]
    crowds = [(chance.choice(firsts), row) for row in others if seed % 2 and chance.random() < 0.5]
    edges = edges_of([(a, b, chance.choice([0.3, 0.5, 0.75, 1.0])) for a, b in sorted(pairs)], copies + crowds)
    order = chance.sample(range(size), chance.choice([0, 1, 30, size]))
    for threshold in (0.3, 0.5, 0.8):
        expected = sorted((item.row, item.kept, item.share, item.same) for item in kept(edges, order, threshold))
        assert told(edges, order, size, threshold) == expected


def test_a_copy_of_a_member_is_of_the_crowd_and_edges_of_any_member_are_the_crowds() -> None:
    """Rows 1 and 2 are of the crowd of 0, row 3 is a copy of 1; row 4 is near to 2 alone."""
    edges = edges_of([(2, 4, 0.9)], [(0, 1), (0, 2), (1, 3)])
    assert told(edges, [3, 0, 1, 2, 4], 5, 0.5) == [
        (0, 3, 1.0, True),
        (1, 3, 1.0, True),
        (2, 3, 1.0, True),
        (4, 3, 0.9, False),
    ]
    assert told(edges, [4, 3, 0], 5, 0.5) == [(0, 4, 0.9, False), (3, 4, 0.9, False)]


def test_a_threshold_that_edges_cannot_tell_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        repeats([], np.empty(0, np.int64), 0.2)
