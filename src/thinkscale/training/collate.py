"""From training rows to the tensors of a forward pass.

Ids and masks of all rows lie in two flat numpy arrays, a pass is cut out of them, and what the loss needs comes along
ready: at which positions of the flattened pass a trained token is predicted, and which token that is. So no label
tensor is compared with -100 on the way, and the head sees trained positions alone. A row's first token is never a
target: nothing of its own row comes before it. Rejected: rows in a `datasets.Dataset`, whose Arrow cells become Python
lists again for every batch. Imports torch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from thinkscale.training.attention import row_arguments
from thinkscale.training.packing import Pass
from thinkscale.training.tokens import TrainingRow

PADDING = 0
"""The id in padded places: rows are padded on their right, and no token of theirs looks there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PassTensors:
    """One pass on the CPU."""

    inputs: dict[str, Any]
    """What the model is called with."""
    positions: torch.Tensor
    """[trained] places in the flattened pass whose logits predict a trained token."""
    targets: torch.Tensor
    """[trained] the tokens that they predict."""


class RowArrays:
    """Rows as flat arrays."""

    def __init__(self, rows: Sequence[TrainingRow]) -> None:
        self.lengths = np.array([len(row) for row in rows], dtype=np.int64)
        self.starts = np.concatenate([[0], np.cumsum(self.lengths)])
        total = int(self.starts[-1])
        self.ids = np.fromiter((token for row in rows for token in row.input_ids), dtype=np.int32, count=total)
        self.trained = np.fromiter((trained for row in rows for trained in row.trained), dtype=np.bool_, count=total)
        self.trained[self.starts[:-1]] = False
        self.num_trained = np.add.reduceat(self.trained, self.starts[:-1], dtype=np.int64)

    def joined(self, rows: Pass, implementation: str) -> PassTensors:
        """The rows behind each other in one line, with what `implementation` must be told to keep them apart."""
        taken = np.concatenate([np.arange(self.starts[row], self.starts[row + 1]) for row in rows])
        lengths = self.lengths[list(rows)]
        begins = np.repeat(np.cumsum(lengths) - lengths, lengths)
        line = np.arange(len(taken))
        inputs = {
            "input_ids": torch.from_numpy(self.ids[taken].astype(np.int64))[None],
            "position_ids": torch.from_numpy(line - begins)[None],
            **row_arguments(implementation, lengths.tolist()),
        }
        return self._pass(inputs, taken, line)

    def padded(self, rows: Pass) -> PassTensors:
        """The rows under each other, each padded on its right to the longest."""
        width = int(self.lengths[list(rows)].max())
        ids = np.full((len(rows), width), PADDING, dtype=np.int64)
        taken, places = [], []
        for line, row in enumerate(rows):
            length = int(self.lengths[row])
            start = int(self.starts[row])
            ids[line, :length] = self.ids[start : start + length]
            taken.append(np.arange(start, start + length))
            places.append(np.arange(line * width, line * width + length))
        return self._pass({"input_ids": torch.from_numpy(ids)}, np.concatenate(taken), np.concatenate(places))

    def _pass(
        self, inputs: dict[str, Any], taken: "np.ndarray[Any, Any]", places: "np.ndarray[Any, Any]"
    ) -> PassTensors:
        """`taken` are the rows' places in the flat arrays, `places` those in the flattened pass."""
        trained = self.trained[taken]
        return PassTensors(
            inputs=inputs,
            positions=torch.from_numpy(places[trained] - 1),
            targets=torch.from_numpy(self.ids[taken[trained]].astype(np.int64)),
        )
