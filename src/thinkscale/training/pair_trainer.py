"""What DPO and SimPO have in common: our steps over pairs, passes that hold both replies, rewards in the logs.

The loss of a step is the mean over the pairs of its whole effective batch, however they fall into passes and
processes. TRL takes the mean of each pass's mean, which weighs the pairs of a short pass more; here each pass gives a
sum. Imports torch and trl; only modules that are loaded when a training begins import this one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import transformers
from datasets import Dataset
from trl.trainer.utils import add_fused_lm_head

from thinkscale.errors import ConfigError
from thinkscale.training.attention import decide_batching, implementation_of, why_padded
from thinkscale.training.batches import BatchPlan
from thinkscale.training.evaluation import WEIGHT, HeldOutTrainer, Inputs, Sums, weighted_means
from thinkscale.training.packing import JOINED, Limits, Pass, divide, limits_of
from thinkscale.training.pair_passes import PairArrays, reply_tokens
from thinkscale.training.preference_losses import ReplyLogProbs, reply_log_probs
from thinkscale.training.preference_settings import PreferenceSettings
from thinkscale.training.probe import leak_in
from thinkscale.training.settings import Batching
from thinkscale.training.sharding import ManyProcesses
from thinkscale.training.stepping import RowSizes, SteppingTrainer, StepSampler

TRAINED, HELD_OUT = "trained", "held_out"
PLACEHOLDER = {"prompt_ids": [[0]], "chosen_ids": [[0]], "rejected_ids": [[0]]}
"""What transformers and TRL believe to be the data; it is never read."""


@dataclass(frozen=True, slots=True)
class PairLosses:
    """Of the n pairs of a pass: the sum of their losses, and the reward of each reply, (n,)."""

    loss: torch.Tensor
    chosen: torch.Tensor
    rejected: torch.Tensor

    def sums(self) -> Sums:
        """By transformers' names, the number of pairs among them."""
        return {
            "loss": self.loss.detach().double(),
            "rewards/chosen": self.chosen.double().sum(),
            "rewards/rejected": self.rejected.double().sum(),
            "rewards/accuracies": (self.chosen > self.rejected).double().sum(),
            WEIGHT: torch.tensor(len(self.chosen), dtype=torch.float64, device=self.chosen.device),
        }


