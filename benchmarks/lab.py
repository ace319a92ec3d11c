"""Runs the lab from nothing, and writes down what the README states of it.

    python benchmarks/lab.py --out benchmarks/lab.json [--run DIR] [--seed 42]

Wall time and peak memory of the whole process, seconds of each stage, accuracy at the smallest and largest budget
of each benchmark, the effect of forcing Wait, base against student, and what sharing prefixes saved.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from thinkscale.config import Recipe
from thinkscale.records import Cell
from thinkscale.reporting.analysis import Comparison, analyse
from thinkscale.reporting.data import SweepSaving
from thinkscale.settings import load_settings
from thinkscale.stages.report import gather
from thinkscale.store.run import RunDirectory


def run_lab(folder: Path, seed: int) -> dict[str, float]:
    """The command as a user types it; wall seconds, CPU seconds and peak resident memory."""
    command = [
        str(Path(sys.executable).with_name("thinkscale")),
        "run",
        "lab",
        "--out",
        str(folder),
        "--set",
        f"seed={seed}",
    ]
    started = time.perf_counter()
    subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seed": seed,
        "wall_seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1),
        "peak_memory_gib": round(usage.ru_maxrss / 2**20, 2),
    }


def stage_seconds(folder: Path) -> dict[str, float]:
    """Seconds from the begin to the end of each stage."""
    with RunDirectory.read(folder) as run:
        stages = run.journal.stages()
    return {item.name: round(item.finished - item.started, 1) for item in stages if item.finished is not None}


def _comparison(item: Comparison) -> dict[str, object]:
    paired = item.paired
    return {
        "benchmark": item.first.benchmark,
        "from": _cell(item.first),
        "to": _cell(item.second),
        "difference_points": round(100 * paired.difference, 1),
        "interval_points": [round(100 * paired.low, 1), round(100 * paired.high, 1)],
    }


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "model": cell.model,
        "budget_tokens": cell.budget_tokens,
        "waits": cell.waits,
        "accuracy_percent": round(100 * cell.accuracy, 1),
        "mean_thinking_tokens": round(cell.mean_thinking_tokens, 1),
    }


def _saving(item: SweepSaving) -> dict[str, object]:
    return {
        "benchmark": item.benchmark,
        "model": item.model,
        "separate_tokens": item.thinking_tokens_separate,
        "generated_tokens": item.thinking_tokens_generated,
        "saving": round(item.thinking_tokens_separate / item.thinking_tokens_generated, 2),
    }


def results(folder: Path) -> dict[str, object]:
    """Every figure, read from the run."""
    with RunDirectory.read(folder) as run:
        recipe = load_settings(Recipe, run.recipe_yaml).value
        data = gather(run, recipe)
    found = analyse(data)
    return {
        "stage_seconds": stage_seconds(folder),
        "truncation": [_comparison(item) for item in found.spans.items],
        "waits": [_comparison(item) for item in found.wait_effects.items],
        "base_to_student": [_comparison(item) for item in found.versus_base.items],
        "savings": [_saving(item) for item in data.savings],
    }


def main() -> None:
    """Runs and writes."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--run", type=Path, help="keep the run here; a temporary folder if not given")
    parser.add_argument("--seed", type=int, default=42, help="of problems, teacher, training and sampling")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.run or Path(temporary) / "lab"
        measured = run_lab(folder, options.seed)
        options.out.write_text(json.dumps({**measured, **results(folder)}, indent=2) + "\n")
    sys.stdout.write(options.out.read_text())


if __name__ == "__main__":
    main()
