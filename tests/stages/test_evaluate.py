"""The stage `evaluate`: all methods in one sweep, what it refuses, what a short context means, and its resume."""

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

pytest.importorskip("torch")

from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.engines.catalogue import model_path
from thinkscale.errors import ConfigError, StoppedError
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Cut, Grade, Response, Score, Trajectory, Verdict
from thinkscale.settings import load_settings
from thinkscale.stages import evaluate as stage
from thinkscale.stages.evaluate_cells import sweep_settings
from thinkscale.stages.evaluate_jobs import run_jobs
from thinkscale.store.run import RunDirectory

pytestmark = pytest.mark.lab

RECIPE = """
name: sweep
student: {{model: {model}}}
evaluate:
  benchmarks: [lab_numeric:2]
  budgets: [6, 12]
  waits: [0, 1, 2]
  max_thinking_tokens: 40
  max_answer_tokens: 8
  temperature: 0.9
  dtype: float64
  batch_size: 16
report: {{resamples: 100}}
"""
ALL = (
    "evaluate.methods=[truncation,budget_forcing,class_conditional,token_conditional,token_conditional_forced,"
    "step_conditional,step_conditional_forced,minimum,rejection,direct]",
    "evaluate.wait_strings=[Wait,none,rotate]",
    "evaluate.token_targets=[8]",
    "evaluate.step_targets=[2]",
    "evaluate.step_format=lines",
    "evaluate.minimum_thinking_tokens=[20]",
    "evaluate.rejection_attempts=3",
    "evaluate.grace_tokens=3",
)
CELLS = {
    *(("truncation", budget, 0, "") for budget in (6, 12, None)),
    *(("budget_forcing", budget, 0, "") for budget in (6, 12, None)),
    *(
        ("budget_forcing", budget, waits, text)
        for budget in (6, 12, None)
        for waits in (1, 2)
        for text in ("Wait", "none", "rotate")
    ),
    ("class_conditional", None, 0, "short"),
    ("class_conditional", None, 0, "long"),
    ("token_conditional", 8, 0, ""),
    ("token_conditional_forced", 8, 0, ""),
    ("step_conditional", 200, 0, "2"),
    ("step_conditional_forced", 200, 0, "2"),
    ("minimum", None, 0, "20"),
    ("rejection", 6, 0, ""),
    ("rejection", 12, 0, ""),
    ("direct", None, 0, ""),
}


def sweep(out: Path, *overrides: str, model: str = "lab") -> Path:
    """Runs the stage alone."""
    recipe = load_settings(Recipe, RECIPE.format(model=model), overrides, name="the test")
    return run_recipe(LoadedRecipe(recipe, Path.cwd()), out, until="evaluate", quiet=True)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of every method."""
    return sweep(tmp_path_factory.mktemp("sweep") / "run", *ALL)


def test_every_method_has_its_cells_and_every_cell_every_problem(whole: Path) -> None:
    with RunDirectory.read(whole) as run:
        scores = list(run.rows(Score))
    assert {(item.method, item.budget_tokens, item.waits, item.variant) for item in scores} == CELLS
    assert len(scores) == 2 * len(CELLS)


def test_scores_say_what_a_run_of_their_own_would_generate(whole: Path) -> None:
    with RunDirectory.read(whole) as run:
        scores = list(run.rows(Score))
        responses = {item.key: item for item in run.rows(Response)}
        trajectories = list(run.rows(Trajectory))
    for score in scores:
        response = responses[score.response_key]
        assert (score.thinking_tokens, score.answer_tokens) == (response.thinking_tokens, response.answer_tokens)
        thrown = score.generated_tokens - score.thinking_tokens - score.answer_tokens
        if score.method == "rejection":
            assert score.budget_tokens is not None
            assert thrown == (score.tries - 1) * score.budget_tokens
            assert score.thinking_tokens <= score.budget_tokens
        elif score.budget_tokens is not None and score.method in ("truncation", "budget_forcing"):
            assert thrown in (0, 3)
            assert score.thinking_tokens <= score.budget_tokens + 3
        else:
            assert thrown == 0
        assert (score.cut is Cut.NONE) == (score.verdict is not Verdict.CUT_OFF)
        assert score.cut is not Cut.THINKING or not score.answer_tokens
    conditions = {"", "short", "long", "tokens:8", "lines:2"}
    assert {item.condition for item in trajectories} == conditions
    assert len(trajectories) == 2 * (len(conditions) + 1), "and one that does not think at all"
    assert sum(item.num_cells for item in trajectories) == len(scores)
    really = sum(item.thinking_tokens + item.answer_tokens for item in trajectories)
    assert 2 * really < sum(item.generated_tokens for item in scores)


def test_the_journal_knows_how_long_each_trajectory_took(whole: Path) -> None:
    with RunDirectory.read(whole) as run:
        keys = {item.key for item in run.rows(Trajectory)}
        found = run.journal.query("SELECT key, seconds FROM units WHERE stage = 'evaluate'")
    seconds = {str(key): float(str(value)) for key, value in found}
    assert all(seconds[key] > 0 for key in keys)


def test_an_interrupted_sweep_ends_with_the_tables_of_an_undisturbed_one(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "run"
    for stop_after in (1, 4, 0, 6):

        def broken(*arguments: object, most: int = stop_after) -> Iterator[object]:
            with closing(run_jobs(*arguments)) as results:  # type: ignore[arg-type]
                yield from islice(results, most)
                raise StoppedError("stopped")

        with monkeypatch.context() as patched:
            patched.setattr(stage, "run_jobs", broken)
            with pytest.raises(StoppedError):
                sweep(out, *ALL)
    with RunDirectory.read(out) as run:
        assert len(list(run.rows(Trajectory))) == 1 + 4 + 6
    sweep(out, *ALL)
    for name in ("responses", "grades", "scores", "trajectories", "cells"):
        assert (out / f"{name}.parquet").read_bytes() == (whole / f"{name}.parquet").read_bytes(), name


@pytest.fixture
def short_model(tmp_path: Path) -> Path:
    """The lab's model with a context of 96 tokens."""
    folder = tmp_path / "short"
    shutil.copytree(model_path("lab"), folder)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "max_position_embeddings": 96}))
    return folder


