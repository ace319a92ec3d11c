"""regrade: numbers under several graders, and a new run that one of them grades."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scored import RECIPE, answered, run_directory, scores
from thinkscale.commands.compare import CompareOptions, compare
from thinkscale.commands.regrade import RegradeOptions, regrade, regraded_json, regraded_text
from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Cell, Grade, Score, Verdict
from thinkscale.reporting.regraded import grader_range, range_text
from thinkscale.statistics.parallel import parallel_cells
from thinkscale.store.run import RunDirectory
from thinkscale.store.tables import read_table


def tree(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("*.parquet")}


def own_files(folder: Path) -> dict[str, bytes]:
    """Without the two that SQLite keeps beside a journal that was read."""
    found = (path for path in folder.iterdir() if path.is_file())
    return {path.name: path.read_bytes() for path in found if not path.name.startswith("journal.db-")}


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return Path(run_directory(tmp_path / "run", scores(lambda number, _: number < 12)))


def test_the_headline_numbers_and_their_range(run: Path, tmp_path: Path) -> None:
    """Every answer stands as `Answer: N`: the rules and s1 read it, a comparison of whole texts never agrees."""
    done = regrade(run, RegradeOptions(graders=("rules", "s1", "string")), tmp_path / "numbers.json")
    best = next(item for item in done.found.headlines if item.what == "truncation, best cell")
    assert {name: value.value for name, value in best.by_grader.items()} == {"rules": 60.0, "s1": 60.0, "string": 0.0}
    assert (best.range.low, best.range.high, best.range.width) == (0.0, 60.0, 60.0)
    assert [item.what for item in done.found.cells] == ["truncation, 500 tokens", "truncation, no budget"]
    assert (done.found.num_responses, done.audit.num_rows, done.audit.num_disputed) == (40, 40, 24)
    assert json.loads((tmp_path / "numbers.json").read_text()) == json.loads(json.dumps(regraded_json(done)))
    assert "60.0 points" in regraded_text(done)


def test_the_recorded_verdicts_are_a_grader_too(run: Path) -> None:
    done = regrade(run, RegradeOptions(graders=("recorded", "verifier")))
    assert done.audit.num_disputed == 0
    assert {item.range.width for item in done.found.cells} == {0.0}


def test_the_tables_of_a_run_are_enough(run: Path, tmp_path: Path) -> None:
    copied = tmp_path / "tables"
    copied.mkdir()
    for name, content in tree(run).items():
        (copied / name).write_bytes(content)
    options = RegradeOptions(graders=("rules", "string"))
    assert regraded_json(regrade(copied, options)) == regraded_json(regrade(run, options))


def test_apply_makes_a_new_run_and_leaves_the_old_one(run: Path, tmp_path: Path) -> None:
    before = own_files(run)
    out = tmp_path / "strict"
    regrade(run, RegradeOptions(graders=("string", "rules")), out, apply=True)
    assert own_files(run) == before
    made = list(read_table(out / "scores.parquet", Score))
    assert {score.verdict for score in made} == {Verdict.WRONG}
    assert {grade.grader for grade in read_table(out / "grades.parquet", Grade)} == {"string"}
    assert (out / "responses.parquet").read_bytes() == (run / "responses.parquet").read_bytes()
    assert (out / "report.md").is_file()
    assert (out / "regrade.json").is_file()
    with RunDirectory.read(out) as opened:
        assert opened.is_done
        stage = opened.journal.stage("evaluate")
        assert stage is not None
        assert stage.identity == {"rules": 1, "regraded_by": "string"}
    found = compare(CompareOptions(first=(str(run),), second=(str(out),)))
    assert [cell.difference for cell in found.cells] == [-0.6, -0.6]


def test_the_same_grader_gives_the_same_tables(run: Path, tmp_path: Path) -> None:
    out = tmp_path / "again"
    regrade(run, RegradeOptions(graders=("verifier",)), out, apply=True)
    for name in ("cells.parquet", "scores.parquet", "problems.parquet", "responses.parquet"):
        assert (out / name).read_bytes() == (run / name).read_bytes()


def test_votes_and_choices_are_made_again_by_every_scorer_of_the_run(tmp_path: Path) -> None:
    rows = [
        replace(item, answer=str(item.sample), logprob=-1.0 - item.sample)
        for item in scores(lambda number, _: number < 12, samples=3)
    ]
    chances = {item.response_key: item.logprob for item in rows if item.logprob is not None}
    recipe = RECIPE.replace("methods:", "samples: 3, temperature: 0.7, scorers: [logprob], methods:")
    run = run_directory(tmp_path / "run", rows, recipe, parallel_cells(rows, {"logprob": chances}))
    regrade(Path(run), RegradeOptions(graders=("rules",)), tmp_path / "again", apply=True)
    cells, again = (list(read_table(folder / "cells.parquet", Cell)) for folder in (Path(run), tmp_path / "again"))
    assert {cell.method for cell in cells} == {"truncation", "majority", "pass", "best_of_n"}
    assert again == cells


def test_a_grader_that_takes_no_programs_is_not_one_that_finds_all_wrong() -> None:
    rows = scores(lambda number, _: number < 12)
    own = {item.response_key: item.verdict for item in rows}
    found = grader_range(rows, {"rules": own, "s1": dict.fromkeys(own, Verdict.UNGRADABLE)}, 100)
    best = next(item for item in found.headlines if item.what == "truncation, best cell")
    assert (best.by_grader["rules"].value, best.by_grader["s1"].value, best.range.width) == (60.0, None, 0.0)
    assert "n/a" in range_text(found)


def test_nothing_is_overwritten(run: Path, tmp_path: Path) -> None:
    full = tmp_path / "full"
    full.mkdir()
    (full / "mine.txt").write_text("mine")
    with pytest.raises(ConfigError, match="overwrites nothing"):
        regrade(run, out=full, apply=True)
    with pytest.raises(ConfigError, match="name it with --out"):
        regrade(run, apply=True)
    with pytest.raises(ConfigError, match="overwrites nothing"):
        regrade(run, out=run, apply=True)


def test_what_cannot_be_graded_is_refused(run: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no grader 'nobody'"):
        regrade(run, RegradeOptions(graders=("nobody",)))
    with pytest.raises(ConfigError, match="a grader is named twice: rules, rules"):
        regrade(run, RegradeOptions(graders=("rules", "rules")))
    with pytest.raises(ConfigError, match="asks no model"):
        regrade(run, RegradeOptions(graders=("judge",)))
    with pytest.raises(ConfigError, match="neither a run directory"):
        regrade(tmp_path / "none")
    with RunDirectory.create_or_open(tmp_path / "open", "name: x\n") as opened:
        opened.begin_stage("evaluate", {})
    with pytest.raises(DataError, match="no finished evaluation"):
        regrade(tmp_path / "open")
    assert answered(scores(lambda _, __: True)[0]).answer_text == "Answer: 1"
