"""Commands on evaluations that are done: two of them against each other, and one under other graders."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import AsJson, print_json, print_text


def compare(  # noqa: PLR0913 - the options of a command are its parameters
    first: Annotated[str, typer.Argument(metavar="RUN_A", help="a run; A,B,C: runs of one recipe, other seeds")],
    second: Annotated[
        str | None, typer.Argument(metavar="[RUN_B]", help="as RUN_A; without it, two models of RUN_A are compared")
    ] = None,
    model: Annotated[
        list[str] | None, typer.Option(help="one for both sides, or given twice: the first side's and the second's")
    ] = None,
    benchmark: Annotated[list[str] | None, typer.Option(help="only this one; may be repeated")] = None,
    method: Annotated[list[str] | None, typer.Option(help="only this one; may be repeated")] = None,
    shared: Annotated[bool, typer.Option("--shared", help="where items differ, compare on those of both")] = False,
    resamples: Annotated[int, typer.Option(min=100, help="of problems, for intervals")] = 2000,
    out: Annotated[Path | None, typer.Option(help="a folder for compare.json, compare.md and the figure")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare two runs or models, paired on the same items, corrected for the number of comparisons."""
    from thinkscale.commands.compare import CompareOptions
    from thinkscale.commands.compare import compare as command
    from thinkscale.reporting.compared import comparison_json, comparison_text

    options = CompareOptions(
        first=names(first),
        second=names(second or ""),
        models=tuple(model or ()),
        benchmarks=tuple(benchmark or ()),
        methods=tuple(method or ()),
        shared=shared,
        resamples=resamples,
    )
    found = command(options, out)
    print_json(comparison_json(found)) if as_json else print_text(comparison_text(found))


def regrade(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="a run directory, or a folder with its tables")],
    grader: Annotated[
        list[str] | None,
        typer.Option(
            help="A or A,B,C; may be repeated (`thinkscale list graders`). The first is who --apply grades by"
        ),
    ] = None,
    out: Annotated[Path | None, typer.Option(help="the numbers as JSON; with --apply a new run directory")] = None,
    apply: Annotated[bool, typer.Option("--apply", help="make a run that is graded by the first grader")] = False,
    cells: Annotated[bool, typer.Option("--cells", help="show every cell, and every pair of graders")] = False,
    workers: Annotated[int, typer.Option(min=1, help="processes")] = 1,
    as_json: AsJson = False,
) -> None:
    """Grade the stored responses of a run again by several graders, and show what the choice of grader moves."""
    from thinkscale.commands.regrade import DEFAULT_GRADERS, RegradeOptions, regraded_json, regraded_text
    from thinkscale.commands.regrade import regrade as command

    graders = tuple(name for given in grader or () for name in names(given)) or DEFAULT_GRADERS
    done = command(folder, RegradeOptions(graders=graders, workers=workers), out, apply=apply)
    print_json(regraded_json(done)) if as_json else print_text(regraded_text(done, with_cells=cells))


def names(text: str) -> tuple[str, ...]:
    """`A,B` as its parts."""
    return tuple(part.strip() for part in text.split(",") if part.strip())
