"""The shape of a model: what of its config.json decides how much memory and arithmetic its training takes.

Chosen: parameters are counted by part from config.json alone, so that a plan needs neither weights nor torch nor the
network; a table (shapes.yaml) stands in for the config.json of Hub ids that are not on this machine. Rejected: a model
built on torch's meta device, which counts the same (a test compares them) but loads torch and transformers for seconds.

Dense decoders of the Qwen2, Qwen3, Llama, Mistral and Gemma families are known part by part. Another dense decoder is
taken by the size of its weight files; what is neither is refused, since a guess would be trusted.
"""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path

import yaml

from thinkscale.errors import ModelError
from thinkscale.keys import JSON

_EXPERTS = ("num_experts", "num_local_experts", "n_routed_experts")
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What a model type has that its config.json leaves unsaid."""

    is_tied: bool = False
    """Where config.json does not say whether the head is the embedding."""
    attention_bias: tuple[bool, bool] = (False, False)
    """Biases of the projections into attention, and of the one out of it, where config.json does not say."""
    norms_per_layer: int = 2
    has_head_norms: bool = False
    """Norms of each query and key head."""
    head_dim: int | None = None


FAMILIES: Mapping[str, Family] = {
    "qwen2": Family(attention_bias=(True, False)),
    "qwen3": Family(has_head_norms=True, head_dim=128),
    "llama": Family(),
    "mistral": Family(),
    "gemma": Family(is_tied=True, head_dim=256),
    "gemma2": Family(is_tied=True, norms_per_layer=4, head_dim=256),
    "gemma3_text": Family(is_tied=True, norms_per_layer=4, has_head_norms=True, head_dim=256),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelShape:
    """A dense decoder. Sizes are numbers of elements; `parameters` has each part's, by name."""

    name: str
    layers: int
    hidden_size: int
    attention_heads: int
    kv_heads: int
    head_dim: int
    intermediate_size: int
    vocabulary_size: int
    is_tied: bool
    has_head_norms: bool = False
    """Queries and keys are scaled head by head."""
    context_tokens: int | None
    parameters: Mapping[str, int]
    """`embedding`, `head` (0 where it is the embedding), `attention`, `mlp`, `norms`; or `embedding`, `head` and
    `layers` where only the whole is known."""

    @property
    def num_parameters(self) -> int:
        """Parameters, a shared one once."""
        return sum(self.parameters.values())

    @property
    def layer_parameters(self) -> int:
        """Parameters of one layer; the last norm stands behind all."""
        inner = sum(count for part, count in self.parameters.items() if part not in ("embedding", "head"))
        return (inner - self.hidden_size) // self.layers

    @property
    def head_parameters(self) -> int:
        """Elements of the matrix that makes logits, which may be the embedding's."""
        return self.vocabulary_size * self.hidden_size

    @property
    def matrix_parameters(self) -> int:
        """Parameters that each token is multiplied with: all but an embedding that is only looked up."""
        return self.num_parameters - self.parameters["embedding"] + (self.head_parameters if self.is_tied else 0)

    @property
    def query_size(self) -> int:
        """Elements of a token's queries."""
        return self.attention_heads * self.head_dim

    @property
    def key_size(self) -> int:
        """Elements of a token's keys, and of its values."""
        return self.kv_heads * self.head_dim


def find_shape(model: str) -> ModelShape:
    """The shape of a model folder, of a Hub id in this machine's cache, or of one in the table.

    Raises ModelError where it is not known, saying what to do.
    """
    folder = _folder(model)
    if folder is not None:
        return _read(folder, model)
    config = _table().get(model.lower())
    if config is not None:
        return shape_of_config(config, model)
    raise ModelError(
        f"the size of {model} is not known: it is no folder here, its config.json is not in the Hub's cache, and "
        f"training/shapes.yaml has no such id; fetch it (hf download {model} config.json) or give a folder"
    )


