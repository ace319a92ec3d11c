"""Forward passes over the bands: one token a row, or the missing tokens of new rows in passes of bounded size."""

from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch

from thinkscale.engines.local.rows import Drawn, Row
from thinkscale.engines.local.sampling import draw, logprobs_of, sampling_columns, without
from thinkscale.engines.local.slots import Band, Part, SlotCache, make_part

PREFILL_TOKENS = 8192
"""Most padded tokens of one prefill pass: bounds the memory of its activations."""
LEAST_PREFILL_TOKENS = 256
MASK_ENTRIES = 1 << 26
"""Most entries of a pass's mask (tokens x visible columns): a long prompt is read in several passes."""


class Passes:
    """A model with the place where its passes write. `prefill_tokens` may be lowered where memory is short."""

    def __init__(self, model: Any, device: torch.device) -> None:  # noqa: ANN401
        self._model = model
        self._device = device
        self._cache = SlotCache(int(model.config.num_hidden_layers))
        self.prefill_tokens = PREFILL_TOKENS

    def step(self, bands: Sequence[Band]) -> list[Drawn]:
        """Feeds one token to every row, and draws the token after it; in the order of the bands' rows.

        What was drawn is the only thing that comes back from the device. Nothing of the rows is changed."""
        used = [band for band in bands if band.rows]
        rows = [row for band in used for row in band.rows]
        fed = torch.tensor([[row.tokens[row.length], row.length] for row in rows]).to(self._device)
        columns = fed[:, 1:].split_with_sizes([len(band.rows) for band in used])
        parts = [
            make_part(band, range(len(band.rows)), own, max(row.length for row in band.rows) + 1)
            for band, own in zip(used, columns, strict=True)
        ]
        logits = self._forward(fed[:, :1], fed[:, 1:], parts)
        sampling = sampling_columns([row.request.sampling for row in rows], [row.length + 1 for row in rows])
        barred = [(index, row.request.stop_ids) for index, row in enumerate(rows) if row.is_ending_barred]
        chosen = draw(without(logits, barred) if barred else logits, sampling)
        told = [index for index, row in enumerate(rows) if row.request.logprobs]
        drawn = [Drawn(token) for token in cast("list[int]", chosen.tolist())]
        if told:
            values = logprobs_of(logits[told], chosen[told]).tolist()
            for index, value in zip(told, values, strict=True):
                drawn[index] = Drawn(drawn[index].token, value)
        return drawn

    def prefill(self, band: Band, rows: Sequence[Row]) -> None:
        """Caches all of each row but its last token, which a step feeds. Best for rows that miss about as many."""
        indices = [band.rows.index(row) for row in rows]
        ends = torch.tensor([len(row.tokens) - 1 for row in rows])[:, None]
        while widest := max(row.missing for row in rows):
            visible = max(row.length for row in rows) + widest
            width = min(widest, self._most_columns(len(rows), visible))
            starts = torch.tensor([row.length for row in rows])[:, None]
            # A row that ends before the others computes its last column again, with the same result.
            columns = torch.minimum(starts + torch.arange(width), ends - 1)
            ids = torch.tensor(
                [[row.tokens[column] for column in own] for row, own in zip(rows, columns.tolist(), strict=True)]
            )
            seen = int(columns.max()) + 1
            columns = columns.to(self._device)
            self._forward(ids.to(self._device), columns, [make_part(band, indices, columns, seen)])
            for row in rows:
                row.length += min(row.missing, width)

    def _most_columns(self, num_rows: int, visible: int) -> int:
        return max(1, min(self.prefill_tokens, MASK_ENTRIES // visible) // num_rows)

    def _forward(self, ids: torch.Tensor, positions: torch.Tensor, parts: Sequence[Part]) -> torch.Tensor:
        """Logits of the last column, on the device: shape (rows, vocabulary)."""
        self._cache.parts = tuple(parts)
        output = self._model(
            input_ids=ids,
            # Each part has its own mask; transformers takes one of four dimensions as it is.
            attention_mask=parts[0].mask,
            position_ids=positions,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=1,
            slots=self._cache,
        )
        return cast(torch.Tensor, output.logits[:, -1])


def prefill_groups(bands: Sequence[Band], rows: Sequence[Row], most_tokens: int) -> Iterator[tuple[Band, list[Row]]]:
    """Rows that are prefilled together: of one band, alike in what they miss, and few enough for one pass at best."""
    for band in bands:
        own = sorted((row for row in rows if row in band.rows and row.missing), key=lambda row: -row.missing)
        while own:
            count = max(1, most_tokens // own[0].missing)
            yield band, own[:count]
            own = own[count:]
