"""Commands on recipes and run directories."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import (
    AsJson,
    MaxSpend,
    Overrides,
    Pilot,
    Quiet,
    RecipeName,
    RetryFailed,
    RunFolder,
    print_json,
    print_text,
)
from thinkscale.errors import ConfigError


def run(  # noqa: PLR0913 - the options of a command are its parameters
    recipe: RecipeName,
    out: Annotated[Path | None, typer.Option(help="the run directory; runs/RECIPE if not given")] = None,
    overrides: Overrides = None,
    until: Annotated[str | None, typer.Option(help="stop after this stage")] = None,
    fresh: Annotated[bool, typer.Option(help="discard stages that changed, and those after them")] = False,
    retry_failed: RetryFailed = False,
    pilot: Pilot = None,
    max_spend: MaxSpend = None,
    rehearse: Annotated[
        bool,
        typer.Option(
            "--rehearse",
            help="the whole recipe on this machine in minutes: the lab's model, a few rows, no network; always anew "
            "(the command `rehearse` is another thing: a server that plays recorded responses)",
        ),
    ] = False,
    local: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=PATH",
            help="with --rehearse: a local copy of a source or benchmark, or a folder of such; may be repeated",
        ),
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run a recipe to its report. Run it again to go on where it stopped."""
    from thinkscale.commands.run import rehearse_run
    from thinkscale.commands.run import run as command

    if rehearse:
        if fresh or retry_failed or pilot or max_spend is not None:
            raise ConfigError("--rehearse goes with --out, --set, --until, --local and --quiet only")
        print_text(rehearse_run(recipe, out, tuple(overrides or ()), local=local or (), until=until, quiet=quiet))
        return
    if local:
        raise ConfigError(
            "--local goes with --rehearse; a run reads local copies that the recipe names: "
            "--set evaluate.local.NAME=PATH, --set collect.sources.0.local=PATH"
        )
    capped = () if max_spend is None else (f"generate.max_spend={max_spend}",)
    given = (*(overrides or ()), *capped)
    print_text(
        command(recipe, out, given, until=until, fresh=fresh, retry_failed=retry_failed, pilot=pilot, quiet=quiet)
    )


def plan(
    recipe: RecipeName,
    out: Annotated[Path | None, typer.Option(help="the run directory to look at")] = None,
    overrides: Overrides = None,
    settings: Annotated[bool, typer.Option(help="print every setting, its default, and where it came from")] = False,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="that serve the teacher (GPU hours, from its responses so far), or train")
    ] = None,
    device: Annotated[
        str | None, typer.Option(help='the GPU to train on, such as "H100 80GB"; this machine\'s if not given')
    ] = None,
    gpu_memory_gib: Annotated[float | None, typer.Option(min=0.1, help="its memory, if other than usual")] = None,
    as_json: AsJson = False,
) -> None:
    """Show what would run and what is done already. Runs nothing. Exits with 1 where a training does not fit."""
    from thinkscale.commands.plan import PlanOptions, is_fitting, plan_text, settings_rows, settings_text
    from thinkscale.commands.plan import plan as command

    if settings:
        rows = settings_rows(recipe, tuple(overrides or ()))
        print_json(rows) if as_json else print_text(settings_text(rows))
        return
    options = PlanOptions(gpus=gpus, device=device, gpu_memory_gib=gpu_memory_gib)
    found = command(recipe, out, tuple(overrides or ()), options)
    print_json(found) if as_json else print_text(plan_text(found))
    if not is_fitting(found):
        raise typer.Exit(1)


def status(
    folder: RunFolder,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="print again every two seconds until the run is done")] = False,
) -> None:
    """Show how far a run is, also from another terminal."""
    from thinkscale.commands.status import status as command
    from thinkscale.commands.status import status_text, watch_status

    if watch:
        watch_status(folder, print_text)
    else:
        found = command(folder)
        print_json(found) if as_json else print_text(status_text(found))


def report(
    folder: Annotated[Path, typer.Argument(help="a run directory, or a model folder that a training made")],
) -> None:
    """Make report.md, report.html and the figures again from what is stored."""
    from thinkscale.commands.run import report as command

    print_text(command(folder))


def why(
    folder: RunFolder, problem_id: Annotated[str, typer.Argument(help="the row's id")], as_json: AsJson = False
) -> None:
    """Show what every stage did with one row, and why."""
    from thinkscale.commands.why import why as command
    from thinkscale.commands.why import why_text

    found = command(folder, problem_id)
    print_json(found) if as_json else print_text(why_text(found))
