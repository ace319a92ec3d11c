"""The overlaps that the README of the real data lists are found; and what a slow reference of s1's rule says of them.

The lists are made here, slowly and apart from the package: lower case, all but a-z and 0-9 dropped, equal or not.
"""

import gzip
import json
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from thinkscale.curation.duplicates import edges, kept
from thinkscale.curation.overlap import Benchmark, Questions, overlaps
from thinkscale.curation.words import DEFAULT, S1, tokens

POOLS = {
    "math_train": "math_train",
    "deepscaler": "deepscaler_difficulty",
    "dapo": "dapo_math_17k",
    "aime_1983_2023": "aime_1983_2023",
}
BENCHMARKS = {
    "math500": "math500.jsonl",
    "aime24": "aime24.jsonl",
    "amc23": "amc23.jsonl",
    "olympiadbench": "olympiadbench_oe_en.jsonl.gz",
}
LISTED = {
    ("math500", "deepscaler"): 7,
    ("math500", "dapo"): 7,
    ("math500", "math_train"): 1,
    ("math500", "aime_1983_2023"): 6,
    ("olympiadbench", "deepscaler"): 1,
    ("olympiadbench", "dapo"): 10,
    ("amc23", "dapo"): 8,
}
ALSO = {("olympiadbench", "math_train"): 2}
"""Exact overlaps that the README does not list."""

SPELT_APART = {
    (("math_train", 1_168), ("math_train", 1_227)),  # \log_8 2 and \log_82
    (("deepscaler", 14_107), ("deepscaler", 21_025)),  # CH I L D R E N and CHILDREN
    (("deepscaler", 24_503), ("dapo", 2_527)),  # \frac 1x and \frac{1}{x}
    (("deepscaler", 3_783), ("dapo", 2_973)),  # \|k\| and ||k||
    (("deepscaler", 19_258), ("dapo", 7_083)),  # 27,000,001 and 27,\,000,\,001
    (("dapo", 12_346), ("dapo", 12_750)),  # PB, PC and P B, P C among Chinese words
}
"""Copies of short questions whose spelling the default rule reads as other words."""

S1_WORDS = 8
Pair = tuple[str, int, str, int]


@dataclass(frozen=True)
class Data:
    """The questions of each file of the pool and of each benchmark."""

    pools: dict[str, list[str]]
    benchmarks: dict[str, list[str]]

    def exact(self) -> set[Pair]:
        """(pool, row, benchmark, row) of the same question."""
        rows = defaultdict(list)
        for name, questions in self.pools.items():
            for row, question in enumerate(questions):
                rows[ascii_key(question)].append((name, row))
        rows.pop("", None)
        return {
            (pool, row, name, item)
            for name, questions in self.benchmarks.items()
            for item, question in enumerate(questions)
            for pool, row in rows.get(ascii_key(question), ())
        }


def ascii_key(text: str) -> str:
    """The text's letters and digits, of ASCII only, in lower case."""
    return re.sub("[^a-z0-9]", "", text.lower())


def signs(text: str) -> str:
    """The signs of a text that change a formula and that the key drops."""
    return re.sub("[^-+<>=]", "", text)


def questions_of(path: Path) -> list[str]:
    """The questions of a file."""
    with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    return [row.get("problem") or row["question"] for row in rows]


@pytest.fixture(scope="module")
def data(data_folder: Path) -> Data:
    """The pool and the benchmarks that the README speaks of."""
    return Data(
        pools={name: questions_of(data_folder / "pool" / f"{file}.jsonl.gz") for name, file in POOLS.items()},
        benchmarks={name: questions_of(data_folder / "benchmarks" / file) for name, file in BENCHMARKS.items()},
    )


@pytest.fixture(scope="module")
def exact(data: Data) -> set[Pair]:
    """The slow reference."""
    return data.exact()


def hits(data: Data, rule: str) -> set[Pair]:
    """What decontamination finds, with rows in place of ids."""
    benchmarks = [Benchmark(name, asked(questions)) for name, questions in data.benchmarks.items()]
    return {
        (pool, hit.row, hit.against, int(hit.against_id))
        for pool, questions in data.pools.items()
        for hit in overlaps(asked(questions), benchmarks, rule)
    }


def asked(questions: Sequence[str]) -> Questions:
    """Questions by their place, without answers."""
    return Questions([str(row) for row in range(len(questions))], questions, [""] * len(questions))


