"""N-grams of words as numbers."""

import random

import numpy as np
import pytest

from thinkscale.curation.ngrams import gram_hashes, grams
from thinkscale.curation.words import S1, Tokens, tokens

Gram = tuple[str, ...]


def slow_grams(text: str, n: int) -> list[Gram]:
    """The distinct n-grams of white-space words, in the order of their first places."""
    words = text.split()
    return list(dict.fromkeys(tuple(words[start : start + n]) for start in range(len(words) - n + 1)))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 7, 8, 13])
def test_grams_are_those_of_a_plain_search(n: int) -> None:
    draw = random.Random(n)
    texts = [" ".join(draw.choices("ab" if row % 2 else "abcdefgh", k=draw.randrange(40))) for row in range(300)]
    found = grams(tokens(texts, S1), n)
    names: dict[int, Gram] = {}
    expected = [(row, gram) for row, text in enumerate(texts) for gram in slow_grams(text, n)]
    assert found.rows.tolist() == [row for row, _ in expected]
    for number, (_, gram) in zip(found.hashes.tolist(), expected, strict=True):
        assert names.setdefault(number, gram) == gram
    assert len(names) == len({gram for _, gram in expected})


def test_grams_do_not_cross_from_one_text_into_the_next() -> None:
    assert grams(tokens(["one two", "", "three four"], S1), 3).rows.tolist() == []
    assert grams(tokens(["one two three", "two three"], S1), 2).rows.tolist() == [0, 0, 1]


def test_every_place_has_its_gram() -> None:
    places, hashes = gram_hashes(tokens(["a b a b a", "b a"], S1), 2)
    assert places.tolist() == [0, 1, 2, 3, 5]
    assert (hashes[0], hashes[1]) == (hashes[2], hashes[3])
    assert hashes[4] == hashes[1] != hashes[0]


def test_the_order_of_words_and_the_length_make_a_difference() -> None:
    rows = ["a b c d", "b a c d", "d c b a", "a b d c", "a a a a", "b b b b"]
    assert len({int(grams(tokens([row], S1), 4).hashes[0]) for row in rows}) == len(rows)
    found = Tokens(np.array([0, 4]), np.array([7, 7, 7, 7], np.uint64))
    assert len({int(grams(found, n).hashes[0]) for n in (1, 2, 3, 4)}) == 4


def test_equal_words_have_equal_numbers_in_any_company() -> None:
    alone = grams(tokens(["find the sum of all"], S1), 5).hashes.tolist()
    assert grams(tokens(["x y z", "Find the sum of all"], S1), 5).hashes.tolist() == alone


def test_no_words_have_no_grams() -> None:
    assert grams(tokens([])).hashes.tolist() == []
    assert grams(tokens(["", "too short"])).rows.tolist() == []


def test_grams_of_no_words_are_refused() -> None:
    with pytest.raises(ValueError, match="n-grams of 0 words"):
        grams(tokens(["a b"]), 0)
