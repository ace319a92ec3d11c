"""How much cache there is, what takes it, and what gives way: kept rows first, then unused slots, then young rows.

The bound is in tokens, `cache_tokens`, for bands and shelf together. It decides how many sequences run at once, so that
64 rows of 32,000 tokens wait for each other instead of running out of memory. One sequence alone may go beyond it.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from thinkscale.engines.local.rows import Row, shared_length
from thinkscale.engines.local.shelf import HEAD_TOKENS, Shelf
from thinkscale.engines.local.slots import BAND_FACTOR, Band, Columns

GPU_SHARE = 0.8
CPU_SHARE = 0.5
"""Parts of the free memory that the cache may take; activations, logits and a band being grown need the rest."""
FIRST_SLOTS_TOKENS = 8192
"""A band begins with as many rows as this holds, at least one, and doubles."""


@dataclass(frozen=True, slots=True)
class Source:
    """A cached sequence that begins like another, and how many tokens they share."""

    columns: Columns
    shared: int


class Room:
    """The bands of a running batch, and the shelf, within `cache_tokens`."""

    def __init__(self, context_tokens: int, cache_tokens: int, first_band_tokens: int) -> None:
        capacities = [min(first_band_tokens, context_tokens)]
        while capacities[-1] < context_tokens:
            capacities.append(min(capacities[-1] * BAND_FACTOR, context_tokens))
        self.bands = [Band(capacity) for capacity in capacities]
        self.shelf = Shelf()
        self.cache_tokens = cache_tokens

    @property
    def rows(self) -> list[Row]:
        """Every running row, band after band: the order of a step."""
        return [row for band in self.bands for row in band.rows]

    @property
    def num_rows(self) -> int:
        """How many rows run."""
        return sum(len(band.rows) for band in self.bands)

    @property
    def num_tokens(self) -> int:
        """Tokens that bands and shelf have memory for."""
        return sum(band.num_tokens for band in self.bands) + self.shelf.num_tokens

    def band_for(self, num_tokens: int) -> Band:
        """The narrowest band that holds so many tokens."""
        return next(band for band in self.bands if band.capacity >= num_tokens)

    def place(self, row: Row, band: Band) -> bool:
        """Gives `row` an empty slot of `band`; False where that would break the bound and other rows run."""
        if not self._has_slot(row, band):
            return False
        band.rows.append(row)
        return True

    def move(self, row: Row, source: Band, target: Band) -> bool:
        """Moves a row to a band with more columns; False as for `place`."""
        if not self._has_slot(row, target):
            return False
        # Copied before it counts as a row there: what fails for lack of memory leaves it where it is.
        target.fill(len(target.rows), source.view(source.rows.index(row), row.length), row.length)
        source.remove(row)
        target.rows.append(row)
        return True

    def _has_slot(self, row: Row, band: Band) -> bool:
        if self._make_slot(band):
            return True
        if any(other is not row for other in self.rows):
            return False
        band.slots = len(band.rows) + 1
        return True

    def band_of(self, row: Row) -> Band:
        """The band that a running row is in."""
        return next(band for band in self.bands if row in band.rows)

    def put_away(self, row: Row) -> None:
        """Frees a finished row, and keeps a copy where there is room: half of what the bands have, within the bound."""
        band = self.band_of(row)
        bands_tokens = sum(other.num_tokens for other in self.bands)
        limit = min(max(bands_tokens // 2, FIRST_SLOTS_TOKENS), self.cache_tokens - bands_tokens)
        try:
            self.shelf.keep(row, band.view(band.rows.index(row), row.length), limit)
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise  # without memory there is no copy, and all goes on
        band.remove(row)

    def source(self, row: Row) -> Source | None:
        """The cached sequence, running or kept, that spares the row most; None where none is worth a copy."""
        most = len(row.tokens) - 1
        least = min(HEAD_TOKENS, most)
        best: Source | None = None
        kept = self.shelf.find(row)
        if kept:
            shared = min(shared_length(kept.tokens, row.tokens), most)
            if shared >= least or (shared and row.request.follows == kept.request_key):
                best = Source(kept.columns, shared)
        for band in self.bands:
            for index, other in enumerate(band.rows):
                beyond = max(best.shared + 1 if best else 1, least)
                if other.length >= beyond and other is not row and other.tokens[:beyond] == row.tokens[:beyond]:
                    shared = min(shared_length(other.tokens[: other.length], row.tokens), most)
                    if shared >= beyond:
                        best = Source(band.view(index, shared), shared)
        return best

    def release(self) -> None:
        """Gives back all memory that no running row is in."""
        while self.shelf.num_tokens:
            self.shelf.drop_oldest()
        try:
            for band in sorted(self.bands, key=lambda band: len(band.rows)):
                band.shrink()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise  # shrinking copies; the bands are whole at any point of it
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def _make_slot(self, band: Band) -> bool:
        needed = len(band.rows) + 1
        if needed <= band.slots:
            return True
        more = max(FIRST_SLOTS_TOKENS // band.capacity, 2 * band.slots, 1)
        if self._extra(band, more) <= 0:
            band.slots = more
            return True
        while self.shelf.num_tokens and self._extra(band, needed) > 0:
            self.shelf.drop_oldest()
        if self._extra(band, needed) > 0:
            for other in self.bands:
                other.shrink()
        if self._extra(band, needed) > 0:
            return False
        band.slots = needed
        return True

    def _extra(self, band: Band, slots: int) -> int:
        """Tokens beyond the bound if `band` had so many slots."""
        return self.num_tokens + (slots - band.slots) * band.capacity - self.cache_tokens


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a pass failed for lack of memory, on a GPU or on the CPU (where torch raises a plain RuntimeError)."""
    if isinstance(error, (torch.OutOfMemoryError, MemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(
        text in str(error) for text in ("can't allocate memory", "CUBLAS_STATUS_ALLOC_FAILED")
    )


def default_cache_tokens(model: Any, device: torch.device) -> int:  # noqa: ANN401
    """Tokens of cache that the free memory of `device` holds, with a part left for everything else."""
    config = model.config
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    token_bytes = 2 * config.num_hidden_layers * heads * size * model.dtype.itemsize
    return max(1, int(_free_bytes(device) / token_bytes))


def _free_bytes(device: torch.device) -> float:
    if device.type == "cuda":
        return GPU_SHARE * torch.cuda.mem_get_info(device)[0]
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines() if Path("/proc/meminfo").exists() else []
    kilobytes = next((line.split()[1] for line in lines if line.startswith("MemAvailable")), None)
    return CPU_SHARE * (1024 * int(kilobytes) if kilobytes else 4 << 30)
