"""Majority@k and pass@k on real pools: 50 samples of a 3B model at two steps of its training, on AIME24 and AMC23.

python benchmarks/parallel.py --out benchmarks/parallel.json [--symbolic]

The responses are graded by our verifier; the grader that came with them stands beside it. Classes of equal answers are
made without the reference, and then held against the verdicts: members of one class that were graded differently, and
right answers that fell into several classes, are mistakes of the classes (or of the grader). `--symbolic` measures what
the symbolic tier would add to the classes, which takes half a minute. The exact curves are compared with brute force
over all subsets of cut-down pools, and with what the first k samples alone would have said.
"""

import argparse
import gzip
import json
import os
import random
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import Any

from thinkscale.grading.classes import Decide, answer_classes, differing, never
from thinkscale.grading.math.values import EQUAL
from thinkscale.records import Finish, Problem, Response, Role, Sampling, Verdict
from thinkscale.statistics.parallel import Sample, curve_of, majority_values, pass_values, values_of
from thinkscale.thinking.formats import recognised_format, split_text
from thinkscale.verification.symbolic.grader import SymbolicGrader
from thinkscale.verification.verifier import Verifier, VerifierSettings

HERE = Path(__file__).resolve().parent
FILE = Path("outputs") / "llama3b_aime24_amc23_kcompletions.jsonl.gz"
SHOWN_KS = (1, 2, 4, 8, 16, 32, 50)
CHECKED_SAMPLES = 9
"""Samples of a pool that is checked by brute force: its largest k has 126 subsets."""
PREFIX_ORDERS = 200


@dataclass(frozen=True, slots=True)
class Graded:
    """One sample with two verdicts."""

    verdict: Verdict
    extracted: str | None
    their_score: int


Pools = dict[str, dict[str, list[Graded]]]
"""By run and question."""


def graded(data: Path) -> Pools:
    """Every response, graded by the rules and the symbolic tier."""
    pools: Pools = {}
    sampling = Sampling(max_tokens=1)
    with gzip.open(data / FILE, "rt", encoding="utf-8") as lines, Verifier(VerifierSettings()) as verifier:
        for line in lines:
            row = json.loads(line)
            parts = split_text(row["response"], recognised_format(row["response"]))
            problem = Problem(id="p", source="s", question=row["question"], reference=row["gold"])
            response = Response(
                key="k", role=Role.EVALUATION, problem_id="p", model="m", sample=row["sample"],
                thinking=parts.thinking, answer_text=parts.answer, thinking_tokens=0, answer_tokens=0,
                finish=Finish.END, sampling=sampling,
            )  # fmt: skip
            grade = verifier.grade(problem, response)
            pools.setdefault(row["run"], {}).setdefault(row["question"], []).append(
                Graded(grade.verdict, grade.extracted, int(row["score"]))
            )
    return pools


def classed(pool: Sequence[Graded], decide: Decide = never) -> list[Sample]:
    """The pool as a vote sees it."""
    names = answer_classes([item.extracted for item in pool], decide=decide)
    return [
        Sample(answer=name, correct=item.verdict is Verdict.CORRECT, rewards={})
        for name, item in zip(names, pool, strict=True)
    ]


def curves(pools: Sequence[Sequence[Sample]]) -> dict[str, Any]:
    """Majority and pass for every k, and what the first k samples say in random orders of the pool."""
    found: dict[str, Any] = {}
    for name, values in (("majority", majority_values), ("pass", pass_values)):
        points = curve_of(values_of(pools, values))
        found[name] = [[round(value, 5) for value in (item.accuracy, item.low, item.high)] for item in points]
    found["majority_of_first_k"] = {str(k): first_k(pools, k) for k in SHOWN_KS}
    return found


def first_k(pools: Sequence[Sequence[Sample]], k: int) -> list[float]:
    """Least and greatest accuracy of the majority of the first k samples, over PREFIX_ORDERS orders of the samples."""
    rng = random.Random(k)
    found = [fmean(credit(rng.sample(list(pool), k)) for pool in pools) for _ in range(PREFIX_ORDERS)]
    return [round(min(found), 5), round(max(found), 5)]


def credit(drawn: Sequence[Sample]) -> float:
    """What one draw of samples earns by vote, ties split."""
    votes = Counter(item.answer for item in drawn if item.answer is not None)
    if not votes:
        return 0.0
    tied = [answer for answer, count in votes.items() if count == max(votes.values())]
    worth = [fmean(item.correct for item in drawn if item.answer == answer) for answer in tied]
    return fmean(worth)


