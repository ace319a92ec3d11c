"""The rules on the real pool: the two engines agree, and the stated numbers are those of today's patterns."""

import random
import re
from pathlib import Path

import polars as pl
import pytest

from thinkscale.curation.quality import Fault, question_faults, question_rules, rule_names
from thinkscale.curation.quality.columns import question_fault_table, question_faults_of
from thinkscale.curation.quality.faults import shown
from thinkscale.records import Problem

FILES = {
    "math_train": "problem",
    "deepscaler_difficulty": "problem",
    "dapo_math_17k": "problem",
    "gsm8k_train": "question",
    "aime_1983_2023": "problem",
    "numina_cot_2k": "instruction",
}
OF_THE_REFERENCE = {"placeholder_reference", "no_reference"}
S1_BOLD = re.compile(r"\*\*(?=.*\d)[^\s\]]*\*\*")


@pytest.fixture(scope="module")
def pool(data_folder: Path) -> pl.DataFrame:
    """Every question of the pool, with a reference that no rule objects to."""
    parts = []
    for name, column in FILES.items():
        rows = pl.read_ndjson(data_folder / "pool" / f"{name}.jsonl.gz", infer_schema_length=None)
        parts.append(rows.select(question=pl.col(column), reference=pl.lit("1"), source=pl.lit(name)))
    return pl.concat(parts)


@pytest.fixture(scope="module")
def table(pool: pl.DataFrame) -> pl.DataFrame:
    return question_fault_table(pool, rule_names())


def test_the_stated_hits_are_those_of_the_pool(pool: pl.DataFrame, table: pl.DataFrame) -> None:
    assert pool.height == 75_154
    counted = dict(table.group_by("reason").len().iter_rows())
    stated = {name: rule.measured.hits for name, rule in question_rules().items() if rule.measured}
    assert set(stated) == set(rule_names())
    assert counted == {name: hits for name, hits in stated.items() if hits and name not in OF_THE_REFERENCE}


def test_the_column_has_the_faults_of_each_row(pool: pl.DataFrame, table: pl.DataFrame) -> None:
    drawn = random.Random(5).sample(range(pool.height), 400) + table.get_column("row").unique().sort().to_list()[::40]
    rows = pool[drawn]
    column = question_faults_of(rows, rule_names())
    assert column.len() == rows.height
    for (question, reference, source), faults in zip(rows.iter_rows(), column.to_list(), strict=True):
        row = Problem(id="p", source=source, question=question, reference=reference)
        assert [Fault(**fault) for fault in faults] == question_faults(row, rule_names())


def test_s1s_bold_pattern_without_look_ahead_finds_the_same_texts(pool: pl.DataFrame, table: pl.DataFrame) -> None:
    found = set(table.filter(pl.col("reason") == "s1_bold_number").get_column("row"))
    expected = {row: match for row, text in enumerate(pool.get_column("question")) if (match := S1_BOLD.search(text))}
    assert found == set(expected)
    evidence = table.filter(pl.col("reason") == "s1_bold_number").select("row", "evidence").iter_rows()
    assert all(shown(expected[row].group()) == text for row, text in evidence)


def test_s1s_numbers_are_found_as_s1_finds_them(pool: pl.DataFrame, table: pl.DataFrame) -> None:
    numbers = [f"p{number}." for number in range(1, 1000)]
    texts = pool.get_column("question").to_list()
    with_p = [row for row, text in enumerate(texts) if re.search(r"p[0-9]", text)]
    expected = {row for row in with_p if any(number in texts[row] for number in numbers)}
    assert set(table.filter(pl.col("reason") == "s1_numbering").get_column("row")) == expected
