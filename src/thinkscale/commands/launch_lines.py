"""The lines that start a training on several machines: `thinkscale train ... --print-launch --nodes 2 --gpus 8`.

Printed and not run: which machines, over which network and by which scheduler is for who has them. Each line is the
command itself under torchrun or accelerate, whose variables make it one of the training's processes. FSDP2 is not asked
for in the lines: the command turns it on (`train.sharding`), the same on every process.
"""

import shlex
from collections.abc import Sequence
from pathlib import Path

from thinkscale.commands.prefer import asked as prefer
from thinkscale.commands.train import TrainOptions, asked
from thinkscale.config import TrainingSection
from thinkscale.errors import ConfigError
from thinkscale.keys import content_key
from thinkscale.training.batches import plan_batches

OURS = {"--print-launch": 0, "--nodes": 1, "--gpus": 1}
"""Options that are about starting, and how many values each takes; the printed command has none of them."""

VARIABLES = (
    "export HEAD=node0    # one of the machines, by the name or address under which the others reach it",
    "export PORT=29500    # a free port there",
    "export NODE=0        # for accelerate alone: 0 on HEAD, then 1, 2, ...",
)


def launch_lines(
    method: str, source: Path, words: Sequence[str], machines: tuple[int, int | None], options: TrainOptions
) -> str:
    """What to type on each machine, for the command `thinkscale WORDS`; `machines` is their number and their GPUs.

    Raises ConfigError where the number of GPUs is not said, since this machine's may not be theirs, and where a step's
    rows cannot be divided over so many processes.
    """
    nodes, gpus = machines
    if gpus is None:
        raise ConfigError("--print-launch needs --gpus: how many GPUs each machine has")
    section: TrainingSection = asked(source, options)[1] if method == "sft" else prefer(method, source, options).prefer
    plan = plan_batches(section.effective_batch_size, section.micro_batch_size, nodes * gpus)
    weights = f"in {plan.world_size} shards (FSDP2)" if section.sharding else "whole in each (train.sharding=false)"
    passes = f"{plan.accumulation_steps} x {plan.micro_batch_size}"
    where = "on this machine" if nodes == 1 else f"on each of {nodes} machines, within a few minutes of each other"
    return "\n".join(
        [
            f"# {where}: {plan.world_size} processes, each with {passes} rows of a step's {plan.effective_batch_size};",
            f"# weights, gradients and optimizer state {weights}.",
            "# The files that the command reads, --out and what lies beside it must have the same paths everywhere.",
            *(VARIABLES if nodes > 1 else ()),
            "export OMP_NUM_THREADS=1",
            *_starters(shlex.join(["-m", "thinkscale", *without_launch(words)]), nodes, gpus),
        ]
    )


def _starters(command: str, nodes: int, gpus: int) -> tuple[str, ...]:
    many = nodes > 1
    name = f"thinkscale-{content_key(command)[:8]}"
    meeting = f'--nnodes {nodes} --rdzv-backend c10d --rdzv-endpoint "$HEAD:$PORT" --rdzv-id {name}'
    places = f' --num_machines {nodes} --machine_rank "$NODE" --main_process_ip "$HEAD" --main_process_port "$PORT"'
    return (
        f"torchrun --nproc-per-node {gpus} --max-restarts 0 {meeting if many else '--standalone'} {command}",
        "# or, in place of the last line, by accelerate:",
        f"accelerate launch --multi_gpu --num_processes {nodes * gpus}{places if many else ''} --mixed_precision no "
        f"--dynamo_backend no {command}",
    )


def without_launch(words: Sequence[str]) -> list[str]:
    """`words` without the options of OURS, in either form: `--gpus 8`, `--gpus=8`."""
    kept: list[str] = []
    skipped = 0
    for word in words:
        name = word.partition("=")[0]
        if skipped:
            skipped -= 1
        elif name in OURS:
            skipped = OURS[name] if "=" not in word else 0
        else:
            kept.append(word)
    return kept