class PairTrainer(ManyProcesses, HeldOutTrainer, SteppingTrainer):
    """What both have in common; stands before TRL's trainer among the bases."""

    def __init__(
        self,
        sets: Mapping[str, PairArrays],
        settings: PreferenceSettings,
        plan: BatchPlan,
        *,
        model: Any,  # noqa: ANN401 - transformers' models have no common typed base
        **arguments: Any,  # noqa: ANN401 - the other base's own
    ) -> None:
        self.sets = sets
        self.settings = settings
        self.plan = plan
        self.bare_model = model
        self.totals: dict[str, torch.Tensor] = {}
        pairs = sets[TRAINED]
        sizes = RowSizes(tokens=pairs.num_tokens, trained=pairs.num_trained, weights=[1.0] * len(pairs))
        steps = StepSampler(sizes, settings, plan, decide_batching(settings, model), positions=self._positions)
        placeholder = Dataset.from_dict(PLACEHOLDER)
        super().__init__(steps, model=self.wrapped(model), train_dataset=placeholder, **arguments)
        add_fused_lm_head(model, outputs=("log_probs",))  # and not the metrics of every token that TRL asks of it
        self.remarks = why_padded(settings, model)
        self.add_callback(_Beginning(self))

    loss_kind = "fused"
    """How logits are held: in tiles, by TRL's head."""

    @property
    def batching(self) -> Batching:
        """How rows share passes; AUTO is decided."""
        return self.steps.batching

    def pair_losses(
        self, found: ReplyLogProbs, tokens: Sequence[torch.Tensor], tensors: Mapping[str, Any]
    ) -> PairLosses:
        """The method's losses for the pairs of one pass."""
        raise NotImplementedError

    def wrapped(self, model: Any) -> Any:  # noqa: ANN401 - as above
        """The model that the other base is given: with adapters, where that does not add them by itself."""
        return model

    def begin(self, *, has_begun: bool) -> None:
        """Before the first step of this call; `has_begun`: a checkpoint's weights are loaded."""

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine."""

    def _positions(self, rows: Pass) -> int:
        return self.sets[TRAINED].positions(rows, self.batching)

    def tensors(self, of: str, rows: Pass) -> dict[str, Any]:
        """The tensors of a pass over pairs of the set called `of`."""
        return self.sets[of].tensors(rows, self.batching, implementation_of(self.bare_model))

    def collate(self, rows: Pass) -> Mapping[str, Any]:
        return self.tensors(TRAINED, rows)

    def losses_of(self, model: Any, tensors: Mapping[str, Any]) -> PairLosses:  # noqa: ANN401 - as above
        """The method's losses, and the weighted likelihood of chosen replies where that is asked for."""
        tokens = reply_tokens(model, tensors)
        found = reply_log_probs(tokens)
        losses = self.pair_losses(found, tokens, tensors)
        if not self.settings.sft_weight:
            return losses
        likelihood = self.settings.sft_weight * found.mean_chosen.sum()
        return PairLosses(losses.loss - likelihood, losses.chosen, losses.rejected)

    def pass_loss(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> torch.Tensor:
        losses = self.losses_of(model, inputs)
        if self.counts:
            for name, value in losses.sums().items():
                self.totals[name] = self.totals.get(name, 0.0) + value
        return losses.loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """A step's log tells of its rewards, as means over the pairs of all processes."""
        if "loss" in logs:
            names = ("rewards/chosen", "rewards/rejected", "rewards/accuracies", WEIGHT)
            nothing = torch.zeros((), dtype=torch.float64, device=self.args.device)
            mine = torch.stack([self.totals.get(name, nothing) for name in names])
            *sums, count = self.accelerator.reduce(mine, reduction="sum").tolist()
            logs.update({name: value / count for name, value in zip(names, sums, strict=False)})
            self.totals = {}
        super().log(logs, start_time)

    def passes(self, of: str) -> list[Pass]:
        """All pairs of the set called `of` in passes for one process, long ones first."""
        sizes, limits = self.sets[of].num_tokens, limits_of(self.settings, self.plan, self.batching)
        alone = Limits(rows=self.plan.micro_batch_size, tokens=limits.tokens)
        (found,) = divide(range(len(sizes)), sizes, self.batching, alone)
        return found

    def measure_held_out(self) -> dict[str, float]:
        """Loss and rewards of the pairs that are not trained on, each pair counted once."""
        means = weighted_means(self, self.passes(HELD_OUT), self._held_out_inputs, self._held_out_sums)
        return {f"eval_{name}": value for name, value in means.items()}

    def _held_out_inputs(self, rows: Sequence[Any]) -> Inputs:
        return self.tensors(HELD_OUT, tuple(rows))

    def _held_out_sums(self, inputs: Inputs) -> Sums:
        with self.compute_loss_context_manager():
            return self.losses_of(self.model, inputs).sums()


class _Beginning(transformers.TrainerCallback):
    """Before the first step: do joined rows stay apart, and what does the method need to know of the policy?"""

    def __init__(self, trainer: PairTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(
        self,
        args: transformers.TrainingArguments,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        **arguments: Any,  # noqa: ANN401 - transformers' own signature
    ) -> None:
        trainer, settings = self.trainer, self.trainer.settings
        rough = "bfloat16" in (settings.dtype, settings.weights)
        joined = trainer.batching in JOINED
        leak = leak_in(trainer.model_wrapped, trainer.bare_model, rough=rough) if joined else None
        if leak and settings.batching is not Batching.AUTO:
            raise ConfigError(
                f"batching {trainer.batching.value} puts pairs behind each other: {leak}. Choose batching by_length or "
                f"auto, or attention sdpa, flash_attention_2 or flash_attention_3"
            )
        if leak:
            trainer.remark(f"{leak}; so pairs are padded (batching by_length)")
            trainer.steps.batching = Batching.BY_LENGTH
        trainer.begin(has_begun=state.global_step > 0)
