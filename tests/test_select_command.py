"""select on plain files and again on a run; why on one row."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.selecting import COUNT, run
from thinkscale.cli.select import select as cli_select
from thinkscale.commands.replay import replay, replay_json, replay_text
from thinkscale.commands.select import select, selected_json, selected_text
from thinkscale.commands.selection_files import Inputs, inputs_of
from thinkscale.commands.why import why, why_text
from thinkscale.config import Recipe
from thinkscale.errors import ConfigError, DataError, RunDirectoryError, StageError
from thinkscale.keys import JSON
from thinkscale.records import Fate, Problem
from thinkscale.settings import load_settings
from thinkscale.sources.files import read_rows, write_rows
from thinkscale.stages.measuring import measure_run
from thinkscale.stages.stored_measures import stored_measures
from thinkscale.store.run import RunDirectory

QUESTIONS = (
    "How many apples are left when Ann eats 3 of her 11 apples and buys 4 more on the way home?",
    "Find the sum of all positive divisors of the number 360 that are multiples of 6.",
    "A train leaves at noon and travels 240 miles at 60 miles an hour. When does it arrive?",
    "Let $f(x) = x^2 - 5x + 6$. What is the product of the roots of $f(x) = 0$?",
    "What is the area of a circle whose circumference is $10\\pi$ centimetres?",
)


def problems(folder: Path, name: str = "pool.jsonl", **changes: dict[str, JSON]) -> Path:
    """The questions as rows with id and answer; `changes` by id."""
    rows = [{"id": f"q{place}", "question": text, "answer": str(place)} for place, text in enumerate(QUESTIONS)]
    write_rows(folder / name, [{**row, **changes.get(str(row["id"]), {})} for row in rows])
    return folder / name


def rows_of(path: Path) -> list[dict[str, Any]]:
    return [dict(row.values) for row in read_rows(path)]


def test_problems_alone_are_enough(tmp_path: Path) -> None:
    pool = problems(tmp_path, q1={"question": "Find it. ![Image](a.png) What is the angle there?"})
    copy = tmp_path / "more.jsonl"
    write_rows(copy, [{"id": "copy", "question": QUESTIONS[0].upper(), "answer": "12"}])
    bench = tmp_path / "bench.jsonl"
    write_rows(bench, [{"id": "item", "question": f"Solve this: {QUESTIONS[2]}", "answer": "16:00"}])
    out, report = tmp_path / "out.jsonl", tmp_path / "fates.jsonl"
    made = select(Inputs(problems=(pool, copy)), out, {"count": 2, "against": [str(bench)]}, report=report)
    fates = {row["problem_id"]: row for row in rows_of(report)}
    assert list(fates) == ["q0", "q1", "q2", "q3", "q4", "copy"]
    assert (fates["q1"]["step"], fates["q1"]["reason"]) == ("question", "image_reference")
    assert fates["q2"]["reason"] == "contaminated"
    assert "item" in fates["q2"]["evidence"]
    assert (fates["copy"]["step"], fates["copy"]["reason"]) == ("duplicate", "duplicate")
    picked = rows_of(out)
    assert len(picked) == 2
    assert all(row in rows_of(pool) for row in picked), "the rows are written as they were"
    assert [row["problem_id"] for row in fates.values() if row["decision"] == "kept"] == sorted(
        row["id"] for row in picked
    )
    found = selected_json(made)
    assert isinstance(found, dict)
    assert (found["rows"], found["selected"]) == (6, 2)
    assert "in s1" in selected_text(made)
    assert "no row that passes has a domain" in selected_text(made)


def test_responses_grades_and_labels_are_read_as_our_commands_write_them(tmp_path: Path) -> None:
    pool = problems(tmp_path)
    responses: list[dict[str, JSON]] = [
        {"id": f"q{place}", "sample": 0, "thinking": f"Think {place}.", "answer": str(place), "finish": "end",
         "thinking_tokens": 100 + place}
        for place in range(5)
    ]  # fmt: skip
    responses[1]["finish"] = "length"
    write_rows(tmp_path / "responses.jsonl", [*responses, {**responses[2], "thinking_tokens": 500}])
    verdicts = ["correct", "cut_off", "wrong", "correct", "correct", "correct"]
    ids = [f"q{place}" for place in (0, 1, 2, 3, 4, 2)]
    write_rows(
        tmp_path / "grades.jsonl",
        [{"id": name, "verdict": verdict, "tier": "exact"} for name, verdict in zip(ids, verdicts, strict=True)],
    )
    labels: list[dict[str, JSON]] = [
        {"problem_id": "q0", "name": "domain", "value": "11", "by": "model", "evidence": ""},
        {"problem_id": "q3", "name": "pass_rate", "value": "1/1", "by": "small", "evidence": "small"},
    ]
    write_rows(tmp_path / "labels.jsonl", labels)
    inputs = Inputs(
        problems=(pool,), responses=tmp_path / "responses.jsonl", grades=tmp_path / "grades.jsonl",
        labels=tmp_path / "labels.jsonl",
    )  # fmt: skip
    out, report = tmp_path / "out.jsonl", tmp_path / "fates.jsonl"
    select(inputs, out, {"count": 3, "sampler": "longest"}, report=report)
    fates = {row["problem_id"]: row["reason"] for row in rows_of(report)}
    assert fates == {
        "q0": "selected", "q1": "cut_off", "q2": "selected", "q3": "weak_model_solves_it", "q4": "selected",
    }  # fmt: skip
    assert [(row["id"], row["response_key"]) for row in rows_of(out)] == [
        ("q2", "q2/2"), ("q4", "q4/1"), ("q0", "q0/1"),
    ]  # fmt: skip


def test_repeated_ids_are_told_apart(tmp_path: Path) -> None:
    pool = problems(tmp_path, q1={"id": "q0"})
    report = tmp_path / "fates.jsonl"
    select(Inputs(problems=(pool,)), tmp_path / "out.jsonl", {"count": 5}, report=report)
    assert [row["problem_id"] for row in rows_of(report)] == ["q0", "q0~2", "q2", "q3", "q4"]


def test_too_few_rows_leave_the_fates_that_say_why(tmp_path: Path) -> None:
    pool = problems(tmp_path, q0={"answer": None})
    out, report = tmp_path / "out.jsonl", tmp_path / "fates.jsonl"
    with pytest.raises(StageError, match=r"asks for 5 examples, but only 4 of 5 .*no_reference 1"):
        select(Inputs(problems=(pool,)), out, {"count": 5}, report=report)
    assert [(row["problem_id"], row["reason"]) for row in rows_of(report)] == [("q0", "no_reference")]
    assert not out.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("collect.malformed=drop",), "settings of the section `select` only"),
        (("select.question_rules=[nonsense]",), "no question rule is called nonsense"),
        (("select.trace_rules=[nonsense]",), "no rule is called nonsense"),
        (("select.exponent=0.3",), "exponent"),
        (("select.sampler=longest", "select.exponent=1"), "the sampler longest draws nothing by weight"),
        (('select.keep_all=[{"source": "gone"}]',), "no row is of the source 'gone'; the sources are pool"),
    ],
)
def test_settings_that_make_no_sense_are_named(tmp_path: Path, settings: tuple[str, ...], message: str) -> None:
    with pytest.raises((ConfigError, StageError), match=message) as caught:
        select(Inputs(problems=(problems(tmp_path),)), tmp_path / "out.jsonl", {"count": 1}, settings)
    assert "the command line" not in str(caught.value)


def test_an_output_is_never_an_input(tmp_path: Path) -> None:
    pool = problems(tmp_path)
    for out, report in ((pool, None), (tmp_path / "o.jsonl", pool), (tmp_path / "o.jsonl", tmp_path / "o.jsonl")):
        with pytest.raises(ConfigError, match="would be overwritten"):
            select(Inputs(problems=(pool,)), out, {"count": 1}, report=report)


def test_a_row_that_is_no_problem_is_named_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "pool.jsonl").write_text('{"question": ""}\n')
    with pytest.raises(DataError, match=r"pool\.jsonl:1: `question` must be a text"):
        select(Inputs(problems=(tmp_path / "pool.jsonl",)), tmp_path / "out.jsonl", {"count": 1})


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of s1's recipe on the stand-in."""
    return run("s1-1k", tmp_path_factory.mktemp("run"), "select.keep_all=[]")


