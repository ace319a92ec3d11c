"""More than a hundred near copies of one text are one crowd; a hundred questions in one wrapping are none."""

import random
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from thinkscale.curation import crowds as crowds_module
from thinkscale.curation import first_rows
from thinkscale.curation.crowds import Crowds, Members, crowded, members, of_large_crowds
from thinkscale.curation.edits import chosen_rows, edit_shares
from thinkscale.curation.ngrams import grams
from thinkscale.curation.units import Integers
from thinkscale.curation.words import Tokens, tokens

FENCE = (
    "A farmer has a rectangular field whose length is three times its width. He builds a fence around the whole field "
    "and along one of the diagonals, and he needs exactly 640 metres of wire for it. How many square metres does the "
    "field have, rounded to the nearest whole number of square metres?"
)
WRAPPING = (
    "You are given the following task. Read it twice, work through it step by step, check every step of your work, and "
    "state the result of your work at the very end and nowhere else, without any further words. The task is this one: "
)
MANY = 100


def edited(number: int, generator: random.Random) -> str:
    """FENCE with one word exchanged, put in or taken out, or with a word before or after it."""
    words = FENCE.split()
    place = generator.randrange(len(words))
    match number % 4:
        case 0:
            words[place] = f"other{number}"
        case 1:
            words.insert(place, f"really{number}")
        case 2:
            del words[place]
        case _:
            words = [*words, f"(version {number})"] if number % 8 == 3 else [f"Number {number}:", *words]
    return " ".join(words)


def counted(found: Tokens) -> tuple[Integers, Integers]:
    """Of each row how many n-grams more than MANY rows have, and how many it has, by plain counting."""
    every = grams(found)
    rows_of: dict[int, int] = {}
    for gram in every.hashes.tolist():
        rows_of[gram] = rows_of.get(gram, 0) + 1
    common, total = np.zeros(found.num_rows, np.int64), np.zeros(found.num_rows, np.int64)
    for row, gram in zip(every.rows.tolist(), every.hashes.tolist(), strict=True):
        common[row] += rows_of[gram] > MANY
        total[row] += 1
    return common, total


def found_in(texts: Sequence[str], answers: Sequence[int] | None = None) -> Members:
    found = tokens(texts)
    rows = crowded(*counted(found), min_grams=5)
    named = np.array(answers if answers is not None else [0] * len(texts), np.uint64)
    return members(found, rows, named[rows])


def test_a_thousand_near_copies_are_one_crowd() -> None:
    generator = random.Random(42)
    crowd = found_in([edited(number, generator) for number in range(1_000)])
    assert len(set(crowd.firsts.tolist())) == 1
    assert sorted([*crowd.rows.tolist(), crowd.firsts[0]]) == list(range(1_000))
    assert crowd.share.min() >= 0.75


def test_the_text_that_nobody_edited_is_the_first_of_its_crowd_wherever_it_stands() -> None:
    words = FENCE.split()
    texts = [" ".join([*words[: 9 + number % 30], f"very{number}", *words[9 + number % 30 :]]) for number in range(300)]
    crowd = found_in([*texts[:200], FENCE, *texts[200:]])
    assert set(crowd.firsts.tolist()) == {200}
    assert len(crowd.rows) == 300
    assert set(crowd.share.tolist()) == {1.0}, "the shorter text, FENCE, stands whole in the longer one, in two parts"


def wrapped(number: int, words: int) -> str:
    """A question of so many words that no other one has, in the same wrapping as all."""
    return WRAPPING + " ".join(f"{'abcdefgh'[place]}{number}x" for place in range(words)) + "?"


def test_different_questions_in_one_wrapping_are_no_crowd() -> None:
    texts = [wrapped(number, 8) for number in range(300)]
    assert len(crowded(*counted(tokens(texts)), min_grams=5)) == 300
    assert len(found_in(texts).rows) == 0


def test_questions_of_one_form_with_other_answers_are_no_crowd() -> None:
    texts = [f"{WRAPPING}Add {number} and {number * number}." for number in range(200)]
    assert len(found_in(texts, range(1, 201)).rows) == 0
    halves = found_in(texts, [1 + number % 2 for number in range(200)])
    assert len(halves.rows) == 198
    assert {(first - row) % 2 for first, row in zip(halves.firsts.tolist(), halves.rows.tolist(), strict=True)} == {0}


def test_two_crowds_stay_two() -> None:
    generator = random.Random(3)
    crowd = found_in([edited(number, generator) if number % 2 else wrapped(number, 1) for number in range(600)])
    assert len(set(crowd.firsts.tolist())) == 2
    assert len(crowd.rows) == 598
    assert np.all((crowd.firsts - crowd.rows) % 2 == 0)


