"""The stage collect reads every kind of source, stores what they bring, and knows them again by their content."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.sources.fake_hub import FIRST, SECOND, FakeHub, fake_hub
from thinkscale.errors import ConfigError, DataError, DriftError
from thinkscale.pipeline import load_recipe, run_recipe
from thinkscale.records import Fate, Grade, Label, Problem, Response
from thinkscale.sources.choices import RECORD
from thinkscale.store.run import RunDirectory

__all__ = ["fake_hub"]


def recipe(folder: Path, *sources: str, more: str = "") -> Path:
    lines = "".join(f"    - {source}\n" for source in sources)
    path = folder / "recipe.yaml"
    path.write_text(f"name: pool\ncollect:\n  sources:\n{lines}{more}")
    return path


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def run(path: Path, *overrides: str, fresh: bool = False) -> Path:
    return run_recipe(load_recipe(str(path), overrides), path.parent / "run", until="collect", quiet=True, fresh=fresh)


def ids(folder: Path) -> list[str]:
    with RunDirectory.read(folder) as opened:
        return [problem.id for problem in opened.rows(Problem)]


def test_sources_of_every_kind_make_one_pool(tmp_path: Path, fake_hub: FakeHub) -> None:
    write(tmp_path / "mine.jsonl", [{"id": 1, "question": "a?"}, {"question": "b?"}])
    write(tmp_path / "math.jsonl", [{"problem": "c?", "answer": "1", "solution": "s", "level": "Level 5"}])
    fake_hub.add("o/n", {"data/train-0.jsonl": b'{"text": "d?", "id": 1}\n'})
    out = run(
        recipe(
            tmp_path,
            "{type: file, path: mine.jsonl}",
            "{type: catalogue, name: math, local: .}",
            "{type: hub, repository: o/n, columns: {question: text}}",
            "{type: lab, size: 3}",
        )
    )
    with RunDirectory.read(out) as opened:
        problems = list(opened.rows(Problem))
        notices = [event.text for event in opened.journal.events() if event.kind == "notice"]
        identity = opened.journal.stage("collect")
    assert [problem.question for problem in problems[:4]] == ["a?", "b?", "c?", "d?"]
    assert [problem.source for problem in problems[:4]] == ["mine", "mine", "math", "n"]
    assert (problems[0].id, problems[2].level, problems[3].id) == ("1", 5, "n-1")
    assert "collect: math: 1 rows read, where the catalogue knows 12,000" in notices
    assert f"collect: n at {FIRST}: 1 rows read" in notices
    assert identity
    files = identity.identity["files"]
    assert isinstance(files, dict)
    assert set(files) == {"mine.jsonl", "math (rules)", "math: math.jsonl", "o/n"}
    assert files["o/n"] == FIRST


def test_a_set_that_is_not_pinned_stays_at_the_commit_of_the_first_run(tmp_path: Path, fake_hub: FakeHub) -> None:
    fake_hub.add("o/n", {"train.jsonl": b'{"question": "old?"}\n'})
    path = recipe(tmp_path, "{type: hub, repository: o/n}")
    first = ids(run(path))
    fake_hub.add("o/n", {"train.jsonl": b'{"question": "new?"}\n'}, SECOND)
    assert ids(run(path)) == first
    with pytest.raises(DriftError, match="files"):
        run(path, f"collect.sources.0.revision={SECOND}")
    assert ids(run(path, f"collect.sources.0.revision={SECOND}", fresh=True)) != first


def test_a_local_file_that_changed_is_drift(tmp_path: Path) -> None:
    row = {"problem": "c?", "answer": "1"}
    write(tmp_path / "deepscaler.jsonl", [row])
    path = recipe(tmp_path, "{type: catalogue, name: deepscaler, local: .}")
    run(path)
    write(tmp_path / "deepscaler.jsonl", [row, row])
    with pytest.raises(DriftError, match="files"):
        run(path)


def test_repeated_texts_are_rows_and_repeated_ids_are_not(tmp_path: Path) -> None:
    write(tmp_path / "deepscaler.jsonl", [{"problem": "c?", "answer": "1"}] * 2 + [{"problem": "", "answer": "1"}])
    write(tmp_path / "mine.jsonl", [{"id": "x", "question": text} for text in ("a?", "b?", "a?")])
    sources = ("{type: catalogue, name: deepscaler, local: .}", "{type: file, path: mine.jsonl}")
    out = run(recipe(tmp_path, *sources, more="  malformed: drop\n"))
    with RunDirectory.read(out) as opened:
        problems, fates = list(opened.rows(Problem)), list(opened.rows(Fate))
    assert [item.question for item in problems] == ["c?", "c?", "a?", "b?"]
    assert problems[1].id == f"{problems[0].id}#2"
    assert [item.id for item in problems[2:]] == ["x", "x#2"]
    assert [(item.problem_id, item.reason) for item in fates[1:]] == [("x#3", "repeated_id")]
    assert fates[0].reason == "missing_question"
    with pytest.raises(DataError, match=r"deepscaler\.jsonl:3: missing_question"):
        run(recipe(tmp_path, *sources), fresh=True)


def test_the_59k_brings_traces_grades_and_labels_into_the_run(tmp_path: Path) -> None:
    row = {
        "prompt": "Find $x$.", "reasoning": "Think.", "attempt": "3", "ground_truth": "3", "isgeminicorrect": True,
        "isqwen7bcorrect": False, "isqwen32bcorrect": True, "domain": "Geometry", "gemini_length": 5,
        "source_type": "qq8933/AIME_1983_2024",
    }  # fmt: skip
    write(tmp_path / "s1_59k.jsonl", [row, {**row, "prompt": "Find $y$.", "isgeminicorrect": None}])
    out = run(recipe(tmp_path, "{type: catalogue, name: s1_59k, local: .}"))
    with RunDirectory.read(out) as opened:
        problems = list(opened.rows(Problem, "collect"))
        responses = list(opened.rows(Response, "collect"))
        grades = list(opened.rows(Grade, "collect"))
        labels = list(opened.rows(Label, "collect"))
    assert [item.source for item in problems] == ["aime", "aime"]
    assert [item.problem_id for item in responses] == [item.id for item in problems]
    assert [item.verdict.value for item in grades] == ["correct", "ungradable"]
    first = {
        (item.name, item.by.rpartition("/")[2]): item.value for item in labels if item.problem_id == problems[0].id
    }
    assert first == {
        ("trace_tokens", "Qwen2.5-32B-Instruct"): "5",
        ("domain", "claude-3-5-sonnet-20241022"): "51",
        ("pass_rate", "Qwen2.5-7B-Instruct"): "0/1",
        ("pass_rate", "Qwen2.5-32B-Instruct"): "1/1",
    }
    assert (out / "responses.parquet").is_file()


def test_gpqa_rows_of_a_file_are_shuffled_by_the_recipes_seed(tmp_path: Path) -> None:
    rows = []
    for number in range(8):
        row = {"Question": f"q{number}", "Record ID": f"r{number}", "Correct Answer": "right"}
        rows.append(row | {f"Incorrect Answer {wrong}": f"w{wrong}" for wrong in (1, 2, 3)})
    write(tmp_path / "mine.jsonl", rows)
    path = recipe(tmp_path, "{type: file, path: mine.jsonl}")

    def orders(out: Path) -> list[tuple[str, ...]]:
        with RunDirectory.read(out) as opened:
            problems = list(opened.rows(Problem))
        assert all(item.choices["ABCD".index(item.reference or "")] == "right" for item in problems)
        assert all(RECORD in item.extra for item in problems)
        return [item.choices for item in problems]

    first = orders(run(path))
    assert len(set(first)) > 2
    assert orders(run(path, "seed=43", fresh=True)) != first


@pytest.mark.parametrize(
    ("source", "error", "message"),
    [
        ("{type: catalogue, name: mat}", ConfigError, "there is no source 'mat'"),
        ("{type: catalogue, name: math, local: nowhere}", DataError, "no folder or file .*nowhere"),
        ("{type: catalogue, name: math, local: ., years: [1983, 2021]}", ConfigError, "its rows state no year"),
        ("{type: catalogue, name: math, local: ., columns: {thinking: t}}", ConfigError, "no field thinking"),
        ("{type: hub, repository: nothing}", ConfigError, "repository"),
        ("{type: catalogue, name: math, local: ., limit: 0}", ConfigError, "limit"),
    ],
)
def test_what_can_be_known_to_be_wrong_is_refused_before_anything_is_written(
    tmp_path: Path, source: str, error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        run(recipe(tmp_path, source))
    assert not (tmp_path / "run").exists()
