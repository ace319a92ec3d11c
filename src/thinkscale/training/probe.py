"""Before a training begins: do rows behind each other stay apart, and is the loss that of the model's own logits?

Tables of what kernels can do go out of date, and a kernel may ignore what it is told, so both are measured: on the
model as loaded and wrapped, with two rows of a few tokens, on every process alike. It costs some forward passes of a
dozen tokens. Imports torch.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch

from thinkscale.errors import ConfigError
from thinkscale.training.attention import implementation_of
from thinkscale.training.chunked_loss import LossHead
from thinkscale.training.collate import RowArrays
from thinkscale.training.tokens import TrainingRow, build_row

PROMPT_TOKENS = 2
TOLERANCE = 1e-3
"""Largest difference of logits that passes for rounding in float32, as a share of their spread."""
ROUGH_TOLERANCE = 0.1
"""The same in half precision. A row that sees another moves by about the spread itself."""

Logits = Callable[[Sequence[TrainingRow]], list[torch.Tensor]]
"""From rows in one pass, behind each other, to the logits of each, [tokens, vocabulary]."""


def leak_in(model: Any, bare_model: Any, *, rough: bool) -> str | None:  # noqa: ANN401 - transformers' models and their wrappers have no common typed base
    """What is wrong with rows behind each other in `model`, which wraps `bare_model`; None where they stay apart.

    `rough`: the computation is in half precision.
    """
    first, other, last = probe_rows(int(bare_model.get_input_embeddings().num_embeddings))
    try:
        with _measuring(model):
            return leak_of(lambda rows: row_logits(model, bare_model, rows), first, other, last, tolerance(rough=rough))
    except ConfigError as error:  # the attention itself refuses
        return str(error)


def loss_fault(model: Any, bare_model: Any, head: LossHead, *, rough: bool) -> str | None:  # noqa: ANN401 - as above
    """How the loss head's sum differs from that of the model's own logits; None where it does not."""
    if head.kind == "full":
        return None
    *_, row = probe_rows(int(bare_model.get_input_embeddings().num_embeddings))
    tensors = RowArrays([row]).padded((0,))
    device = bare_model.get_input_embeddings().weight.device
    inputs = {"input_ids": tensors.inputs["input_ids"].to(device)}
    positions, targets = tensors.positions.to(device), tensors.targets.to(device)
    with _measuring(model):
        logits = head.logits(model, inputs, positions).float()
        found = float(head.losses(model, inputs, positions, targets)[0])
    own = float(torch.nn.functional.cross_entropy(logits, targets, reduction="sum"))
    if abs(found - own) <= tolerance(rough=rough) * max(1.0, abs(own)):
        return None
    return (
        f"loss {head.kind} gives {found:.5g} where the logits of {type(bare_model).__name__} give {own:.5g}: the model "
        f"does more between its last hidden state and its logits than a linear layer"
    )


def tolerance(*, rough: bool) -> float:
    """The largest difference that passes for rounding."""
    return ROUGH_TOLERANCE if rough else TOLERANCE


@contextmanager
def _measuring(model: Any) -> Iterator[None]:  # noqa: ANN401 - as above
    """No gradients and no dropout; the model is in the same mode afterwards."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(was_training)


def leak_of(logits: Logits, first: TrainingRow, other: TrainingRow, last: TrainingRow, allowed: float) -> str | None:
    """What is wrong with rows behind each other; None where each is as it is alone.

    Two checks. Behind another row of equal length `last` must stay as it is: those passes have the same shapes, so
    what moves it is a leak. And alone, without any boundary, it must be as it is behind `first`, which also proves
    that places count from each row's start.
    """
    behind, behind_other, alone = logits([first, last])[1], logits([other, last])[1], logits([last])[0]
    spread = float(alone.std())
    moved, differs = (float((behind - found).abs().max()) / spread for found in (behind_other, alone))
    if not moved <= allowed:
        return f"a row sees the one before it (its logits move by {moved:.2g} of their spread with the other's tokens)"
    if not differs <= allowed:
        return f"a row behind another is not as it is alone (its logits differ by {differs:.2g} of their spread)"
    return None


def row_logits(model: Any, bare_model: Any, rows: Sequence[TrainingRow]) -> list[torch.Tensor]:  # noqa: ANN401 - as above
    """Logits of each row; of several rows, joined in one pass, of one row, as the model computes it by default."""
    arrays = RowArrays(rows)
    numbers = tuple(range(len(rows)))
    tensors = arrays.padded(numbers) if len(rows) == 1 else arrays.joined(numbers, implementation_of(bare_model))
    device = bare_model.get_input_embeddings().weight.device
    inputs = {
        name: value.to(device) if isinstance(value, torch.Tensor) else value for name, value in tensors.inputs.items()
    }
    found = model(**inputs, use_cache=False).logits[0].float()
    return list(found.split([len(row) for row in rows]))


def probe_rows(vocabulary: int) -> tuple[TrainingRow, TrainingRow, TrainingRow]:
    """Two rows of equal length and no equal token, and a longer one."""
    return tuple(  # type: ignore[return-value]
        build_row("probe", ids[:PROMPT_TOKENS], ids[PROMPT_TOKENS:])
        for ids in (
            [(start + 7919 * place) % vocabulary for place in range(length)]
            for start, length in ((11, 5), (12, 5), (17, 7))
        )
    )
