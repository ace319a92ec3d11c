"""The command that labels problems."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import (
    Batch,
    Cache,
    Effort,
    Endpoints,
    EndpointsFile,
    Fresh,
    KeyFile,
    KeyVariable,
    MaxFailures,
    MaxSpend,
    Overrides,
    Prices,
    Quiet,
    RetryFailed,
    ThinkingTokens,
    print_text,
)


def label(  # noqa: PLR0913 - the options of a command are its parameters
    problems: Annotated[Path, typer.Argument(help="rows with `question`, and `id` and `reference` if any")],
    out: Annotated[Path, typer.Option(help="a run directory, or a table: OUT.jsonl with its run in OUT.jsonl.run")],
    responses: Annotated[Path | None, typer.Option(help="traces; without --grades the first of each problem")] = None,
    grades: Annotated[
        Path | None, typer.Option(help="of the responses: as `thinkscale grade` or a run has them")
    ] = None,
    labels: Annotated[
        list[Path] | None, typer.Option(help="labels that are taken as they are; may be repeated")
    ] = None,
    all_problems: Annotated[bool, typer.Option("--all", help="also problems without a correct trace")] = False,
    domain_model: Annotated[str | None, typer.Option(help="classifies: one of 61 MSC classes and a subject")] = None,
    relabel: Annotated[bool, typer.Option("--relabel", help="classify also where the source gives a domain")] = False,
    rating_model: Annotated[str | None, typer.Option(help="rates the difficulty from 1 to 10")] = None,
    rating_samples: Annotated[int | None, typer.Option(min=1, help="ratings whose mean is the label; 1")] = None,
    rating_temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy; 0")] = None,
    questions_per_request: Annotated[int | None, typer.Option(min=1, help="of both; 1")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="of a request to either, thinking included")] = None,
    weak_model: Annotated[
        list[str] | None, typer.Option(metavar="NAME[=URL]", help="attempts every problem; may be repeated")
    ] = None,
    weak_samples: Annotated[int | None, typer.Option(min=1, help="attempts of each weak model; 1")] = None,
    weak_temperature: Annotated[float | None, typer.Option(min=0, help="0.05")] = None,
    weak_max_tokens: Annotated[int | None, typer.Option(min=1, help="of an attempt; 8192")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="counts traces: `lab`, a folder or a Hub id")] = None,
    engine: Annotated[str, typer.Option(help="of all models: openai (any such server), anthropic, local")] = "openai",
    endpoint: Endpoints = None,
    endpoints_file: EndpointsFile = None,
    thinking_tokens: ThinkingTokens = None,
    effort: Effort = None,
    key_variable: KeyVariable = None,
    key_file: KeyFile = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="of each key at each endpoint")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="of each key at each endpoint")] = None,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="calls at a time, each key and endpoint")] = None,
    max_spend: MaxSpend = None,
    prices: Prices = None,
    max_failures: MaxFailures = None,
    batch: Batch = False,
    cache: Cache = None,
    retry_failed: RetryFailed = False,
    fresh: Fresh = False,
    seed: int = 42,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Label problems by domain, difficulty and trace length. Run it again to go on where it stopped."""
    from thinkscale.commands.label import Asked, LabelOptions
    from thinkscale.commands.label import label as command

    asked = Asked(
        engine={
            "type": engine,
            "endpoints": list(endpoint or ()),
            "endpoints_file": endpoints_file,
            "thinking_tokens": thinking_tokens,
            "effort": effort,
            "key_variable": key_variable,
            "key_file": key_file,
            "requests_per_minute": requests_per_minute,
            "tokens_per_minute": tokens_per_minute,
            "max_in_flight": max_in_flight,
        },
        domain_model=domain_model,
        rating_model=rating_model,
        weak_models=tuple(weak_model or ()),
        questionnaire={
            "questions_per_request": questions_per_request,
            "max_tokens": max_tokens,
            "batch": batch or None,
        },
        domain={"relabel": relabel or None},
        rating={"samples": rating_samples, "temperature": rating_temperature},
        label={
            "problems": "all" if all_problems else None,
            "responses": str(responses) if responses else None,
            "grades": str(grades) if grades else None,
            "labels": [str(path) for path in labels or ()],
            "weak_samples": weak_samples,
            "weak_temperature": weak_temperature,
            "weak_max_tokens": weak_max_tokens,
            "tokenizer": tokenizer,
            "max_spend": max_spend,
            "prices": prices,
            "max_failures": max_failures,
            "cache": cache,
        },
    )
    options = LabelOptions(
        seed=seed, overrides=tuple(overrides or ()), fresh=fresh, retry_failed=retry_failed, quiet=quiet
    )
    print_text(command(problems, asked, out, options))
