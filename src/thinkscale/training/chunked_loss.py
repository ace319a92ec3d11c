"""The negative log-likelihood of trained tokens without the logits of all positions.

Three ways to the same numbers. `full`: the model's own logits, and torch's cross entropy. `chunked`: hidden states of
the trained positions times the head's weights, some positions at a time (`logits.py`); their gradients are made in the
same loop, since the loss is a sum whose gradient is known but for one factor, so nothing is computed twice. `fused`:
liger-kernel's Triton kernel of the same idea, on a GPU.

`chunked` and `fused` take the place of the model's own code between last hidden state and loss, so they are only for
models where that is a linear layer and nothing else; `decide_loss` refuses others by name, or chooses `full`. The
training's probe compares with `full` on the loaded model, too.

Rejected: TRL's fused head (`add_fused_lm_head`), which computes logits again in the backward pass, entropy and top-1
for every token of every step, and on a CPU scores untrained positions and padding.
Imports torch and transformers.
"""

import functools
import inspect
import types
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.training.logits import chunk_positions

Losses = tuple[torch.Tensor, torch.Tensor]
"""The sum, which has a gradient, and each token's own, which has none."""

NOT_PLAIN = (
    *("final_logit_softcapping", "logit_scale", "logits_scaling", "output_multiplier", "lm_head_multiplier"),
    "mup_width_multiplier",
)
"""Names by which configurations tell of something between the head and the loss. 1 or None: nothing."""


