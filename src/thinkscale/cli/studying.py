"""The command that runs variants of a recipe."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import Overrides, Quiet, print_text
from thinkscale.errors import ConfigError


def study(  # noqa: PLR0913 - the options of a command are its parameters
    name: Annotated[str, typer.Argument(metavar="STUDY", help="a shipped study (`thinkscale list studies`) or a file")],
    out: Annotated[Path | None, typer.Option(help="a folder for the runs; runs/STUDY if not given")] = None,
    only: Annotated[str | None, typer.Option(metavar="A,B", help="these variants only, and the base")] = None,
    seeds: Annotated[str | None, typer.Option(metavar="42,43", help="in place of the study's")] = None,
    overrides: Overrides = None,
    plan: Annotated[bool, typer.Option("--plan", help="print what would be run, and run nothing")] = False,
    rehearse: Annotated[
        bool, typer.Option("--rehearse", help="every run as its rehearsal: the lab's model, a few rows, no network")
    ] = False,
    local: Annotated[
        list[str] | None, typer.Option(metavar="NAME=PATH", help="with --rehearse, as in `run`; may be repeated")
    ] = None,
    quiet: Quiet = False,
) -> None:
    """Run a recipe and variants of it, and compare each with the recipe, corrected for their number."""
    from thinkscale.commands.study import StudyOptions, planned
    from thinkscale.commands.study import study as command

    if local and not rehearse:
        raise ConfigError("--local goes with --rehearse; --set evaluate.local.NAME=PATH names copies for a run")
    options = StudyOptions(
        only=_parts(only),
        seeds=tuple(map(_seed, _parts(seeds))),
        overrides=tuple(overrides or ()),
        rehearse=rehearse,
        local=tuple(local or ()),
        quiet=quiet,
    )
    print_text(planned(name, out, options) if plan else command(name, out, options))


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(",") if part.strip())


def _seed(text: str) -> int:
    if not text.isdecimal():
        raise ConfigError(f"--seeds: {text!r} is no seed; write whole numbers, as in 42,43,44")
    return int(text)
