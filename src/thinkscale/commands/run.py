"""run and report; and a run's rehearsal, with the lab's model and a few rows in place of what takes a cluster."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from thinkscale.config import Recipe
from thinkscale.config.rehearsal import SUFFIX, Rehearsal, rehearsed
from thinkscale.errors import ConfigError
from thinkscale.pipeline import LoadedRecipe, check_recipe, load_recipe, rebuild_report, run_recipe
from thinkscale.settings import dump_settings, load_settings
from thinkscale.sources.benchmarks import EVERY
from thinkscale.stages.rehearsal_rows import Locals, write_rehearsal_rows
from thinkscale.training.output import MARKER

DATA_VARIABLE = "THINKSCALE_DATA"
"""Names a folder of local copies of sets, which a rehearsal reads where they hold what it needs."""


def run(
    recipe: str,
    out: Path | None,
    overrides: tuple[str, ...] = (),
    *,
    until: str | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    pilot: int | None = None,
    quiet: bool = False,
) -> str:
    """Runs a recipe; returns what a terminal shows at the end. After a pilot that is what the rest would cost."""
    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / loaded.recipe.name
    run_recipe(loaded, folder, until=until, fresh=fresh, retry_failed=retry_failed, pilot=pilot, quiet=quiet)
    if pilot:
        from thinkscale.commands.pilot import pilot_text

        return pilot_text(loaded.recipe, folder)
    return outcome(folder)


def rehearse_run(
    recipe: str,
    out: Path | None,
    overrides: tuple[str, ...] = (),
    *,
    local: Sequence[str] = (),
    until: str | None = None,
    quiet: bool = False,
) -> str:
    """Runs a recipe's rehearsal (config/rehearsal.py) anew; what is replaced goes to standard error first.

    `local`: NAME=PATH, or a folder of sets; those of THINKSCALE_DATA are found too. The rows that are read lie beside
    `out`. Raises what the recipe would raise, before or in the stage that it concerns.
    """
    loaded = load_recipe(recipe, overrides)
    check_recipe(loaded)
    folder = out or Path("runs") / f"{loaded.recipe.name}{SUFFIX}"
    _check_place(folder)
    rows = folder.with_name(f"{folder.name}-rows").absolute()
    found = write_rehearsal_rows(loaded.recipe, loaded.folder, rows, locals_of(local, os.environ))
    rehearsal = rehearsed(loaded.recipe, str(rows))
    sys.stderr.write(replaced_text(rehearsal, found))
    settings = load_settings(Recipe, dump_settings(rehearsal.recipe), name=f"the rehearsal of {recipe}")
    run_recipe(LoadedRecipe(settings, loaded.folder), folder, until=until, fresh=True, quiet=quiet)
    return outcome(folder)


def _check_place(folder: Path) -> None:
    """Raises ConfigError where a run lies that is no rehearsal: it would be discarded."""
    path = folder / "recipe.yaml"
    if not path.is_file():
        return
    name = load_settings(Recipe, path).value.name
    if not name.endswith(SUFFIX):
        raise ConfigError(f"{folder} holds a run of {name}, which a rehearsal would discard; give another --out")


def locals_of(given: Sequence[str], environment: Mapping[str, str]) -> Locals:
    """Where local copies of sets may lie. Raises ConfigError on a folder that is not there."""
    named: dict[str, Path] = {}
    folders: list[Path] = []
    for text in given:
        name, equals, path = text.partition("=")
        place = Path(path if equals else text).expanduser()
        if not place.exists():
            raise ConfigError(f"--local {text}: there is no folder or file {place}")
        if equals and name != EVERY:
            named[name] = place.absolute()
        else:
            folders.append(place.absolute())
    data = environment.get(DATA_VARIABLE)
    folders += [Path(data).absolute()] if data else []
    return Locals(named=named, folders=tuple(path for folder in folders for path in (folder, *_folders_in(folder))))


def _folders_in(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def replaced_text(rehearsal: Rehearsal, rows: Mapping[str, str]) -> str:
    """What a rehearsal replaces by what, and where its rows come from, as lines."""
    lines = ["REHEARSAL: every stage of the recipe, with", *(f"  {item}" for item in rehearsal.replacements)]
    lines += [f"  rows of {name}: {origin}" for name, origin in rows.items()]
    return "\n".join(lines) + "\n"


def report(folder: Path) -> str:
    """Makes the report of a run again, or one of the training that made a model folder; returns where it is."""
    if (folder / MARKER).is_file():
        from thinkscale.commands.report_training import report_training

        folder = report_training(folder)
    else:
        rebuild_report(folder)
    return f"{folder / 'report.html'}\n{folder / 'report.md'}"


def outcome(folder: Path) -> str:
    """Where the results lie."""
    if not (folder / "manifest.json").is_file():
        return f"{folder}: not done; the same command without --until goes on to the report"
    return f"{folder / 'report.html'}\n{folder / 'report.md'}"
