"""A run made by one command over files: its folder, its recipe, and mistakes named by the option they came from.

The work lives in a run directory, so that nothing is lost and the same command goes on after any end. Where `--out` is
a table, the run directory lies beside it under the same name with `.run` behind it, and the table is written when the
last row is there.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar, get_args

import yaml
from pydantic import BaseModel

from thinkscale.config import EngineSettings, Recipe
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.settings import Loaded, load_settings
from thinkscale.sources.files import SUFFIXES, is_table

M = TypeVar("M", bound=BaseModel)

ORIGIN = "the command line"
_SETTING = re.compile(rf"{ORIGIN}(?::\d+)?: ([\w.]+)")


def require_problems(problems: Path) -> None:
    """Raises DataError where there is no such file."""
    if not problems.is_file():
        raise DataError(f"there is no file {problems}; give a JSONL or Parquet file of rows with `question`")


def run_folder(problems: Path, out: Path) -> Path:
    """Where the run lies. Raises ConfigError where the table would be written over what is none of ours."""
    if not is_table(out.name):
        if out.suffix in (".json", ".csv", ".tsv", ".txt"):
            raise ConfigError(
                f"--out {out}: rows are written as {', '.join(SUFFIXES)}; a run directory has no such ending"
            )
        return out
    folder = out.with_name(out.name + ".run")
    if out.is_dir():
        raise ConfigError(f"{out} is a folder; give --out the name of a table, or of a run directory")
    if out.exists() and (out.samefile(problems) or not folder.is_dir()):
        raise ConfigError(f"--out {out} is there already and was not made by this command; choose another name")
    return folder


def file_source(problems: Path) -> JSON:
    """The section `collect` of a recipe that reads one file."""
    return {"sources": [{"type": "file", "path": str(problems.resolve())}]}


def recipe_of(recipe: Mapping[str, JSON], overrides: tuple[str, ...], named: Callable[[str], str]) -> Loaded[Recipe]:
    """The typed recipe. Raises ConfigError, each mistake by what `named` makes of its path: the option, as typed."""
    return settings_of(Recipe, recipe, overrides, named)


def settings_of(
    model_type: type[M], settings: Mapping[str, JSON], overrides: tuple[str, ...], named: Callable[[str], str]
) -> Loaded[M]:
    """Typed settings of any kind, with mistakes named as in `recipe_of`."""
    try:
        return load_settings(model_type, yaml.safe_dump(settings), overrides, name=ORIGIN)
    except ConfigError as error:
        raise ConfigError(_SETTING.sub(lambda found: named(found[1]), str(error))) from None


def option(name: str) -> str:
    """A setting's name as an option: `max_tokens` is `--max-tokens`."""
    return "--" + {"type": "engine", "endpoints": "endpoint"}.get(name, name).replace("_", "-")


def engine_section(engine: Mapping[str, JSON], model_option: str = "--model") -> dict[str, JSON]:
    """The section of an engine. Options that it does not have are the caller's mistake, and named in a ConfigError."""
    kind = engine["type"]
    given: dict[str, JSON] = {name: value for name, value in engine.items() if value not in (None, [])}
    kinds = {
        get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(EngineSettings)[0])
    }
    if kind not in kinds:
        raise ConfigError(f"--engine {kind}: there is no such engine; there are {', '.join(kinds)}")
    fields = {*kinds[kind].model_fields, *(["tokenizer"] if kind == "scripted" else [])}
    if foreign := [option(name) for name in given if name not in fields]:
        known = (option(name) for name in engine if name in fields and name != "type")
        raise ConfigError(f"--engine {kind} has no {', '.join(foreign)}; it has {', '.join(known)}")
    if kind == "scripted":
        given.pop("tokenizer", None)
    elif "model" not in given:
        raise ConfigError(
            f"--engine {kind} needs {model_option}, the name under which the model is served or lies on disk"
        )
    return given
