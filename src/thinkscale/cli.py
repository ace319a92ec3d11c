"""The command line: each command is one call of a function of the same name, imported when it is called."""

import json
import signal
import sys
import traceback
from pathlib import Path
from types import FrameType
from typing import Annotated

import typer

from thinkscale import __version__
from thinkscale.credentials import redact
from thinkscale.errors import ThinkscaleError
from thinkscale.keys import JSON

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Distil reasoning into a small model, and measure what its thinking buys.",
)

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


def _print_json(value: object) -> None:
    sys.stdout.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def _print(text: str) -> None:
    sys.stdout.write(text.rstrip("\n") + "\n")


def _version(wanted: bool) -> None:
    if wanted:
        _print(f"thinkscale {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="print it")] = False,
) -> None:
    """Options before any command."""


@app.command()
def run(  # noqa: PLR0913 - the options of a command are its parameters
    recipe: RecipeName,
    out: Annotated[Path | None, typer.Option(help="the run directory; runs/RECIPE if not given")] = None,
    overrides: Overrides = None,
    until: Annotated[str | None, typer.Option(help="stop after this stage")] = None,
    fresh: Annotated[bool, typer.Option(help="discard stages that changed, and those after them")] = False,
    retry_failed: RetryFailed = False,
    pilot: Pilot = None,
    max_spend: MaxSpend = None,
    quiet: Annotated[bool, typer.Option(help="no progress")] = False,
) -> None:
    """Run a recipe to its report. Run it again to go on where it stopped."""
    from thinkscale.commands.run import run as command

    capped = () if max_spend is None else (f"generate.max_spend={max_spend}",)
    given = (*(overrides or ()), *capped)
    _print(command(recipe, out, given, until=until, fresh=fresh, retry_failed=retry_failed, pilot=pilot, quiet=quiet))


@app.command()
def plan(
    recipe: RecipeName,
    out: Annotated[Path | None, typer.Option(help="the run directory to look at")] = None,
    overrides: Overrides = None,
    settings: Annotated[bool, typer.Option(help="print every setting, its default, and where it came from")] = False,
    gpus: Annotated[int, typer.Option(min=0, help="that serve the teacher: GPU hours, from its responses so far")] = 0,
    as_json: AsJson = False,
) -> None:
    """Show what would run and what is done already. Runs nothing."""
    from thinkscale.commands.plan import plan as command
    from thinkscale.commands.plan import plan_text, settings_rows, settings_text

    if settings:
        rows = settings_rows(recipe, tuple(overrides or ()))
        _print_json(rows) if as_json else _print(settings_text(rows))
        return
    found = command(recipe, out, tuple(overrides or ()), gpus)
    _print_json(found) if as_json else _print(plan_text(found))


@app.command()
def status(
    folder: RunFolder,
    as_json: AsJson = False,
    watch: Annotated[bool, typer.Option(help="print again every two seconds until the run is done")] = False,
) -> None:
    """Show how far a run is, also from another terminal."""
    from thinkscale.commands.status import status as command
    from thinkscale.commands.status import status_text, watch_status

    if watch:
        watch_status(folder, _print)
    else:
        found = command(folder)
        _print_json(found) if as_json else _print(status_text(found))


@app.command()
def report(folder: RunFolder) -> None:
    """Make report.md, report.html and the figures again from what is stored."""
    from thinkscale.commands.run import report as command

    _print(command(folder))


