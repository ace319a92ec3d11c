"""A Hugging Face causal model in this process: token ids in and out, one running batch, exact counts.

The batch is open: a sequence that finishes frees its row, and the next request takes it. A prompt that several
requests share is read once. In float32 a batch of another shape moves logits by about 1e-6, which can flip a near tie;
in float64 (the choice for recorded runs of small models) by 1e-15, which in practice cannot.
"""

from collections import deque
from collections.abc import Iterator
from pathlib import Path

import torch

from thinkscale.engines.local.batch import Batch
from thinkscale.engines.local.loading import find_device, load_model, load_tokenizer
from thinkscale.engines.local.memory import Room, default_cache_tokens
from thinkscale.engines.local.passes import Passes
from thinkscale.engines.local.slots import FIRST_BAND_TOKENS
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest


class LocalEngine:
    """A model folder (or Hub id) as a token engine."""

    def __init__(
        self,
        model: str,
        *,
        name: str | None = None,
        dtype: str = "float32",
        device: str = "auto",
        batch_size: int = 64,
        cache_tokens: int | None = None,
        first_band_tokens: int = FIRST_BAND_TOKENS,
    ) -> None:
        """Loads weights and tokenizer. Raises ModelError that names the folder and what it lacks.

        `batch_size` is the most sequences that run at once, and `cache_tokens` the most tokens of cache that they may
        take together (what free memory holds, where None); neither changes a result."""
        self.device = find_device(device)
        if self.device.type == "cpu":
            # Two spinning threads on shared cores are slower than one: measured 4 to 10 times.
            torch.set_num_threads(1)
        self.tokenizer = load_tokenizer(model)
        self.model = load_model(model, dtype).to(self.device).eval()
        self.name = name or Path(model).name
        self.batch_size = batch_size
        self.cache_tokens = cache_tokens
        self.first_band_tokens = first_band_tokens
        self.context_tokens = int(self.model.config.max_position_embeddings)

    def complete(self, queue: deque[TokenRequest], drafts: Drafts = NO_DRAFTS) -> Iterator[TokenCompletion]:
        """See TokenEngine. A request that cannot fit the model's context is a completion with finish `error`.

        Drafts are saved as rows grow, and once more when the iterator is closed or a pass fails."""
        cache_tokens = self.cache_tokens or default_cache_tokens(self.model, self.device)
        room = Room(self.context_tokens, cache_tokens, self.first_band_tokens)
        batch = Batch(Passes(self.model, self.device), room, drafts, self.batch_size)
        try:
            while queue or batch.is_busy:
                yield from batch.admit(queue)
                yield from batch.step()
        finally:
            batch.save_drafts()
