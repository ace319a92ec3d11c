"""Small edits of a text, by runs of three words that both texts have: shares and gaps worked out by hand."""

import numpy as np
import pytest

from thinkscale.curation.edits import edit_shares, runs_of
from thinkscale.curation.words import tokens

TEN = "a b c d e f g h i j"


def share_of(one: str, other: str) -> float:
    pair = [runs_of(tokens([text], "s1")) for text in (one, other)]
    share = edit_shares(*pair)
    assert np.array_equal(share, edit_shares(*reversed(pair))), "it is the same from both sides"
    return float(share[0])


@pytest.mark.parametrize(
    ("other", "share"),
    [
        (TEN, 1.0),
        ("a b c d e X g h i j", 0.9),  # the runs a..e and g..j are in both
        ("a b X d e X g h i j", 0.0),  # a b and d e stand in no run of three: 4 of 10
        ("a b c d e f g h i", 1.0),  # the shorter one stands whole in the longer one
        (TEN + " 1 2 3 4 5 6 7 8", 1.0),  # more behind, in the longer one alone: 10 of 18 words are more than half
        ("1 2 3 4 5 6 7 8 " + TEN, 1.0),
        (TEN + " 1 2 3 4 5 6 7 8 9 10 11", 0.0),  # 10 of 21 are less than half
        ("a b c d e 1 2 3 4 5 6 f g h i j", 1.0),  # six words put in between
        ("a b c d e 1 2 3 4 5 6 7 f g h i j", 0.0),  # seven are more than a small edit
        ("a b", 0.0),
        ("", 0.0),
    ],
)
def test_a_small_edit_is_told_by_shares_and_gaps(other: str, share: float) -> None:
    assert share_of(TEN, other) == share


def test_what_the_shorter_text_alone_says_before_is_an_edit() -> None:
    body = " ".join(f"w{number}" for number in range(30))
    long = body + " " + " ".join(f"x{number}" for number in range(20))
    assert share_of("1 2 3 4 5 6 " + body, long) == 30 / 36
    assert share_of("1 2 3 4 5 6 7 " + body, long) == 0.0
    assert share_of("1 " + body, "2 3 4 5 6 7 8 9 " + long) == 0.0, "both say something else before it"


def test_many_pairs_at_once_are_as_each_alone() -> None:
    texts = [TEN, "a b c d e X g h i j", "k l m n o", "a b c d e f g h i", ""]
    pairs = [(one, other) for one in texts for other in texts]
    ones, others = (runs_of(tokens([pair[side] for pair in pairs], "s1")) for side in (0, 1))
    assert edit_shares(ones, others).tolist() == [share_of(*pair) for pair in pairs]


def test_no_pairs_have_no_shares() -> None:
    nothing = runs_of(tokens([], "s1"))
    assert len(edit_shares(nothing, nothing)) == 0
