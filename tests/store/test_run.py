import hashlib
import json
import multiprocessing
import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import DriftError, RunDirectoryError, StorageError
from thinkscale.records import Grade, Label, Problem, Response
from thinkscale.store.drift import Change, changes
from thinkscale.store.manifest import Damage, Difference, verify
from thinkscale.store.provenance import collect_provenance, without_folders
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StageState
from thinkscale.store.tables import read_table

from .samples import grade, problem, response

RECIPE = "recipe: lab\n"
IDENTITY: dict[str, Any] = {"config": {"size": 2, "sources": ["a", "b"]}, "rules": 1, "inputs": {}}


def _finished_run(path: Path, recipe: str = RECIPE) -> None:
    with RunDirectory.create_or_open(path, recipe) as run:
        run.begin_stage("collect", IDENTITY)
        run.commit("collect", "u1", 1, [problem(1)])
        run.commit("collect", "u0", 0, [problem(0)])
        run.finish_stage("collect")
        run.begin_stage("generate", {"model": "scripted"})
        run.commit("generate", "u0", 0, [response(0), grade(0)])
        run.finish_stage("generate")
        run.export_tables(["collect", "generate"], always=["labels"])
        run.write_provenance({"seed": 42})
        run.write_manifest()


def _tree(path: Path) -> dict[str, bytes]:
    kept = (item for item in path.rglob("*") if item.is_file() and not item.name.startswith(("journal", ".lock")))
    return {str(item.relative_to(path)): item.read_bytes() for item in kept}


