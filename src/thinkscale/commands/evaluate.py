"""evaluate: a sweep of one model, as a recipe with one stage."""

from collections.abc import Mapping
from pathlib import Path

import yaml

from thinkscale.commands.run import outcome
from thinkscale.config import Recipe
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.settings import load_settings


def evaluate(options: Mapping[str, JSON], overrides: tuple[str, ...], out: Path) -> str:
    """Runs the sweep that the options of the command line ask for, into `out`; returns where the report is.

    `options`: model, engine, endpoints, tokenizer, thinking_format, benchmarks, methods, budgets (texts, `none` for no
    budget), waits.
    What is left out has the default of EvaluateSettings. Raises ConfigError on what does not fit.
    """
    recipe = load_settings(Recipe, yaml.safe_dump(_recipe(options)), overrides, name="the command line")
    return outcome(run_recipe(LoadedRecipe(recipe, Path.cwd()), out))


def _recipe(options: Mapping[str, JSON]) -> dict[str, JSON]:
    section: dict[str, JSON] = {"benchmarks": options["benchmarks"], **_engine(options)}
    for name in ("methods", "waits"):
        if options[name]:
            section[name] = options[name]
    section.update(_budgets(options["budgets"]))
    return {
        "name": "evaluate",
        "student": {"model": options["tokenizer"] or options["model"], "thinking_format": options["thinking_format"]},
        "evaluate": section,
        "report": {"title": f"Thinking budgets of {Path(str(options['model'])).name}"},
    }


def _engine(options: Mapping[str, JSON]) -> dict[str, JSON]:
    """The section `engine` for servers; budget methods count token ids, so a tokenizer belongs to it."""
    if options["engine"] not in ("local", "openai"):
        raise ConfigError(f"--engine {options['engine']}: budget methods need token ids, from `local` or `openai`")
    if options["engine"] == "local":
        if options["endpoints"]:
            raise ConfigError("--endpoint belongs to --engine openai")
        return {}
    if not options["endpoints"]:
        raise ConfigError("--engine openai needs --endpoint, the base URL of a server such as vLLM")
    tokenizer = options["tokenizer"] or options["model"]
    endpoints = options["endpoints"]
    return {"engine": {"type": "openai", "model": options["model"], "endpoints": endpoints, "tokenizer": tokenizer}}


def _budgets(texts: JSON) -> dict[str, JSON]:
    """`budgets` and `untruncated` from texts such as 500 and none."""
    if not isinstance(texts, list) or not texts:
        return {}
    wrong = [text for text in texts if text != "none" and not (str(text).isdecimal() and int(str(text)) > 0)]
    if wrong:
        raise ConfigError(f"--budget {wrong[0]}: a budget is a number of tokens above 0, or `none`")
    numbers: list[JSON] = [int(str(text)) for text in texts if text != "none"]
    return {"budgets": numbers, "untruncated": "none" in texts}
