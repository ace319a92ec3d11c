"""Weak models behind HTTP: the label stage asks servers as it asks models in this process."""

from pathlib import Path

import yaml

from thinkscale.config import Recipe
from thinkscale.engines.scripted import ScriptedReply
from thinkscale.engines.scripted.backend import ScriptedBackend
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.server import running_server
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Label, Response, Role
from thinkscale.settings import load_settings
from thinkscale.store.run import RunDirectory


def always_seven(_prompt: str, _seed: int) -> ScriptedReply:
    return ScriptedReply(thinking="", answer_text="\\boxed{7}")


def recipe(url: str) -> str:
    section = {"type": "openai", "model": "weak", "endpoints": [url]}
    return yaml.safe_dump(
        {
            "name": "weak",
            "student": {"model": "lab"},
            "collect": {"malformed": "drop", "sources": [{"type": "lab", "size": 60}]},
            "generate": {"engine": {"type": "scripted"}},
            "grade": {"symbolic": False},
            "label": {"weak_models": [section], "weak_max_tokens": 24, "cache": "none"},
        }
    )


def test_a_weak_model_behind_a_server_gives_difficulty_labels(tmp_path: Path) -> None:
    backend = ScriptedBackend(always_seven, name="weak")
    with running_server(backend, ServerOptions()) as server:
        loaded = LoadedRecipe(load_settings(Recipe, recipe(server.url), (), name="test"), tmp_path)
        run_recipe(loaded, tmp_path / "run", until="label", quiet=True)
        asked = server.settled().num_requests
    with RunDirectory.read(tmp_path / "run") as run:
        attempts = [item for item in run.rows(Response, "label") if item.role is Role.WEAK]
        labels = [item for item in run.rows(Label, "label") if item.name == "difficulty"]
    assert len(attempts) == asked == len(labels) > 20
    assert {item.model for item in attempts} == {"weak"}
    assert {item.answer_text for item in attempts} == {"\\boxed{7}"}
    assert len({item.value for item in labels}) > 1, "7 is right for some problems and wrong for others"
