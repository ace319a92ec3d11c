"""Filters, decontaminates and frees of duplicates a pool of Parquet files on a Ray cluster, or on this machine alone.

    python examples/ray/curate.py POOL/*.parquet --against math500.jsonl --out fates.parquet \\
        --workers ray:auto --scratch /shared/scratch --memory-mib 2048

The pool's files have the columns `question` and `reference`. The fates file has a row for each row of the pool: `row`
(its place, in order of the files), `fate` (kept, faulty, contaminated, duplicate) and `evidence`. It is the same with
any --workers and --memory-mib. On a cluster the pool and the scratch folder lie where every node sees them.
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import polars as pl

from thinkscale.cluster import backend
from thinkscale.curation.keeping import repeats
from thinkscale.curation.overlap import Benchmark, Questions
from thinkscale.errors import ThinkscaleError
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.stages.curate_shares import Curation, SharedMeasures, measured
from thinkscale.stages.near_duplicates import Limits


def arguments() -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(description="Curates Parquet files of any size.")
    parser.add_argument("pool", nargs="+", type=Path)
    parser.add_argument("--against", action="append", default=[], help="a benchmark: its name or a file")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--workers", default="local", help="local, local:2, ray:auto, ray:HOST:PORT")
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--memory-mib", type=int, default=1024, help="of each process")
    parser.add_argument("--threshold", type=float, default=0.5, help="shared n-grams that make a duplicate")
    return parser.parse_args()


def benchmark(reference: str) -> Benchmark:
    """A benchmark as columns."""
    loaded = load_benchmark(reference, seed=42)
    ids, texts, answers = zip(*((item.id, item.question, item.reference) for item in loaded.problems), strict=True)
    return Benchmark(name=loaded.name, questions=Questions(ids, texts, answers))


def fates(found: SharedMeasures, threshold: float) -> pl.DataFrame:
    """The first thing that is wrong with each row. Of duplicates the longest question stays, the first of equals."""
    fate = np.full(len(found.rows), "kept", dtype=object)
    evidence = np.full(len(found.rows), "", dtype=object)
    for row, reason, text in found.faults.collect().reverse().iter_rows():
        fate[row], evidence[row] = "faulty", f"{reason}: {text}"
    for hit in reversed(found.hits):
        if fate[hit.row] != "faulty":
            fate[hit.row], evidence[hit.row] = (
                "contaminated",
                f"{hit.against} {hit.against_id} ({hit.reason}): {hit.span}",
            )
    left = np.flatnonzero(fate == "kept")
    lengths = found.rows["characters"].to_numpy().astype(np.int64)
    ranks = np.full(len(fate), -1, np.int64)
    ranks[left[np.argsort(-lengths[left], kind="stable")]] = np.arange(len(left))
    again = repeats(found.edges, ranks, threshold)
    for row, kept, share, same in zip(again.rows, again.kept, again.share, again.same, strict=True):
        fate[row], evidence[row] = "duplicate", f"row {kept} ({'same words' if same else f'{share:.0%}'})"
    return pl.DataFrame({"row": np.arange(len(fate)), "fate": fate.tolist(), "evidence": evidence.tolist()})


def main() -> None:
    """Writes the fates and says how many there are of each."""
    asked = arguments()
    curation = Curation(narrow=(), benchmarks=tuple(map(benchmark, asked.against)))
    try:
        where, limits = backend(asked.workers), Limits.within(asked.memory_mib)
        with measured(asked.pool, asked.scratch, curation, limits, where) as found:
            table = fates(found, asked.threshold)
    except ThinkscaleError as error:
        sys.exit(str(error))
    table.write_parquet(asked.out)
    for fate, number in table["fate"].value_counts(sort=True).iter_rows():
        print(f"{number:>10,} {fate}", file=sys.stderr)


if __name__ == "__main__":
    main()
