"""Which rows an optimizer step trains on, and how many forward passes its plan allows for.

The rows of a step depend on (seed, epoch) alone: not on lengths, on the kind of batching, nor on the number of
processes. So all of them give the same loss curve, and a resumed run sees what an undisturbed one sees without drawing
from a generator whose state would have to be kept. `packing.py` divides a step's rows over processes and passes.
Rejected: steps of rows of like length. They save padding, but a step of short rows alone pulls elsewhere than one of
long rows, and then batching would decide what is learned.
"""

import random
from dataclasses import dataclass

from thinkscale.errors import ConfigError
from thinkscale.keys import seed_from

LARGEST_NAMED = 64
"""Numbers of processes that a refusal names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchPlan:
    """How one optimiser step's rows are divided: world_size x micro_batch_size x accumulation_steps."""

    world_size: int
    micro_batch_size: int
    accumulation_steps: int

    @property
    def effective_batch_size(self) -> int:
        """Rows of one optimiser step, over all processes."""
        return self.world_size * self.micro_batch_size * self.accumulation_steps


def plan_batches(effective_batch_size: int, micro_batch_size: int | None, world_size: int) -> BatchPlan:
    """The plan whose effective batch is exactly what was asked for; without a micro-batch, no accumulation.

    Raises ConfigError with the numbers where it cannot divide, and what would. s1's single-node script trains with 8
    rows a step where the paper says 16; here that is refused.
    """
    if effective_batch_size < 1 or (micro_batch_size is not None and micro_batch_size < 1):
        raise ConfigError(f"batch sizes must be at least 1: effective {effective_batch_size}, micro {micro_batch_size}")
    share = world_size * (micro_batch_size or 1)
    if effective_batch_size % share:
        raise ConfigError(_refusal(effective_batch_size, micro_batch_size or 1, world_size))
    micro = micro_batch_size or effective_batch_size // world_size
    return BatchPlan(
        world_size=world_size,
        micro_batch_size=micro,
        accumulation_steps=effective_batch_size // (world_size * micro),
    )


def epoch_batches(num_rows: int, batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """Every row's index once, in batches of `batch_size`, in the order of one epoch; the last may be short."""
    order = list(range(num_rows))
    random.Random(seed_from("epoch_batches", seed, epoch)).shuffle(order)
    return [order[start : start + batch_size] for start in range(0, num_rows, batch_size)]


def _refusal(effective: int, micro: int, world_size: int) -> str:
    """Why `effective` rows cannot be divided, and the nearest numbers that can."""
    share = world_size * micro
    below, above = effective // share * share, -(-effective // share) * share
    batches = f"{below} or {above}" if below else f"{above}"
    processes = [count for count in range(1, LARGEST_NAMED + 1) if effective % (count * micro) == 0]
    ways = [f"effective_batch_size {batches}"]
    if processes:
        ways.append(f"{_either(processes)} processes")
    if micro > 1 and effective % world_size == 0:
        rows = [size for size in range(1, effective // world_size + 1) if effective // world_size % size == 0]
        ways.append(f"micro_batch_size {_either(rows)}")
    return (
        f"an effective batch of {effective} rows cannot be made of {world_size} processes x micro-batch {micro} = "
        f"{share} rows: {effective} / {share} is not whole; choose {', or '.join(ways)}"
    )


def _either(numbers: list[int]) -> str:
    *most, last = map(str, numbers)
    return f"{', '.join(most)} or {last}" if most else last
