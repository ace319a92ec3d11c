"""generate: responses to the problems of a file, as a recipe with two stages.

The work lives in a run directory, so that nothing is lost and the same command goes on after any end. Where `--out` is
a table, the run directory lies beside it under the same name with `.run` behind it, and the table is written when
the last response is there.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

import yaml

from thinkscale.commands.pilot import pilot_text
from thinkscale.config import EndpointSettings, EngineSettings, Recipe
from thinkscale.engines.models import find_model
from thinkscale.errors import ConfigError, DataError, DriftError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Finish, Problem, Response
from thinkscale.settings import Loaded, load_settings
from thinkscale.sources.files import SUFFIXES, is_table, write_rows
from thinkscale.store.run import RunDirectory

COLUMNS = ("id", "sample", "question", "reference", "model", "thinking", "answer", "response", "finish", "error",
           "thinking_tokens", "answer_tokens", "prompt_tokens", "completion_tokens", "attempts", "kind")  # fmt: skip
"""Columns of a table of responses: what `thinkscale grade` reads, and what a trace is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GenerateOptions:
    """How the run goes on, beside what is asked."""

    overrides: tuple[str, ...] = ()
    pilot: int | None = None
    fresh: bool = False
    retry_failed: bool = False
    quiet: bool = False


def generate(
    problems: Path, engine: Mapping[str, JSON], asked: Mapping[str, JSON], out: Path, options: GenerateOptions
) -> str:
    """Asks for every response that is not stored yet; returns what a terminal shows at the end.

    `engine` is the section `generate.engine` of a recipe, `asked` the rest of `generate` and `seed`; None is left out.
    Raises ConfigError on what does not fit, and what the stage raises.
    """
    if not problems.is_file():
        raise DataError(f"there is no file {problems}; give a JSONL or Parquet file of rows with `question`")
    recipe = _load(_recipe(problems, engine, asked), options.overrides)
    folder = _run_folder(problems, out)
    try:
        run_recipe(
            LoadedRecipe(recipe, Path.cwd()),
            folder,
            fresh=options.fresh,
            retry_failed=options.retry_failed,
            pilot=options.pilot,
            quiet=options.quiet,
        )
    except DriftError as error:
        raise DriftError(str(error) + _of_cache(recipe.value), error.fields) from None
    if options.pilot:
        return pilot_text(recipe.value, folder)
    if is_table(out.name):
        with RunDirectory.read(folder) as run:
            number = write_rows(out, _rows(run), COLUMNS)
        return f"{out}: {number:,} responses"
    return f"{folder / 'responses.parquet'}"


def _run_folder(problems: Path, out: Path) -> Path:
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


def _of_cache(recipe: Recipe) -> str:
    """What a changed setting need not cost again."""
    settings = recipe.generate
    if settings is None or settings.cache == "none" or not isinstance(settings.engine, EndpointSettings):
        return ""
    return "\nReplies to requests that stay the same are in the request cache: either way they are not paid again."


def _load(recipe: Mapping[str, JSON], overrides: tuple[str, ...]) -> Loaded[Recipe]:
    """The recipe; a mistake in it is named by the option that it came from."""
    try:
        return load_settings(Recipe, yaml.safe_dump(recipe), overrides, name=_ORIGIN)
    except ConfigError as error:
        raise ConfigError(_SETTING.sub(lambda found: _option(found[1]), str(error))) from None


_ORIGIN = "the command line"
_SETTING = re.compile(rf"{_ORIGIN}(?::\d+)?: (?:generate\.)?(?:engine\.)?(\w+)")


def _option(name: str) -> str:
    """The option that gives a setting, as it is typed."""
    return "--" + _OPTIONS.get(name, name).replace("_", "-")


_OPTIONS = {"type": "engine", "endpoints": "endpoint"}
"""Where an option has another name than its setting."""


def _sampling(engine: Mapping[str, JSON], asked: Mapping[str, JSON]) -> dict[str, JSON]:
    """Temperature, top_p and max_tokens as the model's card, or a work that used the model, states them."""
    name = asked.get("sampling")
    if name is None:
        return {}
    card = find_model(str(engine.get("model")))
    if card is None:
        raise ConfigError(f"--sampling {name}: {engine.get('model')!r} is not in `thinkscale list models`")
    if name not in card.sampling:
        raise ConfigError(f"--sampling {name}: of {card.hub} is known: {', '.join(card.sampling) or 'none'}")
    found = card.sampling[str(name)]
    return {"temperature": found.temperature, "top_p": found.top_p, "max_tokens": found.max_tokens}


def _recipe(problems: Path, engine: Mapping[str, JSON], asked: Mapping[str, JSON]) -> dict[str, JSON]:
    given = {**_sampling(engine, asked), **{name: value for name, value in asked.items() if value is not None}}
    given.pop("sampling", None)
    seed = given.pop("seed", 42)
    made: dict[str, JSON] = {
        "name": "generate",
        "seed": seed,
        "collect": {"sources": [{"type": "file", "path": str(problems.resolve())}]},
        "generate": {"engine": _engine(engine), **given},
    }
    if engine.get("type") == "scripted" and engine.get("tokenizer"):
        made["student"] = {"model": engine["tokenizer"]}
    return made


def _engine(engine: Mapping[str, JSON]) -> dict[str, JSON]:
    """The section of the engine. Options that it does not have are the caller's mistake, and named."""
    kind = engine["type"]
    given: dict[str, JSON] = {name: value for name, value in engine.items() if value not in (None, [])}
    kinds = {
        get_args(model.model_fields["type"].annotation)[0]: model for model in get_args(get_args(EngineSettings)[0])
    }
    if kind not in kinds:
        raise ConfigError(f"--engine {kind}: there is no such engine; there are {', '.join(kinds)}")
    fields = {*kinds[kind].model_fields, *(["tokenizer"] if kind == "scripted" else [])}
    if foreign := [_option(name) for name in given if name not in fields]:
        known = (_option(name) for name in engine if name in fields and name != "type")
        raise ConfigError(f"--engine {kind} has no {', '.join(foreign)}; it has {', '.join(known)}")
    if kind == "scripted":
        given.pop("tokenizer", None)
    elif "model" not in given:
        raise ConfigError(f"--engine {kind} needs --model, the name under which the model is served or lies on disk")
    return given


def _rows(run: RunDirectory) -> Iterator[dict[str, JSON]]:
    """One row for each response, with its problem's question and reference; both tables are in the problems' order."""
    problems = run.rows(Problem, "collect")
    problem: Problem | None = None
    for response in run.rows(Response, "generate"):
        while problem is None or problem.id != response.problem_id:
            problem = next(problems)
        yield _row(problem, response)


def _row(problem: Problem, response: Response) -> dict[str, JSON]:
    whole = (
        f"<think>\n{response.thinking}\n</think>\n\n{response.answer_text}"
        if response.thinking
        else response.answer_text
    )
    if response.thinking and response.finish is Finish.LENGTH and not response.answer_text:
        whole = f"<think>\n{response.thinking}"
    return {
        "id": problem.id,
        "sample": response.sample,
        "question": problem.question,
        "reference": problem.reference,
        "model": response.model,
        "thinking": response.thinking,
        "answer": response.answer_text,
        "response": whole,
        "finish": response.finish.value,
        "error": response.error,
        "thinking_tokens": response.thinking_tokens,
        "answer_tokens": response.answer_tokens,
        "prompt_tokens": response.usage.prompt_tokens,
        "completion_tokens": response.usage.completion_tokens,
        "attempts": response.attempts,
        "kind": problem.kind.value,
    }
