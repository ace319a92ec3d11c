"""Which rows state what a benchmark asks, by which rule, with what evidence."""

import random

import pytest

from thinkscale.curation import candidates
from thinkscale.curation.overlap import (
    CONTAINED,
    DIFFERENT_ANSWERS,
    SAME_ANSWER,
    Benchmark,
    Hit,
    Overlaps,
    Questions,
    answer_key,
    overlaps,
)
from thinkscale.curation.words import DEFAULT, S1, words_compared

LONG = (
    "a train leaves the old station at noon and travels north for three hours at a constant speed until it meets "
    "another that left the same town two hours before it how far from home do they meet"
)


def questions(*texts: str, answers: list[str | None] | None = None) -> Questions:
    return Questions([f"q{i}" for i in range(len(texts))], texts, answers or [None] * len(texts))


def hits(
    pool: list[str],
    items: list[str],
    rule: str = DEFAULT,
    n: int = 8,
    answers: tuple[list[str | None], list[str | None]] | None = None,
) -> list[Hit]:
    mine, theirs = answers or ([None] * len(pool), [None] * len(items))
    return overlaps(questions(*pool, answers=mine), [Benchmark("bench", questions(*items, answers=theirs))], rule, n)


def reasons(*arguments: object, **options: object) -> list[tuple[int, str, str]]:
    return [(hit.row, hit.against_id, hit.reason) for hit in hits(*arguments, **options)]  # type: ignore[arg-type]


def words(number: int, of: int = 30) -> list[str]:
    """Words that no other number has."""
    return [f"w{chr(97 + number)}{chr(97 + i // 26)}{chr(97 + i % 26)}" for i in range(of)]


def sharing(num_shared: int, num_words: int = 37) -> tuple[str, str]:
    """Two texts of `num_words` words whose first `num_shared` n-grams of 8 words are the same."""
    run = words(0, num_shared + 7)
    rest = num_words - len(run)
    return " ".join(run + words(1, rest)), " ".join(run + words(2, rest))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_s1_hits_are_those_of_a_plain_search(n: int) -> None:
    draw = random.Random(n)
    texts = [" ".join(draw.choices("abcd" if n > 2 else "abcdefghijkl", k=draw.randrange(25))) for _ in range(120)]
    pool, items = texts[:80], texts[80:]

    def grams(text: str) -> set[tuple[str, ...]]:
        return {tuple(text.split()[i : i + n]) for i in range(len(text.split()) - n + 1)}

    found = hits(pool, items, S1, n)
    expected = [
        (row, f"q{item}", len(shared) / min(len(grams(left)), len(grams(right))))
        for row, left in enumerate(pool)
        for item, right in enumerate(items)
        if (shared := grams(left) & grams(right))
    ]
    assert [(hit.row, hit.against_id, hit.share) for hit in found] == expected
    assert {hit.reason for hit in found} == {"ngram_overlap"}
    for hit in found:
        left, right = pool[hit.row], items[int(hit.against_id[1:])]
        longest = max(
            (" ".join(left.split()[a:b]) for a in range(25) for b in range(a + n, len(left.split()) + 1)),
            key=lambda run: (f" {run} " in f" {right} ", len(run.split())),
        )
        assert len(hit.span.split()) == len(longest.split())
        assert f" {hit.span} " in f" {left} "
        assert f" {hit.span} " in f" {right} "


