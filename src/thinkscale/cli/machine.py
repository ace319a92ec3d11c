"""Commands about this machine and what there is."""

import sys
from typing import Annotated

import typer

from thinkscale.cli.options import AsJson, print_json, print_text


def doctor(as_json: AsJson = False) -> None:
    """Show what this machine can do, and what to do about each lack."""
    from thinkscale.commands.doctor import doctor as command
    from thinkscale.commands.doctor import doctor_text

    found = command()
    print_json(found) if as_json else print_text(doctor_text(found))


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
    print_json(module.serve_row(serving)) if as_json else print_text(module.serve_text(serving))
    sys.stderr.write("\n".join(serving.notes) + "\n")
    if start:
        module.start(serving)


def list_kind(
    kind: Annotated[
        str,
        typer.Argument(
            help="recipes, sources, benchmarks, formats, methods, graders, engines, models, domains, prompts"
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """List what there is of one kind."""
    from thinkscale.commands.catalogue import catalogue as command

    found = command(kind)
    print_json(found) if as_json else print_text(
        "\n".join(f"{name:<20} {text}".rstrip() for name, text in found.items())
    )
