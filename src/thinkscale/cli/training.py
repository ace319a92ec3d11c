"""The command that trains a model."""

from pathlib import Path
from typing import Annotated

import typer

from thinkscale.cli.options import Overrides, Quiet, print_text
from thinkscale.keys import JSON


def train(  # noqa: PLR0913 - the options of a command are its parameters
    method: Annotated[str, typer.Argument(help="sft: supervised fine-tuning")],
    source: Annotated[Path, typer.Argument(help="a run directory, or a table of examples (JSONL or Parquet)")],
    out: Annotated[Path | None, typer.Option(help="the folder of the trained model; not needed with --show")] = None,
    model: Annotated[
        str | None, typer.Option(help="`lab`, a model folder, or a Hub id; the run's if not given")
    ] = None,
    thinking_format: Annotated[str | None, typer.Option(help="s1, think_tags or sky_t1; the run's, else s1")] = None,
    epochs: Annotated[int | None, typer.Option(help="5, as the paper has it")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="1e-5")] = None,
    effective_batch_size: Annotated[int | None, typer.Option(help="rows of a step, over all devices; 16")] = None,
    micro_batch_size: Annotated[int | None, typer.Option(help="rows at once on a device")] = None,
    max_length: Annotated[int | None, typer.Option(help="tokens of a row; 32768")] = None,
    over_length: Annotated[str | None, typer.Option(help="longer rows: refuse, drop or truncate_middle")] = None,
    dtype: Annotated[str | None, typer.Option(help="bfloat16 or float32")] = None,
    show: Annotated[int | None, typer.Option(min=1, metavar="N", help="print N rows, trained tokens green")] = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a model on examples, with the loss on thinking and answer only."""
    from thinkscale.commands.train import TrainOptions, show_rows
    from thinkscale.commands.train import train as command
    from thinkscale.errors import ConfigError

    given: dict[str, JSON] = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "effective_batch_size": effective_batch_size,
        "micro_batch_size": micro_batch_size,
        "max_length": max_length,
        "over_length": over_length,
        "dtype": dtype,
    }
    if method != "sft":
        raise ConfigError(f"there is no training method {method!r}; there is sft")
    options = TrainOptions(
        model=model,
        thinking_format=thinking_format,
        settings={name: value for name, value in given.items() if value is not None},
        overrides=tuple(overrides or ()),
        quiet=quiet,
    )
    if show is not None:
        show_rows(source, show, options)
    elif out is None:
        raise ConfigError("--out is missing: the folder of the trained model (or --show N to look at rows first)")
    else:
        print_text(command(source, out, options))
