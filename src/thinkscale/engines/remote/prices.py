"""What tokens cost: a table that is data (prices.yaml), and a file of the user's own that goes before it.

Money is counted in whole picodollars (1e-12 USD). A price of 0.15 USD for a million tokens is 150,000 of them for one
token, so every sum is exact and a spend cap can be strict. Rejected: floating point, whose sums depend on the order in
which replies arrive, and a call to a price service, which no offline run can make.

An unknown price is None, never 0: a model without a price can be used, but not under a cap.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Decimal
from fnmatch import fnmatchcase
from functools import cache, lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, model_validator

from thinkscale.settings import load_settings

PICODOLLARS = 10**12
"""In one US dollar."""

_STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
_Usd = Annotated[float, Field(ge=0)]


class ModelPrice(BaseModel):
    """One entry of a price file; US dollars for a million tokens."""

    model_config = _STRICT

    input: _Usd = Field(description="prompt tokens")
    cached_input: _Usd | None = Field(default=None, description="prompt tokens read from the cache; as input if absent")
    output: _Usd = Field(description="tokens written, thinking included")
    batch_factor: float = Field(default=1.0, gt=0, le=1, description="what the batch API multiplies a price by")
    noted: str = Field(default="", description="the day or month for which the price is known")

    @model_validator(mode="after")
    def _cache_is_no_dearer(self) -> "ModelPrice":
        """The worst case of a request is one that reads nothing from the cache."""
        if self.cached_input is not None and self.cached_input > self.input:
            raise ValueError(f"cached_input ({self.cached_input:g}) must not be above input ({self.input:g})")
        return self


class PriceTable(BaseModel):
    """A price file: prices by model name or glob (`gpt-4o-2024-*`), and what an hour of one GPU costs."""

    model_config = _STRICT

    source: str = Field(default="", description="where the prices come from")
    models: dict[str, ModelPrice] = Field(default_factory=dict, description="by exact name or glob")
    gpu_hour_usd: dict[str, _Usd] = Field(default_factory=dict, description="an hour of one GPU of one's own, by name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What one model costs; US dollars for a million tokens."""

    input_usd: float
    cached_input_usd: float
    output_usd: float
    batch_factor: float = 1.0
    pattern: str = ""
    """The entry that it comes from."""
    noted: str = ""
    source: str = ""

    def picodollars(
        self, prompt_tokens: int, cached_tokens: int, completion_tokens: int, *, batch: bool = False
    ) -> int:
        """The exact price of one request, in 1e-12 USD. `prompt_tokens` include `cached_tokens`.

        Writing to a provider's cache on request costs extra at some of them: whoever asks for it (the dialect of
        Anthropic's messages, for long system turns) counts that as further prompt tokens.
        """
        factor = self.batch_factor if batch else 1.0
        cached = min(cached_tokens, prompt_tokens)
        return (
            (prompt_tokens - cached) * _picodollars_per_token(self.input_usd, factor)
            + cached * _picodollars_per_token(self.cached_input_usd, factor)
            + completion_tokens * _picodollars_per_token(self.output_usd, factor)
        )

    def usd(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int, batch: bool = False) -> float:
        """The price of one request in US dollars. `prompt_tokens` include `cached_tokens`."""
        return self.picodollars(prompt_tokens, cached_tokens, completion_tokens, batch=batch) / PICODOLLARS


@lru_cache(maxsize=256)
def _picodollars_per_token(usd_per_million: float, factor: float) -> int:
    """A price of more than six decimals is rounded up, so that a cap errs on the safe side."""
    exact = Decimal(str(usd_per_million)) * Decimal(str(factor)) * (PICODOLLARS // 10**6)
    return int(exact.to_integral_value(ROUND_CEILING))


@cache
def built_in_prices() -> PriceTable:
    """The table of this package, prices.yaml."""
    text = files("thinkscale.engines.remote").joinpath("prices.yaml").read_text(encoding="utf-8")
    return load_settings(PriceTable, text, name="prices.yaml").value


def load_prices(path: Path) -> PriceTable:
    """A price file of the user's. Raises ConfigError with file, line and field, DataError where it cannot be read."""
    table = load_settings(PriceTable, path).value
    return table if table.source else table.model_copy(update={"source": str(path)})


def price_of(model: str, overrides: PriceTable | None = None) -> Price | None:
    """The price of `model`, None where nobody gave one.

    Any match in `overrides` goes before the built-in table. Within a table an exact name goes before globs, and among
    globs the longest wins.
    """
    for table in (overrides, built_in_prices()):
        pattern = _best_match(model, table.models) if table is not None else None
        if table is not None and pattern is not None:
            return _price(pattern, table)
    return None


def gpu_hour_usd(gpu: str, overrides: PriceTable | None = None) -> float | None:
    """What an hour of one GPU costs; the names are those of the tables, such as `H100`. None where nobody gave it."""
    for table in (overrides, built_in_prices()):
        if table is not None and gpu in table.gpu_hour_usd:
            return table.gpu_hour_usd[gpu]
    return None


def _best_match(model: str, models: Mapping[str, ModelPrice]) -> str | None:
    if model in models:
        return model
    matching = [pattern for pattern in models if fnmatchcase(model, pattern)]
    return max(matching, key=lambda pattern: (len(pattern), pattern), default=None)


def _price(pattern: str, table: PriceTable) -> Price:
    entry = table.models[pattern]
    return Price(
        input_usd=entry.input,
        cached_input_usd=entry.input if entry.cached_input is None else entry.cached_input,
        output_usd=entry.output,
        batch_factor=entry.batch_factor,
        pattern=pattern,
        noted=entry.noted,
        source=table.source,
    )


def to_picodollars(usd: float, *, up: bool) -> int:
    """`usd` in whole picodollars, rounded up or down; finite."""
    exact = Decimal(str(usd)) * PICODOLLARS
    return math.ceil(exact) if up else math.floor(exact)
