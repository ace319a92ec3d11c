"""A key-value cache of slots: each sequence of a running batch has a row, left-aligned, that it fills alone.

Rows are kept dense (row 0 to n-1 are in use), so that a step works on views, and a sequence that finishes
is replaced by moving the last row into its place. Neither left padding nor growing by concatenation: a step
writes one column per row, where `DynamicCache` would copy the whole cache.
"""

from typing import TypeAlias, cast

import torch
from transformers.cache_utils import Cache, CacheLayerMixin

Columns: TypeAlias = list[tuple[torch.Tensor, torch.Tensor]]
"""Keys and values of one sequence, layer by layer: tensors (heads, tokens, head_dim)."""


class SlotLayer(CacheLayerMixin):  # type: ignore[no-untyped-call]
    """Keys and values of one attention layer: tensors (slots, heads, capacity, head_dim)."""

    keys: torch.Tensor
    values: torch.Tensor

    def __init__(self, slots: "SlotCache") -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._slots = slots

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        rows, capacity = self._slots.num_slots, self._slots.capacity
        self.keys = key_states.new_zeros(rows, key_states.shape[1], capacity, key_states.shape[3])
        self.values = value_states.new_zeros(rows, value_states.shape[1], capacity, value_states.shape[3])
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *_args: object, **_kwargs: object
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Writes at the rows and columns that the cache is set to; returns what the queries may look at."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        slots = self._slots
        if slots.columns is None:
            rows = slice(slots.first_row, slots.first_row + key_states.shape[0])
            self.keys[rows, :, : key_states.shape[2]] = key_states
            self.values[rows, :, : key_states.shape[2]] = value_states
            return key_states, value_states
        index = torch.arange(key_states.shape[0], device=key_states.device)
        self.keys[index, :, slots.columns] = key_states[:, :, 0]
        self.values[index, :, slots.columns] = value_states[:, :, 0]
        visible = (slice(0, key_states.shape[0]), slice(None), slice(0, slots.visible_columns))
        return self.keys[visible], self.values[visible]

    def grow(self, capacity: int) -> None:
        """Makes room for longer sequences."""
        if self.is_initialized:
            extra = capacity - self.keys.shape[2]
            self.keys = torch.nn.functional.pad(self.keys, (0, 0, 0, extra))
            self.values = torch.nn.functional.pad(self.values, (0, 0, 0, extra))

    def move(self, source: int, target: int, length: int) -> None:
        """Copies the first `length` columns of row `source` over those of row `target`."""
        self.keys[target, :, :length] = self.keys[source, :, :length]
        self.values[target, :, :length] = self.values[source, :, :length]

    def copy_out(self, row: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        """The first `length` columns of a row, as tensors of their own."""
        return self.keys[row, :, :length].clone(), self.values[row, :, :length].clone()

    def copy_in(self, row: int, keys: torch.Tensor, values: torch.Tensor) -> None:
        """Writes the columns of `keys` and `values` at the beginning of a row."""
        self.keys[row, :, : keys.shape[1]] = keys
        self.values[row, :, : values.shape[1]] = values

    def get_seq_length(self) -> int:
        return self._slots.visible_columns

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        return self._slots.visible_columns + query_length, 0

    def get_max_length(self) -> int:
        return -1


class SlotCache(Cache):
    """The cache of a running batch of at most `num_slots` sequences."""

    def __init__(self, num_layers: int, num_slots: int, capacity: int = 256) -> None:
        self.num_slots = num_slots
        self.capacity = capacity
        self.first_row = 0
        self.columns: torch.Tensor | None = None
        self.visible_columns = 0
        super().__init__(layers=[SlotLayer(self) for _ in range(num_layers)])

    def set_prefill(self, first_row: int, columns: int) -> None:
        """The next forward pass fills rows from `first_row` on, from column 0."""
        self.ensure(columns)
        self.first_row, self.columns, self.visible_columns = first_row, None, 0

    def set_step(self, columns: torch.Tensor, visible_columns: int) -> None:
        """The next forward pass writes one token a row, at `columns`, and sees the first `visible_columns`."""
        self.ensure(visible_columns)
        self.columns, self.visible_columns = columns, visible_columns

    def ensure(self, columns: int) -> None:
        """Doubles the capacity until `columns` fit."""
        if columns <= self.capacity:
            return
        while self.capacity < columns:
            self.capacity *= 2
        for layer in self._slot_layers():
            layer.grow(self.capacity)

    def move(self, source: int, target: int, length: int) -> None:
        """Moves a sequence of `length` tokens to another row, in every layer."""
        for layer in self._slot_layers():
            layer.move(source, target, length)

    def copy_out(self, row: int, length: int) -> Columns:
        """What the first `length` tokens of a row left in every layer."""
        return [layer.copy_out(row, length) for layer in self._slot_layers()]

    def copy_in(self, row: int, columns: Columns, length: int) -> None:
        """Begins a row with the first `length` tokens of what `copy_out` gave."""
        self.ensure(length)
        for layer, (keys, values) in zip(self._slot_layers(), columns, strict=True):
            layer.copy_in(row, keys[:, :length], values[:, :length])

    def _slot_layers(self) -> list[SlotLayer]:
        return cast("list[SlotLayer]", self.layers)
