"""Filter, decontaminate, drop duplicates and sample at 1, 10 and 100 times the real pool, within a memory setting.

    python benchmarks/curation_scale.py --out benchmarks/curation_scale.json --times 1 --times 10 [--times 100]
        [--workers local:2] [--memory-mib 1024] [--folder DIR]

Needs THINKSCALE_DATA. Pools (7 MB for each 75,154 rows) and spill files (1 GB for each million) lie in --folder, a
temporary one if none is given. Each size runs in a process of its own. Memory is the largest resident size of a worker,
that of the process that asks, which works too and gathers some bytes a row, and the largest sum over all, by /proc.
Each size replaces its own figures in the file.

The real pool has no traces: the length of the question stands in for that of the trace, and the source for the domain.
"""

import argparse
import json
import math
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
from math_cases import DATA
from scale_pool import write_pool

from thinkscale.cluster import backend
from thinkscale.curation.keeping import repeats
from thinkscale.curation.overlap import Benchmark, Questions
from thinkscale.curation.sampling import Candidate, select
from thinkscale.stages.curate_shares import Curation, SharedMeasures, measured
from thinkscale.stages.near_duplicates import Limits

BENCHMARKS = {
    "math500": ("problem", "answer"),
    "aime24": ("problem", "answer"),
    "amc23": ("question", "answer"),
    "gsm8k_test": ("question", "answer"),
    "olympiadbench_oe_en": ("question", "final_answer"),
}
THRESHOLD, COUNT, SEED = 0.5, 1000, 42
RANKS_THAT_COUNT = COUNT + 64
"""s1's weight of a rank halves with each: one beyond these is drawn once in 2^64 draws."""
SAMPLE_SECONDS = 0.1


class Memory(threading.Thread):
    """Samples the resident sizes of this process and its children, and the size of the spill folder."""

    def __init__(self, scratch: Path) -> None:
        super().__init__(daemon=True)
        self.scratch, self.sum_kib, self.worker_kib, self.spill_bytes, self.ended = scratch, 0, 0, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(SAMPLE_SECONDS):
            sizes = [_status(pid, "VmRSS") for pid in [os.getpid(), *_children(os.getpid())]]
            peaks = [_status(pid, "VmHWM") for pid in _children(os.getpid()) if _is_worker(pid)]
            self.sum_kib = max(self.sum_kib, sum(sizes))
            self.worker_kib = max(self.worker_kib, *peaks, 0)
            self.spill_bytes = max(self.spill_bytes, sum(map(_size, self.scratch.rglob("*.run"))))


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _is_worker(pid: int) -> bool:
    """Whether it has become a process of its own: until exec it shows its parent's command and memory."""
    try:
        return b"spawn_main" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def _status(pid: int, field: str) -> int:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:  # it has just ended
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(field)), 0)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def benchmarks() -> tuple[Benchmark, ...]:
    """The five sets that the pool is compared with."""
    found = []
    for name, (question, answer) in BENCHMARKS.items():
        path = next(path for path in (DATA / "benchmarks").glob(f"{name}.jsonl*"))
        frame = pl.read_ndjson(path, infer_schema_length=None)
        answers = [str(value[0] if isinstance(value, list) and value else value) for value in frame[answer].to_list()]
        ids = [f"{name}/{number}" for number in range(len(frame))]
        found.append(
            Benchmark(name=name, questions=Questions(ids=ids, texts=frame[question].to_list(), answers=answers))
        )
    return tuple(found)


