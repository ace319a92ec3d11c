"""The command line: each command is one call of a function of the same name, imported when it is called."""

import signal
import sys
import traceback
from collections.abc import Callable
from types import FrameType
from typing import Annotated

import typer

from thinkscale import __version__
from thinkscale.cli import collect as collecting
from thinkscale.cli import (
    comparing,
    curation,
    evaluation,
    exporting,
    generation,
    grading,
    machine,
    runs,
    studying,
    training,
    viewing,
    voting,
)
from thinkscale.cli import label as labelling
from thinkscale.cli import select as selection
from thinkscale.cli.options import print_text
from thinkscale.credentials import redact
from thinkscale.errors import ThinkscaleError

__all__ = ["COMMANDS", "app", "main", "repeated"]


def _version(wanted: bool) -> None:
    if wanted:
        print_text(f"thinkscale {__version__}")
        raise typer.Exit


COMMANDS: dict[str, Callable[..., None]] = {
    "run": runs.run,
    "study": studying.study,
    "plan": runs.plan,
    "status": runs.status,
    "report": runs.report,
    "why": runs.why,
    "view": viewing.view,
    "collect": collecting.collect,
    "generate": generation.generate,
    "grade": grading.grade,
    "label": labelling.label,
    "decontaminate": curation.decontaminate,
    "select": selection.select,
    "train": training.train,
    "evaluate": evaluation.evaluate,
    "regrade": comparing.regrade,
    "compare": comparing.compare,
    "vote": voting.vote,
    "rehearse": generation.rehearse,
    "serve": machine.serve,
    "export": exporting.export,
    "push": collecting.push,
    "doctor": machine.doctor,
    "list": machine.list_kind,
}
"""In the order of `thinkscale --help`."""

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Distil reasoning into a small model, and measure what its thinking buys.",
)
for name, command in COMMANDS.items():
    app.command(name)(command)


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Options before any command."""


LISTS = (
    "--against",
    "--benchmark",
    "--budget",
    "--columns",
    "--labels",
    "--local",
    "--method",
    "--minimum",
    "--scorer",
    "--source",
    "--steps",
    "--table",
    "--target",
    "--template",
    "--wait-string",
    "--waits",
    "--weak-model",
)
"""Options that take several values, as `--budget 500 1000` or `--budget 500 --budget 1000`."""


def repeated(arguments: list[str]) -> list[str]:
    """`arguments` with the option named again before each further value of a list."""
    made: list[str] = []
    option = ""
    for argument in arguments:
        if argument.startswith("--"):
            option = argument if argument in LISTS else ""
        elif option and made[-1] != option:
            made.append(option)
        made.append(argument)
    return made


def _stop(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> None:
    """Runs the command line. Errors for users are one message on standard error and an exit code.

    SIGTERM is Ctrl-C: partial files are removed and processes ended. Nothing that is said here shows an API key.
    """
    signal.signal(signal.SIGTERM, _stop)
    try:
        app(args=repeated(sys.argv[1:]))
    except ThinkscaleError as error:
        sys.stderr.write(redact(f"error: {error}\n"))
        sys.exit(error.exit_code)
    except OSError as error:
        sys.stderr.write(redact(f"error: {error.filename or 'the system'}: {error.strerror or error}\n"))
        sys.exit(1)
    except Exception:  # noqa: BLE001 - a mistake of ours: its traceback may quote what a server or a library said
        sys.stderr.write(redact(traceback.format_exc()))
        sys.exit(1)
