"""What a layer keeps of a forward pass for its backward pass, in bytes.

The counts follow transformers' decoder layers operation by operation: what autograd keeps of each, in which dtype.
h, a, k, i: elements of a token's hidden state, queries, keys (as many as values) and MLP.
"""

from dataclasses import dataclass
from enum import StrEnum

from thinkscale.training.settings import TrainingSettings
from thinkscale.training.shapes import ModelShape


class Mode(StrEnum):
    """What a forward pass computes in."""

    BFLOAT16 = "bfloat16"
    """Weights are in bfloat16 when they are computed with, and so is what layers hand on."""
    AUTOCAST = "autocast"
    """Weights and residuals in float32, products in bfloat16: weights are copied, inputs cast for each product."""
    FLOAT32 = "float32"


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """The largest forward pass of one process."""

    tokens: int
    """Positions that are computed, padding included."""
    scored: int
    """Those of them whose logits the loss needs."""
    longest: int
    """Tokens of the longest row."""
    passes: int = 1
    """Forward passes of an optimizer step; with more than one, gradients are there during the forward pass."""


def mode_of(settings: TrainingSettings, world_size: int) -> Mode:
    """What the settings compute in. FSDP2 gathers weights in bfloat16, so nothing is left for autocast to copy."""
    if settings.dtype == "float32":
        return Mode.FLOAT32
    is_sharded = settings.sharding and world_size > 1
    return Mode.BFLOAT16 if is_sharded or settings.weights == "bfloat16" else Mode.AUTOCAST


def layer_bytes(shape: ModelShape, mode: Mode, load: Load, attention: str = "sdpa") -> int:
    """Activations that one layer keeps for its backward pass.

    Norms keep what they scale and what they scaled it to, and hand on what the products after them keep; attention
    keeps queries, keys, values, its output and one sum a head; the MLP its gate twice, the other half and the product.
    Eager attention keeps scores and weights besides.
    """
    h, a, k, i = shape.hidden_size, shape.query_size, shape.key_size, shape.intermediate_size
    width = 4 if mode is Mode.FLOAT32 else 2
    norms = {Mode.BFLOAT16: 16, Mode.AUTOCAST: 26, Mode.FLOAT32: 24}[mode] * h
    head_norms = (a + k) * (8 if mode is Mode.FLOAT32 else 6) if shape.has_head_norms else 0
    of_token = norms + head_norms + width * (2 * a + 2 * k + 4 * i) + 4 * shape.attention_heads + 8
    scores = 0
    if attention == "eager":
        rows = max(1, load.tokens // load.longest)
        scores = rows * load.longest**2 * shape.attention_heads * (4 if mode is Mode.FLOAT32 else 6)
        of_token += 2 * width * (a - k)
    return load.tokens * of_token + scores


def adapter_parameters(shape: ModelShape, rank: int, targets: tuple[str, ...] = ()) -> int:
    """Parameters of low-rank adapters on the linear layers named (none: all but the head).

    A layer by a name that is not known here counts as the largest one.
    """
    h, a, k, i = shape.hidden_size, shape.query_size, shape.key_size, shape.intermediate_size
    sides = {"q_proj": (h, a), "k_proj": (h, k), "v_proj": (h, k), "o_proj": (a, h)}
    sides |= {"gate_proj": (h, i), "up_proj": (h, i), "down_proj": (i, h)}
    chosen = [sum(sides.get(name, (h, i))) for name in _last_parts(targets) or sides]
    return shape.layers * rank * sum(chosen)


def _last_parts(targets: tuple[str, ...]) -> list[str]:
    """`self_attn.q_proj` as `q_proj`."""
    return sorted({target.rpartition(".")[2] for target in targets})


def adapter_inputs(shape: ModelShape, settings: TrainingSettings, mode: Mode) -> int:
    """Bytes of a token that a layer keeps for its adapters, less what it need not keep for weights that are frozen.

    Each adapter keeps its input, in bfloat16 a copy of its own, and what its first half makes of it; frozen products
    keep nothing of theirs.
    """
    assert settings.lora is not None
    h, a, i = shape.hidden_size, shape.query_size, shape.intermediate_size
    width = 4 if mode is Mode.FLOAT32 else 2
    inputs = {"q_proj": h, "k_proj": h, "v_proj": h, "o_proj": a, "gate_proj": h, "up_proj": h, "down_proj": i}
    chosen = [inputs.get(name, i) for name in _last_parts(settings.lora.targets) or inputs]
    frozen = width * ((5 if mode is Mode.AUTOCAST else 2) * h + i)
    return width * (sum(chosen) + settings.lora.rank * len(chosen)) - frozen
