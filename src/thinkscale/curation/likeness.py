"""What measures say of likeness: overlaps with benchmark items, and pairs of rows that may repeat each other."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from thinkscale.curation.duplicates import edges as pairs
from thinkscale.curation.overlap import (
    ANSWER_AWARE,
    NGRAM_OVERLAP,
    WHOLE_QUESTION,
    Benchmark,
    Hit,
    Overlaps,
    Questions,
    answer_key,
)
from thinkscale.curation.words import DEFAULT, Tokens

MOST_CHARACTERS = 300
"""Of a span: evidence, not the text."""
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


def search(against: Sequence[Against], comparing: Comparing, *, traces: bool = False) -> Overlaps:
    """What questions or traces are shown to, part by part, and that then tells what overlaps."""
    benchmarks = [
        Benchmark(item.name, Questions(ids=item.ids, texts=item.questions, answers=item.answers)) for item in against
    ]
    return Overlaps(benchmarks, comparing.rule, comparing.words, traces=traces)


def overlap_columns(hits: Sequence[Hit], places: Sequence[tuple[int, str]]) -> dict[str, list[object]]:
    """The columns of measures' `overlaps`; `places` are row and response key of each text that was looked at."""
    return {
        "row": [places[hit.row][0] for hit in hits],
        "response_key": [places[hit.row][1] for hit in hits],
        "against": [hit.against for hit in hits],
        "against_id": [hit.against_id for hit in hits],
        "reason": [hit.reason for hit in hits],
        "share": [hit.share for hit in hits],
        "span": [hit.span[:MOST_CHARACTERS] for hit in hits],
    }


def edge_columns(
    texts: Sequence[str], answers: Sequence[str | None], found: Tokens, words: int
) -> dict[str, list[object]]:
    """The columns of measures' `edges` for texts in order of collection; `found` are their words.

    A pair with one answer is `answer_aware` where that is of more than a single character: a digit, or a letter of
    options, says little.
    """
    edges = pairs(found, words)
    a, b, same = edges.a.tolist(), edges.b.tolist(), edges.same.tolist()
    split = _Split(texts)
    keys = {row: answer_key(answers[row]) for row in {*a, *b}}
    agree = [keys[first] == keys[second] and len(keys[first]) > 1 for first, second in zip(a, b, strict=True)]
    spans = [
        " ".join(split[second][0] if whole else split[first][0][common_run(split[first][1], split[second][1])])
        for first, second, whole in zip(a, b, same, strict=True)
    ]
    return {
        "a": a,
        "b": b,
        "share": edges.share.tolist(),
        "reason": [
            WHOLE_QUESTION if whole else ANSWER_AWARE if one else NGRAM_OVERLAP
            for whole, one in zip(same, agree, strict=True)
        ],
        "span": [span[:MOST_CHARACTERS] for span in spans],
    }


class _Split(dict[int, tuple[list[str], list[str]]]):
    """The words at white space of each text, as written and in lower case, cut once."""

    def __init__(self, texts: Sequence[str]) -> None:
        super().__init__()
        self._texts = texts

    def __missing__(self, number: int) -> tuple[list[str], list[str]]:
        text = self._texts[number]
        words, lower = text.split(), text.lower().split()
        self[number] = words, lower if len(lower) == len(words) else [word.lower() for word in words]
        return self[number]


def common_run(first: Sequence[str], second: Sequence[str]) -> slice:
    """A run of words that both texts have, as a part of the first: their common beginning or end, whichever is
    longer, where it has at least SURE_WORDS words; else the longest run of at least two, the earliest of equals."""
    most = min(len(first), len(second))
    ahead = behind = 0
    while ahead < most and first[ahead] == second[ahead]:
        ahead += 1
    while behind < most and first[-1 - behind] == second[-1 - behind]:
        behind += 1
    if max(ahead, behind) >= SURE_WORDS:
        return slice(0, ahead) if ahead >= behind else slice(len(first) - behind, len(first))
    places: dict[tuple[str, str], list[int]] = {}
    for place, pair in enumerate(pairwise(second)):
        places.setdefault(pair, []).append(place)
    best = (0, 0)
    runs: dict[int, int] = {}
    for start, pair in enumerate(pairwise(first)):
        here = places.get(pair)
        if here is None:
            runs = {}
            continue
        runs = {place: runs.get(place - 1, 1) + 1 for place in here}
        length = max(runs.values())
        if length > best[0]:
            best = (length, start + 2 - length)
    return slice(best[1], best[1] + best[0])