def contents(folder: Path) -> dict[str, bytes]:
    ignored = ("journal.db-shm", "journal.db-wal")
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.name not in ignored
    }


def test_a_replay_without_changes_is_the_first_choice_and_leaves_the_run_alone(finished: Path) -> None:
    before = contents(finished)
    found = replay(finished)
    assert (found.overlap, found.entered.total(), found.left.total()) == (1.0, 0, 0)
    assert len(found.again) == COUNT
    assert contents(finished) == before


def test_a_replay_says_what_entered_and_what_left_and_why(finished: Path, tmp_path: Path) -> None:
    found = replay(finished, ("select.need_correct=true",), seed=7, out=tmp_path / "again")
    both = len(found.first & found.again)
    assert found.overlap == both / (2 * COUNT - both)
    assert found.left["wrong_answer"] > 0
    assert found.entered["not_drawn"] == found.entered.total() == COUNT - both
    fates, picks = rows_of(tmp_path / "again" / "fates.jsonl"), rows_of(tmp_path / "again" / "picks.jsonl")
    assert len(fates) == len(found.measures.rows)
    assert [row["problem_id"] for row in picks] == [pick.problem_id for pick in found.decisions.selection.picks]
    shown = replay_json(found)
    assert isinstance(shown, dict)
    assert json.loads(json.dumps(shown))["jaccard"] == found.overlap
    assert "before: not_drawn" in replay_text(found)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (("collect.malformed=drop",), "settings of the section `select` only"),
        (("select.overlap_rule=default",), "this decides what is measured"),
        (("select.languages=[]",), "this decides what is measured"),
    ],
)
def test_a_replay_only_decides(finished: Path, settings: tuple[str, ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        replay(finished, settings)


def test_a_replay_writes_nothing_into_the_run(finished: Path) -> None:
    with pytest.raises(ConfigError, match="lies in the run"):
        replay(finished, out=finished / "again")


def test_measures_are_made_again_from_the_journal_where_their_files_are_gone_or_broken(finished: Path) -> None:
    with RunDirectory.read(finished) as opened:
        stored = stored_measures(opened)
        assert stored is not None
        recipe = load_settings(Recipe, opened.recipe_yaml, name="recipe.yaml").value
        again = measure_run(opened, recipe, finished)
    for name, table in stored.tables().items():
        assert table.equals(again.tables()[name]), name
    whole = (finished / "measures" / "edges.parquet").read_bytes()
    try:
        (finished / "measures" / "edges.parquet").write_bytes(whole[:-20])
        with RunDirectory.read(finished) as opened:
            assert stored_measures(opened) is None
        assert replay(finished).overlap == 1.0
    finally:
        (finished / "measures" / "edges.parquet").write_bytes(whole)


def test_a_folder_that_is_no_run_cannot_be_replayed(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="not a run directory"):
        replay(tmp_path)


def test_a_run_is_not_taken_for_problems(finished: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="add --replay"):
        cli_select([finished], out=tmp_path / "out.jsonl")


def test_why_tells_what_every_filter_says_of_a_row(finished: Path) -> None:
    with RunDirectory.read(finished) as opened:
        fates = {fate.reason: fate.problem_id for fate in opened.rows(Fate, "select")}
    found = why(finished, fates["weak_model_solves_it"])
    filters = found["filters"]
    assert isinstance(filters, list)
    said = {item["filter"]: item for item in filters if isinstance(item, dict)}
    assert list(said) == ["missing", "question", "trace", "contaminated", "duplicate", "difficulty"]
    assert said["difficulty"]["reason"] == "weak_model_solves_it"
    assert said["question"]["passes"] is True
    text = why_text(found)
    assert "weak_model_solves_it" in text
    assert "teacher     gemini" in text
    image = why_text(why(finished, fates["s1_image"]))
    assert "objects  s1_image" in image


def test_why_reads_the_same_from_tables_and_from_the_journal(finished: Path) -> None:
    with RunDirectory.read(finished) as opened:
        name = next(opened.rows(Problem)).id
    from_tables = why(finished, name)
    tables = {path: path.read_bytes() for path in finished.glob("*.parquet")}
    try:
        for path in tables:
            path.unlink()
        assert why(finished, name) == from_tables
    finally:
        for path, content in tables.items():
            path.write_bytes(content)


def test_why_names_an_id_that_nobody_knows(finished: Path) -> None:
    with pytest.raises(DataError, match="no stage knows a row with the id 'nobody'"):
        why(finished, "nobody")


def test_a_folder_stands_for_the_tables_in_it(tmp_path: Path) -> None:
    problems(tmp_path, "problems.jsonl")
    (tmp_path / "labels.jsonl").write_text("")
    found = inputs_of((tmp_path,), None, None, None)
    assert (found.problems, found.labels, found.grades) == (
        (tmp_path / "problems.jsonl",), tmp_path / "labels.jsonl", None,
    )  # fmt: skip
    (tmp_path / "none").mkdir()
    with pytest.raises(ConfigError, match="a folder without a table `problems`"):
        inputs_of((tmp_path / "none",), None, None, None)


def test_labels_are_read_as_the_command_label_reads_them(tmp_path: Path) -> None:
    pool, out, report = problems(tmp_path), tmp_path / "out.jsonl", tmp_path / "fates.jsonl"
    labels = tmp_path / "labels.jsonl"
    write_rows(
        labels, [{"problem_id": f"q{number}", "name": "domain", "value": "Number theory"} for number in range(5)]
    )
    select(Inputs(problems=(pool,), labels=labels), out, {"count": 1}, report=report)
    (kept,) = [row for row in rows_of(report) if row["decision"] == "kept"]
    assert kept["evidence"].endswith("in 11, one of 1 domains")
    write_rows(labels, [{"problem_id": "q0", "name": "pass_rate", "value": "half", "by": "small"}])
    with pytest.raises(DataError, match=r"labels.jsonl:1: the value of a `pass_rate` is `correct/graded`"):
        select(Inputs(problems=(pool,), labels=labels), out, {"count": 1})
