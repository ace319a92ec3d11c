"""Commands that measure a model."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import Endpoints, Overrides, print_text
from thinkscale.keys import JSON


def evaluate(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, typer.Option(help="`lab`, a model folder, or a Hub id")],
    benchmark: Annotated[list[str], typer.Option(help="NAME, NAME:100, or a file; may be repeated")],
    out: Annotated[Path, typer.Option(help="the run directory")],
    engine: Annotated[str, typer.Option(help="local: in this process; openai: servers that take token ids")] = "local",
    endpoint: Endpoints = None,
    tokenizer: Annotated[str | None, typer.Option(help="where the model's name is not that of its tokenizer")] = None,
    method: Annotated[list[str] | None, typer.Option(help="truncation, budget_forcing, class_conditional")] = None,
    budget: Annotated[list[str] | None, typer.Option(help="thinking tokens, or none; may be repeated")] = None,
    waits: Annotated[list[int] | None, typer.Option(help="times the end is suppressed; may be repeated")] = None,
    thinking_format: Annotated[str, typer.Option(help="s1, think_tags or sky_t1")] = "s1",
    overrides: Overrides = None,
) -> None:
    """Sweep thinking budgets of a model over benchmarks, and report."""
    from thinkscale.commands.evaluate import evaluate as command

    options: dict[str, JSON] = {
        "model": model,
        "engine": engine,
        "endpoints": list(endpoint or ()),
        "tokenizer": tokenizer,
        "thinking_format": thinking_format,
        "benchmarks": list(benchmark),
        "methods": list(method or ()),
        "budgets": list(budget or ()),
        "waits": list(waits or ()),
    }
    print_text(command(options, tuple(overrides or ()), out))
