"""Requests for the tests of the local engine, and how to run them."""

import random
from collections import deque
from collections.abc import Iterable, Sequence

import pytest

from thinkscale.engines.local import LocalEngine
from thinkscale.engines.local.passes import Passes
from thinkscale.engines.local.slots import Part
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenRequest
from thinkscale.records import Sampling

STOP = 7


def random_prompt(seed: int, length: int) -> tuple[int, ...]:
    """Token ids that the tiny model knows."""
    rng = random.Random(seed)
    return tuple(rng.randrange(8, 300) for _ in range(length))


def request(key: str, prompt: Sequence[int], max_tokens: int, *, temperature: float = 1.0) -> TokenRequest:
    """A request with a seed of its own, made of its key."""
    seed = sum(map(ord, key))
    sampling = Sampling(max_tokens=max_tokens, temperature=temperature, top_p=0.95, seed=seed)
    return TokenRequest(key=key, prompt=tuple(prompt), sampling=sampling, stop_ids=(STOP,))


def run(
    engine: LocalEngine, requests: Iterable[TokenRequest], drafts: Drafts = NO_DRAFTS
) -> dict[str, TokenCompletion]:
    """Completions by key, all requests in one queue."""
    return {completion.request.key: completion for completion in engine.complete(deque(requests), drafts)}


def alone(engine: LocalEngine, requests: Iterable[TokenRequest]) -> dict[str, TokenCompletion]:
    """Completions by key, each request in a call of its own: nothing is shared."""
    return {item.key: run(engine, [item])[item.key] for item in requests}


class PassLog:
    """The shape (rows, columns) of each forward pass."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.shapes: list[tuple[int, int]] = []
        self.visible: list[int] = []
        forward = Passes._forward

        def logged(passes: Passes, ids: object, positions: object, parts: Sequence[Part]) -> object:
            self.shapes.append((sum(part.count for part in parts), parts[0].columns.shape[1]))
            self.visible.append(max(part.visible for part in parts))
            self.check()
            return forward(passes, ids, positions, parts)  # type: ignore[arg-type]

        monkeypatch.setattr(Passes, "_forward", logged)

    def check(self) -> None:
        """Called before each pass; a test may replace it by what raises."""

    @property
    def prefilled(self) -> int:
        """Tokens of passes with more than one column."""
        return sum(rows * columns for rows, columns in self.shapes if columns > 1)