def brute_force(pools: Sequence[Sequence[Sample]]) -> dict[str, Any]:
    """The largest difference between the curves and the mean over all subsets, on pools of CHECKED_SAMPLES samples."""
    rng = random.Random(0)
    worst, num_subsets = 0.0, 0
    for pool in pools:
        cut = rng.sample(list(pool), CHECKED_SAMPLES)
        for k in range(1, CHECKED_SAMPLES + 1):
            subsets = list(combinations(cut, k))
            num_subsets += len(subsets)
            majority = fmean(map(credit, subsets))
            passed = fmean(float(any(item.correct for item in drawn)) for drawn in subsets)
            worst = max(worst, abs(majority - majority_values(cut)[k - 1]), abs(passed - pass_values(cut)[k - 1]))
    return {"pools": len(pools), "subsets": num_subsets, "largest_difference": worst}


def class_quality(pools: Sequence[Sequence[Graded]], decide: Decide = never) -> dict[str, Any]:
    """How the classes compare with the verdicts, which they have not seen."""
    started = time.process_time()
    found = [classed(pool, decide) for pool in pools]
    seconds = time.process_time() - started
    right = [{item.answer for item in pool if item.correct} for pool in found]
    return {
        "answers": sum(item.answer is not None for pool in found for item in pool),
        "spellings": sum(len({item.extracted for item in pool} - {None}) for pool in pools),
        "classes": sum(len({item.answer for item in pool} - {None}) for pool in found),
        "members_graded_differently": sum(
            differing([item.answer for item in pool], [item.correct for item in pool]) for pool in found
        ),
        "problems_with_right_answers_in_several_classes": sum(len(names) > 1 for names in right),
        "cpu_seconds": round(seconds, 2),
    }


def with_symbols(pools: Sequence[Sequence[Graded]]) -> dict[str, Any]:
    """The same with the symbolic tier where the rules are undecided."""
    asked: Counter[bool] = Counter()
    with SymbolicGrader() as grader:

        def decide(answer: str, representative: str) -> bool:
            equal = grader.compare(answer, representative).outcome is EQUAL
            asked[equal] += 1
            return equal

        started = time.perf_counter()
        found = class_quality(pools, decide)
        found["wall_seconds"] = round(time.perf_counter() - started, 1)
    return found | {"asked": asked.total(), "found_equal": asked[True]}


def speed() -> dict[str, Any]:
    """CPU seconds of classes and curves for 300 problems with 64 samples."""
    rng = random.Random(1)
    pools = []
    for _ in range(300):
        skill = rng.random()
        right = [rng.random() < skill for _ in range(64)]
        pools.append(
            [
                Graded(
                    Verdict.CORRECT if item else Verdict.WRONG,
                    "7" if item else rng.choice([str(rng.randrange(10, 30)), f"\\frac{{{rng.randrange(1, 9)}}}{{7}}"]),
                    int(item),
                )
                for item in right
            ]
        )
    started = time.process_time()
    found = [classed(pool) for pool in pools]
    classes = time.process_time()
    for values in (majority_values, pass_values):
        curve_of(values_of(found, values))
    ended = time.process_time()
    return {
        "problems": 300,
        "samples": 64,
        "classes_cpu_seconds": round(classes - started, 2),
        "curves_cpu_seconds": round(ended - classes, 2),
    }


def agreement(pools: Pools) -> dict[str, Any]:
    """Our verdicts beside the grader's that came with the responses."""
    pairs = Counter(
        (item.verdict is Verdict.CORRECT, item.their_score == 1)
        for questions in pools.values()
        for pool in questions.values()
        for item in pool
    )
    return {
        "responses": pairs.total(),
        "both_correct": pairs[True, True],
        "ours_alone": pairs[True, False],
        "theirs_alone": pairs[False, True],
    }


def main() -> None:
    """Measures, and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--symbolic", action="store_true", help="also what the symbolic tier adds to the classes")
    options = parser.parse_args()
    data = Path(os.environ.get("THINKSCALE_DATA", HERE.parent.parent / "shared" / "data"))
    pools = graded(data)
    every = [pool for questions in pools.values() for pool in questions.values()]
    result: dict[str, Any] = {
        "agreement": agreement(pools),
        "classes": class_quality(every),
        "brute_force": brute_force([classed(pool) for pool in every]),
        "speed": speed(),
        "runs": {},
    }
    if options.symbolic:
        result["classes_with_symbols"] = with_symbols(every)
    for run, questions in pools.items():
        samples = [classed(pool) for pool in questions.values()]
        theirs = fmean(item.their_score for pool in questions.values() for item in pool)
        result["runs"][run] = {"problems": len(samples), "samples": len(samples[0]), "their_accuracy": round(theirs, 5)}
        result["runs"][run] |= curves(samples)
    text = json.dumps(result, indent=1)
    if options.out:
        options.out.write_text(text + "\n")
    shown = {run: {k: item["majority"][int(k) - 1] for k in map(str, SHOWN_KS)} for run, item in result["runs"].items()}
    sys.stdout.write(
        json.dumps({**{k: v for k, v in result.items() if k != "runs"}, "majority": shown}, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
