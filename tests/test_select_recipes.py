"""The s1 paper's choice and its ablations, as shipped recipes, on a small stand-in for its 59,000 rows."""

import json
from collections import Counter
from pathlib import Path

import pytest

from tests.selecting import COUNT, rows, run
from thinkscale.commands.plan import plan
from thinkscale.pipeline import load_recipe, run_recipe
from thinkscale.records import Decision, Example, Fate, Problem
from thinkscale.store.run import RunDirectory

RECIPES = ("s1-1k", "s1-1k-random", "s1-1k-diverse", "s1-1k-longest", "s1-59k")


def kept(out: Path) -> list[str]:
    """Ids of the examples in their order; there is one for each row that was selected."""
    with RunDirectory.read(out) as opened:
        ids = [example.problem_id for example in opened.rows(Example)]
        fates = list(opened.rows(Fate, "select"))
    assert {fate.problem_id for fate in fates if fate.decision is Decision.KEPT} == set(ids)
    assert len(fates) == len(rows())
    return ids


def facts(out: Path) -> dict[str, dict[str, object]]:
    """Id to the row that it was made of."""
    by_question = {str(row["prompt"]): row for row in rows()}
    with RunDirectory.read(out) as opened:
        return {problem.id: by_question[problem.question] for problem in opened.rows(Problem)}


@pytest.mark.parametrize("name", RECIPES)
def test_each_recipe_can_be_planned(name: str, tmp_path: Path) -> None:
    stages = plan(name, tmp_path / "none", ())["stages"]
    assert isinstance(stages, list)
    assert [stage["stage"] for stage in stages if isinstance(stage, dict)] == ["collect", "select", "report"]


def test_s1s_choice_follows_its_rules(tmp_path: Path) -> None:
    out = run("s1-1k", tmp_path, "select.count=150")
    ids, row_of = kept(out), facts(out)
    must = {
        name
        for name, row in row_of.items()
        if row["isgeminicorrect"] and row["isqwen7bcorrect"] is False and row["isqwen32bcorrect"] is False
        and row["domain"] and "![Image]" not in str(row["prompt"])
        and ("AIME" in str(row["source_type"]) or "gpqa" in str(row["source_type"])
             or ("openaimath" in str(row["source_type"]) and int(str(row["gemini_length"])) > 5_600))
    }  # fmt: skip
    assert 100 < len(must) < 150
    assert set(ids[: len(must)]) == must, "rows that are kept come first"
    drawn = [row_of[name] for name in ids[len(must) :]]
    assert not any(row["isqwen7bcorrect"] for row in drawn)
    assert any(not row["isgeminicorrect"] for row in drawn), "s1 asks for a correct trace of kept rows only"
    with RunDirectory.read(out) as opened:
        reasons = Counter(fate.reason for fate in opened.rows(Fate, "select"))
    assert reasons["weak_model_solves_it"] == 40
    assert (reasons["no_domain"], reasons["no_attempts"], reasons["engine_error"]) == (1, 1, 1)
    assert reasons["s1_image"] == 1


def test_the_longest_are_the_longest_of_those_with_everything(tmp_path: Path) -> None:
    out = run("s1-1k-longest", tmp_path)
    row_of = facts(out)
    lengths = sorted((int(str(row["gemini_length"])) for row in rows()[4:]), reverse=True)
    assert [int(str(row_of[name]["gemini_length"])) for name in kept(out)] == lengths[:COUNT]


def test_random_and_diverse_look_at_no_difficulty(tmp_path: Path) -> None:
    for name in ("s1-1k-random", "s1-1k-diverse"):
        out = run(name, tmp_path)
        assert len(kept(out)) == COUNT
        with RunDirectory.read(out) as opened:
            reasons = Counter(fate.reason for fate in opened.rows(Fate, "select"))
        assert reasons["not_drawn"] == len(rows()) - COUNT - 4, "only the four spoilt rows are dropped by a filter"


def test_the_whole_set_is_every_row_with_a_trace(tmp_path: Path) -> None:
    assert len(kept(run("s1-59k", tmp_path))) == 399


def test_rows_without_traces_can_be_selected_and_it_is_said_that_they_make_no_examples(tmp_path: Path) -> None:
    questions = [
        {"id": f"q{place}", "question": f"How much is {place} times {place + 1}?", "answer": "x"} for place in range(9)
    ]
    (tmp_path / "own.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    (tmp_path / "own.yaml").write_text(
        "name: own\ncollect: {sources: [{type: file, path: own.jsonl}]}\n"
        "select: {count: 4, need: [], need_correct: false, duplicate_containment: null}\n"
    )
    out = run_recipe(load_recipe(str(tmp_path / "own.yaml")), tmp_path / "run", quiet=True)
    with RunDirectory.read(out) as opened:
        assert sum(fate.decision is Decision.KEPT for fate in opened.rows(Fate, "select")) == 4
        assert list(opened.rows(Example)) == []
        said = [event.text for event in opened.journal.events("select")]
    assert "4 selected rows have no trace, so no example is made of them" in said
    assert any("no row that passes has a domain" in text for text in said)
