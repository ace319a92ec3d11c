"""Pairs of rows that repeat each other, and which of them are kept."""

import itertools
import random
from collections import Counter

import numpy as np
import pytest

from thinkscale.curation.duplicates import (
    MAX_ROWS_OF_A_GRAM,
    MIN_GRAMS,
    Repeat,
    Shared,
    edges,
    edges_of,
    first_copies,
    kept,
    shared_grams,
)
from thinkscale.curation.edges import MIN_SHARE, Edges
from thinkscale.curation.ngrams import grams
from thinkscale.curation.words import S1, tokens, whole_keys

BASE = "a train leaves the old station at noon and travels north for three hours at a constant speed"


def found_in(texts: list[str], n: int = 8) -> list[tuple[int, int, float, bool]]:
    found = edges(tokens(texts, S1), n)
    return list(zip(found.a.tolist(), found.b.tolist(), found.share.tolist(), found.same.tolist(), strict=True))


def repeats_in(texts: list[str], threshold: float = 0.5, order: list[int] | None = None) -> list[Repeat]:
    return kept(edges(tokens(texts)), range(len(texts)) if order is None else order, threshold)


def slow_edges(texts: list[str], n: int) -> list[tuple[int, int, float, bool]]:
    """The same by Python sets."""
    firsts: dict[str, int] = {}
    made = []
    for row, text in enumerate(texts):
        key = " ".join(text.split())
        if key and firsts.setdefault(key, row) != row:
            made.append((firsts[key], row, 1.0, True))
    rows = {row: set(zip(*(text.split()[at:] for at in range(n)), strict=False)) for row, text in enumerate(texts)}
    rows = {row: rows[row] for row in [*firsts.values()]}
    counts = Counter(gram for found in rows.values() for gram in found)
    rows = {row: {gram for gram in found if counts[gram] <= MAX_ROWS_OF_A_GRAM} for row, found in rows.items()}
    for a, b in itertools.combinations(sorted(rows), 2):
        smaller = min(len(rows[a]), len(rows[b]))
        if smaller >= MIN_GRAMS and len(rows[a] & rows[b]) / smaller >= MIN_SHARE:
            made.append((a, b, len(rows[a] & rows[b]) / smaller, False))
    return sorted(made)


def pool(seed: int) -> list[str]:
    """Texts that share runs, and a phrase that most of them have."""
    draw = random.Random(seed)
    stems = [" ".join(draw.choices("abcdefghijkl", k=30)) for _ in range(25)]
    texts = []
    for _ in range(260):
        words = draw.choice(stems).split()[draw.randrange(20) :] + draw.choices("mnopq", k=draw.randrange(12))
        texts.append(" ".join([*words, "the phrase that they all have"] if draw.random() < 0.7 else words))
    return [*texts, "", "", "short", "short", *draw.choices(texts, k=20)]


@pytest.mark.parametrize("n", [2, 4, 8])
def test_edges_are_those_of_a_plain_search(n: int) -> None:
    texts = pool(n)
    assert found_in(texts, n) == slow_edges(texts, n)
    assert any(not same for *_, same in slow_edges(texts, n))


@pytest.mark.parametrize("num_parts", [1, 3, 16])
def test_parts_by_hash_add_up_to_the_whole(num_parts: int, monkeypatch: pytest.MonkeyPatch) -> None:
    found = tokens(pool(1), S1)
    whole = edges(found, 4)
    monkeypatch.setattr("thinkscale.curation.duplicates.PAIRS_AT_ONCE", 50)
    firsts = first_copies(whole_keys(found))
    every = grams(found, 4)
    originals = firsts[every.rows] == every.rows
    counts: Counter[tuple[int, int]] = Counter()
    num_grams = np.zeros(found.num_rows, np.int64)
    for part in range(num_parts):
        chosen = originals & (every.hashes % np.uint64(num_parts) == part)
        shared = shared_grams(every.hashes[chosen], every.rows[chosen], found.num_rows)
        pairs = zip(shared.a.tolist(), shared.b.tolist(), strict=True)
        counts.update(dict(zip(pairs, shared.counts.tolist(), strict=True)))
        num_grams += shared.num_grams
    a, b = np.array(sorted(counts)).T
    added = Shared(a, b, np.array([counts[pair] for pair in sorted(counts)]), num_grams)
    made = edges_of(added, firsts)
    for name in ("a", "b", "share", "same"):
        assert getattr(made, name).tolist() == getattr(whole, name).tolist()


