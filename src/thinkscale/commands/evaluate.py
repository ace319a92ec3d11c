"""evaluate: a sweep of one model, as a recipe with one stage."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import yaml

from thinkscale.commands.run import outcome
from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.config.scorers import scorer_section
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.settings import load_settings
from thinkscale.stages.evaluate_cells import sweep_settings
from thinkscale.statistics.headline import METHODS

EVERY = "*"
"""Stands for all benchmarks, in `--local` and `--template`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepOptions:
    """What the command line says of a sweep. What is left out has the default of EvaluateSettings."""

    model: str
    benchmarks: tuple[str, ...]
    engine: str = "local"
    endpoints: tuple[str, ...] = ()
    tokenizer: str | None = None
    thinking_format: str = "s1"
    budgets: tuple[str, ...] = ()
    """Numbers, and `none` for no budget."""
    scorers: tuple[str, ...] = ()
    local: tuple[str, ...] = ()
    templates: tuple[str, ...] = ()
    as_json: bool = False
    """The accuracies of the benchmarks are wanted as a line (statistics/headline.py), so there must be some."""
    settings: Mapping[str, JSON]
    """Fields of EvaluateSettings as they stand there; None and empty lists are left out."""


def evaluate(options: SweepOptions, overrides: tuple[str, ...], out: Path) -> str:
    """Runs the sweep that the options ask for, into `out`; returns where the report is.

    Raises ConfigError on what does not fit.
    """
    recipe = load_settings(Recipe, yaml.safe_dump(recipe_of(options)), overrides, name="the command line")
    loaded = LoadedRecipe(recipe, Path.cwd())
    if options.as_json and loaded.recipe.evaluate:
        _check_headline(loaded.recipe.evaluate)
    return outcome(run_recipe(loaded, out))


def _check_headline(settings: EvaluateSettings) -> None:
    """Raises ConfigError where no cell will stand for the model: before the sweep, not behind it."""
    if not {setting.method for setting in sweep_settings(settings)} & set(METHODS):
        raise ConfigError(
            f"--json: the accuracy of a benchmark is that of {', '.join(METHODS[:-1])} or {METHODS[-1]}, and none of "
            "these is among the methods: add one, such as `--method truncation`, or leave --json out"
        )


def recipe_of(options: SweepOptions) -> dict[str, JSON]:
    """The recipe that the options are."""
    section: dict[str, JSON] = {"benchmarks": list(options.benchmarks), **_engine(options)}
    section.update({name: value for name, value in options.settings.items() if value not in (None, [])})
    section.update(_budgets(options.budgets))
    if options.scorers:
        section["scorers"] = [scorer_section(text) for text in options.scorers]
    if options.local:
        section["local"] = _by_benchmark(options.local)
    if options.templates:
        section["template"] = _by_benchmark(options.templates)
    return {
        "name": "evaluate",
        "student": {"model": options.tokenizer or options.model, "thinking_format": options.thinking_format},
        "evaluate": section,
        "report": {"title": f"Thinking budgets of {Path(options.model).name}"},
    }


def _engine(options: SweepOptions) -> dict[str, JSON]:
    """The section `engine` for servers; budget methods count token ids, so a tokenizer belongs to it."""
    if options.engine not in ("local", "openai"):
        raise ConfigError(f"--engine {options.engine}: budget methods need token ids, from `local` or `openai`")
    if options.engine == "local":
        if options.endpoints:
            raise ConfigError("--endpoint belongs to --engine openai")
        return {}
    if not options.endpoints:
        raise ConfigError("--engine openai needs --endpoint, the base URL of a server such as vLLM")
    tokenizer = options.tokenizer or options.model
    endpoints: list[JSON] = list(options.endpoints)
    return {"engine": {"type": "openai", "model": options.model, "endpoints": endpoints, "tokenizer": tokenizer}}


def _budgets(texts: Sequence[str]) -> dict[str, JSON]:
    """`budgets` and `untruncated` from texts such as 500 and none."""
    if not texts:
        return {}
    wrong = [text for text in texts if text != "none" and not (text.isdecimal() and int(text) > 0)]
    if wrong:
        raise ConfigError(f"--budget {wrong[0]}: a budget is a number of tokens above 0, or `none`")
    numbers: list[JSON] = [int(text) for text in texts if text != "none"]
    return {"budgets": numbers, "untruncated": "none" in texts}


def _by_benchmark(texts: Sequence[str]) -> dict[str, JSON]:
    """`NAME=VALUE` by name; a value alone is for every benchmark."""
    found: dict[str, JSON] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        found[name if equals else EVERY] = value if equals else name
    return found
