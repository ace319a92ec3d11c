"""Overlap by n-grams, whole questions, and near-duplicates."""

import gzip
import json
import random
import re
import time
from pathlib import Path

import pytest

from thinkscale.curation.duplicates import duplicates
from thinkscale.curation.ngrams import Document, Hit, build_index, find_hits, shared_span, whole_key


def documents(*texts: str, name: str = "d") -> list[Document]:
    return [Document(id=f"{name}{i}", text=text) for i, text in enumerate(texts)]


def hits(indexed: list[str], asked: list[str], n: int = 3) -> list[Hit]:
    return list(find_hits(build_index(documents(*indexed, name="b"), n), documents(*asked, name="q")))


def test_one_shared_ngram_is_a_hit_with_the_words_that_match() -> None:
    found = hits(["find the sum of all primes below ten"], ["Now FIND the\nsum of cubes"])
    assert found == [Hit(id="q0", against_id="b0", reason="ngram_overlap", span="find the sum of")]


def test_words_that_do_not_stand_together_are_no_hit() -> None:
    assert hits(["find the sum of all primes"], ["find sum the of primes all", "the find", ""]) == []


def test_ngrams_do_not_cross_from_one_text_into_the_next() -> None:
    assert hits(["a b", "c d"], ["a b c d"]) == []
    assert hits(["a b c d"], ["x a b", "c d y"]) == []


def test_a_short_text_is_hit_only_as_a_whole() -> None:
    found = hits(["What is $2+3$?", "what is this"], ["What is 2 + 3", "What is 2 - 3", "What is"], n=8)
    assert [(hit.id, hit.against_id, hit.reason, hit.span) for hit in found] == [
        ("q0", "b0", "whole_question", "what is 2 + 3")
    ]


def test_a_pair_is_one_hit_and_the_whole_question_comes_before_the_overlap() -> None:
    found = hits(["one two three four", "two three four five"], ["One, two three four"])
    assert [(hit.against_id, hit.reason) for hit in found] == [("b0", "whole_question"), ("b1", "ngram_overlap")]


@pytest.mark.parametrize(
    ("left", "right", "same"),
    [
        ("Find $x$.", "find X", True),
        ("a two-digit number", "A two digit number", True),
        (r"\frac{1}{2}", r"$\frac {1}{2}$", True),
        ("**Bold** text!", "bold text", True),
        ("x^2", "x^{2}", True),
        ("x + 1", "x - 1", False),
        ("x > 0", "x < 0", False),
        ("1.5", "15", False),
        ("1/2", "12", False),
        ("-60", "60", False),
        ("5!", "5", False),
        ("arcsin (-1)", "arcsin 1", False),
    ],
)
def test_whole_keys_ignore_case_spacing_and_punctuation_but_no_signs(left: str, right: str, same: bool) -> None:
    assert (whole_key(left) == whole_key(right)) is same


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_hits_are_those_of_a_plain_search(n: int) -> None:
    generator = random.Random(n)
    texts = [
        " ".join(generator.choices("abcd" if n > 2 else "abcdefghijkl", k=generator.randrange(25))) for _ in range(60)
    ]
    asked, indexed = texts[:30], texts[30:]

    def grams(text: str) -> set[tuple[str, ...]]:
        words = text.split()
        return {tuple(words[i : i + n]) for i in range(len(words) - n + 1)}

    expected = {
        (f"q{i}", f"b{j}")
        for i, left in enumerate(asked)
        for j, right in enumerate(indexed)
        if grams(left) & grams(right) or (whole_key(left) and whole_key(left) == whole_key(right))
    }
    found = hits(indexed, asked, n)
    assert {(hit.id, hit.against_id) for hit in found} == expected
    assert len(found) == len(expected)
    assert all(hit.span and hit.span in f" {asked[int(hit.id[1:])]} " for hit in found)


def test_the_span_is_the_longest_run_that_both_have() -> None:
    assert shared_span("a b c x d e f g y", "d e f g z a b c", 3) == "d e f g"
    assert shared_span("a b c", "c b a", 2) == ""


