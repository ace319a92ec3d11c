"""What measures say of likeness: overlaps with benchmark items, and pairs of rows that may repeat each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import compress, count
from operator import ne

import numpy as np

from thinkscale.curation.crowds import Members, members
from thinkscale.curation.duplicates import crowded_rows
from thinkscale.curation.duplicates import edges as pairs
from thinkscale.curation.edges import ANSWER_AWARE, NEAR_COPY, NGRAM_OVERLAP, WHOLE_QUESTION, Edges
from thinkscale.curation.overlap import Benchmark, Hit, Overlaps, Questions, answer_key
from thinkscale.curation.words import DEFAULT, Hashes, Tokens, token_hash

MOST_CHARACTERS = 300
"""Of a span: evidence, not the text."""
MOST_WORDS, MOST_LETTERS = 250_000, 600_000
"""Of a text that are sought for a run, and of texts that are held at once: two more texts fit into Unicode then."""
SURE_WORDS = 8
"""A common beginning or end of so many words is evidence enough; the longest run of all takes ten times as long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Against:
    """A benchmark by the name under which its hits are reported: its items' ids, questions and answers."""

    name: str
    ids: tuple[str, ...]
    questions: tuple[str, ...]
    answers: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """How texts are compared. Everything else about likeness is decided later."""

    rule: str = DEFAULT
    words: int = 8
    traces: bool = False
    """Compare traces with the benchmarks too."""


def benchmark_of(against: Against) -> Benchmark:
    """What texts are compared with, as columns."""
    return Benchmark(against.name, Questions(ids=against.ids, texts=against.questions, answers=against.answers))


def search(benchmarks: Sequence[Benchmark], comparing: Comparing) -> Overlaps:
    """What questions are shown to, part by part, and that then tells what overlaps."""
    return Overlaps(benchmarks, comparing.rule, comparing.words)


def traces_search(benchmarks: Sequence[Benchmark], comparing: Comparing) -> Overlaps | None:
    """The same for traces, None where they are not compared."""
    if not benchmarks or not comparing.traces:
        return None
    return Overlaps(benchmarks, comparing.rule, comparing.words, traces=True)


def overlap_columns(hits: Sequence[Hit], places: Sequence[tuple[int, str]] | None = None) -> dict[str, list[object]]:
    """The columns of measures' `overlaps`; `places` are row and response key of each trace that was looked at, None
    where the texts were questions in order of collection."""
    return {
        "row": [hit.row if places is None else places[hit.row][0] for hit in hits],
        "response_key": ["" if places is None else places[hit.row][1] for hit in hits],
        "against": [hit.against for hit in hits],
        "against_id": [hit.against_id for hit in hits],
        "reason": [hit.reason for hit in hits],
        "share": [hit.share for hit in hits],
        "span": [hit.span[:MOST_CHARACTERS] for hit in hits],
    }


def edge_columns(
    texts: Sequence[str], answers: Sequence[str | None], found: Tokens, words: int
) -> dict[str, list[object]]:
    """The columns of measures' `edges` for texts in order of collection; `found` are their words."""
    numbered, answered = dict(enumerate(texts)), dict(enumerate(answers))
    made = described(pairs(found, words), numbered, answered)
    rows = crowded_rows(found, words)
    near = members(found, rows, answer_numbers([answers[row] for row in rows.tolist()]), words)
    of_crowds = described(crowd_edges(near), numbered, answered, NEAR_COPY)
    return {name: [*values, *of_crowds[name]] for name, values in made.items()}


def answer_numbers(answers: Sequence[str | None]) -> Hashes:
    """A number for each answer as it is compared, 0 where there is none."""
    keys = map(answer_key, answers)
    return np.array([token_hash(key) if key else 0 for key in keys], np.uint64)


def crowd_edges(near: Members) -> Edges:
    """What joined a crowd as edges from the first row of it, which may be the larger number."""
    return Edges(near.firsts, near.rows, near.share, np.zeros(len(near.rows), np.bool_))


def described(
    edges: Edges, texts: Mapping[int, str], answers: Mapping[int, str | None], reason: str | None = None
) -> dict[str, list[object]]:
    """The columns of measures' `edges`; texts and answers of the rows of `edges`, and perhaps of others.

    `reason` is that of all of them, where it is known.

    A pair with one answer is `answer_aware` where that is of more than a single character: a digit, or a letter of
    options, says little.
    """
    a, b, same = edges.a.tolist(), edges.b.tolist(), edges.same.tolist()
    coded = _Coded(texts)
    keys = {row: answer_key(answers[row]) for row in {*a, *b}}
    agree = [keys[first] == keys[second] and len(keys[first]) > 1 for first, second in zip(a, b, strict=True)]
    spans = [
        beginning(texts[second]) if whole else words_between(texts[first], common_run(*coded.pair(first, second)))
        for first, second, whole in zip(a, b, same, strict=True)
    ]
    return {
        "a": a,
        "b": b,
        "share": edges.share.tolist(),
        "reason": [
            reason or (WHOLE_QUESTION if whole else ANSWER_AWARE if one else NGRAM_OVERLAP)
            for whole, one in zip(same, agree, strict=True)
        ],
        "span": spans,
    }


def beginning(text: str) -> str:
    """As much of a text as a span may have, its words one space apart."""
    enough = 2 * MOST_CHARACTERS
    shown = " ".join(text[:enough].split())
    if len(shown) <= MOST_CHARACTERS and len(text) > enough:  # there was much white space
        shown = " ".join(text.split())
    return shown[:MOST_CHARACTERS]


def words_between(text: str, run: slice) -> str:
    """The words of a text in `run`, as many characters of them as a span may have."""
    end = min(run.stop, run.start + MOST_CHARACTERS)
    return " ".join(text.split(None, end)[run.start : end])[:MOST_CHARACTERS]


class _Letters(dict[str, str]):
    """For each word a character of its own: texts of characters are compared some ten times as fast as lists."""

    def __missing__(self, word: str) -> str:
        self[word] = letter = chr(len(self))
        return letter


class _Coded(dict[int, str]):
    """The words at white space of each text, in lower case, as characters; made once."""

    def __init__(self, texts: Mapping[int, str]) -> None:
        super().__init__()
        self._texts = texts
        self._letters = _Letters()

    def __missing__(self, number: int) -> str:
        words = self._texts[number].lower().split()
        self[number] = coded = "".join(map(self._letters.__getitem__, words[:MOST_WORDS]))
        return coded

    def pair(self, first: int, second: int) -> tuple[str, str]:
        """Two texts by the same characters, of which there are not many more than a million."""
        if len(self._letters) > MOST_LETTERS:
            self.clear()
            self._letters.clear()
        return self[first], self[second]


def common_run(first: str, second: str) -> slice:
    """A run of words that both texts have, as a part of the first: their common beginning or end, whichever is
    longer, where it has at least SURE_WORDS words; else the longest run of at least two, the earliest of equals.

    Each word is a character.
    """
    most = min(len(first), len(second))
    ahead = next(compress(count(), map(ne, first, second)), most)
    behind = next(compress(count(), map(ne, reversed(first), reversed(second))), most)
    if max(ahead, behind) >= SURE_WORDS:
        return slice(0, ahead) if ahead >= behind else slice(len(first) - behind, len(first))
    start, stop, wanted = 0, 0, 2
    for place in range(len(first) - 1):
        while first[place : place + wanted] in second and place + wanted <= len(first):
            start, stop, wanted = place, place + wanted, wanted + 1
    return slice(start, stop)
