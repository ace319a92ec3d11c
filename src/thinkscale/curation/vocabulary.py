"""What a process remembers of the words it has seen: for each unit of a text the numbers of its words.

A pool repeats itself: of the 75,000 questions' 4 million units 52,000 are different, and are spelled out once.
"""

from collections.abc import Sequence

from thinkscale.curation.spelling import S1, pieces, token_hash

MOST_WORDS = 200_000
"""Words, and units, that a process remembers: about 50 MB. The pool of 75,000 questions has 34,000 and 52,000."""


class WordHashes(dict[str, int]):
    """The hashes of words, each worked out when it is first asked for."""

    def __missing__(self, word: str) -> int:
        if len(self) == MOST_WORDS:
            self.clear()
        self[word] = found = token_hash(word)
        return found


class Vocabulary(dict[bytes, tuple[int, ...]]):
    """Units and the hashes of their words, worked out when they are first asked for."""

    def __init__(self, rule: str) -> None:
        self.rule = rule
        self.words = WordHashes()

    def of(self, units: Sequence[bytes]) -> list[tuple[int, ...]]:
        """The hashes of the words of some units, all different."""
        new = [unit for unit in units if unit not in self]
        whole: list[bytes] = []
        several: list[bytes] = []
        for unit in new:
            (whole if self.rule == S1 or unit.isalpha() or unit.isdigit() else several).append(unit)
        number = self.words.__getitem__
        self.update(zip(whole, ((number(text),) for text in _texts(whole)), strict=True))
        self.update(zip(several, (tuple(map(number, words)) for words in pieces(_texts(several))), strict=True))
        found = [self[unit] for unit in units]
        if len(self) > MOST_WORDS:
            self.clear()
        return found


def _texts(units: Sequence[bytes]) -> list[str]:
    return b"\n".join(units).decode(errors="surrogatepass").split("\n") if units else []
