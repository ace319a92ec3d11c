"""TRL's DPOTrainer and our SimPO over our pairs: no second model, no tokenization of theirs, no telemetry.

DPO's formulas are TRL's (`DPOTrainer._compute_loss`), fed with log-probabilities that we have computed; SimPO's are in
`preference_losses.py`, since TRL keeps its own among the experimental trainers.

Imports torch and trl; only `train_preference` imports this module, when a training begins.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch
import transformers
from datasets import Dataset
from trl.models.activation_offloading import get_act_offloading_ctx_manager
from trl.trainer.dpo_config import DPOConfig
from trl.trainer.dpo_trainer import DPOTrainer
from trl.trainer.utils import disable_dropout_in_model

from thinkscale.training.arguments import training_arguments
from thinkscale.training.batches import BatchPlan
from thinkscale.training.loading import Student, check_rows, load_student
from thinkscale.training.packing import Pass
from thinkscale.training.pair_passes import PairArrays, reply_tokens
from thinkscale.training.pair_trainer import HELD_OUT, TRAINED, PairLosses, PairTrainer
from thinkscale.training.pairs import PairRow
from thinkscale.training.preference_losses import ReplyLogProbs, reply_log_probs, simpo_losses
from thinkscale.training.preference_settings import Method, PreferenceSettings
from thinkscale.training.reference import NAME, reference_log_probs
from thinkscale.training.remarks import of_start
from thinkscale.training.tokens import build_row


class DpoTrainer(PairTrainer, DPOTrainer):
    """TRL's DPO on log-probabilities that are already there; the reference is the policy before its first step."""

    def __init__(self, *arguments: Any, args: DPOConfig, **named: Any) -> None:  # noqa: ANN401 - PairTrainer's own
        self.references: dict[str, torch.Tensor] = {}
        super().__init__(*arguments, args=args, **named)
        self.is_fsdp_enabled = self.shards

    def _send_telemetry(self) -> None:
        """Nothing leaves the machine. TRL calls this right before it looks for a reference, and would load a second
        model under FSDP; so it is told, until it is built, that there is none."""
        self.shards, self.is_fsdp_enabled = self.is_fsdp_enabled, False

    def _prepare_dataset(self, dataset: Dataset, *_: object) -> Dataset:
        """Our ids are not tokenized again."""
        return dataset

    def _precompute_ref_logps(self, dataset: Dataset, *_: object) -> Dataset:
        """Later, by the policy as it is sharded."""
        return dataset

    def begin(self, *, has_begun: bool) -> None:
        for of in self.sets:
            self.references[of] = reference_log_probs(
                of,
                self.passes(of),
                lambda rows, of=of: self._reference_scores(of, rows),  # type: ignore[misc]
                Path(str(self.args.output_dir)) / NAME,
                self.accelerator,
                has_begun=has_begun,
            )

    def _reference_scores(self, of: str, rows: Pass) -> tuple[torch.Tensor, torch.Tensor]:
        inputs = self._prepare_inputs(super().tensors(of, rows))
        with self.compute_loss_context_manager():
            found = reply_log_probs(reply_tokens(self.model, inputs))
        return found.chosen, found.rejected

    def tensors(self, of: str, rows: Pass) -> dict[str, Any]:
        return {**super().tensors(of, rows), "reference": self.references[of][list(rows)]}

    def pair_losses(
        self, found: ReplyLogProbs, tokens: Sequence[torch.Tensor], tensors: Mapping[str, Any]
    ) -> PairLosses:
        scores = torch.nn.utils.rnn.pad_sequence(list(tokens), batch_first=True)
        mask = torch.nn.utils.rnn.pad_sequence([torch.ones_like(reply) for reply in tokens], batch_first=True)
        chosen, rejected = tensors["reference"].unbind(1)
        compute: Any = DPOTrainer._compute_loss
        mean = compute(_Alone(self), lambda **_: _outputs(scores), _as_trl_has_it(mask.long(), chosen, rejected), False)
        beta = self.settings.beta
        return PairLosses(
            mean * len(chosen), beta * (found.chosen - chosen).detach(), beta * (found.rejected - rejected).detach()
        )


class _Alone:
    """A trainer as TRL's formulas see it: with metrics of this process, which are left out.

    TRL gathers them after each pass, in the belief that all processes have as many pairs in it; ours may differ.
    """

    aux_loss_enabled = False

    def __init__(self, trainer: DPOTrainer) -> None:
        self._trainer = trainer
        self._metrics: Any = {mode: defaultdict(list) for mode in ("train", "eval")}
        self.accelerator = SimpleNamespace(device=trainer.accelerator.device, gather=_same, gather_for_metrics=_same)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever TRL's trainer has
        return getattr(self._trainer, name)


