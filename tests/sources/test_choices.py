"""Options of foreign rows, and their order by a seed: uniform, recorded, the same in any order of rows."""

from collections import Counter
from itertools import permutations
from pathlib import Path

import pytest

from thinkscale.keys import JSON, seed_from
from thinkscale.records import Kind, Problem
from thinkscale.sources.benchmarks import load_benchmark
from thinkscale.sources.choices import RECORD, shuffled, with_options
from thinkscale.sources.files import read_rows, write_rows

GPQA: dict[str, JSON] = {
    "Record ID": "rec1",
    "Question": "Which energy?",
    "Correct Answer": "10^-4 eV\n",
    "Incorrect Answer 1": "10^-11 eV",
    "Incorrect Answer 2": "10^-8 eV",
    "Incorrect Answer 3": "10^-9 eV",
    "Subdomain": "Physics",
}


def problem(number: int, choices: tuple[str, ...] = ("w", "x", "y", "z"), reference: str | None = "A") -> Problem:
    return Problem(id=f"row {number}", source="s", question="q", reference=reference, kind=Kind.CHOICE, choices=choices)


def right_text(item: Problem) -> str:
    assert item.reference is not None
    return item.choices["ABCDEFGH".index(item.reference)]


def test_the_right_letter_is_uniform_over_ten_thousand_rows() -> None:
    counts = Counter(shuffled(problem(number), 42).reference for number in range(10_000))
    assert set(counts) == set("ABCD")
    # Chi-squared with 3 degrees of freedom: above 16.27 once in a thousand.
    assert sum((count - 2500) ** 2 / 2500 for count in counts.values()) < 16.27


def test_every_order_is_drawn_and_about_equally_often() -> None:
    counts = Counter(shuffled(problem(number), 7).choices for number in range(4_800))
    assert set(counts) == set(permutations(("w", "x", "y", "z")))
    # 23 degrees of freedom: above 49.7 once in a thousand.
    assert sum((count - 200) ** 2 / 200 for count in counts.values()) < 49.7


@pytest.mark.parametrize("reference", list("ABCD"))
def test_the_reference_follows_its_option_and_the_order_is_recorded(reference: str) -> None:
    for number in range(50):
        before = problem(number, reference=reference)
        after = shuffled(before, 42)
        assert right_text(after) == right_text(before)
        record = after.extra[RECORD]
        assert isinstance(record, dict)
        assert record["seed"] == seed_from(42, before.id)
        order = record["order"]
        assert isinstance(order, list)
        assert after.choices == tuple(before.choices[int(str(place))] for place in order)


def test_the_order_depends_on_seed_and_id_alone() -> None:
    assert shuffled(problem(1), 42) == shuffled(problem(1), 42)
    assert len({shuffled(problem(1), seed).choices for seed in range(40)}) > 10
    assert len({shuffled(problem(number), 42).choices for number in range(40)}) > 10


def test_equal_option_texts_keep_their_own_place() -> None:
    item = shuffled(problem(3, ("same", "same", "right", "same"), "C"), 42)
    assert right_text(item) == "right"


@pytest.mark.parametrize(
    "option",
    [
        "All of the above",
        "None of these",
        "Both A and C",
        "A and B only",
        "B, C and D",
        "neither (A) nor (B)",
        "the first two",
    ],
)
def test_options_that_speak_of_others_by_place_stay_where_they_are(option: str) -> None:
    item = problem(0, ("w", "x", "y", option), "D")
    assert shuffled(item, 42) is item
    assert right_text(shuffled(item, 42, always=True)) == option


@pytest.mark.parametrize(
    "option", ["A", "a and b are even", "Vitamin A and iron", "Both plants and animals", "overall"]
)
def test_other_options_are_shuffled(option: str) -> None:
    assert RECORD in shuffled(problem(0, ("w", "x", "y", option)), 42).extra


@pytest.mark.parametrize(
    "item", [problem(0, ()), problem(0, ("x",)), problem(0, reference=None), problem(0, reference="E")]
)
def test_what_has_no_right_letter_is_left_alone(item: Problem) -> None:
    assert shuffled(item, 42) is item


