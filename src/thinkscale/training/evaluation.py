"""A model under training, measured on rows that it is not trained on.

Imports torch and transformers; only modules that are loaded when a training begins import this one.

transformers' own evaluation averages the means of batches, so its loss depends on how rows fall into batches, and
under several processes it counts rows twice to fill the last batch. Here sums are taken over all rows and divided
once. An evaluation happens right after the step it belongs to was logged and before that step's checkpoint is
written, so that what a checkpoint holds and what was reported are the same; at the end of an epoch, where
transformers would do it, the checkpoint of the epoch's last step would already be without it.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import transformers

Inputs = dict[str, torch.Tensor]
Sums = Mapping[str, torch.Tensor]
"""Sums over one batch by the names under which their means are logged, and WEIGHT, what they are divided by."""

WEIGHT = "weight"


class HeldOutTrainer(transformers.Trainer):
    """A mixin: `evaluate` measures as `measure_held_out` says. To stand before TRL's trainer among the bases."""

    remarks: tuple[str, ...] = ()
    """What its builder and itself saw that the user should know."""

    def remark(self, text: str) -> None:
        """Adds one to the remarks."""
        self.remarks = (*self.remarks, text)

    def measure_held_out(self) -> dict[str, float]:
        """Means over the held-out rows, by transformers' names: `eval_loss` and others. Every process calls it."""
        raise NotImplementedError

    def evaluate(self, *_: object, **__: object) -> dict[str, float]:
        """Measures and logs; the model is in the same mode afterwards."""
        model: Any = self.model
        was_training = model.training
        model.eval()
        try:
            metrics = self.measure_held_out()
            self.log(dict(metrics))
        finally:
            model.train(was_training)
        handler: Any = self.callback_handler
        self.control = handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics


def weighted_means(
    trainer: Any,  # noqa: ANN401 - transformers' trainer types its parts as optional
    batches: Sequence[Sequence[Any]],
    collate: Callable[[Sequence[Any]], Inputs],
    sums: Callable[[Inputs], Sums],
) -> dict[str, float]:
    """Mean of each quantity over all `batches`, each batch computed by one process.

    Every process makes as many forward passes as any other, since sharded weights are gathered in step; one that
    has no batch left computes the first again and does not count it.
    """
    rank, world = trainer.accelerator.process_index, trainer.accelerator.num_processes
    totals: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for start in range(0, len(batches), world):
            mine = start + rank
            counted = mine < len(batches)
            found = sums(trainer._prepare_inputs(collate(batches[mine if counted else 0])))
            for name, value in found.items():
                totals[name] = totals.get(name, 0.0) + value.detach().double() * counted
    names = sorted(totals)
    stacked = trainer.accelerator.reduce(torch.stack([totals[name] for name in names]), reduction="sum")
    added = dict(zip(names, stacked.tolist(), strict=True))
    weight = added.pop(WEIGHT)
    return {name: value / weight for name, value in added.items()}


class EvaluationSchedule(transformers.TrainerCallback):
    """Asks for an evaluation before the first step, every so many steps or epochs, and after the last step."""

    def __init__(self, trainer: HeldOutTrainer, every_steps: int | None) -> None:
        self.trainer = trainer
        self.every_steps = every_steps

    def on_train_begin(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        if state.global_step == 0:
            self.trainer.evaluate()

    def on_step_end(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        every = self.every_steps or max(1, state.max_steps // int(args.num_train_epochs))
        if state.global_step % every == 0 or state.global_step == state.max_steps:
            control.should_evaluate = True
