"""A key-value cache of slots in bands: each sequence of a running batch has a row, left-aligned, that it fills alone.

A band holds sequences of like length: `capacity` columns a row, four times those of the band before. A row that
fills its band moves to the next, so one trace of 30,000 tokens neither takes memory for 64 of them nor makes short
rows attend over its columns. Within a band rows are dense, so that a step works on views; a sequence that finishes
is replaced by moving the last row into its place.

Rejected: one band for all (memory and attention of rows x longest), and pages of fixed size with a table (without a
kernel made for them each step gathers, that is copies, every key and value).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

from thinkscale.engines.local.rows import Row

Columns: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one sequence, layer by layer: tensors (heads, tokens, head_dim)."""
FIRST_BAND_TOKENS = 1024
BAND_FACTOR = 4


class Band:
    """Rows of at most `capacity` tokens.

    Layers are tensors (slots, heads, capacity, head_dim), made when first written.
    `slots` is how many rows may be in use; memory follows it at the next write, or at `shrink`.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self.slots = 0
        self.rows: list[Row] = []
        self._layers: Columns = []

    @property
    def num_tokens(self) -> int:
        """Tokens that there is memory for."""
        return self.slots * self.capacity

    def write(self, layer: int, part: "Part", keys: torch.Tensor, values: torch.Tensor) -> None:
        """Stores keys and values (rows, heads, columns, head_dim) at the rows and columns of `part`."""
        for stored, new in zip(self._stored(layer, keys, values), (keys, values), strict=True):
            stored[part.index, :, part.columns] = new.transpose(1, 2)

    def read(self, layer: int, part: "Part") -> tuple[torch.Tensor, torch.Tensor]:
        """What the queries of `part` may look at: views where its rows are the first ones, copies otherwise."""
        keys, values = (stored[:, :, : part.visible] for stored in self._layers[layer])
        if part.is_dense:
            return keys[: part.count], values[: part.count]
        return keys[part.index[:, 0]], values[part.index[:, 0]]

    def view(self, index: int, length: int) -> Columns:
        """The first `length` columns of a row, valid until the row is written."""
        return [(keys[index, :, :length], values[index, :, :length]) for keys, values in self._layers]

    def fill(self, index: int, columns: Columns, length: int) -> None:
        """Begins a row with the first `length` columns of another sequence."""
        for layer, pair in enumerate(columns):
            for stored, new in zip(self._stored(layer, *(part[None] for part in pair)), pair, strict=True):
                stored[index, :, :length] = new[:, :length]

    def remove(self, row: Row) -> None:
        """Frees a row; the last one moves into its place."""
        index, last = self.rows.index(row), self.rows.pop()
        if last is row:
            return
        self.rows[index] = last
        if last.length:  # a row without it may have no memory yet, and none is asked for here
            for pair in self._layers:
                for stored in pair:
                    stored[index, :, : last.length] = stored[len(self.rows), :, : last.length]

    def shrink(self) -> None:
        """Gives back the memory of rows that are not in use."""
        self.slots = len(self.rows)
        if not self.rows:
            self._layers = []
        for layer, (keys, values) in enumerate(self._layers):
            if keys.shape[0] > self.slots:
                self._layers[layer] = keys[: self.slots].clone(), values[: self.slots].clone()

    def _stored(self, layer: int, keys: torch.Tensor, values: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The tensors of a layer, made or grown to `slots` rows.

        Zeros, since a hidden column that is not a number would show."""
        if layer == len(self._layers):
            self._layers.append((self._room(keys), self._room(values)))
        elif self._layers[layer][0].shape[0] < self.slots:
            old_keys, old_values = self._layers[layer]
            new_keys, new_values = self._room(keys), self._room(values)
            new_keys[: len(old_keys)] = old_keys
            new_values[: len(old_values)] = old_values
            self._layers[layer] = new_keys, new_values
        return self._layers[layer]

    def _room(self, like: torch.Tensor) -> torch.Tensor:
        return like.new_zeros(self.slots, like.shape[1], self.capacity, like.shape[3])


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The rows of one forward pass that lie in one band."""

    band: Band
    index: torch.Tensor
    """Their rows in the band: (rows, 1)."""
    columns: torch.Tensor
    """The columns that each fills: (rows, columns of the pass)."""
    visible: int
    """Columns of the band that any of them sees."""
    mask: torch.Tensor
    """What each query sees: boolean, (rows, 1, columns of the pass, visible)."""
    is_dense: bool
    """Whether the rows are the first of the band, in order."""

    @property
    def count(self) -> int:
        """How many rows."""
        return self.columns.shape[0]


def make_part(band: Band, rows: Sequence[int], columns: torch.Tensor, visible: int) -> Part:
    """Rows of a band with the columns that they are about to fill; a query sees the columns up to its own."""
    device = columns.device
    is_dense = list(rows) == list(range(len(rows)))
    index = torch.arange(len(rows), device=device) if is_dense else torch.tensor(rows, device=device)
    mask = torch.arange(visible, device=device) <= columns[:, :, None]
    return Part(
        band=band, index=index[:, None], columns=columns, visible=visible, mask=mask[:, None], is_dense=is_dense
    )


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """One attention layer of the running pass, as transformers sees it."""

    def __init__(self, slots: "SlotCache", layer: int) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots, self._layer = slots, layer

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        """Bands make their tensors themselves."""

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: object, **_kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Stores what the pass computed. Our attention reads the bands itself, so nothing is gathered here."""
        parts = self._slots.parts
        counts = [part.count for part in parts]
        for part, keys, values in zip(
            parts, key_states.split_with_sizes(counts), value_states.split_with_sizes(counts), strict=True
        ):
            part.band.write(self._layer, part, keys, values)
        return key_states, value_states

    def get_seq_length(self) -> int:
        return 0

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return query_length, 0

    def get_max_length(self) -> int:
        return -1


class SlotCache(Cache):
    """What transformers calls a cache: where the next forward pass writes and reads."""

    def __init__(self, num_layers: int) -> None:
        self.parts: tuple[Part, ...] = ()
        super().__init__(layers=[SlotLayer(self, layer) for layer in range(num_layers)])
