"""The lab, small, from questions to report: every planted fault is found, every row has a fate, nothing runs twice."""

import json
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from thinkscale.lab.pool import planted_faults
from thinkscale.records import Cell, Decision, Example, Fate, Grade, Problem, Response, Role, Score, Step, Verdict
from thinkscale.sources.files import write_rows
from thinkscale.statistics import cells_from_scores
from thinkscale.store.manifest import verify
from thinkscale.store.run import RunDirectory

pytestmark = pytest.mark.lab

SIZE, COUNT = 400, 40
SETTINGS = (
    f"collect.sources.0.size={SIZE}",
    f"select.count={COUNT}",
    "train.epochs=1",
    "evaluate.benchmarks=[lab_numeric:3,lab_choice:3]",
    "evaluate.waits=[0,1]",
    "report.resamples=200",
)
SEED = 42


def lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "thinkscale", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


def run_lab(out: Path) -> subprocess.CompletedProcess[str]:
    return lab("run", "lab", "--out", str(out), *(part for setting in SETTINGS for part in ("--set", setting)))


@pytest.fixture(scope="session")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run."""
    folder = tmp_path_factory.mktemp("lab") / "run"
    done = run_lab(folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def run(out: Path) -> RunDirectory:
    return RunDirectory.read(out)


def test_every_row_has_exactly_one_fate_that_ends_it(run: RunDirectory) -> None:
    fates = Counter(fate.problem_id for fate in run.rows(Fate))
    assert len(fates) == SIZE
    assert set(fates.values()) == {1}
    kept = [fate for fate in run.rows(Fate) if fate.decision is Decision.KEPT]
    assert len(kept) == COUNT
    assert {fate.problem_id for fate in kept} == {example.problem_id for example in run.rows(Example)}


def test_no_planted_fault_is_selected(run: RunDirectory) -> None:
    faults = planted_faults(SIZE, SEED)
    fates = {fate.problem_id: fate for fate in run.rows(Fate)}
    selected = {name for name, fate in fates.items() if fate.decision is Decision.KEPT}
    questions = {problem.id: " ".join(problem.question.lower().split()) for problem in run.rows(Problem, "collect")}
    for name, fault in faults.items():
        if fault in ("exact_duplicate", "near_duplicate"):
            continue  # of a row and its copy either may be kept; that not both are is checked below
        assert name not in selected, (name, fault)
    chosen = [questions[name] for name in selected]
    assert len(set(chosen)) == len(chosen)
    reasons = Counter(fate.reason for fate in fates.values())
    for reason in ("missing_question", "duplicate", "contaminated", "image_reference", "wrong_answer", "not_drawn"):
        assert reasons[reason] > 0, reason


def test_only_correct_finished_traces_are_trained_on(run: RunDirectory) -> None:
    verdicts = {grade.response_key: grade.verdict for grade in run.rows(Grade)}
    assert {verdicts[example.response_key] for example in run.rows(Example)} == {Verdict.CORRECT}


def test_scores_cover_the_grid_and_cells_are_their_summary(run: RunDirectory) -> None:
    scores, cells = list(run.rows(Score)), list(run.rows(Cell))
    student = [score for score in scores if score.model == "student"]
    grid = 6 + 6 * 2 + 2
    assert len(student) == 6 * grid
    assert cells == cells_from_scores(scores, resamples=200, seed=SEED)
    responses = {response.key: response for response in run.rows(Response) if response.role is Role.EVALUATION}
    for score in scores:
        assert score.thinking_tokens == responses[score.response_key].thinking_tokens
        assert score.budget_tokens is None or score.thinking_tokens <= score.budget_tokens


def test_the_training_kept_its_loss_curve(run: RunDirectory) -> None:
    steps = list(run.rows(Step))
    assert [step.step for step in steps] == list(range(1, len(steps) + 1))
    assert len(steps) == COUNT // 8


def test_a_finished_run_is_left_as_it_is(out: Path) -> None:
    before = {path: path.read_bytes() for path in out.glob("*.parquet")}
    again = run_lab(out)
    assert again.returncode == 0, again.stderr
    assert again.stderr.count("done before") == 7
    assert {path: path.read_bytes() for path in out.glob("*.parquet")} == before
    assert verify(out) == ()


def test_status_why_and_report_read_the_run(out: Path) -> None:
    assert json.loads(lab("status", str(out), "--json").stdout)["done"] is True
    with RunDirectory.read(out) as run:
        contaminated = next(fate for fate in run.rows(Fate) if fate.reason == "contaminated")
    assert "contaminated" in lab("why", str(out), contaminated.problem_id).stdout
    assert lab("report", str(out)).returncode == 0


def test_the_report_names_no_place_of_this_machine(out: Path) -> None:
    for name in ("report.md", "report.html", "provenance.json", "recipe.yaml", "manifest.json"):
        text = (out / name).read_text()
        assert str(out.parent) not in text, name
        assert str(Path(__file__).parent) not in text, name
    assert (out / "figures" / "scaling.png").stat().st_size > 10_000


@pytest.mark.parametrize("override", ["select.count=20", "train=null", "label=null", "report.resamples=300", "seed=1"])
def test_a_refused_recipe_leaves_a_finished_run_as_it_was(out: Path, override: str) -> None:
    # SQLite's own files beside the journal come and go with whoever reads it.
    files = [path for path in out.iterdir() if path.is_file() and not path.name.startswith("journal.db")]
    before = {path.name: path.read_bytes() for path in files}
    settings = [part for setting in (*SETTINGS, override) for part in ("--set", setting)]
    refused = lab("run", "lab", "--out", str(out), *settings)
    assert refused.returncode == 2, refused.stderr
    assert "--fresh" in refused.stderr
    kept = {name: (out / name).read_bytes() for name in before if (out / name).exists()}
    ignored = {".lock"}
    assert {name for name in before if kept.get(name) != before[name]} <= ignored


def test_fresh_discards_what_was_made_of_the_changed_stage(out: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(out, copy)
    settings = [part for setting in (*SETTINGS, "select.count=20") for part in ("--set", setting)]
    done = lab("run", "lab", "--out", str(copy), *settings, "--fresh", "--until", "select")
    assert done.returncode == 0, done.stderr
    assert not list(copy.glob("report.*"))
    assert not (copy / "checkpoints" / "student").exists()
    assert not (copy / "scores.parquet").exists()
    assert not (copy / "manifest.json").exists()
    with RunDirectory.read(copy) as run:
        assert len(list(run.rows(Example))) == 20


@pytest.mark.slow
def test_the_seed_decides_what_an_evaluation_samples(tmp_path: Path) -> None:
    rows = [{"id": start, "question": f"Compute {start} a+5 b*3 modulo 10.", "answer": 0} for start in range(4)]
    write_rows(tmp_path / "own.jsonl", rows)  # type: ignore[arg-type]
    texts: list[list[str]] = []
    for seed in (1, 1, 2):
        folder = tmp_path / str(len(texts))
        done = lab(
            "evaluate", "--model", "lab", "--benchmark", str(tmp_path / "own.jsonl"),
            "--method", "truncation", "--budget", "24",
            "--out", str(folder), "--set", f"seed={seed}", "--set", "evaluate.temperature=1.5",
            "--set", "evaluate.max_thinking_tokens=32", "--set", "evaluate.max_answer_tokens=8",
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        with RunDirectory.read(folder) as run:
            texts.append([response.thinking for response in run.rows(Response)])
    assert texts[0] == texts[1]
    assert texts[0] != texts[2]
