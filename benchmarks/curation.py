"""What curating the real pool takes: 75,154 questions read, filtered, decontaminated, freed of duplicates, sampled.

python benchmarks/curation.py --out benchmarks/curation.json [--runs 3]

The pool and the five benchmarks are those of THINKSCALE_DATA. It is what `thinkscale select` does (columns of files,
`measured`, `decide`), but for the writing of files, under both rules, in one process and in two. Every run is a process
of its own: wall seconds from its start to its end, CPU seconds of all its processes and threads, and the highest
resident memory of all its processes together, sampled. Stated are medians over the runs, and the load of the machine
before them.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

DATA = Path(os.environ.get("THINKSCALE_DATA", Path(__file__).resolve().parent.parent.parent / "shared" / "data"))
POOL = ("math_train", "deepscaler_difficulty", "dapo_math_17k", "gsm8k_train", "aime_1983_2023", "numina_cot_2k")
BENCHMARKS = ("math500.jsonl", "aime24.jsonl", "amc23.jsonl", "olympiadbench_oe_en.jsonl.gz", "mmlu_val.jsonl")
COUNT, SEED, MEMORY_MIB = 1_000, 42, 512
COLUMNS = {"numina_cot_2k": {"question": "instruction", "solution": "response"}}
"""Columns that the readers do not know by themselves."""
SAMPLE_SECONDS = 0.02


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


class Memory(threading.Thread):
    """The highest sum of resident sizes of a process and all that it has started."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.peak_kib, self.num_processes, self.ended = pid, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(SAMPLE_SECONDS):
            sizes = [size for pid in family(self.pid) if (size := resident_kib(pid))]
            self.peak_kib, self.num_processes = max(self.peak_kib, sum(sizes)), max(self.num_processes, len(sizes))


def family(pid: int) -> Iterator[int]:
    """A process and all below it."""
    yield pid
    try:
        threads = [Path(task, "children").read_text().split() for task in Path(f"/proc/{pid}/task").iterdir()]
    except OSError:  # it has just ended
        return
    for children in threads:
        for child in children:
            yield from family(int(child))


