"""Attention of one forward pass over bands of the slot cache: all rows share the linear layers, each band its own keys.

Transformers calls the attention function by name and hands it the model call's keyword arguments, so the cache comes
as `slots`; without it (`model.generate` of transformers) the call is plain `sdpa`.
"""

from typing import Any, cast

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from thinkscale.engines.local.slots import Part, SlotCache
from thinkscale.errors import ModelError

ATTENTION = "thinkscale_slots"


def register_attention() -> None:
    """Makes our attention known to transformers, with the masks of `sdpa` for calls without a slot cache."""
    AttentionInterface.register(ATTENTION, slots_attention)
    AttentionMaskInterface.register(ATTENTION, sdpa_mask)


def slots_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float | None = None,
    **kwargs: Any,  # noqa: ANN401 - what transformers passes differs between models
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Shapes: query (rows, heads, columns, head_dim); returns (rows, columns, heads, head_dim)."""
    slots = kwargs.pop("slots", None)
    if slots is None:
        plain = sdpa_attention_forward(module, query, key, value, attention_mask, scaling=scaling, **kwargs)
        return cast("tuple[torch.Tensor, torch.Tensor | None]", plain)
    if kwargs.get("softcap") is not None or kwargs.get("s_aux") is not None:
        raise ModelError(
            "the local engine has no soft-capped scores and no attention sinks; serve this model with vLLM"
        )
    return _over_parts(query, cast(SlotCache, slots), cast(int, module.layer_idx), scaling), None


def _over_parts(query: torch.Tensor, slots: SlotCache, layer: int, scaling: float | None) -> torch.Tensor:
    counts = [part.count for part in slots.parts]
    results = [
        _over_part(queries, part, layer, scaling)
        for queries, part in zip(query.split_with_sizes(counts), slots.parts, strict=True)
    ]
    whole = results[0] if len(results) == 1 else torch.cat(results)
    return whole.transpose(1, 2)


def _over_part(query: torch.Tensor, part: Part, layer: int, scaling: float | None) -> torch.Tensor:
    """Query heads that share a key head are laid side by side as columns, so that no key is copied for them."""
    keys, values = part.band.read(layer, part)
    rows, heads, columns, size = query.shape
    shared = heads // keys.shape[1]
    mask = part.mask if columns == 1 else part.mask.repeat(1, 1, shared, 1)
    folded = query.reshape(rows, keys.shape[1], shared * columns, size)
    result = scaled_dot_product_attention(folded, keys, values, attn_mask=mask, scale=scaling)
    return result.reshape(rows, heads, columns, values.shape[3])
