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
KEPT = ("last", "best")
DEVICES = ("auto", "cpu")
IN_RECIPES: Mapping[str, str] = {
    "betas": "adam_betas",
    "max_grad_norm": "max_gradient_norm",
    "over_long": "over_length",
}
"""What recipes and the command line call a setting, where it is not our name."""


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
    """`packed` where attention keeps rows apart without a dense mask (`padding_free` where `micro_batch_size` is
    given), else `by_length`."""
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
    """Rows of one forward pass at most; None: no limit but tokens where rows are packed, else a process's whole share
    of the batch, which long rows on a GPU may not fit."""
    micro_batch_tokens: int | None = None
    """Tokens of one forward pass at most; None: max_length where rows lie behind each other, else no limit."""
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
    """Precision of the weights that the optimizer changes, of their gradients, and of its state. bfloat16 halves all
    three: 8 bytes a parameter for 16. What is stored is then rounded at random (training/optimizer.py), since rounded
    to the nearest it would lose every update below 1/512 of a weight. Under `lora`, the precision of the frozen
    weights; adapters are float32."""
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
    def pure_bfloat16(self) -> bool:
        """Trained weights, gradients and the optimizer's state are all in bfloat16."""
        return self.weights == "bfloat16" and self.lora is None


@dataclass(frozen=True, slots=True, kw_only=True)
class SftSettings(TrainingSettings):
    """Supervised fine-tuning."""

    over_long: OverLong = OverLong.REFUSE
    loss: str = "auto"
    """How logits of a big vocabulary are held: `full`, `chunked` over positions, or `fused` in a GPU kernel."""


def check_settings(settings: TrainingSettings) -> None:
    """Raises ConfigError naming the first setting, as a recipe calls it, that is out of range or fits no other."""
    ranges: Mapping[str, tuple[bool, str]] = {
        "epochs": (settings.epochs >= 1, "at least 1"),
        "learning_rate": (math.isfinite(settings.learning_rate) and settings.learning_rate > 0, "above 0"),
        "warmup_ratio": (0 <= settings.warmup_ratio < 1, "at least 0 and below 1"),
        "weight_decay": (math.isfinite(settings.weight_decay) and settings.weight_decay >= 0, "at least 0"),
        "betas": (all(0 <= beta < 1 for beta in settings.betas), "at least 0 and below 1"),
        "max_grad_norm": (settings.max_grad_norm > 0, "above 0"),
        "max_length": (settings.max_length >= 2, "at least 2"),
        "micro_batch_tokens": (_at_least_1(settings.micro_batch_tokens), "at least 1"),
        "held_out_rows": (settings.held_out_rows >= 0, "at least 0"),
        "evaluate_every_steps": (_at_least_1(settings.evaluate_every_steps), "at least 1"),
        "optimizer": _one_of(settings.optimizer, OPTIMIZERS),
        "dtype": _one_of(settings.dtype, DTYPES),
        "weights": _one_of(settings.weights, DTYPES),
        "keep": _one_of(settings.keep, KEPT),
        "attention": _one_of(settings.attention, ATTENTIONS),
        "device": _one_of(settings.device, DEVICES),
        "cpu_threads": (settings.cpu_threads >= 1, "at least 1"),
    }
    if isinstance(settings, SftSettings):
        ranges = {**ranges, "loss": _one_of(settings.loss, LOSSES)}
    for name, (holds, wanted) in ranges.items():
        if not holds:
            said = IN_RECIPES.get(name, name)
            raise ConfigError(f"training setting {said} is {getattr(settings, name)!r}; it must be {wanted}")
    if settings.lora:
        _check_lora(settings.lora)
    _check_together(settings)


def _check_lora(lora: Lora) -> None:
    ranges = {
        "rank": (lora.rank >= 1, "at least 1"),
        "alpha": (math.isfinite(lora.alpha) and lora.alpha > 0, "above 0"),
        "dropout": (0 <= lora.dropout < 1, "at least 0 and below 1"),
    }
    for name, (holds, wanted) in ranges.items():
        if not holds:
            raise ConfigError(f"training setting lora.{name} is {getattr(lora, name)!r}; it must be {wanted}")


def _check_together(settings: TrainingSettings) -> None:
    """Settings that are well by themselves, but not beside another."""
    if settings.keep == "best" and not settings.held_out_rows:
        raise ConfigError("keep best takes the best weights by held-out loss; set held_out_rows, or keep last")
    if settings.evaluate_every_steps and not settings.held_out_rows:
        raise ConfigError("evaluate_every_steps measures the held-out rows, but held_out_rows is 0; set it too")
    if settings.weights == "bfloat16" and settings.dtype != "bfloat16":
        raise ConfigError(f"weights bfloat16 are computed with in bfloat16; set dtype bfloat16 (now {settings.dtype})")
    if settings.pure_bfloat16 and settings.optimizer != "adamw":
        raise ConfigError(
            f"optimizer {settings.optimizer} rounds to the nearest, so on weights bfloat16 it loses every update below "
            f"1/512 of a weight; choose optimizer adamw (rounds at random, 8 bytes a parameter) or weights float32"
        )
    if settings.optimizer != "adamw" and settings.device == "cpu":
        raise ConfigError(f"optimizer {settings.optimizer} needs a GPU, and device is cpu; choose optimizer adamw")


def _at_least_1(value: int | None) -> bool:
    return value is None or value >= 1


def _one_of(value: str, known: tuple[str, ...]) -> tuple[bool, str]:
    return value in known, f"one of {', '.join(known)}"