def _same(value: torch.Tensor) -> torch.Tensor:
    return value


def _as_trl_has_it(mask: torch.Tensor, chosen: torch.Tensor, rejected: torch.Tensor) -> dict[str, torch.Tensor]:
    """A batch of replies behind a prompt of one token: TRL's formulas read no more of it than masks and references."""
    first = torch.zeros_like(mask[:, :1])
    return {
        "input_ids": torch.zeros_like(torch.cat([first, mask], dim=1)),
        "attention_mask": torch.cat([first + 1, mask], dim=1),
        "completion_mask": torch.cat([first, mask], dim=1),
        "ref_chosen_logps": chosen,
        "ref_rejected_logps": rejected,
    }


def _outputs(scores: torch.Tensor) -> SimpleNamespace:
    """What TRL's fused head returns; all but the log-probabilities are for metrics that we leave out."""
    nothing = torch.zeros_like(scores.detach())
    return SimpleNamespace(log_probs=scores, entropy=nothing, mean_logits=nothing, is_top1=nothing.bool())


class SimpoTrainer(PairTrainer):
    """SimPO on transformers' own trainer; adapters, dropout and offload as TRL's trainers have them."""

    def __init__(
        self,
        *arguments: Any,  # noqa: ANN401 - PairTrainer's own
        model: Any,  # noqa: ANN401 - as above
        args: DPOConfig,
        peft_config: Any = None,  # noqa: ANN401 - peft is optional
        **named: Any,  # noqa: ANN401 - as above
    ) -> None:
        disable_dropout_in_model(model)
        self.adapters = peft_config
        self.recomputes = bool(args.gradient_checkpointing)
        transformers.set_seed(args.seed)  # adapters begin at random
        super().__init__(*arguments, model=model, args=args, **named)
        policy: Any = self.model
        self.maybe_activation_offload_context = (
            get_act_offloading_ctx_manager(model=policy) if args.activation_offloading else nullcontext()
        )

    def wrapped(self, model: Any) -> Any:  # noqa: ANN401 - as above
        if self.adapters is None:
            return model
        from peft import get_peft_model

        found = get_peft_model(model, self.adapters)
        if self.recomputes:
            found.enable_input_require_grads()
        return found

    def pair_losses(
        self, found: ReplyLogProbs, tokens: Sequence[torch.Tensor], tensors: Mapping[str, Any]
    ) -> PairLosses:
        settings = self.settings
        losses, chosen, rejected = simpo_losses(found, settings.beta, settings.gamma, settings.label_smoothing)
        return PairLosses(losses.sum(), chosen, rejected)


TRAINERS: Mapping[Method, type[PairTrainer]] = {Method.DPO: DpoTrainer, Method.SIMPO: SimpoTrainer}


def build_preference_trainer(
    trained: Sequence[PairRow],
    held_out: Sequence[PairRow],
    settings: PreferenceSettings,
    plan: BatchPlan,
    save_steps: int | None,
    folder: Path,
) -> PairTrainer:
    """The trainer over loaded model, tokenizer and pairs; checkpoints, if any, and the reference go to `folder`."""
    of_dpo: dict[str, Any] = {
        "beta": settings.beta,
        "loss_type": [settings.loss_type],
        "label_smoothing": settings.label_smoothing,
        "precompute_ref_log_probs": True,
    }
    arguments = training_arguments(
        settings, plan, folder, save_steps, DPOConfig, **(of_dpo if settings.method is Method.DPO else {})
    )
    student = load_student(settings)
    pairs = (*trained, *held_out)
    check_rows(((row.problem_id, ids) for row in pairs for ids in row.sequences), student, settings)
    remarks = _remarks(trained, student, settings)
    sets = {TRAINED: PairArrays(trained)} | ({HELD_OUT: PairArrays(held_out)} if held_out else {})
    trainer = TRAINERS[settings.method](
        sets,
        settings,
        plan,
        model=student.model,
        args=arguments,
        processing_class=student.tokenizer,
        peft_config=student.adapters,
    )
    trainer.remarks = (*remarks, *trainer.remarks)
    return trainer


def _remarks(trained: Sequence[PairRow], student: Student, settings: PreferenceSettings) -> tuple[str, ...]:
    """What supervised training on the chosen replies would remark."""
    rows = [build_row(row.problem_id, row.prompt_ids, row.chosen_ids) for row in trained]
    return tuple(of_start(rows, student, settings))
