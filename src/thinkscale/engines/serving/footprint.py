"""What a model takes of GPU memory: its weights once, and a cache of keys and values for every token in hand."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from thinkscale.engines.models import CACHE_BYTES, Architecture, ModelCard, architecture_of
from thinkscale.errors import ModelError
from thinkscale.keys import JSON

WEIGHT_SUFFIXES = (".safetensors", ".bin")


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a plan needs to know of a model. `dtype` is what vLLM computes in; `cache_bytes` is of one cached value."""

    name: str
    weight_bytes: int
    architecture: Architecture
    dtype: str
    cache_bytes: int
    context_tokens: int
    is_quantized: bool = False
    """Whether the weights are stored in fewer than 16 bits already."""

    def kv_bytes_per_token(self, tensor_parallel: int = 1) -> int:
        """Cache of one token on one of `tensor_parallel` GPUs: keys and values of each layer and of its share of heads.

        With more GPUs than heads, heads are copied. A latent cache (multi-head latent attention) is copied to every
        GPU, since there is one vector a token and layer.
        """
        sizes = self.architecture
        if sizes.latent_dim is not None:
            return sizes.layers * sizes.latent_dim * self.cache_bytes
        heads = max(1, sizes.kv_heads // tensor_parallel)
        return 2 * sizes.layers * heads * sizes.head_dim * self.cache_bytes


def footprint_of_card(card: ModelCard) -> Footprint:
    """The footprint of a model of the catalogue in the dtype that it is published in."""
    return Footprint(
        name=card.short_name,
        weight_bytes=card.weight_bytes,
        architecture=architecture_of(card),
        dtype="float32" if card.dtype == "float32" else "bfloat16",
        cache_bytes=CACHE_BYTES[card.dtype],
        context_tokens=card.context_tokens,
        is_quantized=card.dtype == "fp8",
    )


def read_footprint(folder: Path) -> Footprint:
    """The footprint of a model folder, by its config.json and the size of its weight files. Raises ModelError."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read, so the model's size is not known ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: is not a JSON object")
    for suffix in WEIGHT_SUFFIXES:
        if weights := [item.stat().st_size for item in folder.glob(f"*{suffix}")]:
            return footprint_of_config(folder.name, config, sum(weights))
    raise ModelError(
        f"{folder}: there are no weights ({' or '.join(WEIGHT_SUFFIXES)}), so the model's size is not known"
    )


def footprint_of_config(name: str, config: Mapping[str, JSON], weight_bytes: int) -> Footprint:
    """The footprint by a Hugging Face config, the text part of it where there are several. Raises ModelError."""
    part = config.get("text_config")
    text = part if isinstance(part, dict) else config
    heads = _number(name, text, "num_attention_heads")
    hidden_size = _number(name, text, "hidden_size")
    latent = text.get("kv_lora_rank")
    architecture = Architecture(
        layers=_number(name, text, "num_hidden_layers"),
        attention_heads=heads,
        kv_heads=_number(name, text, "num_key_value_heads", heads),
        head_dim=_number(name, text, "head_dim", hidden_size // heads),
        hidden_size=hidden_size,
        latent_dim=latent + _number(name, text, "qk_rope_head_dim", 0) if isinstance(latent, int) else None,
    )
    stored = str(text.get("dtype") or text.get("torch_dtype") or config.get("dtype") or config.get("torch_dtype"))
    dtype = "float32" if stored == "float32" else "bfloat16"
    return Footprint(
        name=name,
        weight_bytes=weight_bytes,
        architecture=architecture,
        dtype=dtype,
        cache_bytes=CACHE_BYTES[dtype],
        context_tokens=_number(name, text, "max_position_embeddings"),
        is_quantized=config.get("quantization_config") is not None,
    )


def _number(name: str, config: Mapping[str, JSON], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool):
        raise ModelError(f"the config.json of {name} has no number {key!r}, so its cache cannot be sized")
    return value