def test_an_empty_index_has_no_hits() -> None:
    assert hits([], ["any text at all"]) == []
    assert hits(["some text"], []) == []


BASE = "a train leaves the old station at noon and travels north for three hours at a constant speed"


def test_duplicates_keep_the_first_row_and_name_it_with_the_span() -> None:
    near = BASE.replace("noon", "noon") + " of sixty miles"
    (cluster,) = duplicates(documents(BASE, "something else entirely", near, BASE.upper() + "!"))
    assert cluster.kept_id == "d0"
    assert [(row.id, row.kept_id, row.reason) for row in cluster.dropped] == [
        ("d2", "d0", "ngram_overlap"),
        ("d3", "d0", "whole_question"),
    ]
    assert cluster.dropped[0].span == BASE
    assert cluster.dropped[0].containment == 1.0


def test_texts_below_the_threshold_are_both_kept() -> None:
    other = "a train leaves the old station at noon and " + " ".join(f"w{i}" for i in range(20))
    assert duplicates(documents(BASE, other), threshold=0.5) == []
    assert [cluster.kept_id for cluster in duplicates(documents(BASE, other), threshold=0.1)] == ["d0"]


def test_a_row_is_dropped_only_for_a_row_that_is_kept() -> None:
    words = [f"w{i}" for i in range(60)]
    first, second, third = (" ".join(words[start : start + 30]) for start in (0, 10, 20))
    (cluster,) = duplicates(documents(first, second, third), threshold=0.5)
    assert (cluster.kept_id, [row.id for row in cluster.dropped]) == ("d0", ["d1"])


def test_a_copy_of_a_dropped_row_names_the_kept_row() -> None:
    near = BASE + " of sixty miles"
    (cluster,) = duplicates(documents(BASE, near, near))
    assert [(row.id, row.kept_id, row.reason) for row in cluster.dropped] == [
        ("d1", "d0", "ngram_overlap"),
        ("d2", "d0", "ngram_overlap"),
    ]


def test_a_phrase_of_many_rows_is_no_evidence() -> None:
    phrase = "find m plus n where m and n are relatively prime positive integers"
    rows = documents(*(" ".join(f"q{i}x{j}" for j in range(7)) + " " + phrase for i in range(101)))
    assert duplicates(rows[:3], threshold=0.3) != []
    assert duplicates(rows, threshold=0.3) == []


def test_a_threshold_outside_its_range_is_refused() -> None:
    with pytest.raises(ValueError, match="threshold"):
        duplicates([], threshold=0)


def alphanumeric(text: str) -> str:
    return re.sub(r"[^a-z0-9]", "", text.lower())


def test_known_overlaps_of_pools_and_benchmarks_are_found(data_folder: Path) -> None:
    def read(path: Path, field: str) -> list[Document]:
        lines = (gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()).splitlines()
        return [Document(id=f"{path.name}/{i}", text=json.loads(line)[field]) for i, line in enumerate(lines)]

    folder = data_folder / "benchmarks"
    benchmarks = [row for name in ("math500", "aime24", "amc23") for row in read(folder / f"{name}.jsonl", "problem")]
    benchmarks += read(folder / "olympiadbench_oe_en.jsonl.gz", "question")
    names = ("math_train", "deepscaler_difficulty", "dapo_math_17k", "aime_1983_2023")
    pool = [row for name in names for row in read(data_folder / f"pool/{name}.jsonl.gz", "problem")]
    start = time.process_time()
    found = {(hit.id, hit.against_id) for hit in find_hits(build_index(benchmarks), pool)}
    seconds = time.process_time() - start
    by_key: dict[str, list[str]] = {}
    for row in benchmarks:
        by_key.setdefault(alphanumeric(row.text), []).append(row.id)
    known = {(row.id, other) for row in pool for other in by_key.get(alphanumeric(row.text), [])}
    print(f"\n{len(pool)} questions against {len(benchmarks)}: {seconds:.1f} s; {len(found)} hits, {len(known)} known")
    assert len(known) >= 40
    assert known <= found
    assert seconds < 60
