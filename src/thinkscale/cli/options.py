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

Endpoints = Annotated[list[str] | None, typer.Option(help="base URL; may be repeated: several are one pool")]
EndpointsFile = Annotated[str | None, typer.Option(help="a file with one base URL on each line")]
ThinkingTokens = Annotated[int | None, typer.Option(help="with --engine anthropic: budget of thinking")]
Effort = Annotated[str | None, typer.Option(help="with --engine anthropic: of adaptive thinking")]
KeyVariable = Annotated[str | None, typer.Option(help="environment variable with the API key or keys")]
KeyFile = Annotated[str | None, typer.Option(help="a file with one key on each line")]
Prices = Annotated[str | None, typer.Option(help="a file of prices that go before the built-in ones")]
MaxFailures = Annotated[float | None, typer.Option(help="share of failed requests that stops the run; 0.1")]
Batch = Annotated[bool, typer.Option("--batch", help="the provider's batch API: slower, half the price")]
Cache = Annotated[str | None, typer.Option(help="replies kept for every run: default, none, or a file")]
Fresh = Annotated[bool, typer.Option(help="discard what was made under other settings")]
Quiet = Annotated[bool, typer.Option(help="no progress")]


def print_json(value: object) -> None:
    """For a program to read."""
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def print_text(text: str) -> None:
    """A result, on standard output."""
    sys.stdout.write(text.rstrip("\n") + "\n")