@pytest.mark.parametrize(
    ("row", "choices", "reference"),
    [
        ({"choices": ["x", "y"], "answer": 1}, ["x", "y"], "B"),
        ({"options": ["x", "y", "z"], "answer": "z"}, ["x", "y", "z"], "C"),
        ({"options": ["x", "y", "z"], "answer_index": 0}, ["x", "y", "z"], "A"),
        ({"choices": {"text": ["x", "y"], "label": ["A", "B"]}, "answerKey": "B"}, ["x", "y"], "B"),
        ({"choices": {"text": ["x", "y"], "label": ["1", "2"]}, "answerKey": "1"}, ["x", "y"], "A"),
        ({"choice1": "x", "choice2": "y", "answer": "(B)"}, ["x", "y"], "B"),
    ],
)
def test_options_stated_in_other_ways_are_understood(row: dict[str, JSON], choices: list[str], reference: str) -> None:
    found = with_options({"question": "q", **row})
    assert (found["choices"], found["reference"]) == (choices, reference)
    assert "answer" not in found


@pytest.mark.parametrize(
    "row",
    [
        {"question": "q", "choices": ["x", "y"], "answer": "B", "more": 1},
        {"question": "q", "options": ["x", "y"], "reference": "(a)"},
        {"question": "q", "choices": ["x", "y"], "answer": "neither"},
        {"question": "q", "choices": ["x", "y"], "answer": 5},
        {"question": "q", "answer": 5},
        {"Question": "q", "Correct Answer": "x", "Incorrect Answer 1": "y"},
    ],
)
def test_other_rows_come_as_they_are(row: dict[str, JSON]) -> None:
    assert with_options(row) is row


def test_a_file_of_gpqa_rows_is_a_shuffled_benchmark(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [{**GPQA, "Record ID": f"rec{number}"} for number in range(40)]
    write_rows(tmp_path / "gpqa.jsonl", rows)
    write_rows(tmp_path / "back" / "gpqa.jsonl", rows[::-1])
    found = load_benchmark("gpqa.jsonl", 42, tmp_path).problems
    assert found[0].id == "gpqa/rec0"
    assert found[0].question == "Which energy?"
    assert {right_text(item) for item in found} == {"10^-4 eV"}
    assert {item.reference for item in found} == set("ABCD")
    assert found[0].extra["Subdomain"] == "Physics"
    assert RECORD in found[0].extra
    backwards = load_benchmark("gpqa.jsonl", 42, tmp_path / "back").problems
    assert sorted(found, key=lambda item: item.id) == sorted(backwards, key=lambda item: item.id)
    assert load_benchmark("gpqa.jsonl:5", 42, tmp_path).problems == found[:5]
    assert load_benchmark("gpqa.jsonl+shuffled", 42, tmp_path).problems == found
    assert load_benchmark("gpqa.jsonl", 43, tmp_path).problems != found


def test_gpqa_rows_have_no_order_to_keep(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {**GPQA, "Record ID": str(number), "Incorrect Answer 3": "None of the above"} for number in range(40)
    ]
    write_rows(tmp_path / "gpqa.jsonl", rows)
    found = load_benchmark("gpqa.jsonl", 42, tmp_path).problems
    assert {item.reference for item in found} == set("ABCD")


def test_other_options_are_shuffled_where_it_is_asked_for(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"id": str(number), "question": "q", "choices": ["u", "v", "w"], "answer": "B"} for number in range(30)
    ]
    write_rows(tmp_path / "mine.jsonl", rows)
    plain = load_benchmark("mine.jsonl", 42, tmp_path)
    mixed = load_benchmark("mine.jsonl+shuffled:20", 42, tmp_path)
    assert {item.reference for item in plain.problems} == {"B"}
    assert {item.reference for item in mixed.problems} == set("ABC")
    assert {right_text(item) for item in mixed.problems} == {"v"}
    assert (mixed.name, mixed.reference, len(mixed.problems)) == ("mine", "mine.jsonl+shuffled:20", 20)
    assert [item.id for item in mixed.problems] == [item.id for item in plain.problems[:20]]


def test_mmlu_is_shuffled_without_losing_an_answer(data_folder: Path, tmp_path: Path) -> None:
    rows = [row.values for row in read_rows(data_folder / "benchmarks" / "mmlu_val.jsonl")]
    write_rows(tmp_path / "mmlu.jsonl", ({"id": str(number), **row} for number, row in enumerate(rows)))
    before = load_benchmark("mmlu.jsonl", 42, tmp_path).problems
    after = load_benchmark("mmlu.jsonl+shuffled", 42, tmp_path).problems
    assert [right_text(item) for item in after] == [right_text(item) for item in before]
    assert [item.id for item in after] == [item.id for item in before]
    assert sum(RECORD in item.extra for item in after) > 0.85 * len(after)