def shape_of_config(config: Mapping[str, JSON], name: str, weight_bytes: int | None = None) -> ModelShape:
    """The shape by the fields of a config.json, the text part of it where there are several.

    `weight_bytes`, the size of the weight files, serves model types that are not known part by part.
    """
    part = config.get("text_config")
    text = {**config, **part} if isinstance(part, dict) else config
    kind = str(text.get("model_type"))
    if any(text.get(key) for key in _EXPERTS):
        raise ModelError(f"{name} has experts ({kind}); the memory that training them takes is not known here")
    family = FAMILIES.get(kind)
    hidden, heads = _number(name, text, "hidden_size"), _number(name, text, "num_attention_heads")
    default_dim = family.head_dim if family and family.head_dim else hidden // heads
    sizes = {
        "layers": _number(name, text, "num_hidden_layers"),
        "hidden_size": hidden,
        "attention_heads": heads,
        "kv_heads": _number(name, text, "num_key_value_heads", heads),
        "head_dim": _number(name, text, "head_dim", default_dim),
        "intermediate_size": _number(name, text, "intermediate_size"),
        "vocabulary_size": _number(name, text, "vocab_size"),
    }
    is_tied = bool(text.get("tie_word_embeddings", family.is_tied if family else False))
    counts = (
        _counts(sizes, text, family, is_tied=is_tied) if family else _by_files(name, kind, sizes, text, weight_bytes)
    )
    context = text.get("max_position_embeddings")
    return ModelShape(
        name=name,
        is_tied=is_tied,
        has_head_norms=family is not None and family.has_head_norms,
        context_tokens=context if isinstance(context, int) else None,
        parameters=counts,
        **sizes,
    )


def _counts(sizes: Mapping[str, int], text: Mapping[str, JSON], family: Family, *, is_tied: bool) -> dict[str, int]:
    """Parameters by part of a family's model."""
    hidden, inner, layers = sizes["hidden_size"], sizes["intermediate_size"], sizes["layers"]
    queries, keys = sizes["attention_heads"] * sizes["head_dim"], sizes["kv_heads"] * sizes["head_dim"]
    into, out = family.attention_bias
    if text.get("attention_bias") is not None and text.get("model_type") != "qwen2":
        into = out = bool(text["attention_bias"])
    attention = hidden * (2 * queries + 2 * keys) + into * (queries + 2 * keys) + out * hidden
    mlp = 3 * hidden * inner + (2 * inner + hidden if text.get("mlp_bias") else 0)
    norms = family.norms_per_layer * hidden + (2 * sizes["head_dim"] if family.has_head_norms else 0)
    embedding = sizes["vocabulary_size"] * hidden
    return {
        "embedding": embedding,
        "head": 0 if is_tied else embedding,
        "attention": layers * attention,
        "mlp": layers * mlp,
        "norms": layers * norms + hidden,
    }


def _by_files(
    name: str, kind: str, sizes: Mapping[str, int], text: Mapping[str, JSON], weight_bytes: int | None
) -> dict[str, int]:
    """Parameters of a model of another type, by the size of its files."""
    stored = str(text.get("dtype") or text.get("torch_dtype"))
    if weight_bytes is None or stored not in _BYTES or text.get("quantization_config"):
        raise ModelError(
            f"{name} is of the type {kind}, which is not known part by part ({', '.join(FAMILIES)} are), and its "
            f"weight files do not tell its size either"
        )
    embedding = sizes["vocabulary_size"] * sizes["hidden_size"]
    head = 0 if text.get("tie_word_embeddings") else embedding
    return {"embedding": embedding, "head": head, "layers": weight_bytes // _BYTES[stored] - embedding - head}


def _folder(model: str) -> Path | None:
    """Where this machine has the model's config.json, if it does."""
    folder = Path(model).expanduser()
    if folder.is_dir():
        return folder
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    found = sorted(hub.glob(f"models--{model.replace('/', '--')}/snapshots/*/config.json"))
    return found[-1].parent if found and model.count("/") == 1 else None


def _read(folder: Path, name: str) -> ModelShape:
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read, so the model's size is not known ({error})") from error
    if not isinstance(config, dict):
        raise ModelError(f"{path}: is not a JSON object")
    return shape_of_config(config, name, _weight_bytes(folder))


def _weight_bytes(folder: Path) -> int | None:
    """Bytes of the weights, by their index or by the files."""
    index = folder / "model.safetensors.index.json"
    try:
        size = json.loads(index.read_text(encoding="utf-8"))["metadata"]["total_size"]
        return int(size)
    except (OSError, ValueError, KeyError, TypeError):
        weights = [path.stat().st_size for path in folder.glob("*.safetensors")]
        return sum(weights) or None


def _number(name: str, config: Mapping[str, JSON], key: str, default: int | None = None) -> int:
    value = config.get(key)
    if value is None:
        value = default
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelError(f"the config.json of {name} has no number {key!r}, so the model's size is not known")
    return value


@cache
def _table() -> Mapping[str, Mapping[str, JSON]]:
    """Hub id, in lower case, to the fields of its config.json."""
    data = yaml.safe_load(files("thinkscale.training").joinpath("shapes.yaml").read_text(encoding="utf-8"))
    shapes: dict[str, dict[str, JSON]] = data["shapes"]
    models: dict[str, list[str]] = data["models"]
    return {hub.lower(): shapes[shape] for shape, ids in models.items() for hub in ids}
