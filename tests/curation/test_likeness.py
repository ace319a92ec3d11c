"""What an edge shows: the words that two rows have in common, as they are written, however many texts are held."""

import numpy as np
import pytest

from thinkscale.curation.edges import Edges
from thinkscale.curation.likeness import MOST_CHARACTERS, beginning, described, words_between
from thinkscale.curation.overlap import answer_key
from thinkscale.curation.spelling import words_of

TEXTS = {
    3: "Find  the number of primes\nbelow 100, please. Explain.",
    5: "find the number of PRIMES below 1,000 if you can",
    8: "Let it be known: FIND THE NUMBER of primes below 100, please. Explain.",
    9: "Find  the number of primes\nbelow 100, please. Explain.",
}
EDGES = Edges(
    np.array([3, 3, 5, 3]),
    np.array([5, 8, 8, 9]),
    np.array([0.4, 0.8, 0.3, 1.0]),
    np.array([False, False, False, True]),
)
ANSWERS = {3: "25", 5: "168", 8: "025", 9: "25"}


def test_edges_are_shown_by_words_as_the_first_text_writes_them() -> None:
    assert described(EDGES, TEXTS, ANSWERS) == {
        "a": [3, 3, 5, 3],
        "b": [5, 8, 8, 9],
        "share": [0.4, 0.8, 0.3, 1.0],
        "reason": ["ngram_overlap", "answer_aware", "ngram_overlap", "whole_question"],
        "span": [
            "Find the number of primes below",
            "Find the number of primes below 100, please. Explain.",
            "find the number of PRIMES below",
            "Find the number of primes below 100, please. Explain.",
        ],
    }


def test_a_beginning_has_its_words_one_space_apart() -> None:
    assert beginning("  a\t b\n\nc ") == "a b c"
    words = [f"word{number}" for number in range(200)]
    assert beginning("  ".join(words)) == " ".join(words)[:MOST_CHARACTERS]
    assert beginning("x" + " " * 700 + "y") == "x y"
    assert beginning("x" * 700) == "x" * MOST_CHARACTERS


def test_words_between_are_those_of_the_run() -> None:
    assert words_between(" one  two three\nfour ", slice(1, 3)) == "two three"
    assert words_between("one two", slice(0, 0)) == ""
    assert words_between("ab " * 500, slice(100, 500)) == "ab " * 100


@pytest.mark.parametrize("answer", ["0", "007", "42", "000", "1" * 40])
def test_a_whole_number_is_compared_by_its_digits(answer: str) -> None:
    assert answer_key(answer) == str(int(answer)) == (words_of(answer)[0].lstrip("0") or "0")
