"""Runs of words that two texts share, for many pairs at once."""

import random

import numpy as np
import pytest

from thinkscale.curation import spans
from thinkscale.curation.spans import SURE_WORDS, common_runs, longest_run
from thinkscale.curation.words import spaced_words

WORDS = [f"w{place}" for place in range(20)]
PAIRS: list[tuple[list[str], list[str], list[str]]] = [
    (WORDS, [*WORDS[:15], "other"], WORDS[:15]),
    (WORDS, ["other", *WORDS[5:]], WORDS[5:]),
    (WORDS, ["more", *WORDS], WORDS),
    (WORDS, WORDS, WORDS),
    (["a", "b", "c", "d"], ["x", "b", "c", "y", "a"], ["b", "c"]),
    (["a", "b", "a", "b", "c"], ["a", "b", "c"], ["a", "b", "c"]),
    (["a", "b"], ["b", "a"], []),
    ([], ["b", "a"], []),
    (["b", "a"], [], []),
]
"""Two texts and the run of the first that is shown."""


@pytest.mark.parametrize("words_at_once", [1, 30, 500_000])
def test_a_common_run_is_the_beginning_or_end_or_the_longest_within(
    monkeypatch: pytest.MonkeyPatch, words_at_once: int
) -> None:
    monkeypatch.setattr(spans, "WORDS_AT_ONCE", words_at_once)
    texts = [" ".join(words) for one, other, _ in PAIRS for words in (one, other)]
    firsts = np.arange(0, len(texts), 2)
    runs = common_runs(texts, firsts, firsts + 1)
    assert [one[run] for (one, _, _), run in zip(PAIRS, runs, strict=True)] == [run for _, _, run in PAIRS]


def test_no_pairs_have_no_runs() -> None:
    assert common_runs(["a b"], np.empty(0, np.int64), np.empty(0, np.int64)) == []


def test_words_count_without_case_and_with_every_letter() -> None:
    texts = ["Où EST le café \U0001d54f ?", "où est\u3000le CAFÉ \U0001d54f !"]
    assert common_runs(texts, np.array([0]), np.array([1])) == [slice(0, 5)]


def test_only_so_many_words_of_a_text_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spans, "MOST_WORDS", 10)
    text = " ".join(WORDS)
    assert common_runs([text, text], np.array([0]), np.array([1])) == [slice(0, 10)]


def plain_run(one: list[str], other: list[str]) -> slice:
    """The same, word by word."""
    most = min(len(one), len(other))
    ahead = next((place for place in range(most) if one[place] != other[place]), most)
    behind = next((place for place in range(most) if one[-1 - place] != other[-1 - place]), most)
    if max(ahead, behind) >= SURE_WORDS:
        return slice(0, ahead) if ahead >= behind else slice(len(one) - behind, len(one))
    runs = [(first, last) for first in range(len(one)) for last in range(first + 2, len(one) + 1)]
    shared = [
        run for run in runs if any(one[slice(*run)] == other[at : at + run[1] - run[0]] for at in range(len(other)))
    ]
    return slice(*max(shared, key=lambda run: (run[1] - run[0], -run[0]), default=(0, 0)))


def test_random_pairs_have_the_runs_that_comparing_word_by_word_finds() -> None:
    draw = random.Random(7)
    texts = [[draw.choice("abcd") for _ in range(draw.randrange(14))] for _ in range(400)]
    firsts, seconds = np.arange(0, 400, 2), np.arange(1, 400, 2)
    expected = [plain_run(one, other) for one, other in zip(texts[::2], texts[1::2], strict=True)]
    assert common_runs([" ".join(words) for words in texts], firsts, seconds) == expected


def test_more_words_than_there_are_before_the_surrogates_have_letters() -> None:
    words = [f"w{place}" for place in range(0xD900)]
    texts = [" ".join(["x", *words, "y"]), " ".join(["p", "q", *words[0xD7F0:0xD810], "r", "s"])]
    (run,) = common_runs(texts, np.array([0]), np.array([1]))
    assert texts[0].split()[run] == words[0xD7F0:0xD810]


def test_the_earliest_of_equal_runs_is_taken() -> None:
    assert longest_run("abxcdyef", "cd_ab") == slice(0, 2)


def test_spaced_words_are_those_of_str_split_in_lower_case() -> None:
    texts = ["Eins  zwei\tEINS\n", "", "zwei\u2003eins\x85drei", "\x00 \udcff zwei"]
    found = spaced_words(texts)
    split = [text.lower().split() for text in texts]
    assert found.lengths.tolist() == [len(words) for words in split]
    flat = [word for words in split for word in words]
    numbers = dict(zip(flat, found.hashes.tolist(), strict=True))
    assert [numbers[word] for word in flat] == found.hashes.tolist()
    assert len({*numbers.values()}) == len(numbers)
