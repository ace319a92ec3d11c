"""Commands that ask a teacher, or play one."""

import sys
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
    Pilot,
    Prices,
    Quiet,
    RetryFailed,
    ThinkingTokens,
    print_text,
)
from thinkscale.keys import JSON


def generate(  # noqa: PLR0913 - the options of a command are its parameters
    problems: Annotated[Path, typer.Argument(help="rows with `question`, and `id` and `reference` if any")],
    out: Annotated[Path, typer.Option(help="a run directory, or a table: OUT.jsonl with its run in OUT.jsonl.run")],
    model: Annotated[str | None, typer.Option(help="the name under which it is served, a folder, or a Hub id")] = None,
    engine: Annotated[str, typer.Option(help="openai (any such server), anthropic, local, scripted")] = "openai",
    endpoint: Endpoints = None,
    endpoints_file: EndpointsFile = None,
    tokenizer: Annotated[
        str | None, typer.Option(help="send token ids (vLLM), so that long traces are saved as they grow")
    ] = None,
    replay: Annotated[str | None, typer.Option(help="with --engine scripted: recorded responses that answer")] = None,
    samples: Annotated[int | None, typer.Option(min=1, help="responses for each problem; 1")] = None,
    temperature: Annotated[float | None, typer.Option(min=0, help="0 is greedy; 1")] = None,
    top_p: Annotated[float | None, typer.Option(help="1")] = None,
    max_tokens: Annotated[int | None, typer.Option(min=1, help="thinking and answer together; 32768")] = None,
    sampling: Annotated[
        str | None, typer.Option(help="as stated for the model: card, or the name of a work that used it")
    ] = None,
    system_prompt: Annotated[str | None, typer.Option(help="a name of `thinkscale list prompts`")] = None,
    thinking_format: Annotated[str | None, typer.Option(help="of a local teacher, or one that gets token ids")] = None,
    thinking_tokens: ThinkingTokens = None,
    effort: Effort = None,
    key_variable: KeyVariable = None,
    key_file: KeyFile = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="of each key")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="of each key")] = None,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="for each endpoint and key; 1024")] = None,
    max_spend: MaxSpend = None,
    prices: Prices = None,
    max_failures: MaxFailures = None,
    batch: Batch = False,
    cache: Cache = None,
    pilot: Pilot = None,
    retry_failed: RetryFailed = False,
    fresh: Fresh = False,
    seed: int = 42,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Generate reasoning traces from a teacher. Run it again to go on where it stopped."""
    from thinkscale.commands.generate import GenerateOptions
    from thinkscale.commands.generate import generate as command

    section: dict[str, JSON] = {
        "type": engine,
        "model": model,
        "endpoints": list(endpoint or ()),
        "endpoints_file": endpoints_file,
        "tokenizer": tokenizer,
        "replay": replay,
        "thinking_tokens": thinking_tokens,
        "effort": effort,
        "key_variable": key_variable,
        "key_file": key_file,
        "requests_per_minute": requests_per_minute,
        "tokens_per_minute": tokens_per_minute,
        "max_in_flight": max_in_flight,
    }
    asked: dict[str, JSON] = {
        "samples": samples,
        "temperature": temperature,
        "top_p": top_p,
        "max_tokens": max_tokens,
        "sampling": sampling,
        "system_prompt": system_prompt,
        "thinking_format": thinking_format,
        "max_spend": max_spend,
        "prices": prices,
        "max_failures": max_failures,
        "batch": batch or None,
        "cache": cache,
        "seed": seed,
    }
    options = GenerateOptions(
        overrides=tuple(overrides or ()), pilot=pilot, fresh=fresh, retry_failed=retry_failed, quiet=quiet
    )
    print_text(command(problems, section, asked, out, options))


def rehearse(  # noqa: PLR0913 - the options of a command are its parameters
    traces: Annotated[Path | None, typer.Argument(help="recorded responses: rows with a question and a text")] = None,
    script: Annotated[str | None, typer.Option(help="play a script instead: lab-teacher")] = None,
    problems: Annotated[Path | None, typer.Option(help="the table that TRACES names its problems in")] = None,
    unknown: Annotated[str, typer.Option(help="a prompt without a record gets `any` record, or an `error`")] = "any",
    tokenizer: Annotated[str | None, typer.Option(help="a model's; for prompts of token ids and exact counts")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes any that is free")] = 0,
    tokens_per_second: Annotated[float | None, typer.Option(help="of each request; as fast as it goes if not")] = None,
    first_token_seconds: Annotated[float, typer.Option(min=0, help="before each reply begins")] = 0.0,
    capacity: Annotated[int | None, typer.Option(min=1, help="requests that are answered at a time")] = None,
    queue: Annotated[bool, typer.Option("--queue", help="those above the capacity wait instead of a 429")] = False,
    requests_per_minute: Annotated[float | None, typer.Option(help="of each API key")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="of each API key")] = None,
    fault: Annotated[list[str] | None, typer.Option(metavar="NAME=SHARE", help="rate_limit=0.05; repeat it")] = None,
    permanent: Annotated[float, typer.Option(help="share of faulty requests that no retry mends")] = 0.0,
    seed: Annotated[int, typer.Option(help="of the faults")] = 42,
) -> None:
    """Serve recorded responses on loopback, slow and faulty as told, to try out a run before it costs.

    (A recipe with the lab's model in place of its own is another thing: `run RECIPE --rehearse`.)
    """
    from thinkscale.commands.rehearse import RehearseOptions
    from thinkscale.commands.rehearse import rehearse as command
    from thinkscale.engines.scripted.faults import FaultPlan, parse_shares
    from thinkscale.engines.scripted.options import ServerOptions
    from thinkscale.engines.scripted.replay import parse_unknown

    server = ServerOptions(
        tokens_per_second=tokens_per_second,
        first_token_seconds=first_token_seconds,
        capacity=capacity,
        queue=queue,
        requests_per_minute=requests_per_minute,
        tokens_per_minute=tokens_per_minute,
        faults=FaultPlan(shares=parse_shares(fault or ()), permanent_share=permanent, seed=seed),
        port=port,
    )
    options = RehearseOptions(
        traces=traces,
        script=script,
        problems=problems,
        unknown=parse_unknown(unknown),
        tokenizer=tokenizer,
        server=server,
    )
    sys.stderr.write(command(options) + "\n")
