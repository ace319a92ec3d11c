"""What counts is read, what does not is counted, and rows of another form are refused with what to do."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import DataError
from thinkscale.records import Problem
from thinkscale.sources.catalogue import Quota, find_entry
from thinkscale.sources.choices import RECORD
from thinkscale.sources.problems import Malformed
from thinkscale.sources.quotas import draw, equal_shares
from thinkscale.sources.reading import Found, Tally, Wanted, read_entry, read_plain
from thinkscale.sources.shaping import RULES

Row = dict[str, Any]


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def ids(found: list[Found]) -> list[str]:
    return [item.problem.id for item in found if isinstance(item.problem, Problem)]


AIME = [{"ID": f"a{year}", "Year": year, "Question": f"{year}?", "Answer": "5"} for year in (1982, 1983, 2021, 2022)]


def test_what_a_filter_leaves_out_is_counted(tmp_path: Path) -> None:
    tally = Tally()
    files = {"x": write(tmp_path / "x.jsonl", AIME)}
    assert ids(list(read_entry(find_entry("aime"), "aime", files, Wanted(seed=1), tally))) == ["a1983", "a2021"]
    assert (tally.rows, tally.left_out) == (4, {"year is not from 1983 to 2021": 2})


def test_all_rows_is_without_filters_years_and_quota(tmp_path: Path) -> None:
    tally = Tally()
    files = {"x": write(tmp_path / "x.jsonl", AIME)}
    found = list(read_entry(find_entry("aime"), "aime", files, Wanted(seed=1, all_rows=True), tally))
    assert (len(found), tally.left_out) == (4, {})


def test_a_row_without_a_year_is_no_problem_where_years_count(tmp_path: Path) -> None:
    files = {"x": write(tmp_path / "x.jsonl", [*AIME, {"ID": "b", "Question": "when?", "Answer": "5", "Year": None}])}
    last = list(read_entry(find_entry("aime"), "aime", files, Wanted(seed=1), Tally()))[-1]
    assert isinstance(last.problem, Malformed)
    assert (last.problem.row_id, last.problem.reason) == ("b", "missing_year")


def test_the_limit_is_of_problems_that_count_and_reads_no_further(tmp_path: Path) -> None:
    tally = Tally()
    files = {"x": write(tmp_path / "x.jsonl", AIME)}
    assert ids(list(read_entry(find_entry("aime"), "aime", files, Wanted(seed=1, limit=1), tally))) == ["a1983"]
    assert tally.rows < 4


def test_files_are_read_in_the_given_order(tmp_path: Path) -> None:
    files = {
        "2": write(tmp_path / "2.jsonl", [{"problem": "b", "answer": "1"}]),
        "1": write(tmp_path / "1.jsonl", [{"problem": "a", "answer": "1"}]),
    }
    found = list(read_entry(find_entry("deepscaler"), "deepscaler", files, Wanted(seed=1), Tally()))
    assert [item.problem.question for item in found if isinstance(item.problem, Problem)] == ["b", "a"]


@pytest.mark.parametrize(
    ("name", "row", "missing"),
    [
        ("math", {"text": "x"}, "`problem`"),
        ("numina_math", {"text": "x", "source": "y"}, "`problem` or `instruction`"),
        ("numina_math", {"problem": "x"}, "`source`"),
        ("agieval", {"question": "x"}, "`passage`, `options`, `label`, `answer`, `other`"),
        ("s1_59k", {"prompt": "x", "trace": "y"}, "`reasoning` or `thinking_trajectories` or"),
    ],
)
def test_missing_columns_are_named_with_those_that_are_there(tmp_path: Path, name: str, row: Row, missing: str) -> None:
    files = {"x": write(tmp_path / "x.jsonl", [row])}
    with pytest.raises(DataError) as error:
        list(read_entry(find_entry(name), name, files, Wanted(seed=1), Tally()))
    assert f"the rows lack {missing}" in str(error.value)
    assert f"they have {', '.join(row)}." in str(error.value)
    assert str(tmp_path / "x.jsonl") in str(error.value)


def test_a_mapped_column_is_read_in_place_of_the_entrys(tmp_path: Path) -> None:
    files = {"x": write(tmp_path / "x.jsonl", [{"text": "1+1?", "gold": 2}])}
    entry = find_entry("deepscaler").with_columns({"question": "text", "reference": "gold"})
    (found,) = read_entry(entry, "deepscaler", files, Wanted(seed=1), Tally())
    assert isinstance(found.problem, Problem)
    assert (found.problem.question, found.problem.reference) == ("1+1?", "2")


def test_the_excluded_file_must_be_there(tmp_path: Path) -> None:
    files = {"gpqa_extended.csv": write(tmp_path / "x.csv", [])}
    with pytest.raises(DataError, match=r"gpqa_diamond\.csv is not there, whose rows must be left out"):
        list(read_entry(find_entry("gpqa"), "gpqa", files, Wanted(seed=1), Tally()))


def test_a_malformed_row_of_a_set_says_why(tmp_path: Path) -> None:
    files = {"x": write(tmp_path / "x.jsonl", [{"problem": "a", "answer": "1"}, {"problem": " ", "answer": "1"}])}
    found = list(read_entry(find_entry("deepscaler"), "deepscaler", files, Wanted(seed=1), Tally()))
    assert isinstance(found[1].problem, Malformed)
    assert (found[1].problem.reason, found[1].place) == ("missing_question", f"{tmp_path}/x.jsonl:2")


def test_a_quota_is_equal_over_groups_and_keeps_the_order(tmp_path: Path) -> None:
    rows: list[Row] = [{"problem": f"{number}?", "answer": "1", "task": "ab"[number % 5 == 0]} for number in range(100)]
    entry = find_entry("deepscaler").model_copy(update={"quota": Quota(count=30, by=("task",))})
    files = {"x": write(tmp_path / "x.jsonl", rows)}
    tally = Tally()
    found = list(read_entry(entry, "deepscaler", files, Wanted(seed=7), tally))
    assert Counter(item.row["task"] for item in found) == {"a": 15, "b": 15}
    assert tally.left_out == {"not among the 30 that are drawn": 70}
    numbers = [int(str(item.row["problem"]).rstrip("?")) for item in found]
    assert numbers == sorted(numbers)
    other = list(read_entry(entry, "deepscaler", files, Wanted(seed=8), Tally()))
    assert [item.place for item in other] != [item.place for item in found]


def test_a_draw_depends_on_no_order() -> None:
    items = [("g", str(number), number) for number in range(1000)]
    drawn = draw(items, 10, 42)
    assert sorted(draw(items[::-1], 10, 42)) == drawn
    assert sum(number in drawn for number in draw(items, 10, 43)) < 5


@pytest.mark.parametrize(
    ("sizes", "count", "shares"),
    [
        ({"a": 5, "b": 5}, 6, [3, 3]),
        ({"a": 1, "b": 9, "c": 9}, 9, [1, 4, 4]),
        ({"a": 1, "b": 2}, 9, [1, 2]),
        ({"a": 4, "b": 4, "c": 4}, 2, [0, 1, 1]),
        ({}, 3, []),
    ],
)
def test_shares_are_equal_as_far_as_groups_reach(sizes: dict[str, int], count: int, shares: list[int]) -> None:
    assert sorted(equal_shares(sizes, count, 42).values()) == sorted(shares)


@pytest.mark.parametrize(
    ("rule", "solution", "reference"),
    [
        ("boxed", r"\boxed{1} then \boxed{\frac{1}{2}}.", r"\frac{1}{2}"),
        ("boxed", r"\boxed{}", None),
        ("hashes", "a\n#### 12,345 ", "12345"),
        ("hashes", "no answer", None),
        ("hashes", "#### (1, 2)", "(1, 2)"),
        ("said", r"Hence \boxed{7}. Answer: 8", "7"),
        ("said", "Since this holds.\n\nAnswer: C", "C"),
        ("said", "60", "60"),
        ("said", "Let $x$ be so.\nThen it follows.", None),
        ("said", "x" * 201, None),
    ],
)
def test_where_the_final_answer_stands(rule: str, solution: str, reference: str | None) -> None:
    assert RULES[rule](solution) == reference


def test_a_plain_file_of_gpqas_form_is_shuffled_as_in_a_benchmark(tmp_path: Path) -> None:
    from thinkscale.sources.benchmarks import load_benchmark

    row = {"Question": "q", "Record ID": "r", "Correct Answer": "a"}
    row |= {f"Incorrect Answer {number}": f"w{number}" for number in (1, 2, 3)}
    path = write(tmp_path / "mine.jsonl", [row])
    (found,) = read_plain({"mine.jsonl": path}, "mine", {}, 42, Tally())
    (benchmark,) = load_benchmark(str(path), 42).problems
    assert isinstance(found.problem, Problem)
    assert found.problem.choices == benchmark.choices
    assert found.problem.extra[RECORD] == benchmark.extra[RECORD]
    assert found.problem.choices["ABCD".index(found.problem.reference or "")] == "a"


def test_a_plain_file_states_the_right_option_by_place_or_text(tmp_path: Path) -> None:
    path = write(tmp_path / "x.jsonl", [{"question": "q", "choices": ["a", "b"], "answer": 1}])
    (found,) = read_plain({"x": path}, "x", {}, 42, Tally())
    assert isinstance(found.problem, Problem)
    assert (found.problem.reference, found.problem.choices) == ("B", ("a", "b"))


@pytest.mark.parametrize(
    ("row", "reference"),
    [
        ({"problem": "q", "solution": r"So \boxed{4}."}, "4"),
        ({"problem": "q", "solution": r"So \boxed{4}.", "answer": ""}, None),
        ({"problem": "q", "solution": r"So \boxed{4}.", "answer": "5"}, "5"),
        ({"problem": "q", "solution": "We prove it."}, None),
    ],
)
def test_a_plain_row_without_a_column_for_it_may_box_its_answer(
    tmp_path: Path, row: Row, reference: str | None
) -> None:
    (found,) = read_plain({"x": write(tmp_path / "x.jsonl", [row])}, "x", {}, 42, Tally())
    assert isinstance(found.problem, Problem)
    assert found.problem.reference == reference
