"""The model catalogue: what a server must hold of a model, and how it is sampled. The data is models.yaml.

Chosen: one YAML of public numbers, read strictly, so that a plan for GPUs needs neither the network nor the weights.
Rejected: asking the Hub for each config.json (no plan offline), and guessing sizes from names.
"""

from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkscale.settings import load_settings

ThinkingName: TypeAlias = Literal["s1", "think_tags", "sky_t1", "none"]
Dtype: TypeAlias = Literal["float32", "bfloat16", "fp8"]
Role: TypeAlias = Literal["reasoning", "instruct", "weak"]

BYTES_OF: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "fp8": 1}
"""Bytes of one weight."""
CACHE_BYTES: Mapping[str, int] = {"float32": 4, "bfloat16": 2, "fp8": 2}
"""Bytes of one cached value: fp8 weights are computed with, and cached, in bfloat16."""


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class Architecture(_Entry):
    """The numbers of a config.json that decide how large the KV cache of a token is."""

    layers: int = Field(ge=1)
    attention_heads: int = Field(ge=1)
    kv_heads: int = Field(ge=1)
    head_dim: int = Field(ge=1)
    hidden_size: int = Field(ge=1)
    latent_dim: int | None = Field(default=None, description="cached values a token and layer, instead of keys+values")


class CardSampling(_Entry):
    """A way of sampling that somebody states for the model."""

    temperature: float = Field(ge=0)
    top_p: float = Field(gt=0, le=1)
    max_tokens: int = Field(ge=1)


class ModelCard(_Entry):
    """One model. `sampling` maps who asks for it (`card`: the model's card) to the numbers."""

    hub: str
    roles: tuple[Role, ...] = Field(min_length=1)
    parameters_billions: float = Field(gt=0)
    dtype: Dtype = "bfloat16"
    thinking_format: ThinkingName = "none"
    reasoning_parser: Literal["deepseek_r1", "qwen3"] | None = None
    context_tokens: int = Field(ge=1, description="max_position_embeddings: the longest sequence without extension")
    architecture: str
    sampling: dict[str, CardSampling] = Field(default_factory=dict)

    @property
    def short_name(self) -> str:
        """The name without its owner."""
        return self.hub.rpartition("/")[2]

    @property
    def weight_bytes(self) -> int:
        """Bytes of the weights in the dtype that the model is published in."""
        return round(self.parameters_billions * 1e9) * BYTES_OF[self.dtype]


class _Catalogue(_Entry):
    architectures: dict[str, Architecture]
    models: dict[str, ModelCard]

    @model_validator(mode="after")
    def _names_agree(self) -> "_Catalogue":
        for name, card in self.models.items():
            if card.short_name != name:
                raise ValueError(f"{name} is the Hub's {card.hub}")
            if card.architecture not in self.architectures:
                raise ValueError(f"{name} has the architecture {card.architecture}, which is not listed")
        return self


@cache
def _catalogue() -> _Catalogue:
    text = files("thinkscale.engines").joinpath("models.yaml").read_text(encoding="utf-8")
    return load_settings(_Catalogue, text, name="models.yaml").value


def known_models() -> Mapping[str, ModelCard]:
    """Short name to card, in the order of models.yaml."""
    return _catalogue().models


def architecture_of(card: ModelCard) -> Architecture:
    """The numbers of the card's architecture."""
    return _catalogue().architectures[card.architecture]


def find_model(name: str) -> ModelCard | None:
    """The card of a Hub id or short name, whatever its case; None where the catalogue has none.

    A Hub id of another owner is another model, even if the short name is the same.
    """
    wanted = name.lower()
    return next(
        (card for card in known_models().values() if wanted in (card.hub.lower(), card.short_name.lower())), None
    )
