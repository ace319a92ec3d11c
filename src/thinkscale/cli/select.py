"""The command that chooses a training set."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import AsJson, Overrides, print_json, print_text
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON

Table = Path | None


def select(  # noqa: PLR0913 - the options of a command are its parameters
    problems: Annotated[
        list[Path], typer.Argument(help="files of problems, a folder that `collect` wrote, or with --replay a run")
    ],
    out: Annotated[
        Path | None, typer.Option(help="the selected rows; with --replay a folder for fates and picks")
    ] = None,
    replay: Annotated[
        bool, typer.Option("--replay", help="decide again on a run's rows; the run is left as it is")
    ] = False,
    responses: Annotated[Table, typer.Option(help="the teacher's responses to the problems")] = None,
    grades: Annotated[Table, typer.Option(help="verdicts on the responses")] = None,
    labels: Annotated[Table, typer.Option(help="domains, ratings and pass rates of the problems")] = None,
    against: Annotated[list[str] | None, typer.Option(help="a benchmark's name or file; may be repeated")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="rows to select; 1000 if not given")] = None,
    sampler: Annotated[str | None, typer.Option(help="s1, balanced, diverse, random, longest or all")] = None,
    seed: Annotated[int | None, typer.Option(min=0, max=2**32 - 1, help="of the draw; 42, or the run's")] = None,
    report_file: Annotated[Table, typer.Option("--report", help="a fate for every row")] = None,
    workers: Annotated[
        str | None, typer.Option(help="of texts: a number of processes, local (one a core), ray:auto or ray:HOST:PORT")
    ] = None,
    memory_mib: Annotated[
        int | None, typer.Option(min=256, help="what each process that measures may hold; 1024 if not given")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
) -> None:
    """Choose a training set out of problems, and say of every other row why not."""
    given = tuple(overrides or ())
    where: dict[str, JSON] = {"workers": workers, "memory_mib": memory_mib}
    if replay:
        foreign = {"--responses": responses, "--grades": grades, "--labels": labels, "--against": against}
        named = [name for name, value in {**foreign, "--report": report_file}.items() if value]
        if named or len(problems) != 1:
            raise ConfigError(f"--replay takes one run directory, and no {named[0] if named else 'second one'}")
        from thinkscale.commands.replay import replay as command
        from thinkscale.commands.replay import replay_json, replay_text

        asked: dict[str, JSON] = {"count": count, "sampler": sampler, **where}
        settings = (*given, *(f"select.{name}={value}" for name, value in asked.items() if value is not None))
        replayed = command(problems[0], settings, seed, out)
        print_json(replay_json(replayed)) if as_json else print_text(replay_text(replayed))
        return
    if out is None:
        raise ConfigError("give --out, the file for the selected rows")
    if len(problems) == 1 and (problems[0] / "journal.db").is_file():
        raise ConfigError(f"{problems[0]} is a run: add --replay to decide again on its rows")
    from thinkscale.commands.select import select as choose
    from thinkscale.commands.select import selected_json, selected_text
    from thinkscale.commands.selection_files import inputs_of

    inputs = inputs_of(tuple(problems), responses, grades, labels)
    benchmarks: list[JSON] | None = list(against) if against else None
    wanted: dict[str, JSON] = {"count": count, "sampler": sampler, "seed": seed, "against": benchmarks, **where}
    chosen = choose(inputs, out, wanted, given, report_file)
    if as_json:
        print_json(selected_json(chosen))
    else:
        sys.stderr.write(selected_text(chosen) + "\n")
