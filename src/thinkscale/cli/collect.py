"""Commands that bring questions in, and tables out."""

import sys
from pathlib import Path
from typing import Annotated, Literal

import typer

from thinkscale.errors import ConfigError


def collect(  # noqa: PLR0913 - the options of a command are its parameters
    source: Annotated[
        list[str], typer.Option(help="names (`thinkscale list sources`), files, or owner/name[@revision] of the Hub")
    ],
    out: Annotated[Path, typer.Option(help="a table of problems, or a folder for all that the sets bring")],
    local: Annotated[Path | None, typer.Option(help="a folder or file that stands in for the repositories")] = None,
    columns: Annotated[list[str] | None, typer.Option(metavar="FIELD=COLUMN", help="where names differ")] = None,
    years: Annotated[str | None, typer.Option(metavar="FIRST-LAST", help="of sets that state years")] = None,
    config: Annotated[str | None, typer.Option(help="the configuration of a data set that has several")] = None,
    split: Annotated[str, typer.Option(help="of data sets of the Hub that are not in the catalogue")] = "train",
    limit: Annotated[int | None, typer.Option(min=1, help="problems of each source, the first ones")] = None,
    all_rows: Annotated[bool, typer.Option("--all-rows", help="without the catalogue's filters and quotas")] = False,
    seed: Annotated[int, typer.Option(min=0, help="of shuffled options and quotas")] = 42,
    report_file: Annotated[Path | None, typer.Option("--report", help="one row for each that is no problem")] = None,
) -> None:
    """Collect problems from named sources, files and data sets of the Hub."""
    from thinkscale.commands.collect import CollectOptions
    from thinkscale.commands.collect import collect as command

    options = CollectOptions(
        local=local,
        columns=_mapping(columns or []),
        years=_years(years),
        config=config,
        split=split,
        limit=limit,
        all_rows=all_rows,
        seed=seed,
    )
    sys.stderr.write(command(tuple(source), out, report_file, options) + "\n")


def _mapping(pairs: list[str]) -> dict[str, str]:
    """`question=problem reference=answer`, also between commas."""
    found = {}
    for pair in (part for text in pairs for part in text.split(",")):
        field, equals, column = pair.partition("=")
        if not equals or not field.strip() or not column.strip():
            raise ConfigError(f"--columns {pair!r}: write FIELD=COLUMN, such as question=problem")
        found[field.strip()] = column.strip()
    return found


def _years(text: str | None) -> tuple[int, int] | None:
    """`1983-2021`, or one year."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    last = last or first
    if not first.isdecimal() or not last.isdecimal() or int(first) > int(last):
        raise ConfigError(f"--years {text!r}: write FIRST-LAST, such as 1983-2021")
    return int(first), int(last)


def push(  # noqa: PLR0913 - the options of a command are its parameters
    folder: Annotated[Path, typer.Argument(help="a run directory, a folder of tables, or a model folder")],
    to: Annotated[str, typer.Option(metavar="OWNER/NAME", help="the place on the Hub, made where there is none")],
    what: Annotated[Literal["data", "model"], typer.Option(help="tables as a data set, or the trained model")] = "data",
    table: Annotated[list[str] | None, typer.Option(help="which tables; examples or problems if not given")] = None,
    private: Annotated[bool, typer.Option("--private", help="where the place is made: only you see it")] = False,
    revision: Annotated[str | None, typer.Option(help="a branch, made where there is none")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="write what would be uploaded, send nothing")] = False,
    out: Annotated[Path | None, typer.Option(help="where a dry run writes")] = None,
    licence: Annotated[str | None, typer.Option(help="of a model, as the Hub calls it, such as apache-2.0")] = None,
    thinking_format: Annotated[str | None, typer.Option(help="of a model that no run of ours made")] = None,
) -> None:
    """Upload tables as a data set, or a trained model, with a generated card."""
    from thinkscale.commands.push import push as command
    from thinkscale.commands.push_options import PushOptions

    options = PushOptions(
        what=what,
        tables=tuple(table or ()),
        licence=licence,
        thinking_format=thinking_format,
        private=private,
        revision=revision,
        dry_run=dry_run,
        out=out,
    )
    sys.stderr.write(command(folder, to, options) + "\n")
