"""Commands that make a training set out of questions."""

import sys
from pathlib import Path
from typing import Annotated

import typer


def decontaminate(
    pool: Annotated[Path, typer.Argument(help="rows with `question`")],
    against: Annotated[list[str], typer.Option(help="a benchmark's name or file; may be repeated")],
    out: Annotated[Path, typer.Option(help="the rows that are kept")],
    report_file: Annotated[Path | None, typer.Option("--report", help="one row for each hit")] = None,
    words: Annotated[int, typer.Option(min=2, help="words of an n-gram")] = 8,
    rule: Annotated[str, typer.Option(help="default, or s1: one shared n-gram of white-space words")] = "default",
    traces: Annotated[bool, typer.Option(help="look for items in solutions and traces, too")] = False,
) -> None:
    """Drop the rows of a pool that overlap with benchmarks, and say which and where."""
    from thinkscale.commands.decontaminate import decontaminate as command

    sys.stderr.write(command(pool, tuple(against), out, report_file, words, rule, traces) + "\n")
