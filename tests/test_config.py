"""Recipes: those that ship and those in examples load; identity leaves placement out."""

from pathlib import Path

import pytest

from thinkscale.config import LocalEngineSettings, TrainSettings, identity_of, shipped_recipes
from thinkscale.errors import ConfigError
from thinkscale.pipeline import load_recipe, stages_of

PROJECT = Path(__file__).resolve().parent.parent


@pytest.mark.parametrize("name", list(shipped_recipes()))
def test_a_shipped_recipe_loads_with_every_stage_it_reads(name: str) -> None:
    recipe = load_recipe(name).recipe
    assert stages_of(recipe)[-1] in ("select", "evaluate")
    assert recipe.seed == 42


@pytest.mark.parametrize("path", sorted((PROJECT / "examples").glob("*.yaml")), ids=lambda path: path.name)
def test_an_example_recipe_loads(path: Path) -> None:
    assert stages_of(load_recipe(str(path)).recipe)


def test_training_defaults_are_those_of_the_s1_paper() -> None:
    settings = TrainSettings()
    assert (settings.epochs, settings.effective_batch_size, settings.learning_rate) == (5, 16, 1e-5)
    assert (settings.warmup_ratio, settings.weight_decay, settings.adam_betas) == (0.05, 1e-4, (0.9, 0.95))


def test_identity_leaves_out_where_and_how_fast() -> None:
    engine = LocalEngineSettings(type="local", model="lab", device="cuda:1", batch_size=7)
    assert identity_of(engine) == {"type": "local", "model": "lab", "dtype": "float32"}


def test_a_stage_without_what_it_reads_is_refused() -> None:
    recipe = load_recipe("lab").recipe.model_copy(update={"generate": None})
    with pytest.raises(ConfigError, match="`grade` but not `generate`"):
        stages_of(recipe)


def test_until_an_unknown_stage_is_refused() -> None:
    with pytest.raises(ConfigError, match="--until selct"):
        stages_of(load_recipe("lab").recipe, "selct")
