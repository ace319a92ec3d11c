"""What finished requests left in the cache, for those that begin alike: a trajectory's continuation and answers, and
samples of a prompt whose first samples are done."""

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from thinkscale.engines.local.rows import Row
from thinkscale.engines.local.slots import Columns

HEAD_TOKENS = 64
"""Prompts that share this many tokens, a system prompt say, are found by them; a shorter share is not worth a copy."""


@dataclass(frozen=True, slots=True)
class Kept:
    """The cached tokens of a finished row, with their keys and values as tensors of their own."""

    request_key: str
    prompt: tuple[int, ...]
    tokens: list[int]
    columns: Columns


class Shelf:
    """Kept rows by their request's key and by how their prompts begin; the longest unused go first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._newest: dict[Hashable, Kept] = {}
        self.num_tokens = 0

    def keep(self, row: Row, columns: Columns, limit: int) -> None:
        """Puts away a copy of a row that has just finished, and drops what is then beyond `limit` tokens."""
        self._drop(row.request.key)
        if row.length > limit:
            return
        copies = [(keys.clone(), values.clone()) for keys, values in columns]
        kept = Kept(row.request.key, row.request.prompt, row.tokens[: row.length], copies)
        self._kept[kept.request_key] = kept
        self._newest.update(dict.fromkeys(_heads(kept.prompt), kept))
        self.num_tokens += row.length
        while self.num_tokens > limit:
            self.drop_oldest()

    def drop_oldest(self) -> None:
        """Gives back the memory of what was not used for the longest time."""
        self._drop(next(iter(self._kept)))

    def find(self, row: Row) -> Kept | None:
        """What is kept of the request that this one follows, else of one with the same prompt, else with its head."""
        found = self._kept.get(row.request.follows or "")
        if not found:
            found = next((self._newest[head] for head in _heads(row.request.prompt) if head in self._newest), None)
        if found:
            self._kept.move_to_end(found.request_key)
        return found

    def _drop(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept:
            self.num_tokens -= len(kept.tokens)
            for head in _heads(kept.prompt):
                if self._newest.get(head) is kept:
                    del self._newest[head]


def _heads(prompt: tuple[int, ...]) -> tuple[tuple[int, ...], ...]:
    return (prompt, prompt[:HEAD_TOKENS]) if len(prompt) > HEAD_TOKENS else (prompt,)
