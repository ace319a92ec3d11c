"""Trace lengths: as stated, or counted by a tokenizer; traces of the run's stages and of files; memory."""

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stages.labelling import Labelling, Stages, grade, problem, response
from thinkscale.errors import DataError
from thinkscale.records import Label, Record, Response, Verdict

SUM, WAIT = "3 + 4 = 7.", "12 + 30 = 42. Wait, 7"
SUM_TOKENS, WAIT_TOKENS = 10, 18
"""By hand, in the lab's tokenizer: digits, signs, spaces and points are a token each, and so is Wait."""


def lengths(labels: list[Label]) -> dict[str, tuple[str, str, str]]:
    return {item.problem_id: (item.value, item.by, item.evidence) for item in labels if item.name == "trace_tokens"}


STAGES = Stages(
    collect=[problem(name, "?") for name in "abcd"],
    generate=[
        response("a", SUM, tokens=100),
        response("a", WAIT, sample=1, tokens=200),
        response("b", WAIT, tokens=300),
        response("c", error="gone"),
        response("c", "", sample=1, tokens=400),
    ],
    grade=[
        grade("a", Verdict.WRONG),
        grade("a", Verdict.CORRECT, sample=1),
        grade("b", Verdict.WRONG),
        grade("c", Verdict.UNGRADABLE),
        grade("c", Verdict.WRONG, sample=1),
    ],
)


def test_the_first_correct_trace_counts_as_its_response_states_it(tmp_path: Path) -> None:
    assert lengths(Labelling(tmp_path, STAGES, {})()) == {"a": ("200", "teacher", "response a-1")}


def test_without_a_correct_trace_the_first_that_is_there_counts(tmp_path: Path) -> None:
    assert lengths(Labelling(tmp_path, STAGES, {"problems": "all"})()) == {
        "a": ("200", "teacher", "response a-1"),
        "b": ("300", "teacher", "response b-0"),
        "c": ("400", "teacher", "response c-1"),
    }


def test_a_named_tokenizer_counts_the_thinking(tmp_path: Path) -> None:
    found = lengths(Labelling(tmp_path, STAGES, {"problems": "all", "tokenizer": "lab"})())
    assert found == {
        "a": (str(WAIT_TOKENS), "lab", "response a-1"),
        "b": (str(WAIT_TOKENS), "lab", "response b-0"),
        "c": ("0", "lab", "response c-1"),
    }


def test_traces_that_a_source_brought_count_as_those_of_the_teacher(tmp_path: Path) -> None:
    stages = Stages(
        collect=[problem("a", "?"), problem("b", "?"), response("a", SUM), grade("a", Verdict.CORRECT), response("b")]
    )
    assert lengths(Labelling(tmp_path, stages, {"tokenizer": "lab"})()) == {
        "a": (str(SUM_TOKENS), "lab", "response a-0")
    }


def write(path: Path, *rows: dict[str, object]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path.name


def test_traces_of_files_are_matched_to_their_grades_by_id_and_order(tmp_path: Path) -> None:
    responses = write(
        tmp_path / "responses.jsonl",
        {"id": "a", "thinking": WAIT, "thinking_tokens": 9, "model": "m"},
        {"id": "b", "response": f"<think>\n{SUM}\n</think>\n\n7", "model": "m"},
        {"id": "a", "reasoning": SUM, "model": "m"},
        {"id": "elsewhere", "thinking": SUM},
    )
    grades = write(
        tmp_path / "grades.jsonl",
        {"id": "a", "verdict": "wrong"},
        {"id": "b", "verdict": "correct"},
        {"id": "a", "verdict": "correct"},
    )
    stages = Stages(collect=[problem(name, "?") for name in "abc"])
    done = Labelling(tmp_path, stages, {"responses": responses, "grades": grades, "tokenizer": "lab"})
    assert lengths(done()) == {
        "a": (str(SUM_TOKENS), "lab", "response a#1"),
        "b": (str(SUM_TOKENS), "lab", "response b#0"),
    }
    assert "1 traces are of problems that are not there" in done.said


def test_keys_go_before_order_and_no_grades_make_every_trace_count(tmp_path: Path) -> None:
    rows: list[dict[str, object]] = [
        {"problem_id": "a", "key": f"k{number}", "thinking": SUM, "thinking_tokens": number} for number in (1, 2)
    ]
    responses = write(tmp_path / "responses.jsonl", *rows)
    grades = write(tmp_path / "grades.jsonl", {"response_key": "k2", "problem_id": "a", "verdict": "correct"})
    stages = Stages(collect=[problem("a", "?")])
    by_key = Labelling(tmp_path / "keys", stages, {"responses": f"../{responses}", "grades": f"../{grades}"})
    by_key.folder.mkdir()
    assert lengths(by_key()) == {"a": ("2", "responses.jsonl", "response k2")}
    assert lengths(Labelling(tmp_path, stages, {"responses": responses})())["a"][0] == "1"


@pytest.mark.parametrize(
    ("rows", "grades", "message"),
    [
        ([{"thinking": "x"}], None, "responses.jsonl:1: the row names no problem"),
        ([{"id": "a", "thinking": "x"}], None, "the response to a states no `thinking_tokens`; name a tokenizer"),
        ([{"id": "a"}], [{"id": "a", "verdict": "fine"}], "grades.jsonl:1: `verdict` must be one of correct, wrong"),
    ],
)
def test_rows_that_cannot_be_used_are_named(
    tmp_path: Path, rows: list[dict[str, object]], grades: list[dict[str, object]] | None, message: str
) -> None:
    section = {"responses": write(tmp_path / "responses.jsonl", *rows)}
    if grades is not None:
        section["grades"] = write(tmp_path / "grades.jsonl", *grades)
    with pytest.raises(DataError) as caught:
        Labelling(tmp_path, Stages(collect=[problem("a", "?")]), {**section})()
    assert message in str(caught.value)


TRACES, CHARACTERS = 600, 60_000


def many() -> Iterator[Response]:
    for number in range(TRACES):
        yield response(f"p{number}", f"{number} " * (CHARACTERS // 4), tokens=number)


def test_traces_are_streamed_and_never_held(tmp_path: Path) -> None:
    problems: list[Record] = [problem(f"p{number}", "?") for number in range(TRACES)]
    grades = [grade(f"p{number}", Verdict.CORRECT) for number in range(TRACES)]
    done = Labelling(tmp_path, Stages(collect=problems, generate=list(many()), grade=grades), {})
    done()
    again = Labelling(tmp_path, Stages(collect=()), {})
    from thinkscale.store.run import RunDirectory

    with RunDirectory.open_existing(tmp_path / "run") as run:
        run.discard_stages(["label"])
    tracemalloc.start()
    try:
        labels = again()
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert {item.problem_id: item.value for item in labels if item.name == "trace_tokens"} == {
        f"p{number}": str(number) for number in range(TRACES)
    }
    whole = sum(len(item.thinking) for item in many())
    assert whole > 3e7
    assert peak < 0.6 * whole, "a page of 200 rows is what the journal reads at once"