def slow_pairs(pool: list[str], items: list[str], n: int) -> dict[tuple[int, int], float]:
    """The share of telling n-grams by Python sets, as candidates.py states it."""

    def grams(text: str) -> frozenset[tuple[str, ...]]:
        parts = words_compared(text)
        return frozenset(tuple(parts[i : i + n]) for i in range(len(parts) - n + 1))

    rows, sought = [grams(text) for text in pool], [grams(text) for text in items]
    boilerplate = set()
    for gram in {gram for found in sought for gram in found}:
        holders = [found for found in sought if gram in found]
        unrelated = [
            row
            for row in rows
            if gram in row and all(len(row & item) / min(len(row), len(item)) < candidates.RELATED for item in holders)
        ]
        texts = {tuple(words_compared(text)) for text, found in zip(items, sought, strict=True) if gram in found}
        if len(unrelated) > candidates.UNRELATED_ROWS or len(texts) > candidates.BOILERPLATE_ITEMS:
            boilerplate.add(gram)

    def size(found: frozenset[tuple[str, ...]]) -> int:
        return max(len(found - boilerplate), (len(found) + 1) // 2)

    def enough(left: frozenset[tuple[str, ...]], right: frozenset[tuple[str, ...]]) -> bool:
        return len((left & right) - boilerplate) >= min(candidates.MIN_SHARED, len(left), len(right))

    return {
        (row, item): len((left & right) - boilerplate) / min(size(left), size(right))
        for row, left in enumerate(rows)
        for item, right in enumerate(sought)
        if left and right and enough(left, right)
    }


@pytest.mark.parametrize("part", [7, 1_000])
def test_shares_are_those_of_a_plain_search(part: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.curation.overlap.ROWS_AT_ONCE", part)
    draw = random.Random(3)
    stems = [words(number, 40) for number in range(12)]
    phrase = ["let", "m", "and", "n", "be", "relatively", "prime", "positive", "integers", "and", "find"]

    def text() -> str:
        start = draw.randrange(30)
        own = [f"x{chr(97 + draw.randrange(26))}" for _ in range(draw.randrange(15))]
        middle = phrase if draw.random() < 0.5 else []
        return " ".join(own + draw.choice(stems)[start : start + draw.randrange(30)] + middle + own)

    pool, items = [text() for _ in range(200)], [text() for _ in range(40)]
    shares = slow_pairs(pool, items, 4)
    expected = {pair: share for pair, share in shares.items() if share >= CONTAINED}
    assert len(expected) > 30
    assert len(expected) < len(shares)
    found = {(hit.row, int(hit.against_id[1:])): hit for hit in hits(pool, items, DEFAULT, 4)}
    grams = {pair for pair, hit in found.items() if hit.reason == "contained"}
    assert grams | {pair for pair, hit in found.items() if hit.reason == "whole_question"} == set(expected)
    assert {pair: found[pair].share for pair in grams} == pytest.approx({pair: expected[pair] for pair in grams})


def test_the_same_words_are_a_hit_at_any_length() -> None:
    items = ["What is $2+3$?", r"Find $\frac{1}{2}$."]
    assert [
        (hit.row, hit.against_id, hit.reason, hit.share, hit.span)
        for hit in hits(["What is 2 + 3", "What is 2 - 3", "What is", "", r"find \frac12"], items)
    ] == [(0, "q0", "whole_question", 1.0, "what is 2 + 3"), (4, "q1", "whole_question", 1.0, "find 1 / 2")]


def test_layout_and_instructions_make_no_difference() -> None:
    item = r"Let $x > 0$ and $\frac{x}{2} + 1 = \sqrt{3}$. Find all the values of $x^2 - 1$ in the form $(a, b)$."
    spelled = (
        "let x>0 and \\( \\dfrac x2+1=\\sqrt 3 \\); find ALL the values of \\[x^{2}-1\\] in the form "
        "\\left( a,\\, b\\right)\n\nLet's think step by step and output the final answer within \\boxed{}."
    )
    (hit,) = hits([spelled], [item.replace(r"\frac{x}{2}", r"\dfrac x2")])
    assert (hit.reason, hit.share) == ("whole_question", 1.0)


def test_questions_that_differ_in_signs_only_are_a_hit() -> None:
    item = "Find the product of all z such that z^4 + z^2 + 1 = 0 and z > 3."
    (hit,) = hits([item.replace("+ 1", "- 1").replace(">", "<")], [item], answers=(["1"], ["2"]))
    assert hit.reason == "signs_differ"
    assert hit.share < 1


@pytest.mark.parametrize(
    ("num_shared", "mine", "theirs", "reason"),
    [
        (12, None, None, "contained"),
        (11, None, None, ""),
        (11, "5", None, ""),
        (11, "5", "7", ""),
        (17, "5", "7", ""),
        (18, "5", "7", "contained"),
        (12, r"\sqrt{5}", "7", "contained"),
        (8, "7", "7", "answer_aware"),
        (8, "007", "7.0", "answer_aware"),
        (8, r"$\frac{1}{2}$", "1/2", "answer_aware"),
        (7, "7", "7", ""),
    ],
)
def test_answers_move_the_share_that_it_takes(
    num_shared: int, mine: str | None, theirs: str | None, reason: str
) -> None:
    assert (CONTAINED, DIFFERENT_ANSWERS, SAME_ANSWER) == (12 / 30, 18 / 30, 7.5 / 30)
    row, item = sharing(num_shared)
    found = hits([row], [item], answers=([mine], [theirs]))
    assert [hit.reason for hit in found] == [reason] * bool(reason)
    assert all(hit.share == num_shared / 30 for hit in found)
    assert all(hit.span == " ".join(words(0, num_shared + 7)) for hit in found)


def test_a_long_run_is_a_hit_at_any_share() -> None:
    row, item = sharing(33, 200)
    assert reasons([row], [item]) == [(0, "q0", "long_span")]
    row, item = sharing(32, 200)
    assert reasons([row], [item]) == []


def test_an_item_in_a_longer_row_is_found_and_a_row_in_a_longer_item() -> None:
    long = " ".join(words(3, 200))
    assert reasons([f"{long} {LONG} {long}"], [LONG]) == [(0, "q0", "contained")]
    assert reasons([LONG], [f"{long} {LONG} {long}"]) == [(0, "q0", "contained")]


def test_a_short_item_in_a_row_is_a_hit_where_it_tells_enough() -> None:
    item, frame = "Compute $3^5 - 7$.", " ".join(words(4, 20))
    assert [(hit.reason, hit.share, hit.span) for hit in hits([f"{frame} Compute 3^5-7 now"], [item])] == [
        ("contained", 1.0, "compute 3 ^ 5 - 7")
    ]
    assert hits([f"{frame} Compute 3^5+7 now"], [item]) == []
    assert hits([f"{frame} find the value of x"], ["Find the value of x"]) == []
    assert len(hits([f"{frame} find the value of x", "find the value of x"], ["Find the value of x"])) == 1
    assert hits([f"{frame} Compute 3^5-7 now"], [item], answers=(["1"], ["2"])) == []
    many = [f"{' '.join(words(number, 20))} compute 3^5-7" for number in range(11)]
    assert len(hits(many[:10], [item])) == 10
    assert hits(many, [item]) == []
    assert len(hits([*many, "1. Compute 3^5-7"], [item])) == 1
    assert len(hits(many, [item], answers=(["236"] * 11, ["236"]))) == 11


def test_boilerplate_is_no_evidence() -> None:
    phrase = "where m and n are relatively prime positive integers find the value of m + n please"
    item = " ".join(words(9, 12)) + " " + phrase
    pool = [" ".join(words(number, 12)) + " " + phrase for number in range(5)]
    assert [hit.row for hit in hits(pool[:3], [item])] == [0, 1, 2]
    assert hits(pool, [item]) == []
    assert [hit.row for hit in hits([*pool, item.upper()], [item])] == [5]
    near = " ".join(words(9, 12)) + " with other words behind it"
    assert [hit.row for hit in hits([*pool, near], [item])] == [5]


def test_copies_of_an_item_do_not_make_it_boilerplate() -> None:
    assert len(hits([f"{word} {LONG}" for word in words(5, 40)], [LONG])) == 40


def test_a_frame_of_many_items_is_boilerplate() -> None:
    frame = "which one of the following statements about it is correct and why is that so"
    items = [" ".join(words(number, 4)) + " " + frame for number in range(6)]
    row = " ".join(words(20, 4)) + " " + frame
    assert len(hits([row], items[:5])) == 5
    assert hits([row], items) == []
    assert hits([row], [items[0]] * 6) != []


def test_a_long_set_up_of_many_items_is_evidence() -> None:
    set_up = " ".join(words(10, 60))
    items = [f"{set_up} {' '.join(words(number, 6))}" for number in range(8)]
    found = hits([f"{items[3]} please solve it"], items)
    assert {hit.reason for hit in found} == {"long_span"}
    assert len(found) == 8
    assert [hit.against_id for hit in found if hit.share == 1.0] == ["q3"]
    assert reasons([" ".join(words(10, 60)[:39])], items) == []
    assert {reason for *_, reason in reasons([" ".join(words(10, 60)[:40])], items)} == {"long_span"}


def test_parts_of_any_size_give_the_same_hits() -> None:
    draw = random.Random(8)
    stems = [words(number, 40) for number in range(8)]
    pool = [" ".join(draw.choice(stems)[draw.randrange(20) :] + draw.choices("xyz", k=5)) for _ in range(300)]
    items = [Benchmark("b", questions(*(" ".join(stem[:30]) for stem in stems)))]
    whole = overlaps(questions(*pool), items)
    assert len(whole) > 50
    for size in (1, 7, 299):
        search = Overlaps(items)
        for start in range(0, 300, size):
            search.look(pool[start : start + size], [None] * len(pool[start : start + size]))
        assert search.hits() == whole


def test_traces_that_quote_an_item_are_hits_one_way() -> None:
    search = Overlaps([Benchmark("b", questions(LONG, "What is $2+3$?", answers=["5", "5"]))], traces=True)
    filler = " ".join(words(6, 300))
    quoted = " ".join(LONG.split()[:30])
    near = search.look([f"{filler} {quoted} {filler}", " ".join(LONG.split()[:12]), filler], ["9", "9", "9"])
    assert near == [0, 1]
    (hit,) = search.hits()
    assert (hit.row, hit.against_id, hit.reason, hit.span) == (0, "q0", "quoted_in_trace", quoted)
    assert hit.share == 23 / (len(LONG.split()) - 7)


def test_a_formula_in_a_trace_is_no_quotation() -> None:
    item = "What is " + " + ".join(str(number) for number in range(1, 13)) + " then minus " + " ".join(words(2, 16))
    search = Overlaps([Benchmark("b", questions(item))], traces=True)
    search.look(
        ["so " + " + ".join(str(number) for number in range(1, 13)) + " = 78", item[: item.rindex(" ")]], [None] * 2
    )
    assert [(hit.row, hit.reason) for hit in search.hits()] == [(1, "quoted_in_trace")]


def test_hits_name_the_benchmark() -> None:
    near = " ".join(LONG.split()[:30])
    benchmarks = [Benchmark("one", questions(near, LONG)), Benchmark("two", questions("other", LONG))]
    found = overlaps(questions(LONG), benchmarks)
    assert [(hit.against, hit.against_id, hit.reason) for hit in found] == [
        ("one", "q0", "contained"),
        ("one", "q1", "whole_question"),
        ("two", "q1", "whole_question"),
    ]


def test_nothing_has_no_hits() -> None:
    assert hits([], ["any text at all"]) == []
    assert hits(["some text"], []) == []
    assert hits([""], [""]) == []
    assert hits(["some text"], [], S1) == []


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="s2"):
        Overlaps([], "s2")


@pytest.mark.parametrize(
    ("answer", "key"),
    [
        (None, ""),
        ("", ""),
        ("25", "25"),
        ("025", "25"),
        ("27.0", "27"),
        ("1,000", "1000"),
        (r"\boxed{5}", "5"),
        ("so 48/2 = 24 #### 72", "72"),
        (r"\frac{1}{2}", "1 / 2"),
        ("0", "0"),
        ("-3", "- 3"),
        ("2.50", "2.50"),
    ],
)
def test_answers_are_compared_without_layout(answer: str | None, key: str) -> None:
    assert answer_key(answer) == key
