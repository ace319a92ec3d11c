"""TRL's SFTTrainer with our steps, our loss and no telemetry.

The loss of a step is the mean negative log-likelihood over the trained tokens of its whole effective batch. TRL's own
also measures entropy and top-1 accuracy of every token in every step, on a CPU scores untrained tokens, and masks
padding, which right-padded rows under causal attention need no mask for.

Imports torch and trl; only `training/supervised.py` imports this module, when a training begins.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import transformers
from datasets import Dataset
from trl.trainer.sft_trainer import SFTTrainer

from thinkscale.errors import ConfigError
from thinkscale.training.attention import decide_batching, implementation_of, why_padded
from thinkscale.training.batches import BatchPlan
from thinkscale.training.chunked_loss import decide_loss, install_loss_head
from thinkscale.training.collate import PassTensors, RowArrays
from thinkscale.training.evaluation import HeldOutTrainer
from thinkscale.training.packing import JOINED, Pass
from thinkscale.training.probe import leak_in, loss_fault
from thinkscale.training.settings import Batching, SftSettings
from thinkscale.training.sharding import ManyProcesses
from thinkscale.training.stepping import RowSizes, SteppingTrainer, StepSampler
from thinkscale.training.tokens import TrainingRow

IGNORED = -100
"""The label that torch's cross entropy leaves out."""


class CompletionTrainer(ManyProcesses, HeldOutTrainer, SteppingTrainer, SFTTrainer):
    """SFTTrainer over `rows`; `model` is the plain one, which TRL wraps in adapters if it is given some."""

    def __init__(
        self,
        rows: Sequence[TrainingRow],
        settings: SftSettings,
        plan: BatchPlan,
        *,
        model: Any,  # noqa: ANN401 - transformers' models have no common typed base
        args: Any,  # noqa: ANN401 - SFTConfig
        **arguments: Any,  # noqa: ANN401 - SFTTrainer's own
    ) -> None:
        self.settings = settings
        self.plan = plan
        self.bare_model = model
        self.arrays = RowArrays(rows)
        sizes = RowSizes(tokens=self.arrays.lengths.tolist(), trained=self.arrays.num_trained.tolist())
        args.dataset_kwargs = {"skip_prepare_dataset": True}
        super().__init__(
            StepSampler(sizes, settings, plan, decide_batching(settings, model)),
            model=model,
            args=args,
            train_dataset=Dataset.from_dict({"input_ids": [[0]], "labels": [[0]]}),  # TRL wants one; none is read
            **arguments,
        )
        self.remarks = why_padded(settings, model)
        kind = decide_loss(settings.loss, model, self.args.device, adds_loss=self.aux_loss_enabled)
        if settings.loss == "auto" and kind == "full":
            self.remark("the logits of a pass stand whole (loss full): this model's head is more than a linear layer")
        self.head = install_loss_head(model, kind)
        self.add_callback(_Probing(self))

    @property
    def batching(self) -> Batching:
        """How rows share passes; AUTO is decided."""
        return self.steps.batching

    @property
    def loss_kind(self) -> str:
        """`full`, `chunked` or `fused`."""
        return self.head.kind

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def pass_tensors(self, arrays: RowArrays, rows: Pass) -> PassTensors:
        """One pass over `rows` of `arrays`, joined or padded as this training's passes are."""
        if self.batching in JOINED:
            return arrays.joined(rows, implementation_of(self.bare_model))
        return arrays.padded(rows)

    def collate(self, rows: Pass) -> Mapping[str, Any]:
        found = self.pass_tensors(self.arrays, rows)
        return {"inputs": found.inputs, "positions": found.positions, "targets": found.targets}

    def pass_loss(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> torch.Tensor:
        total, _ = self.head.losses(
            model, inputs["inputs"], inputs["positions"], inputs["targets"], balance=self._balance()
        )
        return total

    def _balance(self) -> float:
        """What a pass's balance of experts counts beside its sum, so that in the step's loss it is a mean of passes."""
        if not self.aux_loss_enabled or self.share is None:
            return 0.0
        passes = sum(1 for rows in self.share.passes if rows)
        return float(self.router_aux_loss_coef) * self.share.weight / (self.plan.world_size * max(1, passes))


class _Probing(transformers.TrainerCallback):
    """Before the first step: do rows stay apart, is the loss that of the logits? On every process alike.

    What `auto` chose and is found wrong gives way to what is slower and right; what was asked for is refused.
    """

    def __init__(self, trainer: CompletionTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        trainer, model = self.trainer, self.trainer.model_wrapped
        settings = trainer.settings
        rough = "bfloat16" in (settings.dtype, settings.weights)
        fault = loss_fault(model, trainer.bare_model, trainer.head, rough=rough)
        if fault and settings.loss != "auto":
            raise ConfigError(f"{fault}; choose loss full")
        if fault:
            trainer.remark(f"{fault}; so logits stand whole (loss full)")
            trainer.head = replace(trainer.head, kind="full")
        leak = leak_in(model, trainer.bare_model, rough=rough) if trainer.batching in JOINED else None
        if leak and settings.batching is not Batching.AUTO:
            raise ConfigError(
                f"batching {trainer.batching.value} with attention {implementation_of(trainer.bare_model)} on "
                f"{type(trainer.bare_model).__name__}: {leak}. Choose batching by_length or auto, or attention sdpa, "
                f"flash_attention_2 or flash_attention_3"
            )
        if leak:
            trainer.remark(f"{leak}; so rows are padded (batching by_length)")
            trainer.steps.batching = Batching.BY_LENGTH
