"""A Hugging Face causal model in this process: token ids in and out, one running batch, exact counts.

The batch is open: a sequence that finishes frees its row, and the next request takes it. Sampling draws the
token at position p of a request from a counter (seed, p), not from a shared generator, so a request gives the
same tokens alone, in any batch, and continued in parts, as far as the arithmetic is the same. In float32 a
batch of another shape moves logits by about 1e-6, which can flip a near tie; in float64 (the choice for
recorded runs of small models) by 1e-15, which in practice cannot.

This module imports torch; nothing imports it until an engine is opened.
"""

from collections import OrderedDict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from thinkscale.engines.slots import Columns, SlotCache
from thinkscale.engines.tokens import TokenCompletion, TokenRequest
from thinkscale.errors import ModelError
from thinkscale.records import Finish
from thinkscale.thinking.formats import Tokenizer

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}
PREFILL_TOKENS = 8192
"""Most padded prompt tokens of one prefill pass: bounds its memory."""
MOST_FED_TOKENS = 64
"""A prompt with more tokens than this beyond what is reused is prefilled: a pass is cheaper than as many steps."""


@dataclass(slots=True)
class _Row:
    """A sequence of the running batch. The cache holds `length` tokens; `pending` is the next to be fed."""

    request: TokenRequest
    length: int
    pending: int
    feed: list[int] = field(default_factory=list)
    """Prompt tokens that come after `pending`, last first."""
    ids: list[int] = field(default_factory=list)

    @property
    def cached(self) -> tuple[int, ...]:
        """The tokens that the cache holds of this row."""
        return (*self.request.prompt, *self.ids)[: self.length]


class _Shelf:
    """What finished requests left in the cache, for those that follow them: a trajectory's continuation and answers.

    Holds at most half as many tokens as the running batch can; the longest unused go first.
    """

    def __init__(self, cache: SlotCache) -> None:
        self._cache = cache
        self._kept: OrderedDict[str, tuple[tuple[int, ...], Columns]] = OrderedDict()
        self._num_tokens = 0

    def keep(self, index: int, row: _Row) -> None:
        """Puts away a row that has just finished."""
        self._drop(row.request.key)
        self._kept[row.request.key] = (row.cached, self._cache.copy_out(index, row.length))
        self._num_tokens += row.length
        while self._num_tokens > self._cache.num_slots * self._cache.capacity // 2:
            self._drop(next(iter(self._kept)))

    def _drop(self, key: str) -> None:
        if key in self._kept:
            self._num_tokens -= len(self._kept.pop(key)[0])

    def begin(self, request: TokenRequest, index: int) -> _Row | None:
        """A row for `request` that begins with what is kept of the request it follows; None where that is little."""
        found = self._kept.get(request.follows or "")
        if not found:
            return None
        tokens, columns = found
        shared = min(_shared_length(tokens, request.prompt), len(request.prompt) - 1)
        if len(request.prompt) - shared > MOST_FED_TOKENS:
            return None
        self._kept.move_to_end(request.follows or "")
        self._cache.copy_in(index, columns, shared)
        return _Row(request, shared, request.prompt[shared], feed=list(request.prompt[:shared:-1]))


def _shared_length(first: tuple[int, ...], second: tuple[int, ...]) -> int:
    """How many tokens two sequences share from their beginning."""
    return next(
        (index for index, (a, b) in enumerate(zip(first, second, strict=False)) if a != b), min(len(first), len(second))
    )


