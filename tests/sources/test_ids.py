"""An id names one row: derived ones are numbered, stated ones may not repeat, sources do not collide."""

import json
from pathlib import Path

import pytest

from thinkscale.records import Problem, problem_id
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.ids import Ids


def derived(question: str, source: str = "s") -> Problem:
    return Problem(id=problem_id(source, question), source=source, question=question)


def test_a_text_that_comes_again_is_numbered() -> None:
    ids, problem = Ids(strict=True), derived("1+1?")
    settled = [ids.settle(problem, {"question": "1+1?"}, 0, "s") for _ in range(3)]
    assert [item.id.removeprefix(problem.id) for item in settled if item] == ["", "#2", "#3"]


@pytest.mark.parametrize(
    ("strict", "question", "settled"),
    [(True, "a", None), (True, "b", None), (False, "a", None), (False, "b", "7#2")],
)
def test_an_id_that_a_source_states_twice_names_another_row_only_where_the_question_is_another(
    strict: bool, question: str, settled: str | None
) -> None:
    ids = Ids(strict=strict)
    first, second = Problem(id="7", source="s", question="a"), Problem(id="7", source="s", question=question)
    assert ids.settle(first, {"id": 7, "question": "a"}, 0, "s") == first
    found = ids.settle(second, {"id": 7, "question": question}, 0, "s")
    assert (found.id if found else None) == settled


def test_an_id_of_an_earlier_source_gets_the_sources_name() -> None:
    ids = Ids(strict=True)
    problem = Problem(id="7", source="s", question="a")
    ids.settle(problem, {"id": "7"}, 0, "first")
    settled = ids.settle(problem, {"id": "7"}, 1, "second")
    assert settled
    assert settled.id == "second-7"


def test_a_fate_hides_behind_no_problem() -> None:
    ids = Ids(strict=True)
    ids.settle(Problem(id="7", source="s", question="a"), {"id": "7"}, 0, "s")
    assert [ids.take("7"), ids.take("7"), ids.take("8")] == ["7#2", "7#3", "8"]


def test_a_hundred_thousand_repeats_take_no_longer_for_each() -> None:
    ids, problem = Ids(strict=True), derived("1+1?")
    for _ in range(100_000):
        last = ids.settle(problem, {}, 0, "s")
    assert last
    assert last.id == f"{problem.id}#100000"


def test_a_benchmark_with_a_repeated_text_loads_under_ids_of_their_own(tmp_path: Path) -> None:
    row = {"question": "Which?", "choices": ["a", "b"], "answer": "B"}
    rows = [{**row, "subject": "x"}, {**row, "subject": "y"}]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(item) + "\n" for item in rows))
    first, second = load_benchmark(str(tmp_path / "own.jsonl"), 42).problems
    assert second.id == f"{first.id}#2"
    assert (first.extra["subject"], second.extra["subject"]) == ("x", "y")
