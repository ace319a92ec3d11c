r"""Words: what of a text is compared, under a rule, as stable 64-bit numbers.

Two rules:
- `s1`: the lower-cased text cut at white space, nothing else (simplescaling/s1, data/decontaminate_util.py);
- `default`: the words that are left of a question when layout is gone (`notation.py`): case, LaTeX spelling, spacing,
  brackets, punctuation and appended instructions make no difference; numbers are whole (1,000 is 1000); signs that
  change a formula are words (`x + 1` is not `x - 1`).

Texts are cut into units as bytes by numpy (`units.py`): white-space words for `s1`; for `default` also cut at brackets
and signs. The rule itself is plain Python (`spelling.py`) on each distinct unit, once. Rejected: a chain of regular
expressions over all texts, which reads every text once for each part of the rule.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial

import numpy as np
from numpy.typing import NDArray

from thinkscale.curation.notation import INSTRUCTIONS, SEPARATORS, SIGNS
from thinkscale.curation.spelling import (
    DEFAULT,
    ROW_END,
    RULES,
    S1,
    STOPS,
    WHITE,
    all_plain,
    rewritten,
    token_hash,
    words_of,
)
from thinkscale.curation.units import MULTIPLIER, Hashes, Integers, bounds, class_table, grouped, scrambled, unit_keys
from thinkscale.curation.vocabulary import Vocabulary

__all__ = [
    "DEFAULT",
    "RULES",
    "S1",
    "Hashes",
    "Integers",
    "Tokens",
    "every_token",
    "rows_between",
    "spaced_words",
    "token_hash",
    "tokens",
    "whole_keys",
    "without",
    "words_compared",
    "words_of",
]

BATCH_CHARACTERS = 4_000_000
"""Texts taken at once: about 60 MB of working memory."""
_CLASSES = {S1: class_table(ROW_END + WHITE, ""), DEFAULT: class_table(ROW_END + WHITE + SEPARATORS, SIGNS)}


@dataclass(frozen=True, slots=True)
class Tokens:
    """The words of texts: those of row i are `hashes[offsets[i]:offsets[i + 1]]`."""

    offsets: Integers
    hashes: Hashes

    @property
    def num_rows(self) -> int:
        """Texts."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Integers:
        """Words of each text."""
        return np.diff(self.offsets)


def tokens(texts: Sequence[str], rule: str = DEFAULT) -> Tokens:
    """The words of each text under `rule`; under `default` without the instructions that data sets append."""
    found = every_token(texts, rule)
    return found if rule == S1 else without(found, instruction_marks(found))


def every_token(texts: Sequence[str], rule: str = DEFAULT) -> Tokens:
    """The words of each text under `rule`, instructions among them. Raises ValueError on an unknown rule."""
    if rule not in RULES:
        raise ValueError(f"no rule {rule!r} for words; there are {', '.join(RULES)}")
    return _in_batches(texts, partial(_batch, _vocabulary(rule)))


def spaced_words(texts: Sequence[str]) -> Tokens:
    """The words of `s1`, numbered by their bytes alone (`units.unit_keys`): at a third of the time where only whether
    two words are equal is asked."""
    return _in_batches(texts, _spaced_batch)


def words_compared(text: str, rule: str = DEFAULT) -> list[str]:
    """The words of one text that `tokens` gives: without instructions under `default`."""
    words = words_of(text, rule)
    if rule == S1:
        return words
    marked: set[int] = set()
    for place, word in enumerate(words):
        for phrase in _instruction_words().get(word, ()):
            if words[place : place + len(phrase)] == phrase:
                marked.update(range(place, place + len(phrase)))
    return [word for place, word in enumerate(words) if place not in marked]


def rows_between(found: Tokens, start: int, stop: int) -> Tokens:
    """Rows `start` to `stop`, that not included."""
    offsets = found.offsets[start : stop + 1]
    return Tokens(offsets - offsets[0], found.hashes[offsets[0] : offsets[-1]])


def whole_keys(found: Tokens) -> Hashes:
    """A number for the whole sequence of words of each row: equal words give equal numbers; 0 for no words."""
    places = np.arange(len(found.hashes), dtype=np.int64) - np.repeat(found.offsets[:-1], found.lengths)
    powers = np.cumprod(np.full(int(found.lengths.max(initial=0)), MULTIPLIER), dtype=np.uint64)
    sums = np.zeros(len(found.hashes) + 1, np.uint64)
    np.cumsum(found.hashes * powers[places], out=sums[1:])
    keys = scrambled(sums[found.offsets[1:]] - sums[found.offsets[:-1]])
    keys[keys == 0] = 1
    keys[found.lengths == 0] = 0
    return keys


def without(found: Tokens, marked: NDArray[np.bool_]) -> Tokens:
    """`found` without the words that are marked."""
    kept = np.concatenate([np.zeros(1, np.int64), np.cumsum(~marked)])
    return Tokens(kept[found.offsets], found.hashes[~marked])


def instruction_marks(found: Tokens) -> NDArray[np.bool_]:
    """Which words belong to an instruction that data sets append (`notation.INSTRUCTIONS`)."""
    marked = np.zeros(len(found.hashes), np.bool_)
    first, starts = None, np.empty(0, np.int64)
    for phrase in _instructions():
        if phrase[0] != first:
            first, starts = phrase[0], np.flatnonzero(found.hashes == phrase[0])
        places = starts[starts <= len(marked) - len(phrase)]
        for step in range(1, len(phrase)):
            places = places[found.hashes[places + step] == phrase[step]]
        rows = np.searchsorted(found.offsets, places, side="right")
        places = places[places + len(phrase) <= found.offsets[rows]] if len(places) else places
        marked[(places[:, None] + np.arange(len(phrase))).ravel()] = True
    return marked


