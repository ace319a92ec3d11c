"""Accuracies of real outputs by our graders and by the one that graded them, with what the difference is worth.

python benchmarks/metrics_real.py --out benchmarks/metrics_real.json

20,526 outputs of Qwen2.5-3B-Instruct and a fine-tune of it on 13 benchmarks (THINKSCALE_DATA, outputs/), one a problem,
each with the score of the grader of its authors. For each model and benchmark: accuracy with its 95% interval by both,
the paired difference on the same responses; then the two models against each other on all benchmarks as one family, by
either grader. Last, the time that `thinkscale regrade` takes for 10,000 of the responses as a stored run.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from math_cases import CHOICE_BENCHES, OUTPUTS, rows

from thinkscale.commands.regrade import DEFAULT_GRADERS, RegradeOptions, regrade
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Role, Sampling, Score, Verdict
from thinkscale.statistics import Contrast, clustered_wilson, compare_family, paired_difference
from thinkscale.statistics.agreement import pairwise_agreement
from thinkscale.store.tables import write_table
from thinkscale.verification.panel import Submission, opinions
from thinkscale.verification.verifier import GRADER, VerifierSettings

THEIRS = "recorded"
GRADERS = (GRADER, "s1", "lm_eval", THEIRS)
BASE, TUNED = "Qwen2.5-3B-Instruct", "Qwen-2.5-3B-rlft(reasoning-gym)"
STORED_RESPONSES = 10_000


@dataclass(frozen=True, slots=True)
class Graded:
    """One output: what it is an output of, and each grader's verdict."""

    model: str
    benchmark: str
    problem_id: str
    verdicts: tuple[Verdict, ...]

    def correct(self, grader: str) -> float:
        """1 for correct, else 0."""
        return float(self.verdicts[GRADERS.index(grader)] is Verdict.CORRECT)


def submission(row: dict[str, Any]) -> Submission:
    """A row of the file as a problem and a response."""
    kind = Kind.CHOICE if row["bench"] in CHOICE_BENCHES else Kind.MATH
    problem_id = f"{row['bench']}-{row['idx']}"
    reference = row["gt"]
    problem = Problem(
        id=problem_id, source=row["bench"], question=row["question"], reference=reference, kind=kind,
        choices=tuple("ABCDE") if kind is Kind.CHOICE else (),
    )  # fmt: skip
    response = Response(
        key=f"{row['model']}-{problem_id}", role=Role.EVALUATION, problem_id=problem_id, model=row["model"], sample=0,
        thinking="", answer_text=row["response"], thinking_tokens=0, answer_tokens=0, finish=Finish.END,
        sampling=Sampling(max_tokens=0),
    )  # fmt: skip
    recorded = Verdict.CORRECT if row["score"] else Verdict.WRONG
    return Submission(problem=problem, response=response, text=row["response"], recorded=recorded)


def graded(submissions: Sequence[Submission], workers: int) -> list[Graded]:
    """Every output with the verdicts of GRADERS."""
    found = opinions(submissions, GRADERS, VerifierSettings(), workers)
    return [
        Graded(
            item.response.model,
            item.problem.source,
            item.problem.id,
            tuple(judgement.verdict for judgement in said.judgements),
        )
        for item, said in zip(submissions, found, strict=True)
    ]


def outcomes(rows_: Iterable[Graded], grader: str) -> dict[str, list[float]]:
    """By problem."""
    return {row.problem_id: [row.correct(grader)] for row in rows_}


def group(rows_: list[Graded]) -> dict[str, Any]:
    """One model on one benchmark: both accuracies, the difference, and what verdicts ours has."""
    made: dict[str, Any] = {"model": rows_[0].model, "benchmark": rows_[0].benchmark, "problems": len(rows_)}
    for grader in GRADERS:
        estimate = clustered_wilson(outcomes(rows_, grader))
        made[grader] = [percent(value) for value in (estimate.value, estimate.low, estimate.high)]
    paired = paired_difference(outcomes(rows_, THEIRS), outcomes(rows_, GRADER))
    made["verifier minus recorded"] = {
        "points": percent(paired.difference), "low": percent(paired.low), "high": percent(paired.high),
        "gained": paired.gained, "lost": paired.lost, "p": round(paired.p_value, 4),
    }  # fmt: skip
    ours = [row.verdicts[0] for row in rows_]
    made["verifier's verdicts"] = {verdict.value: ours.count(verdict) for verdict in Verdict if verdict in ours}
    return made