class LocalEngine:
    """A model folder (or Hub id) as a token engine."""

    def __init__(
        self, model: str, *, name: str | None = None, dtype: str = "float32", device: str = "auto", batch_size: int = 64
    ) -> None:
        """Loads weights and tokenizer. Raises ModelError that names the folder and what it lacks."""
        self.device = _device(device)
        if self.device.type == "cpu":
            # Two spinning threads on shared cores are slower than one: measured 4 to 10 times.
            torch.set_num_threads(1)
        self.tokenizer = load_tokenizer(model)
        self.model = load_model(model, dtype).to(self.device).eval()
        self.name = name or Path(model).name
        self.batch_size = batch_size
        self.context_tokens = int(self.model.config.max_position_embeddings)

    def complete(self, queue: deque[TokenRequest]) -> Iterator[TokenCompletion]:
        """See TokenEngine. A request that cannot fit the model's context is a completion with finish `error`."""
        cache = SlotCache(int(self.model.config.num_hidden_layers), self.batch_size)
        shelf = _Shelf(cache)
        rows: list[_Row] = []
        while queue or rows:
            yield from self._admit(queue, rows, cache, shelf)
            if rows:
                yield from self._step(rows, cache, shelf)

    @torch.inference_mode()
    def _admit(
        self, queue: deque[TokenRequest], rows: list[_Row], cache: SlotCache, shelf: _Shelf
    ) -> list[TokenCompletion]:
        """Moves requests from the queue into free rows. Those that follow a kept request enter at once; the others
        wait for a quarter of the rows, since a prefill is a pass of its own, unless the queue fits or the batch is
        empty."""
        refused: list[TokenCompletion] = []
        admitted: list[TokenRequest] = []
        patient = len(rows) > self.batch_size - min(len(queue), self.batch_size // 4)
        while queue and len(rows) + len(admitted) < self.batch_size:
            request = queue[0]
            problem = self._problem(request)
            if problem:
                refused.append(TokenCompletion(request=request, ids=(), finish=Finish.ERROR, error=problem))
            elif row := None if admitted else shelf.begin(request, len(rows)):
                rows.append(row)
            elif patient:
                break
            else:
                admitted.append(request)
            queue.popleft()
        while admitted:
            widest = max(len(request.prompt) for request in admitted)
            count = max(1, PREFILL_TOKENS // widest)
            self._prefill(admitted[:count], rows, cache)
            del admitted[:count]
        return refused

    def _problem(self, request: TokenRequest) -> str | None:
        needed = len(request.prompt) + request.sampling.max_tokens
        if not request.prompt:
            return "empty prompt"
        if needed > self.context_tokens:
            return f"prompt and max_tokens need {needed} tokens, the model has {self.context_tokens}"
        return None

    @torch.inference_mode()
    def _prefill(self, requests: list[TokenRequest], rows: list[_Row], cache: SlotCache) -> None:
        """Caches each prompt but for its last token, which the first step feeds: no row's logits are wasted."""
        columns = max(len(request.prompt) for request in requests) - 1
        if columns:
            ids = torch.zeros(len(requests), columns, dtype=torch.long)
            for index, request in enumerate(requests):
                ids[index, : len(request.prompt) - 1] = torch.tensor(request.prompt[:-1])
            cache.set_prefill(len(rows), columns)
            # Prompts are left-aligned: what a query sees under the causal mask is never padding.
            mask = torch.ones(columns, columns, dtype=torch.bool, device=self.device).tril()[None, None]
            positions = torch.arange(columns, device=self.device)[None].expand(len(requests), -1)
            self._forward(ids.to(self.device), mask.expand(len(requests), -1, -1, -1), positions, cache)
        rows.extend(_Row(request, len(request.prompt) - 1, request.prompt[-1]) for request in requests)

    @torch.inference_mode()
    def _step(self, rows: list[_Row], cache: SlotCache, shelf: _Shelf) -> list[TokenCompletion]:
        """Feeds one token to every row, draws the next, and returns the rows that finished."""
        lengths = torch.tensor([row.length for row in rows], device=self.device)
        visible = max(row.length for row in rows) + 1
        cache.set_step(lengths, visible)
        mask = (torch.arange(visible, device=self.device)[None] <= lengths[:, None])[:, None, None]
        pending = torch.tensor([[row.pending] for row in rows], device=self.device)
        logits = self._forward(pending, mask, lengths[:, None], cache)
        finished: list[TokenCompletion] = []
        chosen = draw(logits, rows_sampling(rows))
        for index in reversed(range(len(rows))):
            row = rows[index]
            row.length += 1
            if row.feed:
                row.pending = row.feed.pop()
                continue
            row.pending = int(chosen[index])
            completion = _finish(row)
            if completion:
                finished.append(completion)
                shelf.keep(index, row)
                _release(index, rows, cache)
        return finished[::-1]

    def _forward(
        self, ids: torch.Tensor, mask: torch.Tensor, positions: torch.Tensor, cache: SlotCache
    ) -> torch.Tensor:
        """Logits of the last column, float64, on the CPU: shape (rows, vocabulary)."""
        output = self.model(
            input_ids=ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return cast(torch.Tensor, output.logits[:, -1]).double().cpu()


def _finish(row: _Row) -> TokenCompletion | None:
    """The completion where the token just drawn ends the row; else the token is kept and the row goes on."""
    request = row.request
    if row.pending in request.stop_ids:
        return TokenCompletion(request=request, ids=tuple(row.ids), finish=Finish.END, stop_id=row.pending)
    row.ids.append(row.pending)
    if len(row.ids) >= request.sampling.max_tokens:
        return TokenCompletion(request=request, ids=tuple(row.ids), finish=Finish.LENGTH)
    return None


def _release(index: int, rows: list[_Row], cache: SlotCache) -> None:
    """Frees a row; the last one moves into its place."""
    last = rows.pop()
    if index < len(rows):
        cache.move(len(rows), index, last.length)
        rows[index] = last


@dataclass(frozen=True, slots=True)
class SamplingColumns:
    """Sampling parameters of a batch, one entry a row."""

    temperature: np.ndarray[Any, np.dtype[np.float64]]
    top_p: np.ndarray[Any, np.dtype[np.float64]]
    uniform: np.ndarray[Any, np.dtype[np.float64]]


def rows_sampling(rows: list[_Row]) -> SamplingColumns:
    """The parameters of `rows`, with the uniform number for the position that each is about to fill."""
    sampling = [row.request.sampling for row in rows]
    seeds = np.array([item.seed for item in sampling], dtype=np.uint64)
    positions = np.array([row.length + 1 for row in rows], dtype=np.uint64)
    return SamplingColumns(
        np.array([item.temperature for item in sampling]),
        np.array([item.top_p for item in sampling]),
        counter_uniform(seeds, positions),
    )


def counter_uniform(
    seeds: np.ndarray[Any, np.dtype[np.uint64]], positions: np.ndarray[Any, np.dtype[np.uint64]]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Uniform numbers in [0, 1) as a pure function of (seed, position): SplitMix64 applied twice (Steele 2014)."""
    return (_splitmix64(_splitmix64(seeds) ^ positions) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _splitmix64(values: np.ndarray[Any, np.dtype[np.uint64]]) -> np.ndarray[Any, np.dtype[np.uint64]]:
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def draw(logits: torch.Tensor, sampling: SamplingColumns) -> np.ndarray[Any, np.dtype[np.int64]]:
    """One token a row from float64 logits (rows, vocabulary): the largest where temperature is 0, else by
    inverting the cumulative distribution at the row's uniform number, within the nucleus of mass `top_p`."""
    chosen = logits.argmax(dim=-1).numpy()
    warm = np.flatnonzero(sampling.temperature > 0)
    if not len(warm):
        return cast("np.ndarray[Any, np.dtype[np.int64]]", chosen)
    temperature = torch.from_numpy(sampling.temperature[warm])[:, None]
    probabilities, order = torch.softmax(logits[warm] / temperature, dim=-1).sort(dim=-1, descending=True, stable=True)
    cumulative = probabilities.cumsum(dim=-1)
    top_p = torch.from_numpy(sampling.top_p[warm])[:, None]
    nucleus = (cumulative - probabilities) < top_p
    mass = (probabilities * nucleus).sum(dim=-1, keepdim=True)
    target = torch.from_numpy(sampling.uniform[warm])[:, None] * mass
    rank = torch.minimum((cumulative <= target).sum(dim=-1), nucleus.sum(dim=-1) - 1)
    chosen[warm] = order.gather(1, rank[:, None])[:, 0].numpy()
    return cast("np.ndarray[Any, np.dtype[np.int64]]", chosen)


def _device(name: str) -> torch.device:
    """The device called `name`; ModelError where there is none."""
    has_gpu = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if has_gpu else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise ModelError(f"device {name!r} is none that torch knows; use cpu, cuda, cuda:1 or auto") from error
    if device.type == "cuda" and (not has_gpu or (device.index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs; use cpu or auto")
    return device


def load_tokenizer(model: str) -> Tokenizer:
    """The tokenizer of a model folder or Hub id. Raises ModelError that says what a folder lacks."""
    folder = Path(model)
    if folder.is_dir():
        missing = [name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder} is not a whole model folder: {', '.join(missing)} is missing there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a tokenizer from {model}: {error}") from error
    if tokenizer.chat_template is None:
        raise ModelError(f"the tokenizer of {model} has no chat template, so a conversation cannot be rendered")
    return cast(Tokenizer, tokenizer)


def load_model(model: str, dtype: str) -> Any:  # noqa: ANN401 - transformers' models have no common typed base
    """The causal model of a folder or Hub id in `dtype`."""
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # ours shows what a user waits for
    try:
        # Masks here are boolean: under `eager` they would be added to the scores instead of applied.
        return AutoModelForCausalLM.from_pretrained(model, dtype=DTYPES[dtype], attn_implementation="sdpa")
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a model from {model}: {error}") from error