def test_the_share_is_of_the_smaller_row() -> None:
    words = [f"w{i}" for i in range(40)]
    texts = [" ".join(words[:20]), " ".join(words[8:]), " ".join(words)]
    assert found_in(texts) == [(0, 1, 5 / 13, False), (0, 2, 1.0, False), (1, 2, 1.0, False)]


def test_the_first_row_is_kept_and_the_others_name_it() -> None:
    texts = [BASE, "something else entirely", BASE + " of sixty miles", BASE.upper() + "!"]
    assert repeats_in(texts) == [Repeat(2, 0, 1.0, False), Repeat(3, 0, 1.0, True)]


def test_the_order_says_which_row_is_kept() -> None:
    texts = [BASE, "something else entirely", BASE + " of sixty miles", BASE.upper() + "!"]
    assert repeats_in(texts, order=[3, 2, 0]) == [Repeat(2, 3, 1.0, False), Repeat(0, 3, 1.0, True)]
    assert repeats_in(texts, order=[2, 3, 1, 0]) == [Repeat(3, 2, 1.0, False), Repeat(0, 2, 1.0, False)]
    assert repeats_in(texts, order=[1, 0]) == []


def test_texts_below_the_threshold_are_both_kept() -> None:
    other = "a train leaves the old station at noon and travels north for three " + " ".join(f"w{i}" for i in range(20))
    assert [round(share, 3) for *_, share, _ in found_in([BASE, other])] == [round(6 / 11, 3)]
    assert repeats_in([BASE, other], 0.55) == []
    assert [row.row for row in repeats_in([BASE, other], 0.5)] == [1]


def test_a_row_is_dropped_only_for_a_row_that_is_kept() -> None:
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    texts = [" ".join(words[start : start + 30]) for start in (0, 10, 20)]
    assert [(row.row, row.kept) for row in repeats_in(texts)] == [(1, 0)]
    assert [(row.row, row.kept) for row in repeats_in(texts, order=[1, 0, 2])] == [(0, 1), (2, 1)]


def test_of_several_kept_rows_the_one_that_holds_most_is_named() -> None:
    words = [f"w{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(60)]
    near, nearer, row = words[:20] + words[50:60], words[9:40], words[5:35]
    assert [(item.row, item.kept) for item in repeats_in([" ".join(part) for part in (near, nearer, row)])] == [(2, 1)]


def test_a_copy_of_a_dropped_row_names_the_kept_row() -> None:
    near = BASE + " of sixty miles"
    assert [(row.row, row.kept, row.same) for row in repeats_in([BASE, near, near])] == [(1, 0, False), (2, 0, False)]


def test_a_phrase_of_many_rows_is_no_evidence() -> None:
    phrase = "find m plus n where m and n are relatively prime positive integers"
    rows = [" ".join(f"q{i}x{j}" for j in range(7)) + " " + phrase for i in range(MAX_ROWS_OF_A_GRAM + 1)]
    assert found_in(rows[:3]) != []
    assert found_in(rows) == []


def test_no_rows_have_no_edges() -> None:
    assert found_in([]) == []
    assert found_in(["", ""]) == []
    assert kept(edges(tokens([])), []) == []


@pytest.mark.parametrize("threshold", [0, 0.29, 1.01])
def test_a_threshold_that_edges_cannot_tell_is_refused(threshold: float) -> None:
    none = np.empty(0, np.int64)
    with pytest.raises(ValueError, match="threshold"):
        kept(Edges(none, none, np.empty(0), np.empty(0, np.bool_)), [], threshold)
