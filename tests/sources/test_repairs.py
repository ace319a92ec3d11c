"""What a JSON escape took from a problem is put back when it is collected, and the problem says what."""

import json
from pathlib import Path

import pytest

from thinkscale.commands.collect import CollectOptions, collect
from thinkscale.commands.why import why, why_text
from thinkscale.curation.quality import question_faults
from thinkscale.pipeline import load_recipe, run_recipe
from thinkscale.records import Kind, Problem, from_row
from thinkscale.sources.files import read_rows
from thinkscale.sources.repairs import RECORD, repaired_problem
from thinkscale.store.run import RunDirectory

DAMAGED = {
    "id": "a",
    "question": "For which x \neq 4 is \x0crac{1}{x-4} an integer? Give the sum of them all.",
    "answer": "\x08oxed{8}",
    "solution": "Try 3 \times 1.\nEqual parts.",
}
WHOLE_QUESTION = r"For which x \neq 4 is \frac{1}{x-4} an integer? Give the sum of them all."


def row(**values: object) -> Problem:
    fields = {"id": "a", "source": "s", "question": "q?", "reference": "1"}
    return Problem(**{**fields, **values})  # type: ignore[arg-type]


def test_every_text_of_a_problem_is_repaired_and_says_what_was_put_back() -> None:
    damaged = row(
        question=DAMAGED["question"], reference=DAMAGED["answer"], solution=DAMAGED["solution"],
        kind=Kind.CHOICE, choices=("\x0crac12", "none"), extra={"year": 1983},
    )  # fmt: skip
    found = repaired_problem(damaged)
    assert found.question == WHOLE_QUESTION
    assert (found.reference, found.choices) == (r"\boxed{8}", (r"\frac12", "none"))
    assert found.solution == "Try 3 \\times 1.\nEqual parts.", "a line break before a word is a line break"
    assert found.extra == {
        "year": 1983,
        RECORD: {
            "question": [r"\neq", r"\frac"],
            "reference": [r"\boxed"],
            "solution": [r"\times"],
            "choices": [r"\frac"],
        },
    }
    assert repaired_problem(found) is found, "a second time there is nothing to do"


@pytest.mark.parametrize(
    "problem",
    [
        row(question=r"Let \frac{1}{2} be given.\nWhat is it?"),
        row(question="first\tsecond\nthird"),
        row(question="print\times\nfor x in y:\n\treturn", kind=Kind.CODE),
        row(reference=None),
    ],
)
def test_a_problem_without_damage_and_any_program_stay_the_very_same(problem: Problem) -> None:
    assert repaired_problem(problem) is problem


def test_collect_repairs_and_counts_on_plain_files(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text(json.dumps(DAMAGED) + "\n" + json.dumps({"id": "b", "question": "Sound?"}))
    said = collect((str(tmp_path / "pool.jsonl"),), tmp_path / "out.jsonl", None, CollectOptions())
    first, second = (from_row(Problem, item.values) for item in read_rows(tmp_path / "out.jsonl"))
    assert (first.id, first.question) == ("a", WHOLE_QUESTION)
    assert RECORD not in second.extra
    assert question_faults(first, ["eaten_escape"]) == []
    assert "1 rows: letters of LaTeX commands that an escape took are put back" in said


def test_collect_repairs_in_a_run_and_why_says_what(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text(json.dumps(DAMAGED) + "\n")
    (tmp_path / "recipe.yaml").write_text("name: pool\ncollect: {sources: [{type: file, path: pool.jsonl}]}\n")
    run_recipe(load_recipe(str(tmp_path / "recipe.yaml")), tmp_path / "run", quiet=True)
    with RunDirectory.read(tmp_path / "run") as opened:
        (problem,) = opened.rows(Problem)
        notices = [event.text for event in opened.journal.events() if event.kind == "notice"]
    assert problem.question == WHOLE_QUESTION
    assert any(text.startswith("collect: 1 rows: letters of LaTeX") for text in notices)
    assert r"  repaired    question: \neq, \frac" in why_text(why(tmp_path / "run", "a")).splitlines()
