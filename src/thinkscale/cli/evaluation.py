"""Commands that measure a model."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import AsJson, Endpoints, Overrides, print_text

METHODS = (
    "truncation, budget_forcing, class_conditional, token_conditional(_forced), step_conditional(_forced), minimum, "
    "rejection, direct, majority, pass, best_of_n; what each does: `thinkscale list methods`"
)


def evaluate(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, typer.Option(help="`lab`, a model folder, or a Hub id")],
    benchmark: Annotated[list[str], typer.Option(help="NAME, NAME:100, or a file; may be repeated")],
    out: Annotated[Path, typer.Option(help="the run directory")],
    engine: Annotated[str, typer.Option(help="local: in this process; openai: servers that take token ids")] = "local",
    endpoint: Endpoints = None,
    tokenizer: Annotated[str | None, typer.Option(help="where the model's name is not that of its tokenizer")] = None,
    thinking_format: Annotated[str, typer.Option(help="s1, think_tags or sky_t1")] = "s1",
    method: Annotated[list[str] | None, typer.Option(help=METHODS)] = None,
    budget: Annotated[list[str] | None, typer.Option(help="thinking tokens, or none; may be repeated")] = None,
    grace: Annotated[int | None, typer.Option(help="tokens beyond a budget in which a sentence may end")] = None,
    waits: Annotated[list[int] | None, typer.Option(help="times the end is suppressed; may be repeated")] = None,
    wait_string: Annotated[
        list[str] | None, typer.Option(help="what is put there; `none` for nothing, `rotate` for three in turn")
    ] = None,
    minimum: Annotated[list[int] | None, typer.Option(help="of minimum: tokens before which no end comes")] = None,
    target: Annotated[
        list[int] | None, typer.Option(help="of token_conditional: tokens that the model is told")
    ] = None,
    steps: Annotated[list[int] | None, typer.Option(help="of step_conditional: steps that the model is told")] = None,
    step_format: Annotated[str | None, typer.Option(help="what a step is: blank_lines, lines or countdown")] = None,
    attempts: Annotated[int | None, typer.Option(help="of rejection: times a thinking is sampled at most")] = None,
    max_thinking: Annotated[int | None, typer.Option(help="where thinking without a budget is cut off")] = None,
    max_answer: Annotated[int | None, typer.Option(help="tokens of an answer at most")] = None,
    samples: Annotated[int | None, typer.Option(help="of each problem; several need a temperature")] = None,
    temperature: Annotated[float | None, typer.Option(help="0 takes the likeliest token each time")] = None,
    top_p: Annotated[float | None, typer.Option(help="draw among the likeliest tokens of this mass")] = None,
    scorer: Annotated[list[str] | None, typer.Option(help="of best_of_n: logprob, or reward:MODEL")] = None,
    local: Annotated[
        list[str] | None, typer.Option(help="BENCHMARK=PATH, or PATH for all: read from there and not from the Hub")
    ] = None,
    catalogue: Annotated[str | None, typer.Option(help="a YAML file of benchmarks of your own")] = None,
    template: Annotated[
        list[str] | None, typer.Option(help="BENCHMARK=NAME, or NAME for all: how problems are asked")
    ] = None,
    overrides: Overrides = None,
    as_json: AsJson = False,
    intervals: Annotated[bool, typer.Option("--intervals", help="with --json: intervals and problems, too")] = False,
) -> None:
    """Sweep ways to control the thinking of a model over benchmarks, and report.

    Every cell (method x budget x waits) is read of as few generations as serve them all.
    """
    from thinkscale.commands.accuracies import accuracy_line
    from thinkscale.commands.evaluate import SweepOptions
    from thinkscale.commands.evaluate import evaluate as command

    options = SweepOptions(
        model=model,
        benchmarks=tuple(benchmark),
        engine=engine,
        endpoints=tuple(endpoint or ()),
        tokenizer=tokenizer,
        thinking_format=thinking_format,
        budgets=tuple(budget or ()),
        scorers=tuple(scorer or ()),
        local=tuple(local or ()),
        templates=tuple(template or ()),
        as_json=as_json,
        settings={
            "methods": list(method or ()),
            "grace_tokens": grace,
            "waits": list(waits or ()),
            "wait_strings": list(wait_string or ()),
            "minimum_thinking_tokens": list(minimum or ()),
            "token_targets": list(target or ()),
            "step_targets": list(steps or ()),
            "step_format": step_format,
            "rejection_attempts": attempts,
            "max_thinking_tokens": max_thinking,
            "max_answer_tokens": max_answer,
            "samples": samples,
            "temperature": temperature,
            "top_p": top_p,
            "catalogue": catalogue,
        },
    )
    done = command(options, tuple(overrides or ()), out)
    print_text(accuracy_line(out, intervals) if as_json else done)
