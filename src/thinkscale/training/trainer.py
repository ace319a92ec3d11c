"""TRL's SFTTrainer with our batch order, our loss on the CPU, our steps out, and no telemetry.

Imports torch and trl; only `training/attempt.py` imports this module, when a training begins.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
import transformers
from trl.trainer.sft_trainer import SFTTrainer

from thinkscale.errors import StageError
from thinkscale.records import Step
from thinkscale.training.batches import BatchPlan, epoch_batches
from thinkscale.training.settings import SftSettings

IGNORED = -100
"""The label that torch's cross entropy leaves out."""


class EpochSampler(torch.utils.data.Sampler[int]):
    """`epoch_batches` as a sampler. accelerate calls `set_epoch` before each epoch, after a resume too."""

    def __init__(self, lengths: list[int], settings: SftSettings, plan: BatchPlan) -> None:
        self.lengths = lengths
        self.settings = settings
        self.batch_size = plan.effective_batch_size
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        settings = self.settings
        batches = epoch_batches(
            self.lengths,
            self.batch_size,
            settings.seed,
            self.epoch,
            by_length=settings.by_length,
        )
        return (index for batch in batches for index in batch)


class CompletionTrainer(SFTTrainer):
    """SFTTrainer with our batch order, no telemetry, and on one CPU process a loss without metrics."""

    def __init__(self, sampler: EpochSampler, **arguments: Any) -> None:  # noqa: ANN401 - SFTTrainer's own arguments
        self.sampler = sampler
        super().__init__(**arguments)

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def _get_train_sampler(self, train_dataset: object = None) -> EpochSampler:
        return self.sampler

    def compute_loss(
        self,
        model: torch.nn.Module,
        inputs: dict[str, torch.Tensor],
        return_outputs: bool = False,
        num_items_in_batch: torch.Tensor | int | None = None,
    ) -> Any:  # noqa: ANN401 - TRL's own signature
        """The summed negative log-likelihood of the trained tokens over `num_items_in_batch`.

        TRL's loss also measures entropy and top-1 accuracy on every step, and scores untrained tokens. On the
        CPU that and the padding mask cost a fifth of the time (0.85 of a bare loop's tokens a second, against
        1.0). Rows are padded on the right, so under causal attention no trained token sees padding, and the
        mask changes nothing. Elsewhere TRL's fused head is kept: it saves memory.
        """
        alone = self.args.device.type == "cpu" and self.accelerator.num_processes == 1
        if not alone or self.aux_loss_enabled or return_outputs or num_items_in_batch is None:
            trl_loss = cast(Callable[..., Any], super().compute_loss)
            return trl_loss(model, inputs, return_outputs, num_items_in_batch)
        labels = inputs["labels"][:, 1:]
        trained = labels != IGNORED
        logits = model(input_ids=inputs["input_ids"], use_cache=False).logits[:, :-1][trained]
        total = torch.nn.functional.cross_entropy(logits.float(), labels[trained], reduction="sum")
        return total / num_items_in_batch


class StepRecorder(transformers.TrainerCallback):
    """Hands each logged step on; a loss that is not finite stops the training."""

    def __init__(self, on_step: Callable[[Step], None]) -> None:
        self.on_step = on_step

    def on_log(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        logs: dict[str, float] = arguments["logs"]
        if "grad_norm" not in logs or not state.is_world_process_zero:  # the summary at the end has none
            return
        step = step_of({**logs, "step": state.global_step})
        if not (math.isfinite(step.loss) and math.isfinite(step.gradient_norm)):
            raise StageError(
                f"training step {step.step}: the loss is {step.loss} and the gradient norm {step.gradient_norm}; no "
                f"model was written. Lower learning_rate (now {args.learning_rate}), or use dtype float32"
            )
        self.on_step(step)


def step_of(logs: dict[str, float]) -> Step:
    """The step that one entry of transformers' log history tells of."""
    return Step(
        step=int(logs["step"]),
        epoch=float(logs["epoch"]),
        loss=float(logs["loss"]),
        learning_rate=float(logs["learning_rate"]),
        gradient_norm=float(logs["grad_norm"]),
    )
