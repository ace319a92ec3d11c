"""`thinkscale vote` on files: curves by hand, several pools in one file, and what is wrong with a row in words."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from thinkscale.commands.vote import curves_json, curves_text, vote
from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import read_rows, write_rows

ROWS: list[dict[str, JSON]] = [
    {"id": "p", "sample": 0, "verdict": "correct", "extracted": "7", "score": 0.1, "tokens": 10},
    {"id": "p", "sample": 1, "verdict": "correct", "extracted": "7.0", "score": 0.9, "tokens": 20},
    {"id": "p", "sample": 2, "verdict": "wrong", "extracted": "8", "score": 0.5, "tokens": 30},
    {"id": "q", "sample": 0, "verdict": "wrong", "extracted": "1", "score": 0.2, "tokens": 10},
    {"id": "q", "sample": 1, "verdict": "correct", "extracted": "2", "score": 0.3, "tokens": 20},
    {"id": "q", "sample": 2, "verdict": "cut_off", "extracted": "3", "score": 9.0, "tokens": 30},
]


def written(tmp_path: Path, rows: list[dict[str, JSON]], name: str = "rows.jsonl") -> Path:
    write_rows(tmp_path / name, rows)
    return tmp_path / name


def accuracies(path: Path) -> dict[tuple[str, str], list[float]]:
    return {(curve.vote, curve.scorer): [point.accuracy for point in curve.points] for curve in vote(path)}


@pytest.mark.parametrize("name", ["rows.jsonl", "rows.jsonl.gz", "rows.parquet"])
def test_curves_are_those_computed_by_hand(tmp_path: Path, name: str) -> None:
    found = accuracies(written(tmp_path, ROWS, name))
    assert found["majority", ""] == pytest.approx([1 / 2, (2 / 3 + 1 / 2) / 2, 3 / 4])
    assert found["pass", ""] == pytest.approx([1 / 2, 5 / 6, 1])
    assert found["best_of_n", "score"] == pytest.approx([1 / 2, 2 / 3, 1])
    assert len(found) == 3


def test_the_order_of_rows_changes_nothing_and_out_has_a_row_for_each_k(tmp_path: Path) -> None:
    out = tmp_path / "curve.parquet"
    curves = vote(written(tmp_path, ROWS[::-1]), out)
    assert curves == vote(written(tmp_path, ROWS, "again.jsonl"))
    rows = [row.values for row in read_rows(out)]
    assert [(row["vote"], row["k"]) for row in rows] == [
        (name, k) for name in ("majority", "pass", "best_of_n") for k in (1, 2, 3)
    ]
    assert [row["tokens"] for row in rows[:3]] == [20, 40, 60]
    assert all(row["low"] <= row["accuracy"] <= row["high"] for row in rows)  # type: ignore[operator]


def test_each_setting_of_a_file_has_curves_of_its_own_and_single_samples_none(tmp_path: Path) -> None:
    settings: list[dict[str, JSON]] = [{"method": "truncation", "budget_tokens": budget} for budget in (500, None)]
    rows = [row | setting for setting in settings for row in ROWS]
    alone: list[dict[str, JSON]] = [{"id": "p", "verdict": "wrong", "method": "direct", "extracted": "3"}]
    curves = vote(written(tmp_path, rows + alone))
    groups = [dict(curve.group) for curve in curves]
    assert groups == [{"method": "truncation", "budget_tokens": 500}] * 3 + [{"method": "truncation"}] * 3
    text = curves_text(curves)
    assert "method truncation, budget_tokens 500: 2 problems of 3 samples" in text
    assert text.count("majority") == 2
    assert isinstance(first := curves_json(curves), list)
    assert isinstance(first[0], dict)
    assert first[0]["group"] == {"method": "truncation", "budget_tokens": 500}


def test_k_goes_to_the_smallest_number_of_samples(tmp_path: Path) -> None:
    curves = vote(written(tmp_path, ROWS[:-1]))
    assert {len(curve.points) for curve in curves} == {2}
    assert "2 problems of 2 to 3 samples" in curves_text(curves)


def test_verdicts_may_be_true_and_false_and_without_answers_there_is_no_majority(tmp_path: Path) -> None:
    rows: list[dict[str, JSON]] = [
        {"problem_id": row["id"], "correct": row["verdict"] == "correct", "reward": row["score"]} for row in ROWS
    ]
    found = accuracies(written(tmp_path, rows))
    assert set(found) == {("pass", ""), ("best_of_n", "reward")}
    # Nothing says that the last sample of q has no answer, so its reward of 9 wins.
    assert found["best_of_n", "reward"][-1] == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"verdict": "right"}, r"rows\.jsonl:7 is not graded: `verdict` must be one of correct, wrong"),
        ({"verdict": None}, r"rows\.jsonl:7 is not graded"),
        ({"id": None}, r"rows\.jsonl:7 names no problem"),
        ({"sample": 0}, r"rows\.jsonl:7: sample 0 of problem 'p' is there twice"),
        ({"sample": "x"}, r"rows\.jsonl:7: `sample` must be a whole number"),
        ({"score": "high"}, r"rows\.jsonl:7: `score` must be a number"),
        ({"kind": "maths"}, r"rows\.jsonl:7: `kind` must be one of"),
    ],
)
def test_a_row_that_does_not_fit_is_named(tmp_path: Path, changes: dict[str, JSON], message: str) -> None:
    with pytest.raises(DataError, match=message):
        vote(written(tmp_path, [*ROWS, ROWS[0] | {"sample": 9} | changes]))


def test_one_sample_a_problem_is_nothing_to_vote_with_and_the_input_is_not_overwritten(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="nothing to vote with"):
        vote(written(tmp_path, [ROWS[0], ROWS[3]]))
    path = written(tmp_path, ROWS)
    with pytest.raises(DataError, match="is the file that is read"):
        vote(path, path)
    assert len(list(read_rows(path))) == 6


def test_from_the_command_line_graded_rows_become_a_table_or_json(tmp_path: Path) -> None:
    samples: list[dict[str, JSON]] = [
        {"id": str(problem), "reference": "7", "response": f"\\boxed{{{answer}}}"}
        for problem in range(3)
        for answer in ("7", "7.0", "8", "9")
    ]
    start = [sys.executable, "-m", "thinkscale"]
    graded = tmp_path / "graded.jsonl"
    subprocess.run([*start, "grade", str(written(tmp_path, samples)), "--out", str(graded)], check=True)
    said = subprocess.run([*start, "vote", str(graded), "--json"], check=True, capture_output=True, text=True).stdout
    majority = json.loads(said)[0]
    assert [point["accuracy"] for point in majority["points"]] == pytest.approx([1 / 2, 1 / 2, 2 / 3, 1])
    text = subprocess.run([*start, "vote", str(graded)], check=True, capture_output=True, text=True).stdout
    assert "all rows: 3 problems of 4 samples" in text
    wrong = subprocess.run([*start, "vote", str(tmp_path / "rows.jsonl")], capture_output=True, text=True, check=False)
    assert wrong.returncode == 2
    assert "is not graded" in wrong.stderr


def test_of_a_run_directory_the_scores_are_read(tmp_path: Path) -> None:
    scores = written(tmp_path, ROWS, "scores.parquet")
    assert curves_json(vote(tmp_path)) == curves_json(vote(scores))
