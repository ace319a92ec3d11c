"""The command that hands training examples and pairs over to other tools."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import print_text


def export(  # noqa: PLR0913 - the options of a command are its parameters
    source: Annotated[Path, typer.Argument(help="a run directory, or a table of examples or pairs (JSONL or Parquet)")],
    to: Annotated[str, typer.Option(help="messages, sharegpt, alpaca, axolotl, llama-factory or trl")],
    out: Annotated[Path, typer.Option(help="a new folder")],
    model: Annotated[str | None, typer.Option(help="the model to train; that of the run's recipe if not given")] = None,
    thinking_format: Annotated[str | None, typer.Option(help="s1, think_tags or sky_t1; that of the recipe")] = None,
    gpus: Annotated[int, typer.Option(min=1, help="devices that share the effective batch")] = 1,
    micro_batch_size: Annotated[int, typer.Option(min=1, help="rows at once on each device")] = 1,
    method: Annotated[
        str | None, typer.Option(help="sft on examples, dpo or simpo on pairs; sft, for a table of pairs dpo")
    ] = None,
    template: Annotated[str | None, typer.Option(help="LLaMA-Factory's name of the model's chat template")] = None,
) -> None:
    """Write training examples or pairs for another tool, with a configuration that it runs as it is."""
    from thinkscale.commands.export import ExportOptions
    from thinkscale.commands.export import export as command

    options = ExportOptions(
        model=model,
        thinking_format=thinking_format,
        gpus=gpus,
        micro_batch_size=micro_batch_size,
        template=template,
        method=method,
    )
    print_text(command(source, to, out, options))