class ChunkedNll(torch.autograd.Function):
    """See `chunked_nll`."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401 - autograd's context is untyped
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        chunk: int,
    ) -> Losses:
        kind = hidden.device.type
        compute = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        losses = torch.empty(len(targets), dtype=torch.float32, device=hidden.device)
        grads = _Gradients(ctx.needs_input_grad, hidden, weight, bias)
        with torch.autocast(kind, enabled=False):
            head = weight.to(compute)
            for start in range(0, len(targets), chunk):
                places = slice(start, start + chunk)
                states = hidden[places].to(compute)
                scores = (states @ head.T).float()
                if bias is not None:
                    scores += bias.float()
                losses[places] = _into_error_(scores, targets[places])
                grads.add(places, scores, states, head)
        ctx.grads = grads
        ctx.mark_non_differentiable(losses)
        return losses.sum(), losses

    @staticmethod
    def backward(ctx: Any, *upstream: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # noqa: ANN401 - as above
        grads, ctx.grads = ctx.grads, None
        return (*grads.scaled(upstream[0]), None, None)


def _into_error_(scores: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """The losses of `scores` [positions, vocabulary], which become softmax minus one-hot, their gradient, in place."""
    scores -= scores.amax(dim=-1, keepdim=True)
    found = scores.gather(1, targets[:, None])
    scores.exp_()
    total = scores.sum(dim=-1, keepdim=True)
    scores /= total
    scores.scatter_add_(1, targets[:, None], torch.full_like(found, -1))
    return (total.log() - found).squeeze(1)


class _Gradients:
    """Gradients of the sum of losses, for those of hidden states, weight and bias that need one."""

    def __init__(
        self, needed: tuple[bool, ...], hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> None:
        self.dtypes = (hidden.dtype, weight.dtype, bias.dtype if bias is not None else None)
        self.hidden = torch.empty_like(hidden) if needed[0] else None
        self.weight = torch.zeros_like(weight, dtype=torch.float32) if needed[1] else None
        self.bias = torch.zeros_like(bias, dtype=torch.float32) if bias is not None and needed[2] else None

    def add(self, places: slice, errors: torch.Tensor, states: torch.Tensor, head: torch.Tensor) -> None:
        """One chunk's share; `errors` are the gradient of its scores."""
        if self.bias is not None:
            self.bias += errors.sum(0)
        rounded = errors.to(head.dtype)
        if self.hidden is not None:
            self.hidden[places] = rounded @ head
        if self.weight is None:
            return
        if self.weight.is_cuda and head.dtype is not torch.float32:
            torch.addmm(self.weight, rounded.T, states, out_dtype=torch.float32, out=self.weight)
        else:
            self.weight.addmm_(rounded.T.float(), states.float())

    def scaled(self, factor: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """All of them times the gradient of the sum, in the dtypes of what they belong to."""
        return tuple(
            None if found is None else found.mul_(factor).to(dtype)
            for found, dtype in zip((self.hidden, self.weight, self.bias), self.dtypes, strict=True)
        )


def chunked_nll(
    hidden: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    targets: torch.Tensor,
    chunk: int | None = None,
) -> Losses:
    """-log softmax(hidden @ weight.T + bias)[targets], summed and for each position; in float32.

    hidden [positions, width], weight [vocabulary, width], targets [positions]. The logits of `chunk` positions exist at
    a time, by default as `chunk_positions` says; under autocast the products are in its dtype, sums in float32. The
    sum may be differentiated once.
    """
    found: Losses = ChunkedNll.apply(hidden, weight, bias, targets, chunk or chunk_positions(weight.shape[0]))  # type: ignore[no-untyped-call]
    return found


def decide_loss(asked: str, model: Any, device: torch.device, *, adds_loss: bool = False) -> str:  # noqa: ANN401 - transformers' models have no common typed base
    """`full`, `chunked` or `fused` for this model. `adds_loss`: the model has a loss of its own (balance of experts).

    Raises ConfigError or MissingExtraError where what was asked for is not right for the model or not possible here.
    """
    obstacle = "adds a loss of its own" if adds_loss else _obstacle(model)
    if asked == "auto":
        return "full" if obstacle else "chunked"
    if asked == "full":
        return asked
    if obstacle:
        raise ConfigError(f"loss {asked} is not right for {type(model).__name__}, which {obstacle}; choose loss full")
    if asked == "fused":
        if device.type != "cuda":
            raise ConfigError("loss fused is a GPU kernel, and this training is on the CPU; choose loss chunked")
        _liger_loss()
    return asked


def _obstacle(model: Any) -> str | None:  # noqa: ANN401 - as above
    head = model.get_output_embeddings()
    if not isinstance(head, torch.nn.Linear):
        return f"has no linear head ({type(head).__name__})"
    config = model.config.get_text_config()
    between = [name for name in NOT_PLAIN if getattr(config, name, None) not in (None, 1, 1.0)]
    return f"has {between[0]} {getattr(config, between[0])} between its head and the loss" if between else None


def _liger_loss() -> Any:  # noqa: ANN401 - not installed where this is checked
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss  # type: ignore[import-not-found]
    except ImportError as error:
        raise MissingExtraError(
            "loss fused needs liger-kernel, which is not installed; run: pip install liger-kernel; or choose loss "
            "chunked"
        ) from error
    return LigerFusedLinearCrossEntropyLoss


@dataclass(frozen=True, slots=True, kw_only=True)
class LossHead:
    """How a model's trained tokens are scored. `install` it once, before the model is wrapped for many processes."""

    kind: str
    takes_positions: bool
    """The model's own forward can leave out logits (`logits_to_keep`)."""

    def losses(
        self,
        model: torch.nn.Module,
        inputs: Mapping[str, Any],
        positions: torch.Tensor,
        targets: torch.Tensor,
        balance: float = 0.0,
    ) -> Losses:
        """Losses of `targets` [trained], predicted at `positions` [trained] of the flattened `inputs`.

        With `balance`, the sum has that much of the model's own loss in it (the balance of experts; `full` alone).
        """
        if self.kind == "full":
            logits, own = self._outputs(model, inputs, positions)
            found = torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")
            total = found.sum() + balance * own if balance and own is not None else found.sum()
            return total, found.detach()
        scored: Losses = model(**inputs, use_cache=False, scored=(positions, targets))
        return scored

    def logits(self, model: torch.nn.Module, inputs: Mapping[str, Any], positions: torch.Tensor) -> torch.Tensor:
        """The model's own logits at `positions`; those of other positions are not computed where it can do without."""
        return self._outputs(model, inputs, positions)[0]

    def _outputs(
        self, model: torch.nn.Module, inputs: Mapping[str, Any], positions: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Logits, and the model's own loss if it has one."""
        kept = self.takes_positions and inputs["input_ids"].shape[0] == 1
        found: Any = model(**inputs, use_cache=False, **({"logits_to_keep": positions} if kept else {}))
        logits: torch.Tensor = found.logits[0] if kept else found.logits.flatten(0, 1)[positions]
        return logits, getattr(found, "aux_loss", None)


def install_loss_head(model: Any, kind: str) -> LossHead:  # noqa: ANN401 - as above
    """Teaches `model` (the causal model itself, not its wrappers) to answer `scored=(positions, targets)` with Losses.

    The way through `forward` matters: wrappers gather weights and cast types there.
    """
    own = model.forward
    takes_positions = "logits_to_keep" in inspect.signature(own).parameters

    @functools.wraps(type(model).forward)
    def forward(self: Any, *args: Any, scored: Any = None, **named: Any) -> Any:  # noqa: ANN401 - any model's
        if scored is None:
            return own(*args, **named)
        given = {name: value for name, value in named.items() if value is not None}
        states = self.base_model(*args, **given).last_hidden_state.flatten(0, 1)
        positions, targets = scored
        head = self.get_output_embeddings()
        bias = None if head.bias is None else _whole(head.bias)
        score = chunked_nll if kind == "chunked" else fused_nll
        return score(states[positions], _whole(head.weight), bias, targets)

    model.forward = types.MethodType(forward, model)
    return LossHead(kind=kind, takes_positions=takes_positions)


def _whole(tensor: torch.Tensor) -> torch.Tensor:
    """A sharded weight is gathered where the wrapper has not done so."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def fused_nll(hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor) -> Losses:
    """`chunked_nll` by liger-kernel; the second member is the mean for each position. Raises MissingExtraError."""
    total = _liger_loss()(reduction="sum")(weight, hidden, targets, bias)
    return total, (total.detach() / max(1, len(targets))).expand(len(targets))
