"""TRL's SFTTrainer over our rows, and the rows that it is measured on.

Imports torch and trl; only `train_sft` imports this module, when a training begins.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from trl.trainer.sft_config import SFTConfig

from thinkscale.training.arguments import training_arguments
from thinkscale.training.batches import BatchPlan
from thinkscale.training.evaluation import WEIGHT, Inputs, Sums, weighted_means
from thinkscale.training.loading import check_rows, load_student
from thinkscale.training.remarks import of_start
from thinkscale.training.settings import SftSettings
from thinkscale.training.tokens import TrainingRow
from thinkscale.training.trainer import IGNORED, CompletionTrainer

Rows = tuple[TrainingRow, ...]


class SftTrainer(CompletionTrainer):
    """CompletionTrainer that measures rows that it is not trained on.

    They are padded and scored by TRL's fused head, however the training joins rows and computes its loss: a mistake
    there would part the two losses.
    """

    held_out: tuple[Rows, ...] = ()
    """In passes."""

    def measure_held_out(self) -> dict[str, float]:
        """Mean negative log-likelihood of the trained tokens, and the share of them that are likeliest."""
        return weighted_means(self, self.held_out, padded, self._sums)

    def _sums(self, inputs: Inputs) -> Sums:
        model: Any = self.model
        found = model(**inputs, fused_lm_head=True)
        return {
            "eval_loss": -found.log_probs.double().sum(),
            "eval_mean_token_accuracy": found.is_top1.sum(),
            WEIGHT: found.label_mask.sum(),
        }


def build_sft_trainer(
    rows: Rows, held_out: Rows, settings: SftSettings, plan: BatchPlan, save_steps: int | None, folder: Path
) -> SftTrainer:
    """The trainer over loaded model, tokenizer and rows; it writes checkpoints, if any, to `folder`."""
    arguments = training_arguments(settings, plan, folder, save_steps, SFTConfig)
    student = load_student(settings)
    check_rows(((row.problem_id, row.input_ids) for row in (*rows, *held_out)), student, settings)
    remarks = of_start(rows, student, settings)
    trainer = SftTrainer(
        rows,
        settings,
        plan,
        model=student.model,
        args=arguments,
        processing_class=student.tokenizer,
        peft_config=student.adapters,
    )
    trainer.remarks = (*remarks, *trainer.remarks)
    trainer.held_out = passes_of(held_out, plan.micro_batch_size, settings.micro_batch_tokens or settings.max_length)
    return trainer


def passes_of(rows: Rows, most_rows: int, most_tokens: int) -> tuple[Rows, ...]:
    """`rows` by length, in passes of at most so many rows, and of tokens with padding; a longer row goes alone."""
    passes: list[list[TrainingRow]] = []
    for row in sorted(rows, key=len, reverse=True):
        size = len(passes[-1]) + 1 if passes else 0
        if passes and size <= most_rows and size * len(passes[-1][0]) <= most_tokens:
            passes[-1].append(row)
        else:
            passes.append([row])
    return tuple(map(tuple, passes))


def padded(rows: Sequence[TrainingRow]) -> Inputs:
    """A pass as the model takes it: rows to the left, labels where tokens are trained, else IGNORED."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    labels = torch.full_like(ids, IGNORED)
    mask = torch.zeros_like(ids)
    for place, row in enumerate(rows):
        there = torch.tensor(row.input_ids)
        ids[place, : len(row)] = there
        labels[place, : len(row)] = torch.where(torch.tensor(row.trained), there, IGNORED)
        mask[place, : len(row)] = 1
    return {"input_ids": ids, "labels": labels, "attention_mask": mask}
