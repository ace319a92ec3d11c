"""Where in a text the tokens stand that we put into it."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol


class Tokens(Protocol):
    """The part of a bound format that is needed."""

    def encode(self, text: str) -> tuple[int, ...]: ...

    def decode(self, ids: Sequence[int]) -> str: ...


def pieces(
    thinking: str, num_tokens: int, forced: Sequence[Sequence[int]], tokens: Tokens | None
) -> tuple[str, ...] | None:
    """`thinking` cut at its forced spans: the second, fourth and so on are ours, the others the model's.

    Spans count generated ids, of which only the text is stored. None where the text cannot be cut with certainty:
    without a tokenizer, or where it makes other tokens of the text than were generated.
    """
    if not forced:
        return (thinking,)
    if tokens is None:
        return None
    ids = tokens.encode(thinking)
    if len(ids) != num_tokens:
        return None
    borders = [0, *(place for span in forced for place in span), len(ids)]
    cut = tuple(tokens.decode(ids[start:end]) for start, end in pairwise(borders))
    return cut if "".join(cut) == thinking else None
