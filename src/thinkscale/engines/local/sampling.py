"""Drawing tokens by counter: the random number for a position depends on (seed, position) alone.

So a request gives the same tokens alone, in any batch, continued in parts, and behind a draft, as far as the
arithmetic is the same. Everything runs on the device of the logits; probabilities are float64 there.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch

from thinkscale.records import Sampling

Floats: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Counters: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]


@dataclass(frozen=True, slots=True)
class SamplingColumns:
    """Sampling parameters of a batch, one entry a row."""

    temperature: Floats
    top_p: Floats
    uniform: Floats


def sampling_columns(sampling: Sequence[Sampling], positions: Sequence[int]) -> SamplingColumns:
    """The parameters of rows, with the uniform number for the position that each is about to fill."""
    seeds = np.array([item.seed for item in sampling], dtype=np.uint64)
    return SamplingColumns(
        np.array([item.temperature for item in sampling], dtype=np.float64),
        np.array([item.top_p for item in sampling], dtype=np.float64),
        counter_uniform(seeds, np.array(positions, dtype=np.uint64)),
    )


def counter_uniform(seeds: Counters, positions: Counters) -> Floats:
    """Uniform numbers in [0, 1) as a pure function of (seed, position): SplitMix64 applied twice (Steele 2014)."""
    return (_splitmix64(_splitmix64(seeds) ^ positions) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _splitmix64(values: Counters) -> Counters:
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return mixed ^ (mixed >> np.uint64(31))


def draw(logits: torch.Tensor, sampling: SamplingColumns) -> torch.Tensor:
    """One token a row from logits (rows, vocabulary), left on their device: the largest where temperature is 0, else
    by inverting the cumulative distribution at the row's uniform number, within the nucleus of mass `top_p`."""
    warm = np.flatnonzero(sampling.temperature > 0)
    chosen = logits.argmax(dim=-1)
    if not len(warm):
        return chosen
    rows = torch.from_numpy(warm).to(logits.device)
    settings = np.stack([sampling.temperature, sampling.top_p, sampling.uniform])[:, warm, None]
    temperature, top_p, uniform = torch.from_numpy(settings).to(logits.device)
    scaled = logits[rows].double() / temperature
    probabilities, order = torch.softmax(scaled, dim=-1).sort(dim=-1, descending=True, stable=True)
    cumulative = probabilities.cumsum(dim=-1)
    nucleus = (cumulative - probabilities) < top_p
    target = uniform * (probabilities * nucleus).sum(dim=-1, keepdim=True)
    rank = torch.minimum((cumulative <= target).sum(dim=-1), nucleus.sum(dim=-1) - 1)
    chosen[rows] = order.gather(1, rank[:, None])[:, 0]
    return chosen


def without(logits: torch.Tensor, barred: Sequence[tuple[int, Sequence[int]]]) -> torch.Tensor:
    """A copy of logits (rows, vocabulary) in which each row of `barred` gives its tokens probability 0."""
    rows = [row for row, tokens in barred for _ in tokens]
    columns = [token for _, tokens in barred for token in tokens]
    masked = logits.clone()
    masked[rows, columns] = -torch.inf
    return masked


def logprobs_of(logits: torch.Tensor, tokens: torch.Tensor) -> torch.Tensor:
    """Log-probability (nats) of one token a row under the softmax of its logits: (rows,), float64 on their device."""
    wide = logits.double()
    return wide.gather(1, tokens[:, None])[:, 0] - wide.logsumexp(dim=-1)
