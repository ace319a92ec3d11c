"""Decontamination: which rows of a pool state what a benchmark asks, with the words that show it.

Rule `s1` is that of simplescaling/s1 (data/decontaminate_util.py): one shared 8-gram of white-space words. Rule
`default` works on the words that are left when layout is gone (`words.py`), and a row hits an item where
- all words are the same (`whole_question`), however few, or all but signs are (`signs_differ`), n or more;
- at least CONTAINED of the n-grams of the smaller of the two are in the other (`contained`); DIFFERENT_ANSWERS where
  both answers are whole numbers that differ; SAME_ANSWER where both have the same answer (then `answer_aware`);
- they share a run of LONG_SPAN words (`long_span`), also where many items share it;
- an item of 4 words up to n is in the row as a whole, and tells enough (`contained`, see `_tells`).
Boilerplate counts for nothing (`candidates.py`): n-grams of rows that share little else with any item, and n-grams of
many items. Both ways are covered: the smaller of the two may be the row or the item.

The numbers were chosen on 609 pairs that were read and labelled (benchmarks/curation_labels/overlaps.jsonl); how the
rule does on fresh ones is measured by benchmarks/curation_recall.py. Rejected: shares of shorter n-grams, and those
weighted by rarity. Boilerplate left in, they told the same problem from a different one less well on those pairs than
plain 8-grams: area under the curve 0.978 (3 words), 0.982 (5) and 0.987 (8, weighted) against 0.989.
"""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from functools import lru_cache

from thinkscale.curation.candidates import LONG_SPAN, Candidate, Gathered, Search
from thinkscale.curation.edges import ANSWER_AWARE, NGRAM_OVERLAP, WHOLE_QUESTION
from thinkscale.curation.ngrams import DEFAULT_N, EveryGram
from thinkscale.curation.words import DEFAULT, S1, Hashes, Tokens, rows_between, tokens, words_compared, words_of

CONTAINED_IN, SIGNS_DIFFER, LONG_RUN, QUOTED = "contained", "signs_differ", "long_span", "quoted_in_trace"

CONTAINED = 0.4
DIFFERENT_ANSWERS = 0.6
SAME_ANSWER = 0.25
"""Higher and lower by what the answers say. Of 160 labelled pairs that are the same problem 149 hit, of 146 variants of
one 57, of 331 that are different 2."""
QUOTED_SHARE, QUOTED_WORDS = 0.7, 8
"""A trace quotes an item with so much of it, or with CONTAINED and so many words that are no formula."""
SHORT_PART = 0.4
SHORT_ROWS = 10
"""A short item in a row counts where it is this part of the row's words, or where at most so many rows have it."""
ROWS_AT_ONCE = 20_000


_SIGN = re.compile(r"[^a-z]")
_NUMBER = re.compile(r"^0*(\d+)(?:\.0*)?$")