def test_words_before_and_after_the_longer_text_are_no_edit_and_words_within_are() -> None:
    copies = [f"{FENCE} Note {number}." for number in range(120)]
    added = "Here is a task for those of you who like farms and fields and fences, sent in by a reader: "
    crowd = found_in([*copies, added + FENCE, FENCE.replace("width.", f"width. {added}")])
    joined = set(crowd.rows.tolist())
    assert 120 in joined
    assert 121 not in joined


def test_parts_are_the_same_as_the_whole() -> None:
    generator = random.Random(5)
    found = tokens([edited(number, generator) for number in range(300)])
    rows = crowded(*counted(found), min_grams=5)
    whole = members(found, rows, np.zeros(len(rows), np.uint64))
    crowds = Crowds()
    joined = [
        crowds.take(part, chosen_rows(found, part), np.zeros(len(part), np.uint64)) for part in np.array_split(rows, 7)
    ]
    parts = [of_large_crowds(some, np.array(crowds.firsts.rows), crowds.num_joined) for some in joined]
    assert len(parts) == 7
    assert sum(len(part.rows) for part in parts) == len(whole.rows) == 299
    order = np.argsort(np.concatenate([part.rows for part in parts]))
    for name in ("firsts", "rows", "share"):
        column = np.concatenate([getattr(part, name) for part in parts])
        assert np.array_equal(column[order], getattr(whole, name)), name


def test_blocks_of_one_row_are_the_same_as_large_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at a time is the rule itself: each is compared with all first rows before it."""
    generator = random.Random(8)
    texts = [edited(number, generator) if number % 3 else wrapped(number, 2) for number in range(400)]
    answers = [number % 2 for number in range(400)]
    monkeypatch.setattr(crowds_module, "MIN_CROWD", 1)
    large = found_in(texts, answers)
    monkeypatch.setattr(crowds_module, "LEAST_ROWS", 1)
    monkeypatch.setattr(crowds_module, "MOST_ROWS", 1)
    single = found_in(texts, answers)
    assert len(set(single.firsts.tolist())) > 2
    for name in ("firsts", "rows", "share"):
        assert np.array_equal(getattr(single, name), getattr(large, name)), name


def test_blocks_that_are_shown_too_many_first_rows_are_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = random.Random(8)
    texts = [edited(number, generator) for number in range(300)]
    whole = found_in(texts)
    monkeypatch.setattr(crowds_module, "MOST_LISTED", 1)
    cut = found_in(texts)
    assert len(cut.rows) == 299
    assert np.array_equal(cut.firsts, whole.firsts)


def test_a_row_is_compared_with_a_few_first_rows_however_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    compared = 0
    plain = edit_shares

    def counting(ones: Tokens, others: Tokens) -> NDArray[np.float64]:
        nonlocal compared
        compared += ones.num_rows
        return plain(ones, others)

    monkeypatch.setattr(crowds_module, "edit_shares", counting)
    assert len(found_in([wrapped(number, 8) for number in range(400)]).rows) == 0
    assert 0 < compared <= 2 * 400 * crowds_module.MAX_TRIED, "a block's rows may be compared twice"


@pytest.mark.parametrize(("name", "most"), [("MOST_FIRSTS", 5), ("MOST_FIRST_GRAMS", 300)])
def test_first_rows_have_a_limit(monkeypatch: pytest.MonkeyPatch, name: str, most: int) -> None:
    monkeypatch.setattr(first_rows, name, most)
    monkeypatch.setattr(crowds_module, "MIN_CROWD", 1)
    crowds = Crowds()
    found = tokens([wrapped(number, 8) for number in range(100)])
    joined = crowds.take(np.arange(100), found, np.arange(100, dtype=np.uint64))
    assert len(joined.rows) == 0
    num_grams = len(grams(chosen_rows(found, np.zeros(1, np.int64))).hashes)
    assert len(crowds.firsts.rows) == (5 if name == "MOST_FIRSTS" else -(-300 // num_grams))


def test_only_rows_of_common_words_are_looked_at_and_the_least_edited_ones_first() -> None:
    common, total = np.array([3, 2, 10, 0, 1, 9, 10]), np.array([10, 10, 10, 10, 3, 10, 10])
    # 7, 0, 1 and 0 of 10 n-grams are not common: levels 11, 0, 1 and 0 of sixteen.
    assert crowded(common, total, min_grams=5).tolist() == [2, 6, 5, 0]


def test_a_few_short_questions_with_one_answer_in_one_wrapping_are_no_crowd() -> None:
    short = [f"Simplify $\\sqrt{{{number}}}$." for number in range(crowds_module.MIN_CROWD)]
    others = [wrapped(number, 8).removeprefix(WRAPPING) for number in range(200)]
    texts = [WRAPPING + text for text in [*short, *others]]
    answers = [7] * len(short) + [8] * len(others)
    assert len(found_in(texts, answers).rows) == 0
    assert len(found_in([WRAPPING + "Simplify $\\sqrt{-1}$.", *texts], [7, *answers]).rows) == crowds_module.MIN_CROWD
