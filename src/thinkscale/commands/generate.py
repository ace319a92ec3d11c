"""generate: responses to the problems of a file, as a recipe with two stages. See commands/file_run.py for where it
works."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.file_run import engine_section, file_source, option, recipe_of, require_problems, run_folder
from thinkscale.commands.pilot import pilot_text
from thinkscale.config import EndpointSettings, Recipe
from thinkscale.engines.models import find_model
from thinkscale.errors import ConfigError, DriftError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Finish, Problem, Response
from thinkscale.sources.files import is_table, write_rows
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
    require_problems(problems)
    recipe = recipe_of(_recipe(problems, engine, asked), options.overrides, _named)
    folder = run_folder(problems, out)
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


def _of_cache(recipe: Recipe) -> str:
    """What a changed setting need not cost again."""
    settings = recipe.generate
    if settings is None or settings.cache == "none" or not isinstance(settings.engine, EndpointSettings):
        return ""
    return "\nReplies to requests that stay the same are in the request cache: either way they are not paid again."


def _named(path: str) -> str:
    """A setting by the option that gives it."""
    return option(path.removeprefix("generate.").removeprefix("engine."))


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
        "collect": file_source(problems),
        "generate": {"engine": engine_section(engine), **given},
    }
    if engine.get("type") == "scripted" and engine.get("tokenizer"):
        made["student"] = {"model": engine["tokenizer"]}
    return made


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