@dataclass(frozen=True, slots=True)
class Questions:
    """Columns of one length: ids, texts, and answers (None where there is none)."""

    ids: Sequence[str]
    texts: Sequence[str]
    answers: Sequence[str | None]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Items under the name that hits state as `against`."""

    name: str
    questions: Questions


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """Row `row` of the pool states item `against_id` of `against`. `share` is of the n-grams of the smaller text."""

    row: int
    against: str
    against_id: str
    reason: str
    share: float
    span: str


@dataclass(frozen=True, slots=True)
class Looked:
    """What is kept of rows that were looked over, to be joined to what others have seen."""

    search: Gathered
    texts: Mapping[int, tuple[str, str | None]]


class Overlaps:
    """Looks over a pool part by part, then tells the hits. What it holds grows with what overlaps, not with the pool.

    With `traces` the texts of the pool are traces: items are looked for in them, never they in items, and answers do
    not count. Raises ValueError on an unknown rule, and where `n` is below 1.
    """

    def __init__(
        self, benchmarks: Sequence[Benchmark], rule: str = DEFAULT, n: int = DEFAULT_N, *, traces: bool = False
    ) -> None:
        self._rule, self._traces = rule, traces
        self._items = [
            (benchmark.name, name, text, answer)
            for benchmark in benchmarks
            for name, text, answer in zip(
                benchmark.questions.ids, benchmark.questions.texts, benchmark.questions.answers, strict=True
            )
        ]
        self._search = Search(tokens([text for _, _, text, _ in self._items], rule), rule, n)
        self._texts: dict[int, tuple[str, str | None]] = {}
        self._num_rows = 0

    def fresh(self) -> "Overlaps":
        """One that looks for the same items and has seen nothing."""
        made = copy(self)
        made._search, made._texts, made._num_rows = self._search.fresh(), {}, 0
        return made

    def look(
        self,
        texts: Sequence[str],
        answers: Sequence[str | None],
        found: Tokens | None = None,
        every: EveryGram | None = None,
        keys: Hashes | None = None,
    ) -> list[int]:
        """Takes the next rows; returns which of them, numbered from 0, may hit.

        `found` are their words under the rule, `every` the n-grams and `keys` the `whole_keys` of these, if at hand.
        """
        near = self._search.look(found or tokens(texts, self._rule), every, keys)
        for row in near:
            self._texts[self._num_rows + row] = texts[row], answers[row]
        self._num_rows += len(texts)
        return near

    def looked(self) -> Looked:
        """What it has seen, without the items, which everybody has."""
        return Looked(self._search.gathered(), self._texts)

    def join(self, other: Looked) -> None:
        """Takes rows that another looked over for the same items as if it had done so itself, now."""
        self._texts.update({self._num_rows + row: text for row, text in other.texts.items()})
        self._num_rows += other.search.num_rows
        self._search.join(other.search)

    def hits(self) -> list[Hit]:
        """The hits of all rows that were looked at, by row and then by order of the items, one for each pair."""
        found: dict[tuple[int, int], tuple[str, float, Candidate]] = {}
        candidates = list(self._search.candidates())
        rows_of_short = Counter(pair.item for pair in candidates if pair.inside)
        for pair in candidates:
            reason, share = self._judged(pair, rows_of_short[pair.item])
            known = found.get((pair.row, pair.item))
            if reason and (known is None or pair.same or share > known[1]):
                found[pair.row, pair.item] = reason, share, pair
        return [self._hit(*found[key]) for key in sorted(found)]

    def _judged(self, pair: Candidate, rows_of_short: int) -> tuple[str, float]:
        """The reason of a hit, or none, and the share."""
        share = pair.shared / max(1, min(pair.row_grams, pair.item_grams))
        if self._rule == S1:
            return NGRAM_OVERLAP, share
        if self._traces:
            share = pair.shared / max(1, pair.item_grams)
            return QUOTED if share >= CONTAINED and self._quotes(pair, share) else "", share
        if pair.same:
            return WHOLE_QUESTION, 1.0
        if pair.signs:
            return SIGNS_DIFFER, share
        if pair.inside:
            return CONTAINED_IN if self._tells(pair, rows_of_short) else "", share
        if share < SAME_ANSWER or pair.long:
            return LONG_RUN if pair.span_words >= LONG_SPAN else "", share
        mine, theirs = self._answers(pair)
        differ = mine != theirs and mine.isdecimal() and theirs.isdecimal()
        if share >= (DIFFERENT_ANSWERS if differ else CONTAINED):
            return CONTAINED_IN, share
        if mine and mine == theirs and share >= SAME_ANSWER:
            return ANSWER_AWARE, share
        return LONG_RUN if pair.span_words >= LONG_SPAN else "", share

    def _tells(self, pair: Candidate, num_rows: int) -> bool:
        """Whether a short item that is in a row as a whole is evidence.

        It must hold a number or sign, and the answers be the same, or be not known to differ while the item is a good
        part of the row or is in few rows.
        """
        words = words_compared(self._items[pair.item][2])
        mine, theirs = self._answers(pair)
        if not any(_SIGN.search(word) for word in words):
            return False
        if mine and mine == theirs:
            return True
        if mine.isdecimal() and theirs.isdecimal():
            return False
        return pair.item_grams >= SHORT_PART * pair.row_grams or num_rows <= SHORT_ROWS

    def _quotes(self, pair: Candidate, share: float) -> bool:
        """Whether a trace that has a good part of an item has it as a question: formulas recur in solutions."""
        if pair.inside:
            return self._tells(pair, 0)
        return share >= QUOTED_SHARE or sum(map(str.isalpha, self._span(pair))) >= QUOTED_WORDS

    def _span(self, pair: Candidate) -> list[str]:
        words = words_compared(self._texts[pair.row][0], self._rule)
        return words[pair.span_start : pair.span_start + pair.span_words]

    def _answers(self, pair: Candidate) -> tuple[str, str]:
        return answer_key(self._texts[pair.row][1]), answer_key(self._items[pair.item][3])

    def _hit(self, reason: str, share: float, pair: Candidate) -> Hit:
        name, item_id, _, _ = self._items[pair.item]
        return Hit(
            row=pair.row,
            against=name,
            against_id=item_id,
            reason=reason,
            share=share,
            span=" ".join(self._span(pair)),
        )


def overlaps(
    pool: Questions,
    benchmarks: Sequence[Benchmark],
    rule: str = DEFAULT,
    n: int = DEFAULT_N,
    found: Tokens | None = None,
) -> list[Hit]:
    """All hits of a pool, by row and then by order of the items. `found` are the pool's words, if at hand."""
    search = Overlaps(benchmarks, rule, n)
    found = found or tokens(pool.texts, rule)
    for start in range(0, len(pool.texts), ROWS_AT_ONCE):
        part = slice(start, start + ROWS_AT_ONCE)
        search.look(pool.texts[part], pool.answers[part], rows_between(found, start, start + ROWS_AT_ONCE))
    return search.hits()


@lru_cache(maxsize=1 << 16)
def answer_key(answer: str | None) -> str:
    """An answer as it is compared: its words, the last after `####`; whole numbers as digits. Empty for none."""
    if answer and answer.isascii() and answer.isdecimal():
        return answer.lstrip("0") or "0"
    words = words_of((answer or "").rpartition("####")[2])
    return " ".join(_NUMBER.sub(r"\1", word) for word in words)