@app.command()
def why(
    folder: RunFolder, problem_id: Annotated[str, typer.Argument(help="the row's id")], as_json: AsJson = False
) -> None:
    """Show what every stage did with one row, and why."""
    from thinkscale.commands.why import why as command
    from thinkscale.commands.why import why_text

    found = command(folder, problem_id)
    _print_json(found) if as_json else _print(why_text(found))


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Show what this machine can do, and what to do about each lack."""
    from thinkscale.commands.doctor import doctor as command
    from thinkscale.commands.doctor import doctor_text

    found = command()
    _print_json(found) if as_json else _print(doctor_text(found))


@app.command()
def serve(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, typer.Argument(help="a name of `thinkscale list models`, or a model folder")],
    extra: Annotated[list[str] | None, typer.Argument(help="behind `--`: words for vLLM, as they are")] = None,
    gpus: Annotated[int | None, typer.Option(min=1, help="GPUs to use; those of this machine if not given")] = None,
    gpu_memory_gib: Annotated[float | None, typer.Option(min=1, help="memory of each GPU")] = None,
    max_model_len: Annotated[int | None, typer.Option(min=1, help="longest sequence, prompt included")] = None,
    concurrency: Annotated[int, typer.Option(min=1, help="full-length sequences to hold at once, if possible")] = 16,
    quantization: Annotated[str | None, typer.Option(help="fp8: 16-bit weights are rounded while they load")] = None,
    host: Annotated[str, typer.Option(help="where to listen; 0.0.0.0 is every interface")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535)] = 8000,
    python: Annotated[str | None, typer.Option(help="the interpreter of the environment that has vLLM")] = None,
    start: Annotated[bool, typer.Option("--run", help="become the server instead of printing its command")] = False,
    as_json: AsJson = False,
) -> None:
    """Print the vLLM command for a model and these GPUs, and why it is so; or start it."""
    from thinkscale.commands import serve as module

    serving = module.serve(
        module.ServeOptions(
            model=model,
            gpus=gpus,
            gpu_memory_gib=gpu_memory_gib,
            max_model_len=max_model_len,
            concurrency=concurrency,
            quantization=quantization,
            host=host,
            port=port,
            python=python,
            extra=tuple(extra or ()),
        )
    )
    _print_json(module.serve_row(serving)) if as_json else _print(module.serve_text(serving))
    sys.stderr.write("\n".join(serving.notes) + "\n")
    if start:
        module.start(serving)


@app.command("list")
def list_(
    kind: Annotated[
        str, typer.Argument(help="recipes, benchmarks, formats, methods, graders, engines, models, domains, prompts")
    ],
    as_json: AsJson = False,
) -> None:
    """List what there is of one kind."""
    from thinkscale.commands.catalogue import catalogue as command

    found = command(kind)
    _print_json(found) if as_json else _print("\n".join(f"{name:<20} {text}".rstrip() for name, text in found.items()))


@app.command()
def grade(  # noqa: PLR0913 - the options of a command are its parameters
    rows: Annotated[Path, typer.Argument(help="rows with `reference` and `response`, or results of other tools")],
    out: Annotated[Path | None, typer.Option(help="where verdicts go; standard output if not given")] = None,
    graders: Annotated[
        str, typer.Option(help="A,B,C: the first gives the verdict, the others are compared with it")
    ] = "verifier",
    workers: Annotated[int | None, typer.Option(min=1, help="processes; one a core if not given")] = None,
    problems: Annotated[Path | None, typer.Option(help="the table that the responses name their problems in")] = None,
    judge: Annotated[str | None, typer.Option(help="a model that decides what rules and symbols cannot")] = None,
    audit: Annotated[Path | None, typer.Option(help="the comparison of several graders as JSON")] = None,
    disagreements: Annotated[
        Path | None, typer.Option(help="what graders disagree on; decisions written into it override them")
    ] = None,
    evidence: Annotated[bool, typer.Option("--evidence", help="a column that says why")] = False,
    last_number: Annotated[bool, typer.Option("--last-number", help="accept the last number as an answer")] = False,
    symbolic: Annotated[bool, typer.Option(help="ask symbolic equality where rules cannot decide")] = True,
    cpu_seconds: Annotated[float, typer.Option(min=0.1, help="CPU time of a program on one test")] = 5.0,
    memory_mib: Annotated[int, typer.Option(min=64, help="memory of a program")] = 1024,
    isolation: Annotated[str | None, typer.Option(help="what keeps programs in: bubblewrap or namespaces")] = None,
    quiet: Annotated[bool, typer.Option(help="no progress")] = False,
) -> None:
    """Judge responses against references, one verdict a row, in order."""
    from thinkscale.commands.grade import GradeOptions, open_judge
    from thinkscale.commands.grade import grade as command
    from thinkscale.grading.execution import Limits
    from thinkscale.verification.verifier import VerifierSettings

    settings = VerifierSettings(
        symbolic=symbolic,
        last_number=last_number,
        limits=Limits(cpu_seconds=cpu_seconds, memory_bytes=memory_mib << 20),
        isolation=isolation,
    )
    options = GradeOptions(
        graders=tuple(name.strip() for name in graders.split(",")),
        settings=settings,
        workers=workers,
        problems=problems,
        judge=open_judge(judge) if judge else None,
        audit=audit,
        disagreements=disagreements,
        evidence=evidence,
        quiet=quiet,
    )
    sys.stderr.write(command(rows, out, options) + "\n")


@app.command()
def decontaminate(
    pool: Annotated[Path, typer.Argument(help="rows with `question`")],
    against: Annotated[list[str], typer.Option(help="a benchmark's name or file; may be repeated")],
    out: Annotated[Path, typer.Option(help="the rows that are kept")],
    report_file: Annotated[Path | None, typer.Option("--report", help="one row for each hit")] = None,
    words: Annotated[int, typer.Option(min=2, help="words of a shared n-gram that marks contamination")] = 8,
) -> None:
    """Drop the rows of a pool that overlap with benchmarks, and say which and where."""
    from thinkscale.commands.decontaminate import decontaminate as command

    sys.stderr.write(command(pool, tuple(against), out, report_file, words) + "\n")


@app.command()
def generate(  # noqa: PLR0913 - the options of a command are its parameters
    problems: Annotated[Path, typer.Argument(help="rows with `question`, and `id` and `reference` if any")],
    out: Annotated[Path, typer.Option(help="a run directory, or a table: OUT.jsonl with its run in OUT.jsonl.run")],
    model: Annotated[str | None, typer.Option(help="the name under which it is served, a folder, or a Hub id")] = None,
    engine: Annotated[str, typer.Option(help="openai (any such server), anthropic, local, scripted")] = "openai",
    endpoint: Annotated[list[str] | None, typer.Option(help="base URL; may be repeated: several are one pool")] = None,
    endpoints_file: Annotated[str | None, typer.Option(help="a file with one base URL on each line")] = None,
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
    thinking_tokens: Annotated[int | None, typer.Option(help="with --engine anthropic: budget of thinking")] = None,
    effort: Annotated[str | None, typer.Option(help="with --engine anthropic: of adaptive thinking")] = None,
    key_variable: Annotated[str | None, typer.Option(help="environment variable with the API key or keys")] = None,
    key_file: Annotated[str | None, typer.Option(help="a file with one key on each line")] = None,
    requests_per_minute: Annotated[float | None, typer.Option(help="of each key")] = None,
    tokens_per_minute: Annotated[float | None, typer.Option(help="of each key")] = None,
    max_in_flight: Annotated[int | None, typer.Option(min=1, help="for each endpoint and key; 1024")] = None,
    max_spend: MaxSpend = None,
    prices: Annotated[str | None, typer.Option(help="a file of prices that go before the built-in ones")] = None,
    max_failures: Annotated[float | None, typer.Option(help="share of failed requests that stops the run; 0.1")] = None,
    batch: Annotated[bool, typer.Option("--batch", help="the provider's batch API: slower, half the price")] = False,
    cache: Annotated[str | None, typer.Option(help="replies kept for every run: default, none, or a file")] = None,
    pilot: Pilot = None,
    retry_failed: RetryFailed = False,
    fresh: Annotated[bool, typer.Option(help="discard what was made under other settings")] = False,
    seed: int = 42,
    overrides: Overrides = None,
    quiet: Annotated[bool, typer.Option(help="no progress")] = False,
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
    _print(command(problems, section, asked, out, options))


@app.command()
def evaluate(  # noqa: PLR0913 - the options of a command are its parameters
    model: Annotated[str, typer.Option(help="`lab`, a model folder, or a Hub id")],
    benchmark: Annotated[list[str], typer.Option(help="NAME, NAME:100, or a file; may be repeated")],
    out: Annotated[Path, typer.Option(help="the run directory")],
    engine: Annotated[str, typer.Option(help="local: in this process; openai: servers that take token ids")] = "local",
    endpoint: Annotated[list[str] | None, typer.Option(help="base URL; may be repeated: several are one pool")] = None,
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
    _print(command(options, tuple(overrides or ()), out))


@app.command()
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
    """Serve recorded responses on loopback, slow and faulty as told, to try out a run before it costs."""
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


LISTS = ("--against", "--benchmark", "--budget", "--method", "--waits")
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


if __name__ == "__main__":
    main()
