"""What decides the weights that a training makes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from thinkscale.errors import ConfigError
from thinkscale.training.tokens import OverLong

DTYPES = ("float32", "bfloat16")


class Schedule(StrEnum):
    """How the learning rate moves after the warm-up."""

    COSINE = "cosine"
    """To 0 at the last step, along a cosine."""
    LINEAR = "linear"
    """To 0 at the last step, in a line."""
    CONSTANT = "constant_with_warmup"


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings:
    """What decides the trained weights. Defaults are s1's (arXiv 2501.19393, appendix; 315 steps on 1,000 rows)."""

    model: str
    """Folder of the base model, or its Hub id."""
    epochs: int = 5
    effective_batch_size: int = 16
    """Rows of one optimiser step, over all processes and accumulation steps."""
    micro_batch_size: int | None = None
    """Rows of one forward pass; None: a process's whole share of the batch, which long rows on a GPU may not fit."""
    learning_rate: float = 1e-5
    lr_scheduler: Schedule = Schedule.COSINE
    warmup_ratio: float = 0.05
    """Share of all steps, rounded up, over which the learning rate rises from 0: 16 steps of 315."""
    weight_decay: float = 1e-4
    betas: tuple[float, float] = (0.9, 0.95)
    max_grad_norm: float = 1.0
    seed: int = 42
    dtype: str = "float32"
    """Precision of the computation. Weights and optimiser state are float32 in both: `bfloat16` is autocast."""
    max_length: int = 32_768
    over_long: OverLong = OverLong.REFUSE
    group_by_length: bool = True
    """Form batches of rows of like length: less padding, same rows an epoch."""
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a fifth slower."""
    device: str = "auto"
    """`auto` (a GPU where there is one) or `cpu`."""
    cpu_threads: int = 1
    """Threads on the CPU. One gives the same weights every time, and on shared cores is the fastest."""


def check_settings(settings: SftSettings) -> None:
    """Raises ConfigError naming the first setting that is out of its range."""
    ranges: Mapping[str, tuple[bool, str]] = {
        "epochs": (settings.epochs >= 1, "at least 1"),
        "learning_rate": (math.isfinite(settings.learning_rate) and settings.learning_rate > 0, "above 0"),
        "warmup_ratio": (0 <= settings.warmup_ratio < 1, "at least 0 and below 1"),
        "weight_decay": (settings.weight_decay >= 0, "at least 0"),
        "betas": (all(0 <= beta < 1 for beta in settings.betas), "at least 0 and below 1"),
        "max_grad_norm": (settings.max_grad_norm > 0, "above 0"),
        "dtype": (settings.dtype in DTYPES, f"one of {', '.join(DTYPES)}"),
        "device": (settings.device in ("auto", "cpu"), "auto or cpu"),
        "cpu_threads": (settings.cpu_threads >= 1, "at least 1"),
    }
    for name, (holds, wanted) in ranges.items():
        if not holds:
            raise ConfigError(f"training setting {name} is {getattr(settings, name)!r}; it must be {wanted}")
