"""50 real samples a problem: classes agree with verdicts that they have not seen, and curves with brute force."""

import gzip
import json
import random
from collections import Counter
from itertools import combinations, islice
from pathlib import Path
from statistics import fmean

import pytest

from thinkscale.grading.answers import extract_answer
from thinkscale.grading.classes import answer_classes, differing
from thinkscale.grading.math.comparison import compare
from thinkscale.grading.math.values import EQUAL
from thinkscale.statistics.parallel import Sample, majority_values, pass_values

FILE = Path("outputs") / "llama3b_aime24_amc23_kcompletions.jsonl.gz"
RUN, ROWS = "step_400/amc23", 2000


@pytest.fixture(scope="module")
def pools(data_folder: Path) -> list[list[Sample]]:
    """The AMC problems, each answer compared with the reference by the rules alone."""
    found: dict[str, list[tuple[str | None, bool]]] = {}
    with gzip.open(data_folder / FILE, "rt", encoding="utf-8") as lines:
        rows = (row for row in map(json.loads, lines) if row["run"] == RUN)
        for row in islice(rows, ROWS):
            answer = extract_answer(row["response"])
            text = answer.text if answer else None
            is_right = text is not None and compare(text, row["gold"]).outcome is EQUAL
            found.setdefault(row["question"], []).append((text, is_right))
    made = []
    for pool in found.values():
        names = answer_classes([text for text, _ in pool])
        made.append(
            [Sample(answer=name, correct=right, rewards={}) for name, (_, right) in zip(names, pool, strict=True)]
        )
    return made


def test_equal_answers_have_equal_verdicts_and_right_ones_are_one_class(pools: list[list[Sample]]) -> None:
    assert len(pools) == 40
    assert {len(pool) for pool in pools} == {50}
    right = sum(item.correct for pool in pools for item in pool)
    assert 270 < right < 310, "their grader counts 288"
    for pool in pools:
        assert differing([item.answer for item in pool], [item.correct for item in pool]) == 0
        assert len({item.answer for item in pool if item.correct}) <= 1


def test_curves_of_cut_pools_are_the_means_over_all_subsets(pools: list[list[Sample]]) -> None:
    rng = random.Random(7)
    for pool in pools[:12]:
        cut = rng.sample(pool, 8)
        majority, passed = majority_values(cut), pass_values(cut)
        for k in range(1, 9):
            subsets = list(combinations(cut, k))
            assert majority[k - 1] == pytest.approx(fmean(map(_credit, subsets)), abs=1e-12)
            assert passed[k - 1] == pytest.approx(fmean(float(any(s.correct for s in drawn)) for drawn in subsets))


def _credit(drawn: tuple[Sample, ...]) -> float:
    votes = Counter(item.answer for item in drawn if item.answer is not None)
    tied = [name for name, count in votes.items() if count == max(votes.values())]
    right = {item.answer for item in drawn if item.correct}
    return sum(name in right for name in tied) / len(tied) if tied else 0.0
