"""What is a word under each rule, and that the fast way gives the words of the slow one."""

import gzip
import json
import random
import sys
from pathlib import Path

import pytest

from thinkscale.curation.notation import INSTRUCTIONS
from thinkscale.curation.words import (
    DEFAULT,
    S1,
    Tokens,
    every_token,
    rows_between,
    token_hash,
    tokens,
    whole_keys,
    words_compared,
    words_of,
)

PIECES = (
    *"abxyz019 +-=<>^/%|!'.,$(){}[]_\\*\n\t\0\x1c\x85\u00a0\u3000−×≤½²αΣσßİﬁ①中文ー한\u200b\ud800😀",
    *(
        r"\frac",
        r"\dfrac{1}{2}",
        r"\left(",
        r"\,",
        r"\begin{array}{cl}",
        "[asy] draw(a--b); [/asy]",
        "^{}",
        "1,000",
        ".5",
    ),
    *("two-digit", "don't", "f'(x)", "<br/>", "[b]", "[/b]", "&lt;", r"\nFind", "Let's think step by step.", " A B C "),
)


def hashes_of(found: Tokens) -> list[list[int]]:
    return [found.hashes[a:b].tolist() for a, b in zip(found.offsets[:-1], found.offsets[1:], strict=True)]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Find the SUM.", "find the sum"),
        (r"$x + 1$ is not $x-1$", "x + 1 is not x - 1"),
        (r"\dfrac{1}{2}", "1 / 2"),
        (r"$\frac {1} {2}$, \frac12 and 1/2 or ½", "1 / 2 1 / 2 and 1 / 2 or 1 / 2"),
        (r"\frac{\sqrt{3}}{x_{1}}", "sqrt 3 / x 1"),
        ("1,000 and 1000, 1{,}000 or 10,\\!000", "1000 and 1000 1000 or 10000"),
        ("(1, 2), 3.50, .5, 1.", "1 2 3.50 0.5 1"),
        (r"a \cdot b \times c * d", "abcd"),
        ("points A, B, C and $A B C$ or ABC", "points abc and abc or abc"),
        (r"\left( x \right) \, \text{cm} \quad \displaystyle y", "x cm y"),
        (r"2 \le x \leqslant y ≤ z <= w", "2 < = x < = y < = z < = w"),
        ("two-digit well--known x-1 - 60 −60", "two digit well known x - 1 - 60 - 60"),
        ("don't, the boys' \"quote\" 'here' f'(x) and f''", "dont the boys quote here f ' x and f ''"),
        ("5! and n! but wow! (n)!", "5 ! and n ! but wow n !"),
        (r"\triangle ABC, △ABC, \angle A, ∠A", "triangle abc triangle abc angle a angle a"),
        (r"2\pi r, 2πr, 30^\circ, 30°", "2 pi r 2 pi r 30 ^ circ 30 ^ circ"),
        ("x^2, x^{2}, x²", "x ^ 2 x ^ 2 x ^ 2"),
        ("ABC^{}_{} and n^{ }!", "abc and n !"),
        (r"\begin{array}{cl} a & b \\ c \end{array}", "abc"),
        (r"x = 1 \tag{3} and \mathrm{R}, ℝ, \mathbb{R}", "x = 1 and rrr"),
        ("ｆｕｌｌ １２ ﬁx a\u200bb", "full 12 fix ab"),
        ("中文 x", "中 文 x"),
        ("a &lt; b<br/>[b]bold[/b] **Bold**", "a < b bold bold"),
        (r"one\nTwo \neq \nu", "one two ne nu"),
        ("$$$ {} \\ _ , .", ""),
    ],
)
def test_the_default_rule_leaves_these_words(text: str, words: str) -> None:
    assert words_of(text) == words.split()
    assert hashes_of(every_token([text])) == [[token_hash(word) for word in words.split()]]


def test_figures_are_one_word_that_tells_them_apart() -> None:
    one, same, other = (
        words_of(f"Find it. [asy]{code}[/asy] Now.") for code in ("draw(a);", " draw( a );\n", "draw(b);")
    )
    assert one == same
    assert len(one) == 4
    assert one[2] != other[2]
    assert one[3] == other[3] == "now"


def test_s1_cuts_at_white_space_and_changes_case_only() -> None:
    assert words_of("Find  $X$.\n\tÀ\u00a0b\x1cc", S1) == ["find", "$x$.", "à", "b", "c"]


def test_all_white_space_of_python_separates() -> None:
    white = [chr(code) for code in range(sys.maxunicode + 1) if chr(code).isspace()]
    assert len(white) == 29
    for mark in white:
        for rule in (DEFAULT, S1):
            assert words_of(f"one{mark}two", rule) == ["one", "two"], hex(ord(mark))
            assert every_token([f"one{mark}two"], rule).lengths.tolist() == [2], hex(ord(mark))


