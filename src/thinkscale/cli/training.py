"""The command that trains a model."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from thinkscale.cli.options import Overrides, Quiet, print_text
from thinkscale.keys import JSON

if TYPE_CHECKING:
    from thinkscale.commands.train import TrainOptions

METHODS = ("sft", "dpo", "simpo")


def train(  # noqa: PLR0913 - the options of a command are its parameters
    method: Annotated[str, typer.Argument(help="sft (supervised), dpo or simpo (preference, on pairs)")],
    source: Annotated[
        Path, typer.Argument(help="a run directory, or a table of examples (dpo, simpo: of pairs), JSONL or Parquet")
    ],
    out: Annotated[Path | None, typer.Option(help="the folder of the trained model; not needed with --show")] = None,
    model: Annotated[
        str | None, typer.Option(help="`lab`, a model folder, or a Hub id; the run's if not given")
    ] = None,
    thinking_format: Annotated[str | None, typer.Option(help="s1, think_tags or sky_t1; the run's, else s1")] = None,
    epochs: Annotated[int | None, typer.Option(help="sft 5, as the s1 paper has it; dpo and simpo 1")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="sft 1e-5; dpo and simpo 5e-7")] = None,
    effective_batch_size: Annotated[
        int | None, typer.Option(help="rows of a step, over all processes; sft 16, dpo and simpo 96 pairs")
    ] = None,
    micro_batch_size: Annotated[
        int | None, typer.Option(help="rows at once in a process; the rest of its share follows before the step")
    ] = None,
    max_length: Annotated[int | None, typer.Option(help="tokens of a row; sft 32768, dpo and simpo 16384")] = None,
    over_length: Annotated[
        str | None,
        typer.Option(help="longer rows: refuse, drop, truncate_middle; sft: truncate_end; dpo, simpo: truncate_prompt"),
    ] = None,
    dtype: Annotated[str | None, typer.Option(help="of the computation: bfloat16 or float32")] = None,
    weights: Annotated[str | None, typer.Option(help="of weights and optimizer: float32 or bfloat16")] = None,
    held_out_rows: Annotated[int | None, typer.Option(help="rows kept from training, to measure it on; 0")] = None,
    keep: Annotated[str | None, typer.Option(help="which weights --out gets: last, or best on held-out rows")] = None,
    beta: Annotated[float | None, typer.Option(help="dpo, simpo: scale of the rewards; 0.1, 2.0")] = None,
    gamma: Annotated[float | None, typer.Option(help="simpo: the margin that is aimed at; 0.3")] = None,
    gpus: Annotated[
        int | None, typer.Option(min=1, help="GPUs, a process on each; 1, a free one. --print-launch: of each machine")
    ] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="with --print-launch: how many machines; 1")] = None,
    print_launch: Annotated[
        bool, typer.Option("--print-launch", help="print the torchrun and accelerate lines for --nodes x --gpus")
    ] = False,
    fresh: Annotated[bool, typer.Option("--fresh", help="train anew where --out is a finished training's")] = False,
    show: Annotated[int | None, typer.Option(min=1, metavar="N", help="print N rows, trained tokens green")] = None,
    overrides: Overrides = None,
    quiet: Quiet = False,
) -> None:
    """Fine-tune a model: on examples, with the loss on thinking and answer only, or on pairs of replies.

    Every other setting by --set: train.lora.rank=16, train.activation_checkpointing=true, train.sharding=false,
    train.batching=packed, train.lr_scheduler=linear, train.save_every_steps=50, train.log_to=[wandb], ... (prefer. for
    dpo and simpo). Killed, the same command goes on from its last checkpoint.
    """
    from thinkscale.commands.train import TrainOptions
    from thinkscale.errors import ConfigError

    given: dict[str, JSON] = {
        "epochs": epochs,
        "learning_rate": learning_rate,
        "effective_batch_size": effective_batch_size,
        "micro_batch_size": micro_batch_size,
        "max_length": max_length,
        "over_length": over_length,
        "dtype": dtype,
        "weights": weights,
        "held_out_rows": held_out_rows,
        "keep": keep,
        "beta": beta,
        "gamma": gamma,
        "processes": None if print_launch else gpus,
    }
    if method not in METHODS:
        raise ConfigError(f"there is no training method {method!r}; there are {', '.join(METHODS)}")
    if nodes is not None and not print_launch:
        raise ConfigError("--nodes goes with --print-launch: a command starts processes on its own machine alone")
    options = TrainOptions(
        model=model,
        thinking_format=thinking_format,
        settings={name: value for name, value in given.items() if value is not None},
        overrides=tuple(overrides or ()),
        fresh=fresh,
        quiet=quiet,
    )
    if out is None and show is None:
        raise ConfigError("--out is missing: the folder of the trained model (or --show N to look at rows first)")
    if print_launch:
        from thinkscale.commands.launch_lines import launch_lines

        print_text(launch_lines(method, source, sys.argv[1:], (nodes or 1, gpus), options))
    elif show is not None:
        _show(method, source, show, options)
    elif out is not None and (said := _train(method, source, out, options)):
        print_text(said)


def _train(method: str, source: Path, out: Path, options: "TrainOptions") -> str:
    if method == "sft":
        from thinkscale.commands.train import train as command

        return command(source, out, options)
    from thinkscale.commands.prefer import prefer

    return prefer(method, source, out, options)


def _show(method: str, source: Path, count: int, options: "TrainOptions") -> None:
    if method == "sft":
        from thinkscale.commands.train import show_rows

        show_rows(source, count, options)
        return
    from thinkscale.commands.prefer import show_pairs

    show_pairs(method, source, count, options)
