"""AdamW on weights, gradients and moments in bfloat16: 8 bytes a parameter where float32 takes 16.

bfloat16 keeps 8 significant bits. Rounded to the nearest, an update below 1/512 of a weight is lost. AdamW moves a
weight by about the learning rate, and at 1e-5 every weight above 0.005 would stay where it is for ever. So what is
stored is rounded at random, up or down with the probabilities that make it right on average (arXiv 2010.06192).
Rejected: compensated (Kahan) summation, which needs another 2 bytes a parameter and leaves the second moment unmended,
that a beta of 0.999 moves by 1/1000 a step.

Imports torch; only modules that are loaded when a training begins import this one.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from thinkscale.keys import seed_from

CHUNK = 1 << 24
"""Elements that are computed in float32 at once: 64 MiB for each of the few temporaries."""


class StochasticAdamW(torch.optim.Optimizer):
    """Decoupled weight decay (arXiv 1711.05101), computed in float32, stored in bfloat16 by random rounding.

    The draws depend on `seed` and the step alone, so a resumed training makes the same ones. Shards of a weight are
    rounded by draws of their own; copies in several processes by the same.
    """

    def __init__(
        self,
        params: Iterable[Any],
        *,
        lr: float,
        betas: tuple[float, float],
        eps: float,
        seed: int,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        self.seed = seed

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> None:  # type: ignore[override]
        """One update. `closure` is torch's own and not used."""
        for group_index, group in enumerate(self.param_groups):
            for index, weight in enumerate(group["params"]):
                if weight.grad is not None:
                    self._update(weight, group, (group_index, index))

    def _update(self, weight: torch.Tensor, group: dict[str, Any], place: tuple[int, int]) -> None:
        state = self.state[weight]
        if not state:
            state["step"] = torch.tensor(0.0)
            state["exp_avg"] = torch.zeros_like(weight)
            state["exp_avg_sq"] = torch.zeros_like(weight)
        state["step"] += 1
        step = int(state["step"].item())
        rank = torch.distributed.get_rank() if isinstance(weight, DTensor) else 0
        generator = torch.Generator(device=_local(weight).device)
        generator.manual_seed(seed_from("rounding", self.seed, step, rank, *place))
        gradient = weight.grad
        assert gradient is not None
        for chunk in _chunks(weight, gradient, state["exp_avg"], state["exp_avg_sq"]):
            _update_chunk(chunk, group, step, generator)


def round_randomly(values: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """float32 as bfloat16: one of the two neighbours, the nearer with the higher probability; exact values stay.

    bfloat16 is the upper half of float32's bits. A random number below 2**16, added to the lower half, carries into
    the upper one with a probability of the lower half / 2**16.
    """
    noise = torch.randint(0, 1 << 16, values.shape, dtype=torch.int32, device=values.device, generator=generator)
    bits = (values.view(torch.int32) + noise) & -(1 << 16)
    return bits.view(torch.float32).to(torch.bfloat16)


def _update_chunk(
    chunk: Sequence[torch.Tensor], group: Mapping[str, Any], step: int, generator: torch.Generator
) -> None:
    weight, gradient, first, second = chunk
    beta1, beta2 = group["betas"]
    slope = gradient.float()
    mean = first.float().lerp_(slope, 1 - beta1)
    square = second.float().mul_(beta2).addcmul_(slope, slope, value=1 - beta2)
    first.copy_(round_randomly(mean, generator))
    second.copy_(round_randomly(square, generator))
    scale = square.sqrt_().div_(math.sqrt(1 - beta2**step)).add_(group["eps"])
    moved = weight.float().mul_(1 - group["lr"] * group["weight_decay"])
    moved.addcdiv_(mean, scale, value=-group["lr"] / (1 - beta1**step))
    weight.copy_(round_randomly(moved, generator))


def _local(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def _chunks(*tensors: torch.Tensor) -> Iterator[list[torch.Tensor]]:
    """Views of the same elements of each tensor, as they lie in this process."""
    flat = [_local(tensor).view(-1) for tensor in tensors]
    for start in range(0, flat[0].numel(), CHUNK):
        yield [part[start : start + CHUNK] for part in flat]
