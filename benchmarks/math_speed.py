"""Grades a second on real outputs, ours and math-verify's on the same rows in the same run, one core each in turn.

python benchmarks/math_speed.py --rows 2000 --out benchmarks/math_speed.json

Rows are a random sample of 20,526 real outputs. They are cut into chunks; for each chunk ours and math-verify's grader
run one after the other, so that a busy machine slows both alike. math-verify has one warm process for a chunk, and its
time is that of parse and verify alone, taken within that process. Ours is timed from outside, with its worker where
it needs one. Time is CPU time of the process that does the work; the worker's is added to ours.
"""

import argparse
import json
import os
import random
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from math_cases import OUTPUTS, Ours, rows

from thinkscale.grading.execution import Limits
from thinkscale.records import Verdict
from thinkscale.verification.peers import PeerGraders
from thinkscale.verification.symbolic.grader import SymbolicGrader

CHUNK = 100
PEER_LIMITS = Limits(cpu_seconds=600, wall_seconds=1_800, memory_bytes=4 << 30)
SEED = 3

Row = tuple[str, str, bool]


def sample(size: int) -> list[Row]:
    """Text, reference and recorded score of rows of mathematics, drawn at random."""
    found = [
        (str(row["response"] or ""), str(row["gt"]), bool(row["score"]))
        for row in rows(OUTPUTS)
        if row["bench"] not in ("aqua", "sat_math") and str(row["gt"]).strip()
    ]
    return random.Random(SEED).sample(found, min(size, len(found)))


def our_seconds(ours: Ours, symbolic: SymbolicGrader, chunk: Sequence[Row]) -> list[tuple[Verdict, float]]:
    """Verdict and CPU seconds of each row, the worker's included."""
    found = []
    for text, reference, _ in chunk:
        before, worker_before = time.process_time(), symbolic.cpu_seconds
        judgement = ours.text(text, reference).final
        found.append((judgement.verdict, time.process_time() - before + symbolic.cpu_seconds - worker_before))
    return found


def summary(seconds: Sequence[float], rates: Sequence[float]) -> dict[str, float]:
    """Rows a second (median over chunks, and whole), milliseconds of a row at the median, p99 and worst."""
    ordered = sorted(1000 * value for value in seconds)
    return {
        "rows_per_second_median_of_chunks": round(statistics.median(rates), 1),
        "rows_per_second_whole": round(len(seconds) / sum(seconds), 1),
        "milliseconds_p50": round(statistics.median(ordered), 3),
        "milliseconds_p99": round(ordered[int(0.99 * len(ordered))], 3),
        "milliseconds_worst": round(ordered[-1], 3),
    }


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(description="grades a second, ours and math-verify's")
    parser.add_argument("--rows", type=int, default=2_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    drawn = sample(options.rows)
    chunks = [drawn[start : start + CHUNK] for start in range(0, len(drawn), CHUNK)]
    ours_rates, theirs_rates, ratios, wall_ratios = [], [], [], []
    ours_all: list[float] = []
    theirs_all: list[float] = []
    agreed = {"ours": 0, "ours_decided": 0, "math_verify": 0}
    with SymbolicGrader() as symbolic, PeerGraders() as peers:
        ours = Ours(symbolic)
        symbolic.compare(r"\sin x", r"\cos x")  # starts the worker, which a run does once
        peers.judge("math_verify", r"\boxed{1}", "1")
        for round_number in range(options.rounds):
            for chunk in chunks:
                started = time.perf_counter()
                mine = our_seconds(ours, symbolic, chunk)
                half = time.perf_counter()
                theirs = peers.judge_many("math_verify", [(text, gold) for text, gold, _ in chunk], PEER_LIMITS)
                if theirs is None:
                    raise SystemExit("math-verify met the limit of a whole chunk")
                wall_ratios.append((time.perf_counter() - half) / (half - started))
                my_seconds, their_seconds = sum(s for _, s in mine), sum(s for _, s in theirs)
                ours_rates.append(len(chunk) / my_seconds)
                theirs_rates.append(len(chunk) / their_seconds)
                ratios.append(their_seconds / my_seconds)
                ours_all += [s for _, s in mine]
                theirs_all += [s for _, s in theirs]
                if round_number == 0:
                    pairs = list(zip(chunk, mine, theirs, strict=True))
                    agreed["ours"] += sum((verdict is Verdict.CORRECT) == row[2] for row, (verdict, _), _ in pairs)
                    agreed["ours_decided"] += sum(verdict is not Verdict.UNGRADABLE for _, (verdict, _), _ in pairs)
                    agreed["math_verify"] += sum(equal == row[2] for row, _, (equal, _) in pairs)
    found = {
        "rows": len(drawn),
        "rounds": options.rounds,
        "cores": os.cpu_count(),
        "seed": SEED,
        "ours": summary(ours_all, ours_rates),
        "math_verify": summary(theirs_all, theirs_rates),
        "ratio_median_of_chunks": round(statistics.median(ratios), 1),
        "ratio_of_wall_time_median_of_chunks": round(statistics.median(wall_ratios), 1),
        "ratio_whole": round(sum(theirs_all) / sum(ours_all), 1),
        "ratio_least_chunk": round(min(ratios), 1),
        "agreement_with_the_recorded_score": {
            "ours_percent": round(100 * agreed["ours"] / len(drawn), 2),
            "ours_decided_percent": round(100 * agreed["ours_decided"] / len(drawn), 2),
            "math_verify_percent": round(100 * agreed["math_verify"] / len(drawn), 2),
        },
        "rows_that_needed_symbols": (symbolic.num_asked - 1) // options.rounds,
    }
    options.out.write_text(json.dumps(found, indent=2) + "\n")
    sys.stdout.write(options.out.read_text())


if __name__ == "__main__":
    main()
