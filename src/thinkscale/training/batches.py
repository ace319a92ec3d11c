"""Which rows form a batch, and how a batch is divided over processes and micro-batches.

An epoch's order depends on (seed, epoch) alone, so that a resumed run sees what an undisturbed one sees
without drawing from a generator whose state would have to be kept.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

from thinkscale.errors import ConfigError
from thinkscale.keys import seed_from

GROUP_BATCHES = 32
"""Batches that are formed together by length: 32 leave about 3% padding on lengths of 60 to 250, 8 about 8%."""


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

    Raises ConfigError with the numbers where it cannot divide. s1's single-node script trains with 8 rows
    a step where the paper says 16; here that is refused.
    """
    if effective_batch_size < 1 or (micro_batch_size is not None and micro_batch_size < 1):
        raise ConfigError(f"batch sizes must be at least 1: effective {effective_batch_size}, micro {micro_batch_size}")
    share = world_size * (micro_batch_size or 1)
    if effective_batch_size % share:
        asked = f"{world_size} processes x micro-batch {micro_batch_size or 1} = {share} rows"
        raise ConfigError(
            f"an effective batch of {effective_batch_size} rows cannot be made of {asked}: {effective_batch_size} / "
            f"{share} is not whole; choose an effective_batch_size that is a multiple of {share}, or another "
            f"micro_batch_size or number of processes"
        )
    micro = micro_batch_size or effective_batch_size // world_size
    return BatchPlan(
        world_size=world_size,
        micro_batch_size=micro,
        accumulation_steps=effective_batch_size // (world_size * micro),
    )


def epoch_batches(
    lengths: Sequence[int], batch_size: int, seed: int, epoch: int, *, by_length: bool = True
) -> list[list[int]]:
    """Every row's index once, in batches of `batch_size`, in the order of one epoch.

    With `by_length`, each GROUP_BATCHES batches' worth of shuffled rows is sorted by length before it is cut
    into batches, and the batches are shuffled again, so that length does not fall or rise over the epoch. Rows
    that fill no whole batch are a random choice and come last.
    """
    generator = random.Random(seed_from("epoch_batches", seed, epoch))
    order = list(range(len(lengths)))
    generator.shuffle(order)
    whole = len(order) - len(order) % batch_size
    rest = order[whole:]
    group = batch_size * GROUP_BATCHES
    if by_length:
        groups = (order[start : min(start + group, whole)] for start in range(0, whole, group))
        order = [index for rows in groups for index in sorted(rows, key=lambda row: lengths[row])]
    batches = [order[start : start + batch_size] for start in range(0, whole, batch_size)]
    generator.shuffle(batches)
    return batches + ([rest] if rest else [])


def padding_fraction(lengths: Sequence[int], batches: Sequence[Sequence[int]], micro_batch_size: int) -> float:
    """Padding tokens over all tokens that are computed, each micro-batch padded to its longest row."""
    computed = 0
    for batch in batches:
        for start in range(0, len(batch), micro_batch_size):
            rows = batch[start : start + micro_batch_size]
            computed += len(rows) * max(lengths[row] for row in rows)
    return 1 - sum(lengths[row] for batch in batches for row in batch) / computed
