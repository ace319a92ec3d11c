"""Curation by shares: faults, overlaps, edges and narrow columns of the whole pool at once, however it is cut."""

import random
from pathlib import Path

import polars as pl
import pytest

from tests.cluster.test_near_duplicates import assert_equal, limits
from thinkscale.cluster import HERE, Backend
from thinkscale.curation.duplicates import edges
from thinkscale.curation.overlap import Benchmark, Questions, overlaps
from thinkscale.curation.quality.columns import question_fault_table
from thinkscale.curation.words import tokens
from thinkscale.stages.curate_shares import Curation, measured
from thinkscale.stages.near_duplicates import whole

POOL = {"math_train": "problem", "aime_1983_2023": "problem", "dapo_math_17k": "problem"}


def real_rows(data: Path) -> pl.DataFrame:
    """Rows of three sources, among them all that states an item of MATH-500."""
    frames = [
        pl.read_ndjson(data / "pool" / f"{name}.jsonl.gz", infer_schema_length=None).head(1500).select(
            source=pl.lit(name), question=pl.col(column), reference=pl.col("answer").cast(pl.String)
        )
        for name, column in POOL.items()
    ]  # fmt: skip
    frame = pl.concat(frames)
    items = real_benchmark(data).questions
    planted = pl.DataFrame(
        {
            "source": ["planted"] * 60,
            "question": [f"Solve. {text}" for text in items.texts[:60]],
            "reference": list(items.answers[:60]),
        }
    )
    order = list(range(len(frame) + 60))
    random.Random(3).shuffle(order)
    return pl.concat([frame, planted])[order]


def real_benchmark(data: Path) -> Benchmark:
    frame = pl.read_ndjson(data / "benchmarks" / "math500.jsonl")
    ids = [str(number) for number in range(len(frame))]
    return Benchmark(name="math500", questions=Questions(ids, frame["problem"].to_list(), frame["answer"].to_list()))


@pytest.mark.parametrize(("group", "share_bytes", "where"), [(400, 1, HERE), (1000, 1_000_000, Backend(workers=2))])
def test_real_rows_by_shares_are_measured_as_at_once(
    data_folder: Path, tmp_path: Path, group: int, share_bytes: int, where: Backend
) -> None:
    rows, benchmark = real_rows(data_folder), real_benchmark(data_folder)
    rows.write_parquet(tmp_path / "pool.parquet", row_group_size=group)
    texts = rows["question"].to_list()
    with measured(
        [tmp_path / "pool.parquet"],
        tmp_path / "scratch",
        Curation(benchmarks=(benchmark,)),
        limits(share_bytes=share_bytes, range_size=20_000),
        where,
    ) as found:
        assert_equal(whole(found.edges), edges(tokens(texts)))
        faults, narrow = found.faults.collect(), found.rows.collect()
    expected = overlaps(Questions([""] * len(texts), texts, rows["reference"].to_list()), [benchmark])
    assert len(expected) > 50
    assert found.hits == expected
    assert faults.equals(question_fault_table(rows.select("question", "reference")))
    assert faults.height > 0
    assert narrow["source"].to_list() == rows["source"].to_list()
    assert narrow["characters"].to_list() == [len(text) for text in texts]


def test_an_empty_pool_is_measured(tmp_path: Path) -> None:
    frame = pl.DataFrame(schema={"source": pl.String, "question": pl.String, "reference": pl.String})
    frame.write_parquet(tmp_path / "pool.parquet")
    with measured([tmp_path / "pool.parquet"], tmp_path) as found:
        assert len(whole(found.edges).a) == 0
        assert (found.hits, found.faults.collect().height, found.rows.collect().height) == ([], 0, 0)