@contextmanager
def timed(seconds: dict[str, float], name: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    seconds[name] = time.monotonic() - began


def curate(paths: list[Path], scratch: Path, workers: str, memory_mib: int) -> dict[str, object]:
    """One whole curation; counts, seconds of its parts, and the highest memory of this process at the end of each."""
    seconds: dict[str, float] = {}
    peaks = {"start": asking_mib()}
    began = time.monotonic()
    where, limits = backend(workers), Limits.within(memory_mib)
    with measured(paths, scratch, Curation(benchmarks=benchmarks()), limits, where) as found:
        seconds["rows"] = time.monotonic() - began
        peaks["rows"] = asking_mib()
        characters = found.rows.select("characters").collect(engine="streaming")["characters"].to_numpy()
        faulty = found.faults.select(pl.col("row").unique()).collect(engine="streaming")["row"].to_numpy()
        counts = {"rows": len(characters), "faulty": len(faulty)}
        left = np.ones(len(characters), np.bool_)
        left[faulty] = False
        counts["contaminated"] = len({hit.row for hit in found.hits})
        left[sorted({hit.row for hit in found.hits})] = False
        with timed(seconds, "duplicates"):
            counts["edges"], counts["duplicates"] = drop_duplicates(found, characters, left)
        peaks["duplicates"] = asking_mib()
        with timed(seconds, "sample"):
            counts["left"], counts["picks"] = int(left.sum()), sample(found, characters, left)
        peaks["sample"] = asking_mib()
    return {"counts": counts, "seconds": {**seconds, "all": time.monotonic() - began}, "asking_mib_after": peaks}


def asking_mib() -> float:
    """The highest resident size of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def drop_duplicates(found: SharedMeasures, characters: np.ndarray, left: np.ndarray) -> tuple[int, int]:
    """Takes rows that repeat a longer question (the earlier of equals) out of `left`; edges and rows dropped."""
    ranks = np.full(len(left), -1, np.int32)
    order = np.flatnonzero(left).astype(np.int32)
    order = order[np.argsort(~characters[order], kind="stable")]
    ranks[order] = np.arange(len(order), dtype=np.int32)
    del order
    num_edges = 0

    def counted() -> Iterator[object]:
        nonlocal num_edges
        for part in found.edges:
            num_edges += len(part.a)
            yield part

    dropped = repeats(counted(), ranks, THRESHOLD).rows  # type: ignore[arg-type]
    left[dropped] = False
    return num_edges, len(dropped)


def sample(found: SharedMeasures, characters: np.ndarray, left: np.ndarray) -> int:
    """s1's draw. Only the ranks that can be drawn become candidates."""
    sources = found.rows.select("source").collect(engine="streaming")["source"]
    codes = sources.to_physical().to_numpy().astype(np.uint8)
    names = {int(code): sources[int(place)] for code, place in zip(*np.unique(codes, return_index=True), strict=True)}
    del sources
    candidates = []
    for code, name in names.items():
        rows = np.flatnonzero(left & (codes == code)).astype(np.uint64)
        longest = np.sort((~characters[rows]).astype(np.uint64) << np.uint64(32) | rows)[:RANKS_THAT_COUNT]
        for row in (longest & np.uint64(0xFFFFFFFF)).tolist():
            length = int(characters[row])
            candidates.append(Candidate(problem_id=f"{row:010d}", domain=name, trace_tokens=length, source=name))
    return len(select(candidates, min(COUNT, len(candidates)), SEED).picks)


def one(times: int, folder: Path, workers: str, memory_mib: int) -> dict[str, object]:
    """The figures of one size, in this process and its workers."""
    paths = sorted((folder / "pool").glob("*.parquet"))[:times]
    scratch = folder / "scratch"
    memory = Memory(scratch)
    memory.start()
    load = os.getloadavg()[0]
    found = curate(paths, scratch, workers, memory_mib)
    memory.ended.set()
    memory.join()
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        **found,
        "cpu_seconds": own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime,
        # Not ru_maxrss of the children: it counts the parent's pages that a child has between fork and exec.
        "peak_worker_mib": memory.worker_kib / 1024,
        "peak_asking_mib": asking_mib(),
        "peak_sum_mib": memory.sum_kib / 1024,
        "spill_mib": memory.spill_bytes / (1 << 20),
        "memory_mib": memory_mib,
        "workers": workers,
        "load_before": load,
        "cores": os.cpu_count(),
    }


def exponents(sizes: dict[str, dict]) -> dict[str, dict[str, float]]:
    """Of each step between sizes: by which power of the rows the figures grow."""
    found = {}
    names = sorted(sizes, key=int)
    for low, high in pairwise(names):
        rows = math.log(sizes[high]["counts"]["rows"] / sizes[low]["counts"]["rows"])
        pairs = {
            "wall": (sizes[low]["seconds"]["all"], sizes[high]["seconds"]["all"]),
            "cpu": (sizes[low]["cpu_seconds"], sizes[high]["cpu_seconds"]),
            "peak_worker": (sizes[low]["peak_worker_mib"], sizes[high]["peak_worker_mib"]),
            "peak_asking": (sizes[low]["peak_asking_mib"], sizes[high]["peak_asking_mib"]),
            "peak_sum": (sizes[low]["peak_sum_mib"], sizes[high]["peak_sum_mib"]),
        }
        found[f"{low} to {high}"] = {name: math.log(big / small) / rows for name, (small, big) in pairs.items()}
    return found


def rounded(value: object) -> object:
    """Numbers with four significant digits at most."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    return float(f"{value:.4g}") if isinstance(value, float) else value


def main() -> None:
    """Makes the pools and runs the sizes that were asked for, each in a process of its own."""
    parser = argparse.ArgumentParser(description="Curation at 1, 10 and 100 times the real pool.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--times", type=int, action="append")
    parser.add_argument("--workers", default="local:2")
    parser.add_argument("--memory-mib", type=int, default=1024)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        print(json.dumps(one(asked.one, asked.folder, asked.workers, asked.memory_mib)))
        return
    with tempfile.TemporaryDirectory(dir=asked.folder) as made:
        folder = asked.folder or Path(made)
        (folder / "pool").mkdir(exist_ok=True)
        write_pool(DATA, folder / "pool", max(asked.times or [1, 10]))
        figures = json.loads(asked.out.read_text()) if asked.out.exists() else {"sizes": {}}
        for times in asked.times or [1, 10]:
            words = [sys.executable, __file__, "--one", str(times), "--folder", str(folder)]
            words += ["--workers", asked.workers, "--memory-mib", str(asked.memory_mib)]
            said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
            figures["sizes"][str(times)] = rounded(json.loads(said))
            figures["exponents"] = rounded(exponents(figures["sizes"]))
            asked.out.write_text(json.dumps(figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
