"""Commands that judge responses."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import Quiet


def grade(  # noqa: PLR0913 - the options of a command are its parameters
    rows: Annotated[Path, typer.Argument(help="rows with `reference` and `response`, or results of other tools")],
    out: Annotated[Path | None, typer.Option(help="where verdicts go; standard output if not given")] = None,
    graders: Annotated[
        str, typer.Option(help="A,B,C: the first gives the verdict, the others are compared with it")
    ] = "verifier",
    workers: Annotated[int | None, typer.Option(min=1, help="processes; one a core if not given")] = None,
    problems: Annotated[Path | None, typer.Option(help="the table that the responses name their problems in")] = None,
    judge: Annotated[str | None, typer.Option(help="a model that decides what rules and symbols cannot")] = None,
    audit: Annotated[Path | None, typer.Option(help="the comparison of several graders as JSON")] = None,
    disagreements: Annotated[
        Path | None, typer.Option(help="what graders disagree on; decisions written into it override them")
    ] = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="a column that says why")] = False,
    last_number: Annotated[bool, typer.Option("--last-number", help="accept the last number as an answer")] = False,
    symbolic: Annotated[bool, typer.Option(help="ask symbolic equality where rules cannot decide")] = True,
    cpu_seconds: Annotated[float, typer.Option(min=0.1, help="CPU time of a program on one test")] = 5.0,
    memory_mib: Annotated[int, typer.Option(min=64, help="memory of a program")] = 1024,
    isolation: Annotated[str | None, typer.Option(help="what keeps programs in: bubblewrap or namespaces")] = None,
    quiet: Quiet = False,
) -> None:
    """Judge responses against references, one verdict a row, in order."""
    from thinkscale.commands.grade import GradeOptions, open_judge
    from thinkscale.commands.grade import grade as command
    from thinkscale.grading.execution import Limits
    from thinkscale.verification.verifier import VerifierSettings

    settings = VerifierSettings(
        symbolic=symbolic,
        last_number=last_number,
        limits=Limits(cpu_seconds=cpu_seconds, memory_bytes=memory_mib << 20),
        isolation=isolation,
    )
    options = GradeOptions(
        graders=tuple(name.strip() for name in graders.split(",")),
        settings=settings,
        workers=workers,
        problems=problems,
        judge=open_judge(judge) if judge else None,
        audit=audit,
        disagreements=disagreements,
        evidence=evidence,
        quiet=quiet,
    )
    sys.stderr.write(command(rows, out, options) + "\n")
