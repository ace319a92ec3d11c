"""The command that shows single responses."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import RunFolder, print_text


def view(
    folder: RunFolder,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="of the page; 8377, or any free one")] = None,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="open it in a browser")] = True,
    inspect: Annotated[
        Path | None, typer.Option(metavar="OUT", help="write logs for Inspect's viewer into OUT, and open it")
    ] = None,
) -> None:
    """Show the responses of a run in a browser, to filter, search and read."""
    if inspect is None:
        from thinkscale.commands.view import view as command

        command(folder, port, open_browser=browser, say=_say)
        return
    from thinkscale.commands.view import export_inspect, inspect_viewer, open_inspect

    paths = export_inspect(folder, inspect)
    _say(f"{len(paths)} logs in {inspect}")
    program = inspect_viewer()
    if program is None:
        _say(f"Inspect is not installed here: `pip install inspect-ai`, then `inspect view --log-dir {inspect}`")
    elif browser:
        raise typer.Exit(open_inspect(program, inspect))


def _say(text: str) -> None:
    """At once, also into a pipe: whoever started the server waits for its address."""
    print_text(text)
    sys.stdout.flush()