def test_a_run_ends_with_tables_provenance_and_a_manifest(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run"
    _finished_run(path)
    assert sorted(item.name for item in path.iterdir()) == [
        ".lock",
        "checkpoints",
        "figures",
        "grades.parquet",
        "journal.db",
        "labels.parquet",
        "manifest.json",
        "problems.parquet",
        "provenance.json",
        "recipe.yaml",
        "responses.parquet",
    ]
    assert list(read_table(path / "problems.parquet", Problem)) == [problem(0), problem(1)]
    assert list(read_table(path / "labels.parquet", Label)) == []
    with RunDirectory.read(path) as run:
        assert run.is_done
        assert run.recipe_yaml == RECIPE
        assert list(run.rows(Response)) == [response(0)]
        assert list(run.rows(Grade, "collect")) == []


def test_a_stage_is_new_then_resumed_then_done(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        assert run.stage_state("collect", IDENTITY) is StageState.NEW
        assert run.begin_stage("collect", IDENTITY) is StageState.NEW
        run.commit("collect", "u", 0, [problem(1)])
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        assert run.begin_stage("collect", IDENTITY) is StageState.RESUMED
        assert run.journal.done_units("collect") == {"u"}
        run.finish_stage("collect")
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        assert run.begin_stage("collect", IDENTITY) is StageState.DONE


def test_an_identity_is_compared_as_it_is_stored(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        identity: dict[str, Any] = {"budgets": (500, 1000), "a": {}}
        run.begin_stage("collect", identity)
        assert run.begin_stage("collect", identity) is StageState.RESUMED


def test_drift_names_each_changed_field_and_the_ways_out_and_changes_nothing(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    before = _tree(tmp_path)
    changed: dict[str, Any] = {"config": {"size": 3, "sources": ["a"]}, "rules": 1, "inputs": {"pool": "x" * 100}}
    with (
        RunDirectory.create_or_open(tmp_path, "recipe: other\n") as run,
        pytest.raises(DriftError, match=r"--fresh .* another --out") as caught,
    ):
        run.begin_stage("collect", changed)
    assert caught.value.fields == ("config.size", "config.sources.1", "inputs", "inputs.pool")
    assert "\n  config.size: 2 -> 3\n" in str(caught.value)
    assert '\n  config.sources.1: "b" -> absent\n' in str(caught.value)
    assert max(len(line) for line in str(caught.value).splitlines()[1:]) < 100
    assert _tree(tmp_path) == before


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, ()),
        ({"a": 1}, {"a": 1.0}, (Change(field="a", before="1", after="1.0"),)),
        ({"a": None}, {}, (Change(field="a", before="null", after="absent"),)),
        (
            {"a": {"b": [{"c": True}]}},
            {"a": {"b": [{"c": False}]}},
            (Change(field="a.b.0.c", before="true", after="false"),),
        ),
    ],
)
def test_changes_are_dotted(before: dict[str, Any], after: dict[str, Any], expected: tuple[Change, ...]) -> None:
    assert changes(before, after) == expected


def test_fresh_discards_a_stage_and_its_table_goes_with_the_next_export(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        run.discard_stages(["generate"])
        assert not run.is_done
        assert run.begin_stage("generate", {"model": "other"}) is StageState.NEW
        run.commit("generate", "u0", 0, [response(9)])
        run.finish_stage("generate")
        assert run.export_tables(["collect", "generate"]) == {"problems": 2, "responses": 1}
    assert not (tmp_path / "grades.parquet").exists()
    assert not (tmp_path / "labels.parquet").exists()
    assert list(read_table(tmp_path / "responses.parquet", Response)) == [response(9)]


def test_tables_hold_finished_stages_in_the_order_given(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        for number, stage in enumerate(("b", "a", "open")):
            run.begin_stage(stage, {})
            run.commit(stage, "u", 0, [problem(number)])
        run.finish_stage("a")
        run.finish_stage("b")
        assert run.export_tables(["a", "b", "open", "never"]) == {"problems": 2}
        assert [found.id for found in run.rows(Problem)] == ["lab-0", "lab-1", "lab-2"]
        assert [found.id for found in run.rows(Problem, "open")] == ["lab-2"]
    assert [found.id for found in read_table(tmp_path / "problems.parquet", Problem)] == ["lab-1", "lab-0"]


def test_the_first_write_takes_the_manifest_away_and_puts_the_new_recipe(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    with RunDirectory.create_or_open(tmp_path, "recipe: faster\n") as run:
        assert run.begin_stage("collect", IDENTITY) is StageState.DONE
        assert run.is_done
        assert run.begin_stage("train", {}) is StageState.NEW
        assert not run.is_done
        assert run.recipe_yaml == "recipe: faster\n"


def test_running_a_finished_run_again_gives_the_same_files(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    before = _tree(tmp_path)
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        assert run.begin_stage("collect", IDENTITY) is StageState.DONE
        assert run.begin_stage("generate", {"model": "scripted"}) is StageState.DONE
        run.export_tables(["collect", "generate"], always=["labels"])
        run.write_provenance({"seed": 42})
        run.write_manifest()
    assert _tree(tmp_path) == before


def test_provenance_keeps_what_earlier_writers_said(tmp_path: Path) -> None:
    for seed in (1, 1, 2, 3):
        with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
            run.write_provenance({"seed": seed})
    found = json.loads((tmp_path / "provenance.json").read_text())
    assert found == {"seed": 3, "earlier": [{"seed": 1}, {"seed": 2}]}


# Who may open


def test_a_second_writer_is_refused_with_the_holder_and_what_to_do(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        attempts = (
            partial(RunDirectory.create_or_open, tmp_path, RECIPE),
            partial(RunDirectory.open_existing, tmp_path),
        )
        for attempt in attempts:
            with pytest.raises(RunDirectoryError, match="another --out") as caught:
                attempt()
            assert str(tmp_path) in str(caught.value)
            assert re.search(rf"process {os.getpid()}, since \d{{4}}-\d\d-\d\d \d\d:\d\d:\d\d", str(caught.value))
        with RunDirectory.read(tmp_path) as reader:
            assert reader.recipe_yaml == RECIPE
        run.begin_stage("s", {})
    RunDirectory.open_existing(tmp_path).close()


def _hold_and_fork(path: Path, words: Any) -> None:  # noqa: ANN401 - a Connection, whose type has no public name
    RunDirectory.create_or_open(path, RECIPE)
    child = os.fork()
    if child == 0:
        words.send(os.getpid())
        while True:
            signal.pause()
    words.poll(None)  # the child is there
    os.kill(os.getpid(), 9)


def test_a_forked_child_that_outlives_its_killed_parent_does_not_hold_the_lock(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    ours, theirs = context.Pipe()
    parent = context.Process(target=_hold_and_fork, args=(tmp_path, theirs))
    parent.start()
    child = ours.recv()
    ours.send("it may die")
    try:
        parent.join()
        RunDirectory.open_existing(tmp_path).close()
    finally:
        os.kill(child, 9)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    with RunDirectory.read(tmp_path) as run:
        assert run.begin_stage("collect", IDENTITY) is StageState.DONE
        with pytest.raises(RunDirectoryError, match="opened for reading only"):
            run.begin_stage("new", {})
        with pytest.raises(RunDirectoryError, match="opened for reading only"):
            run.export_tables([])
    assert verify(tmp_path) == ()


@pytest.mark.parametrize("name", ["notes.txt", "recipe.yaml", ".hidden"])
def test_a_folder_of_something_else_is_refused_untouched(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text("mine")
    with pytest.raises(RunDirectoryError, match=f"not empty and not a run directory \\(it holds {name}\\)"):
        RunDirectory.create_or_open(tmp_path, RECIPE)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_file_or_an_absent_folder_is_no_run_directory(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    with pytest.raises(RunDirectoryError, match="this is a file"):
        RunDirectory.create_or_open(file, RECIPE)
    with pytest.raises(StorageError, match="cannot be written"):
        RunDirectory.create_or_open(file / "below", RECIPE)
    for opened in (RunDirectory.read, RunDirectory.open_existing):
        with pytest.raises(RunDirectoryError, match="not a run directory"):
            opened(tmp_path / "absent")


def test_a_folder_whose_maker_was_killed_at_once_is_taken_over(tmp_path: Path) -> None:
    (tmp_path / ".lock").touch()
    (tmp_path / ".recipe.yaml.123.partial").touch()
    with RunDirectory.create_or_open(tmp_path, RECIPE) as run:
        assert run.recipe_yaml == RECIPE
    assert not (tmp_path / ".recipe.yaml.123.partial").exists()


def test_a_refused_open_releases_the_lock(tmp_path: Path) -> None:
    (tmp_path / "journal.db").write_text("not ours, and long enough to be looked at")
    for _ in range(2):
        with pytest.raises(RunDirectoryError, match="not a SQLite file"):
            RunDirectory.create_or_open(tmp_path, RECIPE)


# Manifest and provenance


def test_the_manifest_finds_each_kind_of_damage(tmp_path: Path) -> None:
    _finished_run(tmp_path)
    with RunDirectory.open_existing(tmp_path) as run:
        (run.checkpoints / "step-1").mkdir()
        (run.checkpoints / "step-1" / "weights.bin").write_bytes(b"12345")
        run.write_manifest()
    assert verify(tmp_path) == ()
    manifest = json.loads((tmp_path / "manifest.json").read_text())
    assert manifest["tables"] == {"grades": 1, "labels": 0, "problems": 2, "responses": 1}
    assert [stage["name"] for stage in manifest["stages"]] == ["collect", "generate"]
    assert all(re.fullmatch("[0-9a-f]{32}", stage["fingerprint"]) for stage in manifest["stages"])
    weights = manifest["files"]["checkpoints/step-1/weights.bin"]
    assert weights == {"size": 5, "sha256": hashlib.sha256(b"12345").hexdigest()}

    (tmp_path / "checkpoints" / "step-1" / "weights.bin").write_bytes(b"12346")
    (tmp_path / "recipe.yaml").write_text("recipe: longer than before\n")
    (tmp_path / "grades.parquet").unlink()
    assert verify(tmp_path) == (
        Difference(path="checkpoints/step-1/weights.bin", damage=Damage.CONTENT),
        Difference(path="grades.parquet", damage=Damage.MISSING),
        Difference(path="recipe.yaml", damage=Damage.SIZE),
    )


def test_no_manifest_or_a_broken_one_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunDirectoryError, match="the run is not finished"):
        verify(tmp_path)
    for text in ("{", "[]", '{"files": {"x": 3}}', '{"files": []}'):
        (tmp_path / "x").touch()
        (tmp_path / "manifest.json").write_text(text)
        with pytest.raises(RunDirectoryError, match="not a readable manifest"):
            verify(tmp_path)


def test_provenance_holds_facts_and_no_folder_of_the_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.store.provenance.SOURCE", tmp_path)
    found = collect_provenance(["/opt/x/bin/thinkscale", "run", "lab", "--out=/home/me/run"], 42, {"threads": 1})
    assert found["argv"] == ["thinkscale", "run", "lab", "--out=run"]
    assert found["git"] == {"commit": "", "changed": False}
    assert found["seed"] == 42
    assert found["determinism"] == {"threads": 1}
    libraries = found["libraries"]
    assert isinstance(libraries, dict)
    assert "pyarrow" in libraries
    assert "vllm" not in libraries
    assert str(Path.home()) not in json.dumps(found)


def test_provenance_needs_no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(*_: object, **__: object) -> None:
        raise FileNotFoundError("git")

    monkeypatch.setattr(subprocess, "run", absent)
    assert collect_provenance([], 0, {})["git"] == {"commit": "", "changed": False}


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("run", "run"),
        ("data/pool.jsonl", "data/pool.jsonl"),
        ("/home/me/pool.jsonl", "pool.jsonl"),
        ("~/pool.jsonl", "pool.jsonl"),
        ("/home/me/runs/", "runs"),
        ("train.model=/models/tiny", "train.model=tiny"),
        ("a.b=1", "a.b=1"),
    ],
)
def test_arguments_lose_absolute_folders(argument: str, expected: str) -> None:
    assert without_folders(argument) == expected


def test_the_store_does_not_load_heavy_libraries() -> None:
    code = "import sys, thinkscale.store.run, thinkscale.store.provenance; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"pyarrow", "numpy", "polars", "pandas", "torch", "pydantic"} & set(loaded)
