"""SimPO's loss, and what a forward pass over pairs tells of each of them.

Imports torch; only modules that are loaded when a training begins import this one. TRL keeps its SimPO among the
experimental trainers, so the few lines of it are here (a test compares them with TRL's); DPO's losses are TRL's.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import logsigmoid


@dataclass(frozen=True, slots=True)
class ReplyLogProbs:
    """Log-probabilities (nats) of the replies of n pairs, summed over their tokens, and how many those are: (n,)."""

    chosen: torch.Tensor
    rejected: torch.Tensor
    num_chosen: torch.Tensor
    num_rejected: torch.Tensor

    @property
    def mean_chosen(self) -> torch.Tensor:
        """Mean over each chosen reply's tokens."""
        return self.chosen / self.num_chosen

    @property
    def mean_rejected(self) -> torch.Tensor:
        """Mean over each rejected reply's tokens."""
        return self.rejected / self.num_rejected


def reply_log_probs(tokens: Sequence[torch.Tensor]) -> ReplyLogProbs:
    """Of the log-probabilities of the tokens of 2n replies: n chosen ones, then the rejected ones to the same prompts.

    Each reply is summed by itself: a sum over an index would add in another order each time on a GPU, and a resumed
    training would then not be the undisturbed one.
    """
    chosen, rejected = torch.stack([reply.sum() for reply in tokens]).chunk(2)
    counts = torch.tensor([len(reply) for reply in tokens], dtype=chosen.dtype, device=chosen.device)
    num_chosen, num_rejected = counts.chunk(2)
    return ReplyLogProbs(chosen, rejected, num_chosen, num_rejected)


def simpo_losses(
    found: ReplyLogProbs, beta: float, gamma: float, label_smoothing: float = 0.0
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Loss, reward of the chosen and reward of the rejected reply of each pair (arXiv 2405.14734, equations 4 and 6).

    A reward is beta times the mean log-probability; the loss is -log sigmoid(margin - gamma), the two directions
    mixed by `label_smoothing`.
    """
    chosen, rejected = beta * found.mean_chosen, beta * found.mean_rejected
    logits = chosen - rejected - gamma
    losses = -logsigmoid(logits) * (1 - label_smoothing) - logsigmoid(-logits) * label_smoothing
    return losses, chosen.detach(), rejected.detach()