def resident_kib(pid: int) -> int:
    """What a process has in memory, 0 where it has ended."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (OSError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") // 1024


def one_run(rule: str, workers: str) -> dict[str, Any]:
    """One run in this process and its workers."""
    watch = Watch()
    from thinkscale.config import SelectSettings
    from thinkscale.curation.funnel import decide
    from thinkscale.curation.likeness import Against
    from thinkscale.curation.rules import Rules
    from thinkscale.sources.columns import columns_of_files
    from thinkscale.stages.measuring import measured

    watch.lap("imports")
    settings = SelectSettings(overlap_rule=rule, workers=workers, memory_mib=MEMORY_MIB)  # type: ignore[arg-type]
    rules = Rules(count=COUNT, need=frozenset(), need_correct=False)
    items: list[int] = []

    def against() -> Iterator[Against]:
        import polars as pl

        for file in BENCHMARKS:
            rows = pl.concat(columns_of_files([DATA / "benchmarks" / file]))
            items.append(len(rows))
            ids, questions, answers = (tuple(rows[name].to_list()) for name in ("id", "question", "reference"))
            yield Against(name=file.partition(".")[0], ids=ids, questions=questions, answers=answers)

    pool = columns_of_files([DATA / "pool" / f"{name}.jsonl.gz" for name in POOL], COLUMNS)
    with tempfile.TemporaryDirectory() as scratch:
        measures = measured(pool, (), (), against(), settings, Path(scratch), rules.question_rules)
    watch.lap("read and measure")
    decisions = decide(measures, rules, SEED)
    watch.lap("decide")
    used = os.times()
    return {
        "questions": len(measures.rows),
        "items": sum(items),
        "parts": watch.parts,
        "rows_left": {step.name: step.rows_out for step in decisions.steps},
        "cpu_seconds": round(used.user + used.system + used.children_user + used.children_system, 2),
    }


def parts_of_measuring() -> dict[str, Any]:
    """Seconds of the parts of measuring, by themselves, one after the other in this process."""
    import polars as pl

    from thinkscale.curation.duplicates import edges
    from thinkscale.curation.likeness import described
    from thinkscale.curation.overlap import Benchmark, Questions, overlaps
    from thinkscale.curation.quality.columns import question_fault_table
    from thinkscale.curation.words import tokens
    from thinkscale.sources.columns import columns_of_files

    question_fault_table(pl.DataFrame({"question": ["How many?"]}))
    watch = Watch()
    pool = pl.concat(columns_of_files([DATA / "pool" / f"{name}.jsonl.gz" for name in POOL], COLUMNS))
    watch.lap("read")
    items = pl.concat(columns_of_files([DATA / "benchmarks" / file for file in BENCHMARKS]))
    texts, answers = pool["question"].to_list(), pool["reference"].to_list()
    asked = items["question"].to_list()
    watch.lap("benchmarks")
    question_fault_table(pool.select("question", "reference", "kind", "tests", "source"))
    watch.lap("faults")
    words = tokens(texts)
    watch.lap("words")
    benchmark = Benchmark("all", Questions(items["id"].to_list(), asked, items["reference"].to_list()))
    overlaps(Questions(texts, texts, answers), [benchmark], found=words)
    watch.lap("overlaps")
    pairs = edges(words)
    watch.lap("edges")
    described(pairs, dict(enumerate(texts)), dict(enumerate(answers)))
    watch.lap("spans")
    del watch.parts["benchmarks"]
    characters = sum(len(text) for text in texts)
    return {"characters": characters, "words": len(words.hashes), "edges": len(pairs.a), "parts": watch.parts}


def in_a_process(*arguments: str) -> dict[str, Any]:
    """What one run says, with the wall seconds and the memory of its whole process and of those that it starts."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "POLARS_MAX_THREADS": "2"}
    command = [sys.executable, __file__, "--child", *arguments]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)
    memory = Memory(process.pid)
    memory.start()
    said, _ = process.communicate()
    wall = round(time.perf_counter() - started, 2)
    memory.ended.set()
    memory.join()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed")
    found: dict[str, Any] = json.loads(said)
    peak = round(memory.peak_kib / 1024)
    return {**found, "wall_seconds": wall, "peak_memory_mib": peak, "processes": memory.num_processes}


def median_parts(runs: list[dict[str, Any]]) -> dict[str, dict[str, float]]:
    """The median of each part over the runs."""
    return {
        name: {
            unit: round(statistics.median(run["parts"][name][unit] for run in runs), 3)
            for unit in ("wall_seconds", "cpu_seconds")
        }
        for name in runs[0]["parts"]
    }


def curated(rule: str, workers: str, num_runs: int) -> dict[str, Any]:
    """Medians over runs of whole selections under a rule."""
    load = round(os.getloadavg()[0], 2)
    runs = [in_a_process(rule, workers) for _ in range(num_runs)]
    walls = [run["wall_seconds"] for run in runs]
    return {
        **{name: runs[0][name] for name in ("questions", "items", "rows_left")},
        "wall_seconds_median": statistics.median(walls),
        "wall_seconds": walls,
        "cpu_seconds_median": statistics.median(run["cpu_seconds"] for run in runs),
        "peak_memory_mib_max": max(run["peak_memory_mib"] for run in runs),
        "processes": max(run["processes"] for run in runs),
        "load_before": load,
        "parts": median_parts(runs),
    }


def main() -> None:
    """Measures each rule in one process and in two, then the parts alone."""
    parser = argparse.ArgumentParser(description="curation of the real pool")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--child", nargs="+", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        found = parts_of_measuring() if options.child == ["parts"] else one_run(*options.child)
        sys.stdout.write(json.dumps(found))
        return
    report: dict[str, Any] = {"cores": os.cpu_count(), "memory_mib_setting": MEMORY_MIB}
    for rule in ("default", "s1"):
        report[rule] = {workers: curated(rule, workers, options.runs) for workers in ("local:1", "local:2")}
    alone = [in_a_process("parts") for _ in range(options.runs)]
    report["parts_alone"] = {
        **{name: alone[0][name] for name in ("characters", "words", "edges")},
        "parts": median_parts(alone),
    }
    text = json.dumps(report, indent=2) + "\n"
    if options.out:
        options.out.write_text(text)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
