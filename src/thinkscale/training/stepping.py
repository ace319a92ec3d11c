"""A trainer whose loader hands out whole optimizer steps, and which accumulates over their passes itself.

transformers counts accumulation in micro-batches of a fixed number of rows, and accelerate fills an epoch's last batch
with rows from its start. Here one batch of the loader is one optimizer step: exactly `effective_batch_size` rows over
all processes (fewer at an epoch's end), each in one pass of one process (`packing.divide`). The loss of a step is the
sum over its rows divided by the sum of their weights, and since every process knows all rows, no process asks another
for that number. Supervised and preference training share this; they say how rows become tensors and what a pass loses.

Rejected: transformers' own accumulation with a variable number of micro-batches, which it has no place for.
Imports torch and transformers.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
import transformers

from thinkscale.training.batches import BatchPlan, epoch_batches
from thinkscale.training.packing import Pass, computed_positions, divide, limits_of
from thinkscale.training.settings import Batching, TrainingSettings

Positions = Callable[[Pass], int]
"""How many positions a pass computes, padding included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowSizes:
    """What is known of each row before it becomes tensors."""

    tokens: Sequence[int]
    trained: Sequence[int]
    """Tokens that carry the loss."""
    weights: Sequence[float] | None = None
    """What a row counts in the mean that the loss is; None: its trained tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepShare:
    """One process's part of an optimizer step. The other numbers are of the whole step, over all processes."""

    passes: tuple[Pass, ...]
    """An empty pass is computed on some row and does not count."""
    weight: float
    num_tokens: int
    num_trained_tokens: int
    padding: float


class StepSampler:
    """The shares of one process for each step of an epoch; as torch's loader takes a batch sampler.

    `batching` may be changed until an epoch begins; AUTO must have been decided.
    """

    def __init__(
        self,
        rows: RowSizes,
        settings: TrainingSettings,
        plan: BatchPlan,
        batching: Batching,
        *,
        process: int = 0,
        positions: Positions | None = None,
    ) -> None:
        self.rows = rows
        self.settings = settings
        self.plan = plan
        self.batching = batching
        self.process = process
        self.positions = positions
        self.epoch = 0

    @property
    def batch_sampler(self) -> "StepSampler":
        """Itself: transformers sets the epoch on the sampler within the loader's sampler."""
        return self

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(len(self.rows.tokens) / self.plan.effective_batch_size)

    def __iter__(self) -> Iterator[list[StepShare]]:
        size, seed = self.plan.effective_batch_size, self.settings.seed
        for rows in epoch_batches(len(self.rows.tokens), size, seed, self.epoch):
            yield [self.share(rows)]

    def share(self, rows: Sequence[int]) -> StepShare:
        """This process's part of the step over `rows`."""
        limits = limits_of(self.settings, self.plan, self.batching)
        divided = divide(rows, self.rows.tokens, self.batching, limits)
        positions = self.positions or partial(computed_positions, lengths=self.rows.tokens, batching=self.batching)
        shortest = self.shortest
        computed = sum(positions(numbers or shortest) for passes in divided for numbers in passes)
        num_tokens = sum(self.rows.tokens[row] for row in rows)
        weights = self.rows.trained if self.rows.weights is None else self.rows.weights
        return StepShare(
            passes=tuple(divided[self.process]),
            weight=float(sum(weights[row] for row in rows)),
            num_tokens=num_tokens,
            num_trained_tokens=sum(self.rows.trained[row] for row in rows),
            padding=1 - num_tokens / computed,
        )

    @property
    def shortest(self) -> Pass:
        """What an empty pass computes."""
        return (min(range(len(self.rows.tokens)), key=lambda row: self.rows.tokens[row]),)


class _Shares(torch.utils.data.Dataset[StepShare]):
    """What the loader believes to be its data: shares come from the sampler, and pass through."""

    def __init__(self, num_rows: int) -> None:
        self.num_rows = num_rows

    def __len__(self) -> int:
        return self.num_rows

    def __getitem__(self, share: StepShare) -> StepShare:
        return share


