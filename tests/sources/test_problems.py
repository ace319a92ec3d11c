"""Foreign rows become problems, or say why not; benchmarks load by name or by file."""

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import ConfigError, DataError, EncodingError
from thinkscale.keys import JSON, content_key
from thinkscale.records import Kind, Problem, to_row
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.files import write_rows
from thinkscale.sources.problems import Malformed, parse_problem


def test_a_foreign_row_keeps_what_has_no_place_in_extra() -> None:
    row: dict[str, JSON] = {"problem": "2+2?", "answer": 4, "unique_id": "m/1", "subject": "Algebra", "level": 2}
    problem = parse_problem(row, "math", {})
    assert problem == Problem(
        id="m/1", source="math", question="2+2?", reference="4", level=2, extra={"subject": "Algebra"}
    )


def test_options_make_a_choice_problem() -> None:
    problem = parse_problem({"question": "Which?", "choices": ["1", "2"], "answer": "B"}, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.kind, problem.choices, problem.reference) == (Kind.CHOICE, ("1", "2"), "B")
    assert problem.id.startswith("s-")


def test_a_column_mapping_decides() -> None:
    problem = parse_problem({"question": "wrong", "text": "right"}, "s", {"question": "text"})
    assert isinstance(problem, Problem)
    assert problem.question == "right"


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"answer": "4"}, "missing_question"),
        ({"question": " ", "answer": "4"}, "missing_question"),
        ({"question": 7}, "missing_question"),
        ({"question": "q", "choices": "A,B"}, "malformed_choices"),
        ({"question": "q", "answer": ["4"]}, "malformed_reference"),
        ({"question": "q", "kind": "poem"}, "unknown_kind"),
        ({"question": "q", "score": float("nan")}, "unencodable_value"),
        ({"question": "q", "deep": [{"score": float("inf")}]}, "unencodable_value"),
        ({"question": "q", "at": datetime.datetime(2025, 1, 2)}, "unencodable_value"),
        ({"question": "q", "blob": b"x"}, "unencodable_value"),
        ({"question": "\ud800"}, "unencodable_value"),
        ({"question": "q", "id": "\ud800"}, "unencodable_value"),
        ({"question": "q", "\ud800": 1}, "unencodable_value"),
    ],
)
def test_a_row_that_is_no_problem_says_why(row: dict[str, Any], reason: str) -> None:
    found = parse_problem(row, "s", {})
    assert isinstance(found, Malformed)
    assert found.reason == reason
    assert found.row_id
    assert content_key(found)
    if reason == "unencodable_value":
        assert f"`{ascii(list(row)[-1])[1:-1]}`" in found.detail


@pytest.mark.parametrize(
    ("value", "level"),
    [(5, 5), ("5", 5), ("Level 5", 5), ("level5", 5), (3.0, 3), (3.5, None), ("Level ?", None), (True, None),
     (["5"], None), (2**63, None), ("5 of 7", None)],
)  # fmt: skip
def test_a_level_is_read_or_kept(value: JSON, level: int | None) -> None:
    problem = parse_problem({"question": "q", "level": value}, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.level, problem.extra) == (level, {} if level is not None else {"level": value})


def test_nothing_of_another_type_is_lost() -> None:
    problem = parse_problem({"question": "q", "solution": ["a"], "tests": {"in": 1}, "level": None}, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.solution, problem.tests, problem.level) == (None, '{"in":1}', None)
    assert problem.extra == {"solution": ["a"]}


@pytest.mark.parametrize("row", [{"question": None, "problem": "q"}, {"question": "q", "problem": None}])
def test_the_first_name_with_a_value_wins(row: dict[str, JSON]) -> None:
    problem = parse_problem(row, "s", {})
    assert isinstance(problem, Problem)
    assert problem.question == "q"


def test_broken_text_has_no_key() -> None:
    with pytest.raises(EncodingError, match="not valid Unicode"):
        content_key("\ud800")


def test_a_benchmark_is_a_name_a_prefix_or_a_file(tmp_path: Path) -> None:
    whole, first = load_benchmark("lab_numeric", 42), load_benchmark("lab_numeric:5", 42)
    assert first.problems == whole.problems[:5]
    write_rows(tmp_path / "own.jsonl", [{"question": f"{number}+1?", "answer": number + 1} for number in range(3)])
    own = load_benchmark(f"{tmp_path}/own.jsonl:2", 42)
    assert (own.name, [problem.reference for problem in own.problems]) == ("own", ["1", "2"])


@pytest.mark.parametrize(
    ("reference", "message"),
    [("lab_nmeric", "there is no benchmark 'lab_nmeric'"), ("lab_numeric:0", "at least 1")],
)
def test_a_wrong_benchmark_is_refused(reference: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load_benchmark(reference, 42)


def test_a_benchmark_row_without_a_question_is_named(tmp_path: Path) -> None:
    write_rows(tmp_path / "own.jsonl", [{"question": "1+1?", "answer": 2}, {"answer": 3}])
    with pytest.raises(DataError, match=r"own\.jsonl:2: missing_question"):
        load_benchmark(str(tmp_path / "own.jsonl"), 42)


@pytest.mark.parametrize("as_text", [False, True])
def test_a_row_of_our_own_table_is_the_problem_that_it_was_made_of(as_text: bool) -> None:
    problem = Problem(
        id="a", source="s", question="q", reference="A", kind=Kind.CHOICE, choices=("x", "y"), solution="so", level=3,
        extra={"subject": "Algebra", "answer": "not this"},
    )  # fmt: skip
    row = to_row(problem)
    if as_text:  # as Parquet holds it
        row["extra"] = json.dumps(row["extra"])
    assert parse_problem(row, "other", {}) == problem
    bare = Problem(id="a", source="s", question="q")
    assert parse_problem(to_row(bare), "other", {}) == bare


def test_a_column_extra_of_others_stays_what_it_is() -> None:
    problem = parse_problem({"question": "q", "extra": {"a": 1}, "colour": "red"}, "s", {})
    assert isinstance(problem, Problem)
    assert problem.extra == {"extra": {"a": 1}, "colour": "red"}


@pytest.mark.parametrize(
    ("answer", "reference", "solution"),
    [
        ("Add.\n#### 1,072", "1072", "Add.\n#### 1,072"),
        ("#### (1, 2)\n", "(1, 2)", "#### (1, 2)\n"),
        ("see #### 5 there", "see #### 5 there", None),
    ],
)
def test_a_worked_answer_of_gsm8ks_form_is_solution_and_reference(
    answer: str, reference: str, solution: str | None
) -> None:
    problem = parse_problem({"question": "q", "answer": answer}, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.reference, problem.solution) == (reference, solution)
