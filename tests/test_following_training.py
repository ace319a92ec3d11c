"""A training seen from outside: by `status` while it runs, and by `report` where it had no run."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from thinkscale.commands.status import status, status_text
from thinkscale.progress import Progress
from thinkscale.records import HeldOut, Step
from thinkscale.store.run import RunDirectory
from thinkscale.training.live import watched
from thinkscale.training.log import Entry, Readings, line_of
from thinkscale.training.trackers import TrackedRun

Typed = Callable[..., tuple[int, str, str]]
STEP = Step(
    step=1, epoch=0.5, loss=1.25, learning_rate=1e-5, gradient_norm=0.5, num_tokens=1000, num_trained_tokens=500
)
HELD_OUT = HeldOut(step=1, epoch=0.5, num_rows=3, loss=1.5)


def test_status_says_how_a_training_goes(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    with RunDirectory.create_or_open(folder, "name: small\n") as run:
        run.begin_stage("train", {})
        path, tracked = folder / "logs" / "train.jsonl", TrackedRun(name="run", config={})
        with watched(Progress(run.journal, quiet=True), "train", 10, "steps", path, (), tracked) as watch:
            watch.log.begin()
            watch.log.add_held_out(HELD_OUT, 1024)
            watch.log.add_step(STEP, 3 * 1024**3)
            watch.on_step(STEP)
            watch.task.show(watch.task, False)
            found = status(folder)
    stages = found["stages"]
    assert isinstance(stages, list)
    (row,) = stages
    assert isinstance(row, dict)
    assert (row["finished"], row["total"]) == (1, 10)
    assert "engine" not in row
    training = row["training"]
    assert isinstance(training, dict)
    assert (training["step"], training["loss"], training["held_out_loss"]) == (1, 1.25, 1.5)
    assert (training["mfu"], training["peak_bytes"]) == (None, 3 * 1024**3)
    text = status_text(found)
    assert "1 of 10 steps, loss 1.250, held out 1.500, lr 1.0e-05, " in text
    assert "3.0 GiB, about " in text


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A model folder as far as the report reads it, with its log."""
    monkeypatch.setattr("thinkscale.reporting.html.javascript_bundle", lambda: "")
    folder = tmp_path / "student"
    folder.mkdir()
    (folder / "training.json").write_text(json.dumps({"num_rows": 4, "hyperparameters": {"seed": 42}}))
    readings = Readings(time="2026-11-21T12:00:00+00:00", seconds=2.0, tokens_per_second=500.0)
    lines = [Entry(record=STEP, readings=readings), Entry(record=HELD_OUT)]
    (tmp_path / "student.steps.jsonl").write_text("".join(map(line_of, lines)) + '{"kind": "st')  # a torn last line
    return folder


def test_a_training_without_a_run_has_a_report(model: Path, typed: Typed) -> None:
    code, said, _ = typed("report", model)
    assert code == 0
    out = model.with_name("student.report")
    assert said.split() == [str(out / "report.html"), str(out / "report.md")]
    text = (out / "report.md").read_text(encoding="utf-8")
    assert "The training of student" in text
    assert "- On 3 held-out rows it went from 1.500 at step 1 to 1.500 at step 1" in text
    assert "| seed | 42 |" in text
    assert (out / "figures" / "training.png").is_file()


def test_without_its_log_there_is_nothing_to_report(model: Path, typed: Typed) -> None:
    model.with_name("student.steps.jsonl").unlink()
    code, _, said = typed("report", model)
    assert code != 0
    assert "student.steps.jsonl is missing or empty" in said
