"""Curation of a pool of any size: faults, overlaps with benchmarks, and near-duplicates, share by share.

One pass over the texts: a share is read once, cut into words once, and then

- its questions' faults are found (curation/quality), a table of the faulty ones;
- it is looked over for the benchmarks' questions (curation/overlap). Which n-grams are boilerplate hangs on the whole
  pool, so what a share has seen is joined in order, and the hits are told at the end;
- its n-grams are spilled for near-duplicates (near_duplicates.py).

What is gathered in one place is narrow: faults, hits and edges, and of each row a few numbers, never a text. Equal at
any number of shares, ranges and workers.
"""

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thinkscale.cluster import HERE, Backend, Partition, connected, map_partitions
from thinkscale.cluster.spill import KeyRange
from thinkscale.curation.crowds import Crowds, Members, chosen_rows
from thinkscale.curation.edges import NEAR_COPY, Edges
from thinkscale.curation.garbage import RARELY
from thinkscale.curation.likeness import answer_numbers, crowd_edges, described
from thinkscale.curation.ngrams import every_gram
from thinkscale.curation.overlap import Benchmark, Hit, Looked, Overlaps
from thinkscale.curation.quality import DEFAULT_RULES, QuestionLimits
from thinkscale.curation.units import distinct
from thinkscale.curation.words import Hashes, Integers, Tokens, tokens
from thinkscale.stages.near_duplicates import (
    DEFAULT_MIB,
    Comparison,
    Limits,
    Rows,
    edges_in,
    spill_words,
    spilled_pairs,
)
from thinkscale.stages.rooms import Rooms, spilling
from thinkscale.stages.shares import Share, read, rows_of, shares
from thinkscale.store.atomic import writing

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Curation:
    """What is measured: the pool's columns, the benchmarks, and how texts are compared."""

    question: str = "question"
    reference: str = "reference"
    of_faults: tuple[str, ...] = ()
    """More columns that rules of curation/quality read: kind, tests, source."""
    narrow: tuple[str, ...] = ("source",)
    """Columns of text with few different values that are gathered for all rows."""
    rules: frozenset[str] = DEFAULT_RULES
    limits: QuestionLimits = field(default_factory=QuestionLimits)
    benchmarks: tuple[Benchmark, ...] = ()
    comparison: Comparison = field(default_factory=Comparison)

    @property
    def columns(self) -> list[str]:
        """All that is read of a share."""
        return list(dict.fromkeys((self.question, self.reference, *self.of_faults, *self.narrow)))


@dataclass(frozen=True, slots=True)
class SharedMeasures:
    """What is known of all rows. `edges` are made while they are taken, and must be taken inside the context."""

    rows: "pl.DataFrame"
    """The narrow columns as categories, and `characters` of the question, in order."""
    faults: "pl.LazyFrame"
    """row, reason, evidence: sorted by row. They lie on the disk, and must be collected inside the context."""
    hits: list[Hit]
    edges: Iterator[Edges]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one share gives. `overlaps` is what looking over it has added to an empty state."""

    rows: "pl.DataFrame"
    faults: Path
    overlaps: Looked
    num_grams: Rows


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the pass over the texts gives; the n-grams lie in `rooms`."""

    rows: "pl.DataFrame"
    faults: "pl.LazyFrame"
    hits: list[Hit]
    num_grams: list[Rows]
    """Of the shares, in order."""


@contextmanager
def measured(
    paths: Sequence[Path],
    scratch: Path,
    curation: Curation | None = None,
    limits: Limits | None = None,
    where: Backend = HERE,
) -> Iterator[SharedMeasures]:
    """Measures all rows of Parquet files. Spill files lie in `scratch` until the context ends."""
    curation, limits = curation or Curation(), limits or Limits.within(DEFAULT_MIB)
    with connected(where, prepare) as here, spilling(scratch) as rooms:
        partitions = shares(paths, curation.columns, limits.share_bytes)
        found = survey(partitions, rooms, curation, limits, here)
        every = [partition.content for partition in partitions]
        yield SharedMeasures(
            found.rows, found.faults, found.hits, _all_edges(rooms, found.num_grams, every, curation, limits, here)
        )


def _all_edges(
    rooms: Rooms, num_grams: Sequence[Rows], every: Sequence[Share], curation: Curation, limits: Limits, where: Backend
) -> Iterator[Edges]:
    """Edges between two rows, ascending; then those of crowds, whose members are the same as its first row."""
    pairs = spilled_pairs(rooms, num_grams, limits, where)
    work = partial(edges_in, pairs.rooms, curation.comparison)
    yield from map_partitions(work, pairs.ranges, where, limits.memory_mib)
    near = crowd_edges(crowd_members(pairs.crowded, every, curation, limits, where))
    yield replace(near, same=np.ones(len(near.a), np.bool_))


def survey(
    partitions: Iterable[Partition[Share]], rooms: Rooms, curation: Curation, limits: Limits, where: Backend
) -> Surveyed:
    """Looks over all shares, as they come."""
    import polars as pl

    overlaps = Overlaps(curation.benchmarks, curation.comparison.rule, curation.comparison.n)
    rows, counts = [], []
    faults: list[Path] = []
    work = partial(look, rooms, replace(curation, benchmarks=()), overlaps.fresh())
    for seen in map_partitions(work, partitions, where, limits.memory_mib):
        rows.append(seen.rows)
        faults.append(seen.faults)
        counts.append(seen.num_grams)
        overlaps.join(seen.overlaps)
    return Surveyed(
        pl.concat(rows, rechunk=True) if rows else pl.DataFrame(),
        pl.scan_parquet(faults)
        if faults
        else pl.LazyFrame(schema={"row": pl.Int64, "reason": pl.String, "evidence": pl.String}),
        overlaps.hits(),
        counts,
    )


