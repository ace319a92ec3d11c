"""Replies cut into the pieces that events carry: by token ids, or by characters where there is no tokenizer."""

from collections.abc import Collection, Iterator, Sequence
from itertools import cycle, islice

from thinkscale.engines.scripted.asking import Piece
from thinkscale.thinking.formats import Tokenizer

CHARACTERS_PER_TOKEN = 4
"""What counts as a token where there is no tokenizer: about right for English, and cheap."""


def text_tokens(text: str) -> int:
    """Tokens of `text` where there is no tokenizer."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def text_pieces(text: str, chunk_tokens: int, *, thinking: bool = False) -> Iterator[Piece]:
    """`text` in pieces of `chunk_tokens` times CHARACTERS_PER_TOKEN characters."""
    size = chunk_tokens * CHARACTERS_PER_TOKEN
    for start in range(0, len(text), size):
        part = text[start : start + size]
        yield Piece(part, text_tokens(part), (), thinking)


def id_pieces(
    ids: Sequence[int], tokenizer: Tokenizer, chunk_tokens: int, *, thinking: bool = False
) -> Iterator[Piece]:
    """`ids` in pieces of `chunk_tokens`, special tokens without text, as vLLM sends them.

    A character whose bytes lie in two pieces comes with the later one.
    """
    held = 0
    for start in range(0, len(ids), chunk_tokens):
        end = min(start + chunk_tokens, len(ids))
        text = tokenizer.decode(list(ids[held:end]), skip_special_tokens=True)
        if text.endswith("\ufffd") and end < len(ids):
            text = ""
        else:
            held = end
        yield Piece(text, end - start, tuple(ids[start:end]), thinking)


def overlap(prompt: Sequence[int] | str, reply: Sequence[int] | str) -> int:
    """Length of the longest end of `prompt` that is a beginning of `reply`: how much of it was said already."""
    if not reply:
        return 0
    start = max(0, len(prompt) - len(reply))
    head = reply[:8]
    while True:
        try:
            start = prompt.index(reply[0], start)  # type: ignore[arg-type]  # both are text, or both are ids
        except ValueError:
            return 0
        size = len(prompt) - start
        if prompt[start : start + 8] == head[:size] and prompt[start:] == reply[:size]:
            return size
        start += 1


def held_open(
    prompt: Sequence[int], whole: tuple[int, ...], rest: tuple[int, ...], stops: Collection[int], min_tokens: int
) -> tuple[int, ...]:
    """`rest`, the end of the recorded reply `whole`, for a request whose first `min_tokens` tokens hold no stop.

    A recording that stops earlier goes on with what it says behind the stop, then from its beginning, and stops as soon
    as it may. A prompt that ends with such a reply, cut, gets what is left of it.
    """
    spoken = [token for token in whole if token not in stops]
    stop = next((token for token in whole if token in stops), None)
    if stop is None or not spoken:
        return rest
    said = len(whole) - len(rest)
    passed = overlap(prompt, tuple(islice(cycle(spoken), len(prompt))))
    if passed <= said and not any(token in stops for token in rest[:min_tokens]):
        return rest
    start = passed if passed > said else sum(token not in stops for token in whole[:said])
    return (*islice(cycle(spoken), start, start + min_tokens), stop)
