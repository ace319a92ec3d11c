"""What decides the weights that a training makes."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from thinkscale.errors import ConfigError
from thinkscale.training.tokens import OverLong

DTYPES = ("float32", "bfloat16")
OPTIMIZERS = ("adamw", "adamw_8bit", "paged_adamw_8bit")
ATTENTIONS = ("auto", "sdpa", "eager", "flex_attention", "flash_attention_2", "flash_attention_3")
LOSSES = ("auto", "full", "chunked", "fused")


class Schedule(StrEnum):
    """How the learning rate moves after the warm-up."""

    COSINE = "cosine"
    """To 0 at the last step, along a cosine."""
    LINEAR = "linear"
    """To 0 at the last step, in a line."""
    CONSTANT = "constant_with_warmup"


class Batching(StrEnum):
    """How rows of unlike length share a forward pass. The rows of an optimizer step are the same in all of them."""

    AUTO = "auto"
    """`padding_free` where the attention kernel keeps rows apart at no cost, else `by_length`."""
    SHUFFLED = "shuffled"
    """As they come, each micro-batch padded to its longest row."""
    BY_LENGTH = "by_length"
    """Batches of rows of like length, padded."""
    PADDING_FREE = "padding_free"
    """A micro-batch's rows behind each other in one sequence, with boundaries that attention heeds; no padding."""
    PACKED = "packed"
    """Rows binned into sequences of at most max_length tokens, with boundaries; an optimizer step is
    effective_batch_size rows all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """Low-rank adapters instead of all weights (arXiv 2106.09685); merged into the published model."""

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    targets: tuple[str, ...] = ()
    """Names of linear layers; empty: all but the head."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingSettings:
    """What every training has. Defaults are s1's (arXiv 2501.19393, appendix; 315 steps on 1,000 rows)."""

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
    optimizer: str = "adamw"
    """`adamw`, or its state in 8 bits (needs bitsandbytes and a GPU), paged to the host where that is short."""
    dtype: str = "float32"
    """Precision of the computation; bfloat16 over float32 weights is autocast."""
    weights: str = "float32"
    """Precision of the weights that the optimizer changes, and of its state. bfloat16 halves both, and loses updates
    smaller than 1/256 of a weight."""
    lora: Lora | None = None
    max_length: int = 32_768
    held_out_rows: int = 0
    """Rows kept from training and measured every `evaluate_every_steps`; drawn by seed."""
    evaluate_every_steps: int | None = None
    """None: at the end of every epoch."""
    keep: str = "last"
    """Which weights are published: the `last` ones, or the `best` by held-out loss. The others lie beside them."""
    batching: Batching = Batching.AUTO
    attention: str = "auto"
    activation_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a fifth slower."""
    activation_offload: bool = False
    """Keep what the backward pass needs in the host's memory."""
    sharding: bool = True
    """Under torchrun: parameters, gradients and optimizer state in shards (FSDP2); else a copy in each process."""
    device: str = "auto"
    """`auto` (a GPU where there is one) or `cpu`."""
    cpu_threads: int = 1
    """Threads on the CPU. One gives the same weights every time, and on shared cores is the fastest."""

    @property
    def by_length(self) -> bool:
        """Batches are formed of rows of like length."""
        return self.batching in (Batching.AUTO, Batching.BY_LENGTH)


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings(TrainingSettings):
    """Supervised fine-tuning."""

    over_long: OverLong = OverLong.REFUSE
    loss: str = "auto"
    """How logits of a big vocabulary are held: `full`, `chunked` over positions, or `fused` in a GPU kernel."""


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