def _batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    start, size = 0, 0
    for position, text in enumerate(texts):
        if size > BATCH_CHARACTERS:
            yield texts[start:position]
            start, size = position, 0
        size += len(text)
    yield texts[start:]


def _in_batches(texts: Sequence[str], work: Callable[[Sequence[str]], Tokens]) -> Tokens:
    parts = [_by_alphabet(part, work) for part in _batches(texts)]
    lengths = np.concatenate([np.zeros(1, np.int64), *(part.lengths for part in parts)])
    return Tokens(np.cumsum(lengths), np.concatenate([np.empty(0, np.uint64), *(part.hashes for part in parts)]))


def _by_alphabet(texts: Sequence[str], work: Callable[[Sequence[str]], Tokens]) -> Tokens:
    """Texts in ASCII apart from others: in one text with them they would take two or four bytes a character."""
    plain = np.fromiter(map(str.isascii, texts), np.bool_, len(texts))
    if plain.all() or not plain.any():
        return work(texts)
    parts = [(rows, work([texts[row] for row in rows.tolist()])) for rows in map(np.flatnonzero, (plain, ~plain))]
    lengths = np.empty(len(texts), np.int64)
    for rows, part in parts:
        lengths[rows] = part.lengths
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
    hashes = np.empty(offsets[-1], np.uint64)
    for rows, part in parts:
        hashes[np.repeat(offsets[rows] - part.offsets[:-1], part.lengths) + np.arange(len(part.hashes))] = part.hashes
    return Tokens(offsets, hashes)


@dataclass(frozen=True, slots=True)
class _Units:
    """Texts as bytes, with 8 more behind: where each unit starts and ends, and which are the first of each text."""

    buffer: bytes
    starts: Integers
    ends: Integers
    firsts: Integers

    @classmethod
    def of(cls, texts: Sequence[str], rule: str) -> "_Units":
        joined = all_plain(texts, rule)
        buffer = (joined if rule == S1 else rewritten(joined)).encode(errors="surrogatepass")
        starts, ends = bounds(buffer, _CLASSES[rule], "" if rule == S1 else STOPS)
        ends_of_rows = np.flatnonzero(np.frombuffer(buffer, np.uint8) == ord(ROW_END))
        return cls(buffer + bytes(8), starts, ends, np.searchsorted(starts, np.append(-1, ends_of_rows)))

    @property
    def keys(self) -> Hashes:
        return unit_keys(self.buffer, self.starts, self.ends)


def _spaced_batch(texts: Sequence[str]) -> Tokens:
    units = _Units.of(texts, S1)
    return Tokens(units.firsts, units.keys)


def _batch(known: Vocabulary, texts: Sequence[str]) -> Tokens:
    units = _Units.of(texts, known.rule)
    codes, some = grouped(units.keys)
    places = zip(units.starts[some].tolist(), units.ends[some].tolist(), strict=True)
    found = known.of([units.buffer[start:end] for start, end in places])
    sizes = np.array([len(part) for part in found], np.int64)
    flat = np.array([number for part in found for number in part], np.uint64)
    counts = sizes[codes]
    totals = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
    words = np.repeat((np.cumsum(sizes) - sizes)[codes] - totals[:-1], counts) + np.arange(totals[-1])
    made = Tokens(totals[units.firsts], flat[words])
    return made if known.rule == S1 else _letters_joined(made, np.isin(flat, _letters()[0])[words], known)


@cache
def _vocabulary(rule: str) -> Vocabulary:
    return Vocabulary(rule)


@cache
def _letters() -> tuple[Hashes, str]:
    """The hashes of the words a to z, ascending, and the letters in that order."""
    found = sorted((token_hash(letter), letter) for letter in "abcdefghijklmnopqrstuvwxyz")
    return np.array([number for number, _ in found], np.uint64), "".join(letter for _, letter in found)


def _letters_joined(found: Tokens, single: NDArray[np.bool_], known: Vocabulary) -> Tokens:
    """Words of one letter that follow each other made one word, so that `A B C`, `A, B, C` and `ABC` are the same."""
    after = np.zeros(len(single), np.bool_)
    after[1:] = single[1:] & single[:-1]
    after[found.offsets[:-1][found.lengths > 0]] = False
    members = after | np.append(after[1:], np.zeros(1, np.bool_))[: len(after)]
    firsts = np.flatnonzero(members & ~after)
    if not len(firsts):
        return found
    letters = found.hashes[members]
    runs = Tokens(np.append(np.flatnonzero(~after[members]), len(letters)), letters)
    codes, some = grouped(whole_keys(runs))
    alphabet, names = _letters()
    places = np.searchsorted(alphabet, letters)
    words = ["".join(names[place] for place in places[runs.offsets[run] : runs.offsets[run + 1]]) for run in some]
    hashes = found.hashes.copy()
    hashes[firsts] = np.array([known.words[word] for word in words], np.uint64)[codes]
    return without(Tokens(found.offsets, hashes), after)


@cache
def _instruction_words() -> dict[str, list[list[str]]]:
    """The instructions by their first word."""
    found: dict[str, list[list[str]]] = {}
    for phrase in INSTRUCTIONS:
        words = words_of(phrase)
        found.setdefault(words[0], []).append(words)
    return found


@cache
def _instructions() -> tuple[Hashes, ...]:
    """The instructions, those with the same first word together."""
    found = every_token(INSTRUCTIONS)
    phrases = np.split(found.hashes, found.offsets[1:-1])
    return tuple(sorted(phrases, key=lambda phrase: int(phrase[0])))
