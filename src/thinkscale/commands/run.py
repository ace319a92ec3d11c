"""run and report."""

from pathlib import Path

from thinkscale.pipeline import load_recipe, rebuild_report, run_recipe


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


def report(folder: Path) -> str:
    """Makes the report again; returns where it is."""
    rebuild_report(folder)
    return f"{folder / 'report.html'}\n{folder / 'report.md'}"


def outcome(folder: Path) -> str:
    """Where the results lie."""
    if not (folder / "manifest.json").is_file():
        return f"{folder}: not done; the same command without --until goes on to the report"
    return f"{folder / 'report.html'}\n{folder / 'report.md'}"
