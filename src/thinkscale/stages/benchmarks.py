"""The benchmarks of a recipe: those that it evaluates, and those that its training rows are compared with."""

from pathlib import Path

from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.errors import ConfigError
from thinkscale.sources.benchmark_catalogue import read_catalogue
from thinkscale.sources.benchmarks import (
    EVERY,
    SHIPPED,
    Benchmark,
    Shelf,
    expected_size,
    load_benchmark,
    parse_reference,
)
from thinkscale.sources.files import is_table
from thinkscale.thinking.prompts import PromptTemplate


def shelf_of(settings: EvaluateSettings | None, folder: Path) -> Shelf:
    """Where a recipe's benchmarks are looked for, and how they are asked. Raises ConfigError on unknown names."""
    if settings is None:
        return SHIPPED if folder == Path() else Shelf(lock_folder=folder)
    own = read_catalogue(folder / settings.catalogue) if settings.catalogue else {}
    templates = {
        name: PromptTemplate(name=name, text=item.text, answer=item.answer, system=item.system)
        for name, item in settings.templates.items()
    }
    shelf = Shelf(
        own=own,
        local={name: folder / Path(place).expanduser() for name, place in settings.local.items()},
        templates=templates,
        asked=settings.template,
        lock_folder=folder,
    )
    evaluated = set(map(_label, settings.benchmarks))
    for setting, named in (("local", settings.local), ("template", settings.template)):
        unknown = [name for name in named if name not in {EVERY, *shelf.entries, *evaluated}]
        if unknown:
            raise ConfigError(
                f"evaluate.{setting}: there is no benchmark {unknown[0]!r}; there are {', '.join(shelf.entries)}"
            )
    return shelf


def _name(reference: str) -> str:
    return parse_reference(reference)[0]


def _label(reference: str) -> str:
    """The name of a benchmark in records."""
    name = _name(reference)
    return Path(name).name.split(".")[0] if is_table(name) else name


def benchmarks_of(settings: EvaluateSettings, seed: int, folder: Path) -> list[Benchmark]:
    """The benchmarks that a recipe evaluates. Raises ConfigError where two have one name."""
    shelf = shelf_of(settings, folder)
    benchmarks = [load_benchmark(reference, seed, folder, shelf) for reference in settings.benchmarks]
    names = [benchmark.name for benchmark in benchmarks]
    if len(set(names)) < len(names):
        raise ConfigError(f"evaluate.benchmarks names one twice: {', '.join(names)}")
    return benchmarks


def templates_of(settings: EvaluateSettings | None, folder: Path) -> dict[str, PromptTemplate]:
    """How each benchmark of a recipe is asked, by its name. Reads no problem. Raises ConfigError on unknown names."""
    if settings is None:
        return {}
    shelf = shelf_of(settings, folder)
    named = ((_name(reference), _label(reference)) for reference in settings.benchmarks)
    return {label: shelf.template(label, None if is_table(name) else shelf.entry(name)) for name, label in named}


def references_of(recipe: Recipe, folder: Path) -> list[Benchmark]:
    """The benchmarks that no training row may overlap with: all that the recipe evaluates, and `select.against`."""
    shelf = shelf_of(recipe.evaluate, folder)
    evaluated = recipe.evaluate.benchmarks if recipe.evaluate else ()
    more = recipe.select.against if recipe.select else ()
    return [load_benchmark(name, recipe.seed, folder, shelf) for name in dict.fromkeys((*evaluated, *more))]


def expected_problems(settings: EvaluateSettings, folder: Path) -> dict[str, int | None]:
    """Each benchmark of a recipe to the number of its problems as the catalogue says, None where only reading it would
    tell. A file of one's own is counted; nothing is fetched. Raises ConfigError on an unknown name."""
    shelf = shelf_of(settings, folder)
    found: dict[str, int | None] = {}
    for reference in settings.benchmarks:
        size = expected_size(reference, shelf)
        is_file = size is None and is_table(_name(reference)) and (folder / _name(reference)).is_file()
        found[reference] = len(load_benchmark(reference, 0, folder, shelf).problems) if is_file else size
    return found