def _only(shares: list[StepShare]) -> StepShare:
    (share,) = shares
    return share


class SteppingTrainer(transformers.Trainer):
    """A mixin: stands before TRL's trainer among the bases. A subclass says what `collate` and `pass_loss` do.

    `share` is what this process is at, and `counts` is False while an empty pass is computed, whose loss is left out.
    """

    def __init__(self, steps: StepSampler, *, args: transformers.TrainingArguments, **arguments: Any) -> None:  # noqa: ANN401 - TRL's own arguments
        args.gradient_accumulation_steps = 1  # a step is one batch of our loader
        args.per_device_train_batch_size = steps.plan.effective_batch_size // steps.plan.world_size
        self.steps = steps
        self.counts = True
        self.share: StepShare | None = None
        self._account: dict[str, float] = {}
        super().__init__(args=args, **arguments)
        steps.process = self.accelerator.process_index

    def collate(self, rows: Pass) -> Mapping[str, Any]:
        """The tensors of a pass over these rows, never none; on the CPU."""
        raise NotImplementedError

    def pass_loss(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> torch.Tensor:
        """The SUM of the losses of a pass's rows, which is divided by the weights of the whole step."""
        raise NotImplementedError

    def get_train_dataloader(self) -> "torch.utils.data.DataLoader[StepShare]":
        """Not prepared by accelerate, which would divide the steps once more."""
        dataset = _Shares(len(self.steps.rows.tokens))
        return torch.utils.data.DataLoader(dataset, batch_sampler=self.steps, collate_fn=_only)

    def get_batch_samples(
        self, epoch_iterator: Iterator[Any], num_batches: int, device: torch.device
    ) -> tuple[list[Any], None]:
        return [next(epoch_iterator)], None

    def floating_point_ops(self, inputs: Any) -> int:  # noqa: ANN401 - transformers' own signature
        """Not counted here: see training/flops.py."""
        return 0

    def training_step(
        self,
        model: torch.nn.Module,
        inputs: Any,  # noqa: ANN401 - transformers' own signature
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> torch.Tensor:
        """Gradients of all passes of this process's share; returns the loss so that its mean over processes is it."""
        share: StepShare = inputs
        optimizer: Any = self.optimizer
        model.train()
        if callable(getattr(optimizer, "train", None)):
            optimizer.train()
        self.share = share
        total = torch.zeros((), device=self.args.device)
        factor = share_factor(share, self.steps.plan.world_size)
        for place, rows in enumerate(share.passes):
            self.counts = bool(rows)
            with self._in_step(model, last=place == len(share.passes) - 1), self._offload():
                tensors = self._prepare_inputs(dict(self.collate(rows or self.steps.shortest)))
                with self.compute_loss_context_manager():
                    loss = self.pass_loss(model, tensors) * (factor if rows else 0.0)
                self.accelerator.backward(loss)
            total += loss.detach()
        self._account = {
            "num_step_tokens": share.num_tokens,
            "num_step_trained_tokens": share.num_trained_tokens,
            "padding": share.padding,
        }
        return total

    def _in_step(self, model: torch.nn.Module, *, last: bool) -> AbstractContextManager[Any]:
        """Processes exchange gradients after the last pass, or after each where that saves memory."""
        each = self.accelerator.gradient_state.plugin_kwargs.get("sync_each_batch", False)
        found: AbstractContextManager[Any] = nullcontext() if last or each else self.accelerator.no_sync(model)
        return found

    def _offload(self) -> AbstractContextManager[Any]:
        found: AbstractContextManager[Any] = getattr(self, "maybe_activation_offload_context", nullcontext())
        return found

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A step's log tells of its tokens, too."""
        if "loss" in logs:
            logs.update(self._account)
        super().log(logs, start_time)


def share_factor(share: StepShare, world_size: int) -> float:
    """What a sum over a pass is multiplied by: processes' gradients are averaged, so each counts world_size times."""
    return world_size / max(share.weight, 1.0)
