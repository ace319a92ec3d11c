"""A pool that brings traces, grades and labels becomes the records that our own stages would have made."""

import json
from pathlib import Path
from typing import Any

import pytest

from thinkscale.records import Finish, Grade, Kind, Label, Problem, Response, Role, Verdict, from_row, to_row
from thinkscale.sources.brought import brought, count_words
from thinkscale.sources.catalogue import find_entry
from thinkscale.sources.reading import Found, Tally, Wanted, read_entry

ROW: dict[str, Any] = {
    "prompt": "Find $x$ with $2x = 6$.", "reasoning": "Halve it. Wait, yes.", "attempt": "The answer is 3.",
    "ground_truth": r"So \boxed{3}.", "isgeminicorrect": True, "isqwen7bcorrect": False, "isqwen32bcorrect": None,
    "domain": "Number theory", "gemini_length": 7, "source_type": "qq8933/AIME_1983_2024", "cot_type": "math",
}  # fmt: skip
"""The columns that the issue names, under the names that s1's own code gives them."""
SEVEN, THIRTY_TWO = "Qwen/Qwen2.5-7B-Instruct", "Qwen/Qwen2.5-32B-Instruct"


def read(tmp_path: Path, row: dict[str, Any], name: str = "s1_59k") -> tuple[Problem, list[Response | Grade | Label]]:
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    entry = find_entry(name)
    (found,) = read_entry(entry, name, {"x": tmp_path / "x.jsonl"}, Wanted(seed=1), Tally())
    assert isinstance(found, Found)
    assert isinstance(found.problem, Problem)
    assert entry.brings
    return found.problem, list(brought(entry.brings, found.problem, found.row, count_words, "words"))


def test_a_row_becomes_problem_response_grade_and_labels(tmp_path: Path) -> None:
    problem, (response, grade, *labels) = read(tmp_path, ROW)
    assert (problem.source, problem.reference, problem.kind) == ("aime", "3", Kind.MATH)
    assert problem.extra == {"source_type": "qq8933/AIME_1983_2024", "cot_type": "math"}
    assert isinstance(response, Response)
    assert (response.role, response.model, response.finish) == (
        Role.TEACHER, "gemini-2.0-flash-thinking-exp", Finish.END,
    )  # fmt: skip
    assert (response.thinking, response.answer_text) == ("Halve it. Wait, yes.", "The answer is 3.")
    assert (response.thinking_tokens, response.answer_tokens) == (7, 4)
    assert isinstance(grade, Grade)
    assert (grade.verdict, grade.grader, grade.response_key) == (
        Verdict.CORRECT, "claude-3-5-sonnet-20241022", response.key,
    )  # fmt: skip
    assert [(item.name, item.value, item.by) for item in labels if isinstance(item, Label)] == [
        ("trace_tokens", "7", THIRTY_TWO),
        ("domain", "11", "claude-3-5-sonnet-20241022"),
        ("pass_rate", "0/1", SEVEN),
    ]
    for record in (response, grade, *labels):
        assert from_row(type(record), to_row(record)) == record
        assert getattr(record, "problem_id") == problem.id  # noqa: B009


@pytest.mark.parametrize(
    ("value", "verdict"),
    [(False, Verdict.WRONG), ("Yes", Verdict.CORRECT), ("No", Verdict.WRONG), (None, Verdict.UNGRADABLE)],
)
def test_a_missing_grade_is_ungradable_and_not_wrong(tmp_path: Path, value: object, verdict: Verdict) -> None:
    _, records = read(tmp_path, {**ROW, "isgeminicorrect": value})
    assert [item.verdict for item in records if isinstance(item, Grade)] == [verdict]


def test_a_row_without_a_trace_is_a_failed_response(tmp_path: Path) -> None:
    _, records = read(tmp_path, {**ROW, "reasoning": None, "attempt": "", "gemini_length": None})
    (response,) = (item for item in records if isinstance(item, Response))
    assert (response.finish, response.error) == (Finish.ERROR, "the set holds no trace for this question")
    assert "trace_tokens" not in [item.name for item in records if isinstance(item, Label)]


def test_the_set_of_traces_alone_counts_words_and_says_so(tmp_path: Path) -> None:
    row = {
        "question": "Which?\n(A) a\n(B) b", "solution": "Since so.\n\nAnswer: B", "cot_type": "science",
        "source_type": "Idavidrein/gpqa", "metadata": "{}", "cot": None, "thinking_trajectories": ["One two three."],
        "attempt": "B",
    }  # fmt: skip
    problem, records = read(tmp_path, row, "s1_59k_traces")
    assert (problem.source, problem.reference, problem.kind) == ("gpqa", "B", Kind.OPEN)
    assert [type(item) for item in records] == [Response, Label]
    assert isinstance(records[0], Response)
    assert isinstance(records[1], Label)
    assert (records[0].thinking, records[0].thinking_tokens) == ("One two three.", 3)
    assert (records[1].name, records[1].value, records[1].by) == ("trace_tokens", "3", "words")


@pytest.mark.parametrize(
    ("source_type", "source"),
    [
        ("simplescaling/openaimath/Algebra", "math"),
        ("qfq/openaimath/Algebra", "math"),
        ("AI-MO/NuminaMath-CoT/aops_forum", "numina_math"),
        ("LiveCodeBench/release_v1", "livecodebench"),
        ("somebody/else", "s1_59k"),
        (None, "s1_59k"),
    ],
)
def test_a_row_has_the_name_of_its_family_under_old_and_new_prefixes(
    tmp_path: Path, source_type: str | None, source: str
) -> None:
    problem, _ = read(tmp_path, {**ROW, "source_type": source_type})
    assert problem.source == source


def test_names_of_columns_that_differ_are_mapped(tmp_path: Path) -> None:
    row = {"prompt": "q", "trace": "T", "out": "O", "good": "Yes", "small": "No"}
    (tmp_path / "x.jsonl").write_text(json.dumps(row) + "\n")
    columns = {"thinking": "trace", "answer": "out", "correct": "good", SEVEN: "small"}
    entry, tally = find_entry("s1_59k").with_columns(columns), Tally()
    (found,) = read_entry(entry, "s1_59k", {"x": tmp_path / "x.jsonl"}, Wanted(seed=1), tally)
    assert tally.absent == ["tokens", "domain", THIRTY_TWO]
    assert entry.brings
    assert isinstance(found.problem, Problem)
    response, grade, _, rate = brought(entry.brings, found.problem, found.row, count_words, "words")
    assert isinstance(response, Response)
    assert isinstance(grade, Grade)
    assert (response.thinking, response.answer_text, grade.verdict) == ("T", "O", Verdict.CORRECT)
    assert isinstance(rate, Label)
    assert (rate.by, rate.value) == (SEVEN, "0/1")
    assert found.problem.extra == {}
