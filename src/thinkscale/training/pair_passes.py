"""From pairs to the tensors of a forward pass, and from its result to the log-probabilities of each reply's tokens.

A pair is two rows of supervised training, prompt and chosen reply, prompt and rejected reply; both are in the same
pass, so the pass goes through the model once. Rows lie behind each other without padding where attention keeps them
apart (`attention.py`): in a rectangle the short side of each pair would be padded to the long one. Scores come from
TRL's fused head, which makes logits in tiles of 4,096 positions times 32,768 tokens and never as a whole.

Rejected: the prompt computed once for both replies. It would save a third for short replies and nothing where thinking
is long, and needs a mask that flash attention does not have. Imports torch and trl.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from thinkscale.training.collate import RowArrays
from thinkscale.training.packing import JOINED, Pass
from thinkscale.training.pairs import PairRow
from thinkscale.training.settings import Batching
from thinkscale.training.tokens import build_row

IGNORED = -100
"""The label of a position that is not scored."""


class PairArrays:
    """Pairs as flat arrays: rows 2i and 2i + 1 are pair i with its chosen and with its rejected reply."""

    def __init__(self, pairs: Sequence[PairRow]) -> None:
        self.num_tokens = [pair.num_tokens for pair in pairs]
        self.num_trained = [pair.num_trained for pair in pairs]
        self.longest = [len(pair) for pair in pairs]
        self._rows = RowArrays(
            [
                build_row(pair.problem_id, pair.prompt_ids, reply)
                for pair in pairs
                for reply in (pair.chosen_ids, pair.rejected_ids)
            ]
        )

    def __len__(self) -> int:
        return len(self.num_tokens)

    def positions(self, pairs: Pass, batching: Batching) -> int:
        """Positions that a pass computes, padding included."""
        if batching in JOINED:
            return sum(self.num_tokens[pair] for pair in pairs)
        return 2 * len(pairs) * max(self.longest[pair] for pair in pairs)

    def tensors(self, pairs: Pass, batching: Batching, implementation: str) -> dict[str, Any]:
        """One pass on the CPU: what the model is called with, and where the tokens of the replies are predicted.

        The chosen replies of `pairs` come first, then the rejected ones; `implementation` is the attention's name.
        """
        rows = (*(2 * pair for pair in pairs), *(2 * pair + 1 for pair in pairs))
        joined = batching in JOINED
        found = self._rows.joined(rows, implementation) if joined else self._rows.padded(rows)
        labels = torch.full_like(found.inputs["input_ids"], IGNORED)
        labels.view(-1)[found.positions + 1] = found.targets
        width = labels.shape[1]
        return {
            "inputs": {**found.inputs, "labels": labels},
            "places": found.positions - found.positions // width,  # a line of scores is one shorter than one of tokens
            "lengths": self._rows.num_trained[list(rows)].tolist(),
        }


def reply_tokens(model: Any, tensors: Mapping[str, Any]) -> tuple[torch.Tensor, ...]:  # noqa: ANN401 - a causal model or a wrapper of it
    """Log-probabilities (nats) of the tokens of each reply of a pass, the chosen ones first.

    `model` was given TRL's fused head (trl.trainer.utils.add_fused_lm_head).
    """
    scores = model(**tensors["inputs"], use_cache=False, fused_lm_head=True).log_probs.flatten()
    return tuple(scores[tensors["places"]].split(list(tensors["lengths"])))