def test_the_reference_counts_what_the_readme_counts(exact: set[Pair]) -> None:
    items = defaultdict(set)
    for pool, _row, benchmark, item in exact:
        items[benchmark, pool].add(item)
    assert {pair: len(found) for pair, found in items.items()} == {**LISTED, **ALSO}


def test_the_reference_counts_the_duplicates_that_the_readme_counts(data: Data) -> None:
    keys = {name: {ascii_key(question) for question in questions} for name, questions in data.pools.items()}
    deepscaler = keys["deepscaler"]
    assert (len(data.pools["deepscaler"]), len(deepscaler)) == (39_808, 38_299)
    # The key of ASCII takes different Chinese questions for one; all four without any letter or digit are one of them.
    assert (len(data.pools["dapo"]), len(keys["dapo"])) == (17_398, 16_054)
    overlap = {name: len(found & deepscaler) for name, found in keys.items()}
    assert overlap == {"math_train": 7_139, "deepscaler": 38_299, "dapo": 2_828, "aime_1983_2023": 975}


def test_by_default_every_exact_overlap_is_a_hit(data: Data, exact: set[Pair]) -> None:
    assert exact - hits(data, DEFAULT) == set()


def test_the_rule_of_s1_hits_what_its_slow_form_hits_and_misses_two_exact_overlaps(
    data: Data, exact: set[Pair]
) -> None:
    found = hits(data, S1)
    owners = defaultdict(set)
    for benchmark, questions in data.benchmarks.items():
        for item, question in enumerate(questions):
            for gram in s1_grams(question):
                owners[gram].add((benchmark, item))
    assert found == {
        (pool, row, benchmark, item)
        for pool, questions in data.pools.items()
        for row, question in enumerate(questions)
        for gram in s1_grams(question)
        for benchmark, item in owners.get(gram, ())
    }
    # Punctuation within $...$ is spaced in one copy and not in the other, which leaves no run of eight equal words.
    assert exact - found == {("dapo", 4_364, "olympiadbench", 394), ("dapo", 5_675, "math500", 292)}


def s1_grams(text: str) -> set[tuple[str, ...]]:
    """Runs of eight words of the lower-cased text cut at white space."""
    words = text.lower().split()
    return {tuple(words[start : start + S1_WORDS]) for start in range(len(words) - S1_WORDS + 1)}


def test_every_item_with_a_sentence_behind_it_is_a_hit_but_two_of_two_words(data: Data) -> None:
    # Ten items share a set-up of 160 to 210 words with more than five others: that is no boilerplate.
    copies = Data(
        pools={
            name: [f"{question} It is the seventh question of the second sheet." for question in questions]
            for name, questions in data.benchmarks.items()
        },
        benchmarks=data.benchmarks,
    )
    found = hits(copies, DEFAULT)
    missed = {(name, row) for name, rows in copies.pools.items() for row in range(len(rows))}
    missed -= {(pool, row) for pool, row, benchmark, item in found if (pool, row) == (benchmark, item)}
    assert len(copies.benchmarks["olympiadbench"]) == 675
    assert missed <= {("math500", 31), ("math500", 161)}


def test_of_13_583_exact_copies_within_the_pool_all_but_six_are_dropped_unless_a_sign_differs(data: Data) -> None:
    places = [(pool, row) for pool, questions in data.pools.items() for row in range(len(questions))]
    texts = [question for questions in data.pools.values() for question in questions]
    dropped = {repeat.row for repeat in kept(edges(tokens(texts)), np.arange(len(texts)))}
    firsts: dict[str, int] = {}
    copies = []
    for row, text in enumerate(texts):
        # Letters and digits of every script: the ASCII key takes Chinese questions for one another.
        key = "".join(character for character in text.lower() if character.isalnum())
        if firsts.setdefault(key, row) != row:
            copies.append((firsts[key], row))
    left = [(first, row) for first, row in copies if row not in dropped]
    # A copy with another sign is another problem: sin 60 and sin(-60).
    same_signs = {(places[first], places[row]) for first, row in left if signs(texts[first]) == signs(texts[row])}
    assert len(copies) == 13_583
    assert same_signs - SPELT_APART == set()
    assert (("math_train", 2_617), ("math_train", 3_199)) in {(places[first], places[row]) for first, row in left}
