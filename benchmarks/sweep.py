"""The sweep against the plain way, a run of its own for each cell, on the lab's trained student: wall time and tokens.

    thinkscale run lab --until train --out /tmp/lab
    python benchmarks/sweep.py --model /tmp/lab/checkpoints/student [--problems 20] [--out benchmarks/sweep.json]

Full grid: 7 budgets (8 to 256, and none) x waits 0, 1, 2, 4, 6 on the lab's three benchmarks, at temperature 0.7 in
float64. The plain way runs a cell after the other, each over all benchmarks in one queue of the same engine, as s1's
commands do; the model stays loaded, which s1's does not. Nothing is graded on either side. Every cell of the sweep is
compared with that of the plain way, token for token.

`lower_limit` is what no way can do without: the longest thinking of each problem, and each distinct answer. Tokens are
those that the model drew; the ends that were drawn and suppressed, or that closed an answer, stand apart.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.config import EvaluateSettings
from thinkscale.engines.local import LocalEngine
from thinkscale.engines.sweep import SweepResult
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.stages.evaluate_cells import sweep_plans, sweep_settings
from thinkscale.stages.evaluate_jobs import EvaluatedModel, Job, jobs_of, run_jobs
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.sweep import TrajectoryPlan, plan_trajectories

BENCHMARKS = ("lab_numeric", "lab_closed", "lab_choice")
BUDGETS = (8, 16, 32, 64, 128, 256)
WAITS = (0, 1, 2, 4, 6)
SEED = 42

Cells = dict[tuple[object, ...], tuple[object, ...]]
"""Benchmark, problem and setting to what the cell read: end, thinking and answer."""


@dataclass
class Taken:
    """What one way took."""

    seconds: float = 0.0
    tokens: int = 0
    tokens_with_ends: int = 0
    requests: int = 0


def settings_of(problems: int) -> EvaluateSettings:
    """The grid."""
    return EvaluateSettings(
        benchmarks=tuple(f"{name}:{problems}" for name in BENCHMARKS),
        methods=("budget_forcing",),
        budgets=BUDGETS,
        waits=WAITS,
        max_thinking_tokens=384,
        max_answer_tokens=24,
        temperature=0.7,
        dtype="float64",
        batch_size=256,
    )


def run(engine: LocalEngine, plans: tuple[TrajectoryPlan, ...], settings: EvaluateSettings, taken: Taken) -> Cells:
    """One run: what each of its cells read."""
    bound = BoundFormat(find_format("s1"), engine.tokenizer)
    benchmarks = [load_benchmark(reference, SEED) for reference in settings.benchmarks]
    jobs = list(jobs_of([EvaluatedModel("student", "", plans)], benchmarks, settings, SEED))
    begun = time.perf_counter()
    results = list(run_jobs(engine, bound, jobs))
    taken.seconds += time.perf_counter() - begun
    read: Cells = {}
    for job, result in results:
        assert result.error is None, result.error
        taken.tokens += drawn(result)
        taken.tokens_with_ends += result.cost.completion_tokens
        taken.requests += result.cost.num_requests
        read |= cells_of(job, result)
    return read


def drawn(result: SweepResult) -> int:
    """Tokens of thinking and answers that the model drew."""
    answers = sum(len(answer.ids) - answer.num_forced for answer in result.answers.values())
    return result.trajectory.generated_tokens + answers


def cells_of(job: Job, result: SweepResult) -> Cells:
    """What each setting read."""
    found: Cells = {}
    for setting in job.plan.settings:
        prefix = result.trajectory.prefix(setting)
        thinking, forced = result.trajectory.thinking(prefix), result.trajectory.forced_within(prefix)
        answer = result.answers[prefix]
        found[job.benchmark, job.problem.id, setting] = (prefix.end, tuple(thinking), forced, answer.ids, answer.finish)
    return found


def lower_limit(engine: LocalEngine, cells: Cells) -> int:
    """The longest thinking of each problem without what was forced, and its distinct answers."""
    num_final = len(BoundFormat(find_format("s1"), engine.tokenizer).encode("Final Answer:"))
    longest: dict[tuple[object, object], int] = {}
    answers: set[tuple[object, ...]] = set()
    total = 0
    for (benchmark, problem, _), (end, thinking, forced, answer, _finish) in cells.items():
        assert isinstance(thinking, tuple)
        assert isinstance(forced, tuple)
        assert isinstance(answer, tuple)
        length = len(thinking) - sum(last - first for first, last in forced)
        longest[benchmark, problem] = max(longest.get((benchmark, problem), 0), length)
        name = (benchmark, problem, end, thinking)
        if name not in answers:
            answers.add(name)
            total += len(answer) - (num_final if str(end) == "cut" else 0)
    return total + sum(longest.values())


def measured(model: str, problems: int) -> dict[str, object]:
    """Both ways, one after the other."""
    engine = LocalEngine(model, dtype="float64", batch_size=256)
    settings = settings_of(problems)
    asked = sweep_settings(settings)
    run(engine, sweep_plans(settings), settings_of(1), Taken())  # warms the engine up
    sweep, plain = Taken(), Taken()
    shared = run(engine, sweep_plans(settings), settings, sweep)
    alone: Cells = {}
    for setting in asked:
        alone |= run(engine, plan_trajectories([setting], settings.max_thinking_tokens), settings, plain)
    least = lower_limit(engine, shared)
    return {
        "grid": {
            "budgets": [*BUDGETS, None],
            "waits": list(WAITS),
            "cells": len(asked),
            "benchmarks": list(BENCHMARKS),
        },
        "problems_a_benchmark": problems,
        "sweep": row(sweep),
        "plain_way": row(plain),
        "times_less_wall": round(plain.seconds / sweep.seconds, 2),
        "times_fewer_tokens": round(plain.tokens / sweep.tokens, 2),
        "lower_limit_tokens": least,
        "tokens_over_lower_limit": round(sweep.tokens / least, 4),
        "cells_and_problems": len(alone),
        "equal_to_a_run_of_their_own": sum(shared[name] == read for name, read in alone.items()),
    }


def row(taken: Taken) -> dict[str, float]:
    """The figures of one way."""
    return {
        "seconds": round(taken.seconds, 2),
        "tokens": taken.tokens,
        "tokens_with_ends": taken.tokens_with_ends,
        "requests": taken.requests,
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Prints and stores the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="the lab's trained student")
    parser.add_argument("--problems", type=int, default=20, help="of each benchmark")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args(arguments)
    found = json.dumps(measured(asked.model, asked.problems), indent=2)
    print(found)
    if asked.out:
        asked.out.write_text(found + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
