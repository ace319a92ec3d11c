"""Which attention keeps rows apart that lie behind each other in one line, and a probe that does not take its word.

| implementation | how a row is kept from seeing another | cost in a line of rows of lengths n |
|---|---|---|
| sdpa | `sdpa_by_row`, ours: torch's causal kernel once for each row | sum of n^2, no mask |
| flash_attention_2, _3 | their variable-length kernels, by cumulative lengths | sum of n^2, no mask |
| flex_attention | a block mask that transformers makes of position ids | sum of n^2, in blocks |
| eager | a dense block-diagonal mask | (sum of n)^2 |

Where the model's own code does not let the attention be replaced, or has layers that are no softmax attention (state
spaces, linear or chunked attention), rows are padded instead. Since a kernel may ignore what it is told, a training
begins with a probe of the model as loaded and wrapped (`probe.py`).

Rejected: transformers' own sdpa over a line of rows, which is right but builds a dense mask: a gibibyte of it at
32,768 tokens, and no flash kernel. Imports torch and transformers.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from thinkscale.errors import ConfigError
from thinkscale.training.packing import JOINED
from thinkscale.training.settings import Batching, TrainingSettings

BY_ROW = "sdpa_by_row"
"""Our attention's name among transformers' implementations."""
APART = ("sdpa", BY_ROW, "flash_attention_2", "flash_attention_3", "flex_attention", "eager")
QUADRATIC = ("eager",)
ADDED = ("softcap", "s_aux", "position_bias")
"""What some models add to softmax attention."""
SOFTMAX_LAYERS = ("full_attention", "sliding_attention")


def sdpa_by_row(  # noqa: PLR0913 - transformers' own signature
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    row_lengths: Sequence[int] | None = None,
    sliding_window: int | None = None,
    **others: Any,  # noqa: ANN401 - whatever a model hands to its attention
) -> tuple[torch.Tensor, None]:
    """Causal attention within each of the rows whose lengths are given; without them, transformers' sdpa.

    `query`, `key`, `value`: [1, heads, tokens, width], with as many tokens as the lengths sum to; heads of keys may be
    fewer. Returns [1, tokens, heads, width]. Raises ConfigError for what a model adds to softmax attention.
    """
    attend: Any = sdpa_attention_forward
    if row_lengths is None:
        if attention_mask is None:
            attention_mask = _window(query, sliding_window)
        found: tuple[torch.Tensor, None] = attend(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **others
        )
        return found
    added = [name for name in ADDED if others.get(name) is not None]
    if added:
        raise ConfigError(f"{type(module).__name__} adds {added[0]} to its attention, which {BY_ROW} has not")
    lengths = list(row_lengths)
    rows = zip(*(torch.split(states, lengths, dim=2) for states in (query, key, value)), strict=True)
    return torch.cat(
        [
            attend(module, *states, _window(states[0], sliding_window), dropout=dropout, scaling=scaling)[0]
            for states in rows
        ],
        dim=1,
    ), None


def _window(states: torch.Tensor, width: int | None) -> torch.Tensor | None:
    """The mask of a row that is longer than the window its layer looks back; None: plain causal attention."""
    length = states.shape[2]
    if width is None or length <= width:
        return None
    place = torch.arange(length, device=states.device)
    back = place[:, None] - place[None, :]
    return ((back >= 0) & (back < width))[None, None]


def _mask_of_padding(attention_mask: torch.Tensor | None = None, **others: Any) -> Any:  # noqa: ANN401 - transformers' own signature
    """No mask unless rows are padded: rows behind each other are told apart by their lengths."""
    return None if attention_mask is None else sdpa_mask(attention_mask=attention_mask, **others)


def row_arguments(implementation: str, lengths: Sequence[int]) -> dict[str, Any]:
    """What the attention must be told, besides position ids, to keep rows of these lengths apart."""
    if implementation == BY_ROW:
        return {"row_lengths": tuple(lengths)}
    if not implementation.startswith("flash_attention"):
        return {}
    ends = torch.tensor([0, *lengths]).cumsum(0).to(torch.int32)
    longest = max(lengths)
    return {"cu_seq_lens_q": ends, "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest}


def decide_batching(settings: TrainingSettings, model: Any) -> Batching:  # noqa: ANN401 - transformers' models have no common typed base
    """The kind of batching for this model, AUTO decided; the model's sdpa is replaced by ours where rows are joined.

    Raises ConfigError where rows are to be joined and the attention cannot keep them apart, naming what would work.
    """
    asked = settings.batching
    obstacle = _obstacle(model)
    if asked is Batching.AUTO:
        if obstacle or implementation_of(model) in QUADRATIC:
            return Batching.BY_LENGTH
        asked = Batching.PADDING_FREE if settings.micro_batch_size else Batching.PACKED
    if asked in JOINED:
        if obstacle:
            raise ConfigError(_refusal(asked, model, obstacle))
        use_sdpa_by_row(model)
    return asked


def why_padded(settings: TrainingSettings, model: Any) -> tuple[str, ...]:  # noqa: ANN401 - as above
    """What to tell where AUTO pads rows, which costs time, because of the model."""
    if settings.batching is not Batching.AUTO:
        return ()
    obstacle = _obstacle(model)
    if obstacle is None and settings.attention == "auto" and implementation_of(model) in QUADRATIC:
        obstacle = f"computes attention by {implementation_of(model)}, which pays for joined rows by their square"
    return (f"rows are padded (batching by_length): {type(model).__name__} {obstacle}",) if obstacle else ()


def implementation_of(model: Any) -> str:  # noqa: ANN401 - as above
    """The name of the attention that the model computes with."""
    return str(model.config.get_text_config()._attn_implementation)


def use_sdpa_by_row(model: Any) -> None:  # noqa: ANN401 - as above
    """Replaces the model's sdpa by `sdpa_by_row`; other implementations keep rows apart as they are."""
    if implementation_of(model) != "sdpa":
        return
    ALL_ATTENTION_FUNCTIONS.register(BY_ROW, sdpa_by_row)
    ALL_MASK_ATTENTION_FUNCTIONS.register(BY_ROW, _mask_of_padding)
    model.set_attn_implementation(BY_ROW)


def _obstacle(model: Any) -> str | None:  # noqa: ANN401 - as above
    """Why this model's rows cannot lie behind each other, as far as its configuration tells."""
    config = model.config.get_text_config()
    others = sorted(set(getattr(config, "layer_types", None) or ()) - set(SOFTMAX_LAYERS))
    if others:
        return f"has layers of {others[0]}, which carry one row into the next"
    if getattr(config, "attention_chunk_size", None):
        return "attends within chunks of fixed places, not of rows"
    if implementation_of(model) not in APART:
        return f"computes attention by {implementation_of(model)}, which is not known to keep rows apart"
    if not getattr(model, "_supports_attention_backend", False):
        return "computes attention in code of its own, which is not told where a row ends"
    return None


def _refusal(asked: Batching, model: Any, obstacle: str) -> str:  # noqa: ANN401 - as above
    return (
        f"batching {asked.value} puts rows behind each other, but {type(model).__name__} {obstacle}: a row would see "
        f"those before it. Choose batching by_length or auto, or attention sdpa (any device), flash_attention_2 or "
        f"flash_attention_3 (GPU)"
    )