def families(groups: dict[tuple[str, str], list[Graded]]) -> list[dict[str, Any]]:
    """The fine-tune against its base: one family of all benchmarks for each grader."""
    benchmarks = dict.fromkeys(benchmark for _, benchmark in groups)
    made = []
    for grader in (GRADER, THEIRS):
        contrasts = [
            Contrast(
                name=name,
                benchmark=name,
                first=outcomes(groups[BASE, name], grader),
                second=outcomes(groups[TUNED, name], grader),
            )
            for name in benchmarks
        ]
        family = compare_family("the fine-tune against its base", contrasts)
        detectable = {item.benchmark: item for item in family.detectable}
        for item in family.comparisons:
            made.append(
                {
                    "grader": grader, "benchmark": item.benchmark, "problems": item.paired.num_problems,
                    "detectable": percent(detectable[item.benchmark].observed),
                    "points": percent(item.paired.difference),
                    "corrected interval": [percent(item.low_simultaneous), percent(item.high_simultaneous)],
                    "p": round(item.paired.p_value, 5), "holm": round(item.p_holm, 5),
                    "beyond noise": item.beyond_noise,
                }
            )  # fmt: skip
    return made


def percent(value: float | None) -> float | None:
    """A fraction in percent, to a hundredth."""
    return None if value is None else round(100 * value, 2)


def regrading(submissions: Sequence[Submission], verdicts: Sequence[Graded]) -> dict[str, Any]:
    """Seconds of `regrade` for a stored run of STORED_RESPONSES responses, reading and intervals included."""
    chosen = [item for item in submissions if item.response.model == BASE][:STORED_RESPONSES]
    by_key = {f"{row.model}-{row.problem_id}": row for row in verdicts}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_table(folder / "problems.parquet", Problem, [item.problem for item in chosen])
        write_table(folder / "responses.parquet", Response, [item.response for item in chosen])
        theirs = [by_key[item.response.key].verdicts[GRADERS.index(THEIRS)] for item in chosen]
        write_table(
            folder / "grades.parquet",
            Grade,
            [
                Grade(response_key=item.response.key, problem_id=item.problem.id, grader="theirs", verdict=verdict)
                for item, verdict in zip(chosen, theirs, strict=True)
            ],
        )
        write_table(folder / "scores.parquet", Score, [_score(*pair) for pair in zip(chosen, theirs, strict=True)])
        before = os.times()
        done = regrade(folder, RegradeOptions(graders=DEFAULT_GRADERS))
        after = os.times()
    return {
        "responses": len(chosen),
        "graders": list(DEFAULT_GRADERS),
        "seconds of grading": round(done.seconds, 2),
        "seconds in all": round(after.elapsed - before.elapsed, 2),
        "seconds of CPU in all": round(sum(after[:4]) - sum(before[:4]), 2),
    }


def _score(item: Submission, verdict: Verdict) -> Score:
    return Score(
        benchmark=item.problem.source, model=BASE, method="direct", budget_tokens=None, waits=0, variant="",
        problem_id=item.problem.id, sample=0, response_key=item.response.key, verdict=verdict, thinking_tokens=0,
    )  # fmt: skip


def main() -> None:
    """Writes the numbers."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", type=int, default=1)
    arguments = parser.parse_args()
    submissions = [submission(row) for row in rows(OUTPUTS)]
    started = time.perf_counter()
    found = graded(submissions, arguments.workers)
    seconds = time.perf_counter() - started
    groups: dict[tuple[str, str], list[Graded]] = {}
    for row in found:
        groups.setdefault((row.model, row.benchmark), []).append(row)
    patterns: dict[tuple[Verdict, ...], int] = {}
    for row in found:
        patterns[row.verdicts] = patterns.get(row.verdicts, 0) + 1
    result = {
        "responses": len(found),
        "graders": list(GRADERS),
        "seconds of grading": round(seconds, 1),
        "by model and benchmark (percent: value, low, high)": [group(members) for members in groups.values()],
        "fine-tune against base": families(groups),
        "agreement": [
            {
                "pair": [pair.first, pair.second],
                "equal verdicts": percent(pair.agreement.value),
                "kappa": None if pair.kappa.value is None else round(pair.kappa.value, 4),
            }
            for pair in pairwise_agreement(GRADERS, patterns)
        ],
        "regrade": regrading(submissions, found),
    }
    arguments.out.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    sys.stderr.write(f"{len(found):,} responses in {seconds:.1f} s, regrade {result['regrade']}\n")


if __name__ == "__main__":
    main()
