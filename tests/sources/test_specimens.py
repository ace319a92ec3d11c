"""The specimens of every set are read by its own entry, and become problems that can be graded."""

import json
from pathlib import Path

import pytest

from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import Suite
from thinkscale.records import Kind, Problem
from thinkscale.sources.benchmark_catalogue import shipped_benchmarks
from thinkscale.sources.catalogue import Entry, entries
from thinkscale.sources.places import local_place
from thinkscale.sources.reading import Tally, Wanted, read_entry
from thinkscale.sources.specimens import mapped_specimens, specimen_file, specimens

SETS: list[tuple[str, Entry]] = [
    *((f"source {name}", entry) for name, entry in entries().items()),
    *((f"benchmark {name}", entry) for name, entry in shipped_benchmarks().items() if not entry.lab),
]


def read_back(name: str, entry: Entry, folder: Path, count: int = 8) -> tuple[list[Problem], Tally]:
    lines = (json.dumps(row) for row in specimens(name, entry, count))
    (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for beside, rows in specimen_file(entry).items():
        columns = list(rows[0])
        (folder / beside).write_text("\n".join([*columns, *(str(row[columns[0]]) for row in rows)]) + "\n")
    tally = Tally()
    place = local_place(entry, name, folder)
    found = [item.problem for item in read_entry(entry, name, place.files, Wanted(seed=42), tally)]
    assert all(isinstance(problem, Problem) for problem in found), found
    return [problem for problem in found if isinstance(problem, Problem)], tally


@pytest.mark.parametrize(("title", "entry"), SETS, ids=[title for title, _ in SETS])
def test_every_specimen_is_a_problem_of_its_set(title: str, entry: Entry, tmp_path: Path) -> None:
    problems, tally = read_back(title.split()[1], entry, tmp_path)
    assert len(problems) == 8
    assert tally.left_out == {}
    assert tally.absent == []
    assert len({problem.id for problem in problems}) == 8
    for problem in problems:
        assert problem.question.strip()
        if problem.kind is Kind.CODE:
            assert isinstance(read_suite(problem.tests), Suite)
        elif problem.kind is Kind.CHOICE:
            assert problem.reference in ("A", "B", "C", "D")
            assert len(problem.choices) == 4
        elif entry.kind is Kind.MATH and "reference" in entry.columns:
            assert problem.reference


def test_the_specimens_of_a_pool_bring_all_that_selection_reads() -> None:
    rows = specimens("s1_59k", entries()["s1_59k"], 40)
    assert {str(row["source_type"]).partition("/")[0] for row in rows} >= {"AI-MO", "qq8933", "Idavidrein"}
    assert {row["isqwen7bcorrect"] for row in rows} == {True, False}
    assert rows[0]["gemini_length"] == 6000


def test_specimens_are_the_same_each_time_and_follow_a_mapping() -> None:
    entry = shipped_benchmarks()["math500"]
    assert specimens("math500", entry, 3) == specimens("math500", entry, 5)[:3]
    assert specimens("math500", entry, 3, start=2)[0]["problem"] == specimens("math500", entry, 3)[2]["problem"]
    (row,) = mapped_specimens({"question": "instruction", "reference": "gold"}, 1)
    assert set(row) == {"id", "instruction", "gold"}
