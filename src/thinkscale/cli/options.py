"""What several commands share: options, and how results are printed."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

RecipeName = Annotated[str, typer.Argument(help="a shipped recipe (`thinkscale list recipes`) or a YAML file")]
Overrides = Annotated[
    list[str] | None, typer.Option("--set", metavar="A.B=VALUE", help="change one setting; may be repeated")
]
RunFolder = Annotated[Path, typer.Argument(help="a run directory")]
AsJson = Annotated[bool, typer.Option("--json", help="print JSON for a program to read")]

RetryFailed = Annotated[bool, typer.Option("--retry-failed", help="ask again for responses that failed")]
Pilot = Annotated[
    int | None, typer.Option(min=1, metavar="N", help="only N responses, chosen at random, and what all would take")
]
MaxSpend = Annotated[float | None, typer.Option(min=0, metavar="USD", help="stop before the teacher costs more")]


def print_json(value: object) -> None:
    """For a program to read."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_text(text: str) -> None:
    """A result, on standard output."""
    sys.stdout.write(text.rstrip("\n") + "\n")