def test_the_context_ends_thinking_without_a_budget_and_the_grade_says_so(tmp_path: Path, short_model: Path) -> None:
    # Each wait takes a token at least, so that sixty of them go beyond any context of 96.
    settings = ("evaluate.methods=[budget_forcing]", "evaluate.waits=[0,60]", "evaluate.max_thinking_tokens=500")
    folder = sweep(tmp_path / "run", *settings, model=str(short_model))
    with RunDirectory.read(folder) as run:
        limits = {item.problem_id: item.limit_tokens for item in run.rows(Trajectory)}
        grades = {item.response_key: item for item in run.rows(Grade)}
        scores = list(run.rows(Score))
        events = [event.text for event in run.journal.events() if event.kind == "notice"]
    assert all(12 <= limit < 96 for limit in limits.values())
    cut = [item for item in scores if item.cut is Cut.THINKING]
    assert {item.waits for item in cut} >= {60}
    for score in cut:
        assert score.budget_tokens is None
        assert score.thinking_tokens == limits[score.problem_id]
        assert "context has room for" in grades[score.response_key].evidence
    assert any("2 of 2 trajectories have room for" in text for text in events)


def test_a_budget_that_the_context_cannot_hold_is_refused(tmp_path: Path, short_model: Path) -> None:
    with pytest.raises(ConfigError, match="holds 96 tokens") as refused:
        sweep(tmp_path / "run", "evaluate.budgets=[80]", "evaluate.max_thinking_tokens=90", model=str(short_model))
    assert "evaluate.max_answer_tokens" in str(refused.value)


def test_a_wait_string_that_ends_the_thinking_is_refused(tmp_path: Path) -> None:
    forcing = ("evaluate.methods=[budget_forcing]", 'evaluate.wait_strings=["<|im_start|>answer"]')
    with pytest.raises(ConfigError, match="holds what ends a thinking"):
        sweep(tmp_path / "run", *forcing)


def settings_of(**changes: object) -> EvaluateSettings:
    return EvaluateSettings.model_validate({"benchmarks": ("lab_numeric",), **changes})


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"methods": ("rejection",)}, "temperature"),
        ({"methods": ("rejection",), "temperature": 1.0, "budgets": ()}, "evaluate.budgets"),
        ({"methods": ("truncation",), "budgets": (40_000,)}, "evaluate.budgets: 40000"),
        ({"methods": ("truncation",), "budgets": (29_990,), "grace_tokens": 20}, "grace_tokens, 20"),
        ({"methods": ("token_conditional",), "token_targets": (40_000,)}, "evaluate.token_targets"),
        ({"methods": ("minimum",), "minimum_thinking_tokens": (40_000,)}, "evaluate.minimum_thinking_tokens"),
        ({"methods": ("minimum",), "minimum_thinking_tokens": (30_000,)}, "no room for an end"),
        ({"methods": ("budget_forcing",), "wait_strings": ("Wait", " ")}, "`none`"),
        ({"methods": ("truncation",), "budgets": (), "untruncated": False}, "nothing to evaluate"),
        ({"methods": ("majority",)}, "samples"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(changes: dict[str, object], part: str) -> None:
    with pytest.raises(ConfigError, match="evaluate") as refused:
        sweep_settings(settings_of(**changes))
    assert part in str(refused.value)


def test_a_wait_string_that_is_named_twice_is_one() -> None:
    twice = settings_of(methods=("budget_forcing",), wait_strings=("Wait", "Wait"))
    once = settings_of(methods=("budget_forcing",), wait_strings=("Wait",))
    assert sweep_settings(twice) == sweep_settings(once)
