"""What curating the real pool takes: 75,154 questions read, filtered, decontaminated, freed of duplicates, sampled.

python benchmarks/curation.py --out benchmarks/curation.json [--runs 5]

The pool and the five benchmarks are those of THINKSCALE_DATA. Every run is a process of its own: wall seconds from its
start to its end, CPU seconds of all its threads, the highest resident memory, and the seconds of each part. Stated are
medians over the runs, and the load of the machine before them.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("THINKSCALE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
POOL = ("math_train", "deepscaler_difficulty", "dapo_math_17k", "gsm8k_train", "aime_1983_2023", "numina_cot_2k")
BENCHMARKS = ("math500.jsonl", "aime24.jsonl", "amc23.jsonl", "olympiadbench_oe_en.jsonl.gz", "mmlu_val.jsonl")
COUNT, SEED = 1_000, 42
COLUMNS = {"numina_cot_2k": {"question": "instruction", "solution": "response"}}
"""Columns that the readers do not know by themselves."""


class Watch:
    """Wall and CPU seconds of parts that follow each other."""

    def __init__(self) -> None:
        self.parts: dict[str, dict[str, float]] = {}
        self._before = time.perf_counter(), time.process_time()

    def lap(self, name: str) -> None:
        """Ends the part `name`."""
        now = time.perf_counter(), time.process_time()
        wall, cpu = (round(later - earlier, 3) for later, earlier in zip(now, self._before, strict=True))
        self.parts[name] = {"wall_seconds": wall, "cpu_seconds": cpu}
        self._before = now


def one_run(rule: str) -> dict[str, Any]:
    """One run in this process."""
    watch = Watch()
    from thinkscale.curation.funnel import decide
    from thinkscale.curation.likeness import Against, Comparing
    from thinkscale.curation.measuring import measure
    from thinkscale.curation.rules import Rules
    from thinkscale.records import Problem
    from thinkscale.sources.files import read_rows
    from thinkscale.sources.problems import parse_problem

    watch.lap("imports")

    def read(folder: str, file: str) -> list[Problem]:
        name = file.partition(".")[0]
        rows = (parse_problem(row.values, name, COLUMNS.get(name, {})) for row in read_rows(DATA / folder / file))
        return [row for row in rows if isinstance(row, Problem)]

    pool = [problem for name in POOL for problem in read("pool", f"{name}.jsonl.gz")]
    against = [
        Against(
            name=file.partition(".")[0],
            ids=tuple(item.id for item in items),
            questions=tuple(item.question for item in items),
            answers=tuple(item.reference for item in items),
        )
        for file in BENCHMARKS
        for items in [read("benchmarks", file)]
    ]
    watch.lap("read")
    measures = measure(pool, against=against, comparing=Comparing(rule=rule))
    watch.lap("measure")
    decisions = decide(measures, Rules(count=COUNT, need=frozenset(), need_correct=False), SEED)
    watch.lap("decide")
    return {
        "questions": len(pool),
        "items": sum(len(item.ids) for item in against),
        "parts": watch.parts,
        "rows_left": {step.name: step.rows_out for step in decisions.steps},
        "cpu_seconds": round(time.process_time(), 2),
        "peak_memory_megabytes": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def parts_of_likeness() -> dict[str, Any]:
    """Seconds of the parts of `measure` that compare texts, by themselves, with the texts at hand."""
    from thinkscale.curation.duplicates import edges, kept
    from thinkscale.curation.overlap import Benchmark, Questions, overlaps
    from thinkscale.curation.words import tokens
    from thinkscale.sources.files import read_rows

    def column(path: Path) -> list[str]:
        rows = (row.values for row in read_rows(path))
        return [str(row.get("problem") or row.get("question") or row.get("instruction")) for row in rows]

    pool = [text for name in POOL for text in column(DATA / "pool" / f"{name}.jsonl.gz")]
    items = [text for file in BENCHMARKS for text in column(DATA / "benchmarks" / file)]
    watch = Watch()
    watch.lap("reading")
    words = tokens(pool)
    watch.lap("words")
    benchmark = Benchmark("all", Questions([str(i) for i in range(len(items))], items, [None] * len(items)))
    overlaps(Questions(pool, pool, [None] * len(pool)), [benchmark], found=words)
    watch.lap("overlaps")
    pairs = edges(words)
    watch.lap("edges")
    kept(pairs, range(len(pool)))
    watch.lap("kept")
    del watch.parts["reading"]
    characters = sum(len(text) for text in pool)
    return {"characters": characters, "words": len(words.hashes), "edges": len(pairs.a), "parts": watch.parts}


def in_a_process(*arguments: str) -> dict[str, Any]:
    """What one run says, with the wall seconds of its whole process."""
    started = time.perf_counter()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
    command = [sys.executable, __file__, *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
    found: dict[str, Any] = json.loads(done.stdout)
    return {**found, "wall_seconds": round(time.perf_counter() - started, 2)}


def median_parts(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The median of each part over the runs."""
    return {
        name: {
            unit: round(statistics.median(run["parts"][name][unit] for run in runs), 3)
            for unit in ("wall_seconds", "cpu_seconds")
        }
        for name in runs[0]["parts"]
    }


def measured(rule: str, num_runs: int) -> dict[str, Any]:
    """Medians over runs of whole selections under a rule."""
    runs = [in_a_process("--child", rule) for _ in range(num_runs)]
    walls = [run["wall_seconds"] for run in runs]
    return {
        "questions": runs[0]["questions"],
        "items": runs[0]["items"],
        "rows_left": runs[0]["rows_left"],
        "wall_seconds_median": statistics.median(walls),
        "wall_seconds": walls,
        "cpu_seconds_median": statistics.median(run["cpu_seconds"] for run in runs),
        "peak_memory_megabytes_max": max(run["peak_memory_megabytes"] for run in runs),
        "parts": median_parts(runs),
    }


def main() -> None:
    """Measures each rule in turn, then the parts alone."""
    parser = argparse.ArgumentParser(description="curation of the real pool")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        found = parts_of_likeness() if options.child == "likeness" else one_run(options.child)
        sys.stdout.write(json.dumps(found))
        return
    likeness = [in_a_process("--child", "likeness") for _ in range(options.runs)]
    alone = {key: value for key, value in likeness[0].items() if key != "wall_seconds"}
    report = {
        "cores": os.cpu_count(),
        "load_before": round(os.getloadavg()[0], 2),
        "default": measured("default", options.runs),
        "s1": measured("s1", options.runs),
        "likeness": {**alone, "parts": median_parts(likeness)},
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.out:
        options.out.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
