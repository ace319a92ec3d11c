"""What measures say of likeness: overlaps with benchmark items, and pairs of rows that may repeat each other."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from thinkscale.curation.crowds import Members, members
from thinkscale.curation.duplicates import crowded_rows
from thinkscale.curation.duplicates import edges as pairs
from thinkscale.curation.edges import ANSWER_AWARE, NEAR_COPY, NGRAM_OVERLAP, WHOLE_QUESTION, Edges
from thinkscale.curation.overlap import Benchmark, Hit, Overlaps, Questions, answer_key
from thinkscale.curation.spans import common_runs
from thinkscale.curation.words import DEFAULT, Hashes, Tokens, token_hash

MOST_CHARACTERS = 300
"""Of a span: evidence, not the text."""


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
    a, b = edges.a.tolist(), edges.b.tolist()
    reasons = [reason or WHOLE_QUESTION] * len(a)
    spans = [""] * len(a)
    for place in np.flatnonzero(edges.same).tolist():
        spans[place] = beginning(texts[b[place]])
    near = np.flatnonzero(~edges.same)
    rows, places = np.unique(np.concatenate([edges.a[near], edges.b[near]]), return_inverse=True)
    some = rows.tolist()
    runs = common_runs([texts[row] for row in some], *np.split(places, 2))
    keys = {} if reason else {row: answer_key(answers[row]) for row in some}
    for place, run in zip(near.tolist(), runs, strict=True):
        spans[place] = words_between(texts[a[place]], run)
        if not reason:
            key = keys[a[place]]
            reasons[place] = ANSWER_AWARE if len(key) > 1 and key == keys[b[place]] else NGRAM_OVERLAP
    return {"a": a, "b": b, "share": edges.share.tolist(), "reason": reasons, "span": spans}


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