@pytest.mark.parametrize("rule", [DEFAULT, S1])
def test_many_texts_at_once_have_the_words_of_each_alone(rule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.curation.words.BATCH_CHARACTERS", 2_000)
    draw = random.Random(5)
    texts = ["".join(draw.choices(PIECES, k=draw.randrange(40))) for _ in range(3_000)]
    expected = [[token_hash(word) for word in words_of(text, rule)] for text in texts]
    assert hashes_of(every_token(texts, rule)) == expected
    compared = [[token_hash(word) for word in words_compared(text, rule)] for text in texts]
    assert hashes_of(tokens(texts, rule)) == compared


def test_s1_is_python_s_split_of_lower_case() -> None:
    draw = random.Random(6)
    texts = ["".join(draw.choices([piece for piece in PIECES if piece != "\0"], k=30)) for _ in range(2_000)]
    expected = [[token_hash(word) for word in text.lower().split()] for text in texts]
    assert hashes_of(tokens(texts, S1)) == expected


def test_units_of_any_length_are_told_apart() -> None:
    stems = ["x" * size for size in (1, 7, 8, 9, 16, 17, 511, 512, 513, 2_000)]
    texts = [stem + end for stem in stems for end in ("a", "b", "")]
    found = hashes_of(tokens(texts, S1))
    assert found == [[token_hash(text)] for text in texts]
    assert len({row[0] for row in found}) == len(set(texts))


def test_no_texts_and_empty_texts_have_no_words() -> None:
    assert tokens([]).offsets.tolist() == [0]
    assert tokens(["", " ", "a b", "$"]).lengths.tolist() == [0, 0, 1, 0]
    assert whole_keys(tokens(["", "x"]))[0] == 0
    assert whole_keys(tokens([])).tolist() == []


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="s2"):
        tokens(["a"], "s2")


@pytest.mark.parametrize("instruction", INSTRUCTIONS)
def test_appended_instructions_are_not_compared(instruction: str) -> None:
    question = r"Find all $x$ with $x^2 = 4$."
    plain, after, before = tokens(
        [question, f"{question}\n\n{instruction}", f"{instruction.upper()} {question}"]
    ).lengths
    assert plain == after == before == 9
    assert tokens([instruction[:-1]], S1).lengths[0] == len(instruction.split())


def test_an_instruction_does_not_reach_from_one_text_into_the_next() -> None:
    assert tokens(["Let's think", "step by step."]).lengths.tolist() == [2, 3]
    assert tokens(["Let's think step by step."]).lengths.tolist() == [0]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Find $x$.", "find X", True),
        ("a two-digit number", "A two digit number", True),
        (r"\frac{1}{2}", r"$\frac {1}{2}$", True),
        ("**Bold** text!", "bold text", True),
        ("x^2", "x^{2}", True),
        (r"Let $A B C$ be", "let ABC be", True),
        ("x + 1", "x - 1", False),
        ("x > 0", "x < 0", False),
        ("1.5", "15", False),
        ("1/2", "12", False),
        ("-60", "60", False),
        ("5!", "5", False),
        ("arcsin (-1)", "arcsin 1", False),
        ("one two", "two one", False),
        ("6 2", "62", False),
    ],
)
def test_whole_keys_ignore_layout_but_no_signs(left: str, right: str, same: bool) -> None:
    keys = whole_keys(tokens([left, right]))
    assert bool(keys[0] == keys[1]) is same


def test_a_key_does_not_depend_on_the_texts_beside_it() -> None:
    found = tokens(["a one", "find the sum", "two"])
    assert whole_keys(found)[1] == whole_keys(tokens(["Find the sum!"]))[0]
    assert hashes_of(rows_between(found, 1, 3)) == hashes_of(found)[1:]


def test_hashes_are_those_of_blake2b() -> None:
    assert token_hash("sum") == 0xFEC471E9A40432CE  # printf sum | b2sum -l 64, bytes turned round
    assert tokens(["Sum"]).hashes.tolist() == [token_hash("sum")]


def test_real_questions_have_the_words_of_the_slow_way(data_folder: Path) -> None:
    for name, field in (("math_train", "problem"), ("dapo_math_17k", "problem"), ("numina_cot_2k", "instruction")):
        lines = gzip.decompress((data_folder / f"pool/{name}.jsonl.gz").read_bytes()).splitlines()
        texts = [json.loads(line)[field] for line in lines[:: max(1, len(lines) // 1_000)]]
        for rule in (DEFAULT, S1):
            assert hashes_of(every_token(texts, rule)) == [
                [token_hash(word) for word in words_of(text, rule)] for text in texts
            ]


@pytest.mark.parametrize("most", [1, 7])
def test_a_memory_that_is_full_changes_no_word(most: int, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [" ".join(f"w{number % 50} {number}é {number}-x" for number in range(start, 90)) for start in (0, 30)]
    expected = [[token_hash(word) for word in words_of(text)] for text in texts]
    monkeypatch.setattr("thinkscale.curation.vocabulary.MOST_WORDS", most)
    assert hashes_of(tokens(texts)) == expected


def test_texts_in_ascii_and_others_keep_their_places() -> None:
    texts = ["plain one", "größer", "", "x\\neq 2", "\\nNext", "\u2264 3", "null\0byte", "last"]
    expected = [[token_hash(word) for word in words_of(text)] for text in texts]
    assert hashes_of(tokens(texts)) == expected
    assert [len(found) for found in expected] == [2, 1, 0, 3, 1, 3, 2, 1]