def prepare() -> None:
    """What a process of its own imports and compiles before it has seen a text."""
    import polars as pl

    from thinkscale.curation.quality.columns import question_fault_table

    question_fault_table(pl.DataFrame({"question": ["How many?"]}))
    tokens(["How many?"])
    gc.set_threshold(*RARELY)
    gc.freeze()


def look(rooms: Rooms, curation: Curation, overlaps: Overlaps, share: Share) -> Seen:
    """Looks over one share; `overlaps` has the benchmarks and has seen nothing."""
    import polars as pl

    from thinkscale.curation.quality.columns import question_fault_table

    frame = read(share, curation.columns).with_columns(pl.col(curation.question, curation.reference).fill_null(""))
    asked = frame.select(*curation.of_faults, question=pl.col(curation.question), reference=pl.col(curation.reference))
    faults = question_fault_table(asked, curation.rules, curation.limits)
    texts, answers = asked["question"].to_list(), asked["reference"].to_list()
    found = tokens(texts, curation.comparison.rule)
    every = every_gram(found, curation.comparison.n)
    own = overlaps.fresh()
    own.look(texts, answers, found, every)
    rows = frame.select(
        pl.col(curation.narrow).cast(pl.Categorical), characters=pl.col(curation.question).str.len_chars()
    )
    path = rooms.folder / f"faults-{share.first_row:010d}.parquet"
    with writing(path):
        faults.with_columns(pl.col("row") + share.first_row).write_parquet(path, statistics=False)
    return Seen(
        rows,
        path,
        own.looked(),
        spill_words(rooms, share, found, every),
    )


def described_edges(
    rooms: Rooms, num_grams: Sequence[Rows], every: Sequence[Share], curation: Curation, limits: Limits, where: Backend
) -> "Iterator[pl.DataFrame]":
    """The table `edges` of measures, in parts: what two rows share in words, besides how much.

    Edges between two rows ascend; behind them come those between the first row of a crowd and its others, which one
    process works out while others are still at the ranges.
    """
    pairs = spilled_pairs(rooms, num_grams, limits, where)
    work = partial(describe_part, pairs.rooms, curation, limits, tuple(every))
    crowd = Partition(f"{len(pairs.crowded)} rows that may be of a crowd", pairs.crowded)
    yield from map_partitions(work, [*pairs.ranges, crowd], where, limits.memory_mib)


def describe_part(
    rooms: Rooms, curation: Curation, limits: Limits, every: Sequence[Share], part: "KeyRange | Integers"
) -> "pl.DataFrame":
    """The edges of a range of pairs, or those of the crowds among some rows, with the words that show them."""
    if isinstance(part, KeyRange):
        return describe(edges_in(rooms, curation.comparison, part), curation, limits.edges_at_once, every)
    near = crowd_edges(crowd_members(part, every, curation, limits, HERE))
    return describe(near, curation, limits.edges_at_once, every, NEAR_COPY)


def describe(
    found: Edges, curation: Curation, edges_at_once: int, every: Sequence[Share], reason: str | None = None
) -> "pl.DataFrame":
    """Edges with the words that show them; texts of some of them are held at a time."""
    import polars as pl

    from thinkscale.curation.measures import table

    parts = [table("edges", {})]
    for start in range(0, len(found.a), edges_at_once):
        chosen = slice(start, start + edges_at_once)
        some = Edges(found.a[chosen], found.b[chosen], found.share[chosen], found.same[chosen])
        numbers = distinct(np.concatenate([some.a, some.b]))
        texts, answers = texts_and_answers(numbers, every, curation)
        keyed = numbers.tolist()
        facts = described(some, dict(zip(keyed, texts, strict=True)), dict(zip(keyed, answers, strict=True)), reason)
        parts.append(table("edges", facts))
    return pl.concat(parts)


def texts_and_answers(numbers: Integers, every: Sequence[Share], curation: Curation) -> tuple[list[str], list[str]]:
    """Questions and references of some rows, given ascending; empty where there is none."""
    rows = rows_of(every, numbers, [curation.question, curation.reference])
    texts, answers = (rows[name].fill_null("").to_list() for name in (curation.question, curation.reference))
    return texts, answers


def crowd_members(
    crowded: Integers, every: Sequence[Share], curation: Curation, limits: Limits, where: Backend
) -> Members:
    """The crowds among the rows `crowded`, whose texts are read a second time, some of them at a time."""
    crowds = Crowds(curation.comparison.n)
    parts = np.split(crowded, range(limits.edges_at_once, len(crowded), limits.edges_at_once))
    named = [Partition(f"{len(part)} rows that may be of a crowd", part) for part in parts if len(part)]
    work = partial(words_and_answers, tuple(every), curation)
    for part, (found, answers) in zip(named, map_partitions(work, named, where, limits.memory_mib), strict=True):
        crowds.take(part.content.tolist(), found, answers.tolist())
    return crowds.members()


def words_and_answers(every: Sequence[Share], curation: Curation, rows: Integers) -> tuple[Tokens, Hashes]:
    """The words of some rows in the order in which they are given, and their answers as numbers."""
    order = np.argsort(rows)
    texts, answers = texts_and_answers(rows[order], every, curation)
    places = np.argsort(order)
    found = tokens(texts, curation.comparison.rule)
    return chosen_rows(found, places), answer_numbers(answers)[places]
