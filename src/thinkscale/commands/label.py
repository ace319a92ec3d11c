"""label: labels of the problems of a file, as a recipe with two stages. See commands/file_run.py for where it works."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.file_run import engine_section, file_source, recipe_of, require_problems, run_folder
from thinkscale.config import Recipe
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, run_recipe
from thinkscale.records import Label, field_names, to_row
from thinkscale.settings import Loaded
from thinkscale.sources.files import is_table, write_rows
from thinkscale.store.run import RunDirectory

FILES = ("responses", "grades")
OPTIONS = {
    "label.domain.questions_per_request": "--questions-per-request",
    "label.rating.questions_per_request": "--questions-per-request",
    "label.domain.max_tokens": "--max-tokens",
    "label.rating.max_tokens": "--max-tokens",
    "label.rating.samples": "--rating-samples",
    "label.rating": "--rating-samples, --rating-temperature",
    "label.rating.temperature": "--rating-temperature",
    "label.weak_models": "--weak-model",
    "label.weak_samples": "--weak-samples",
    "label.weak_temperature": "--weak-temperature",
    "label.weak_max_tokens": "--weak-max-tokens",
    "label.max_spend": "--max-spend",
    "label.max_failures": "--max-failures",
    "seed": "--seed",
}
"""Where a setting has an option, as it is typed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who is asked for what. An engine is a section as `engine_section` takes it, without its model."""

    engine: Mapping[str, JSON]
    domain_model: str | None = None
    rating_model: str | None = None
    weak_models: tuple[str, ...] = ()
    """Each a name, or NAME=URL[,URL] for an OpenAI-compatible server of its own."""
    questionnaire: Mapping[str, JSON]
    """Settings of both questionnaires; None is left out, as in the next three."""
    domain: Mapping[str, JSON]
    rating: Mapping[str, JSON]
    label: Mapping[str, JSON]
    """The rest of the section `label`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """How the run goes on."""

    seed: int = 42
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    retry_failed: bool = False
    quiet: bool = False


def label(problems: Path, asked: Asked, out: Path, options: LabelOptions) -> str:
    """Makes every label that is not stored yet; returns what a terminal shows at the end.

    Raises ConfigError on what does not fit, DataError on files that cannot be read, and what the stage raises.
    """
    require_problems(problems)
    recipe = _recipe(problems, asked, options)
    folder = run_folder(problems, out)
    run_recipe(
        LoadedRecipe(recipe, Path.cwd()),
        folder,
        fresh=options.fresh,
        retry_failed=options.retry_failed,
        quiet=options.quiet,
    )
    if not is_table(out.name):
        return f"{folder / 'labels.parquet'}"
    with RunDirectory.read(folder) as run:
        number = write_rows(out, _rows(run), field_names(Label))
    return f"{out}: {number:,} labels"


def _rows(run: RunDirectory) -> Iterator[dict[str, JSON]]:
    """Labels that the source brought, then those that were made."""
    for stage in ("collect", "label"):
        yield from (to_row(item) for item in run.rows(Label, stage))


def _recipe(problems: Path, asked: Asked, options: LabelOptions) -> Loaded[Recipe]:
    section: dict[str, JSON] = _present(asked.label)
    for name in FILES:
        if name in section:
            section[name] = str(Path(str(section[name])).resolve())
    if isinstance(files := section.get("labels"), list):
        section["labels"] = [str(Path(str(name)).resolve()) for name in files]
    if asked.domain_model is not None:
        section["domain"] = _questionnaire(asked, asked.domain_model, "--domain-model", asked.domain)
    if asked.rating_model is not None:
        section["rating"] = _questionnaire(asked, asked.rating_model, "--rating-model", asked.rating)
    if asked.weak_models:
        section["weak_models"] = [_weak(text, asked.engine) for text in asked.weak_models]
    made: dict[str, JSON] = {
        "name": "label",
        "seed": options.seed,
        "collect": file_source(problems),
        "label": section,
    }
    return recipe_of(made, options.overrides, lambda path: OPTIONS.get(path, path))


def _questionnaire(asked: Asked, model: str, option: str, more: Mapping[str, JSON]) -> dict[str, JSON]:
    engine = engine_section({**asked.engine, "model": model}, option)
    return {"engine": engine, **_present(asked.questionnaire), **_present(more)}


def _weak(text: str, engine: Mapping[str, JSON]) -> dict[str, JSON]:
    """The engine of a weak model: a server of its own where its address is given, else as the others."""
    name, found, urls = text.partition("=")
    if not name or (found and not urls):
        raise ConfigError(f"--weak-model {text}: give NAME, or NAME=URL for a server of its own")
    if not found:
        return engine_section({**engine, "model": name}, "--weak-model")
    return engine_section({"type": "openai", "model": name, "endpoints": [*urls.split(",")]}, "--weak-model")


def _present(given: Mapping[str, JSON]) -> dict[str, JSON]:
    return {name: value for name, value in given.items() if value not in (None, [])}
