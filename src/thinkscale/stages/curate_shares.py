"""Curation of a pool of any size: faults, overlaps with benchmarks, and near-duplicates, share by share.

One pass over the texts: a share is read once, cut into words once, and then

- its questions' faults are found (curation/quality), a table of the faulty ones;
- it is looked over for the benchmarks' questions (curation/overlap). Which n-grams are boilerplate hangs on the whole
  pool, so what a share has seen is joined in order, and the hits are told at the end;
- its n-grams are spilled for near-duplicates (near_duplicates.py).

What is gathered in one place is hits, and of each row a few bytes. The rest lies on the disk: faults, narrow columns,
members of crowds; edges come part by part. Equal at any number of shares, ranges and workers.
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
from thinkscale.curation.edges import NEAR_COPY, Edges
from thinkscale.curation.garbage import RARELY
from thinkscale.curation.likeness import crowd_edges, described
from thinkscale.curation.measures import table
from thinkscale.curation.ngrams import every_gram
from thinkscale.curation.overlap import Benchmark, Hit, Looked, Overlaps
from thinkscale.curation.quality import DEFAULT_RULES, QuestionLimits
from thinkscale.curation.units import distinct
from thinkscale.curation.words import tokens, whole_keys
from thinkscale.stages.crowd_rows import (
    Candidates,
    Compared,
    Placed,
    RowRange,
    candidates,
    few_together,
    members_in,
    placed_crowds,
)
from thinkscale.stages.kept_texts import keep_texts, kept_texts
from thinkscale.stages.near_duplicates import (
    DEFAULT_MIB,
    Comparison,
    Limits,
    edges_in,
    spill_words,
    spilled_pairs,
)
from thinkscale.stages.rooms import Rooms, spilling
from thinkscale.stages.shares import Share, read, shares
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
    texts: bool = True
    """Keep questions and references at hand, for `described_edges`."""
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

    rows: "pl.LazyFrame"
    """The narrow columns as categories, and `characters` of the question, in order; nothing where none is narrow."""
    faults: "pl.LazyFrame"
    """row, reason, evidence: sorted by row. Both lie on the disk, and must be collected inside the context."""
    hits: list[Hit]
    edges: Iterator[Edges]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one share gives. `overlaps` is what looking over it has added to an empty state."""

    rows: Path | None
    faults: Path
    overlaps: Looked
    num_grams: Path


@dataclass(frozen=True, slots=True)
class Surveyed:
    """What the pass over the texts gives; the n-grams lie in `rooms`."""

    rows: "pl.LazyFrame"
    faults: "pl.LazyFrame"
    hits: list[Hit]
    num_grams: list[Path]
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
    curation, limits = replace(curation or Curation(), texts=False), limits or Limits.within(DEFAULT_MIB)
    with connected(where, prepare) as here, spilling(scratch) as rooms:
        partitions = shares(paths, curation.columns, limits.share_bytes)
        found = survey(partitions, rooms, curation, limits, here)
        every = [partition.content for partition in partitions]
        yield SharedMeasures(
            found.rows, found.faults, found.hits, _all_edges(rooms, found.num_grams, every, curation, limits, here)
        )


def _all_edges(
    rooms: Rooms, num_grams: Sequence[Path], every: Sequence[Share], curation: Curation, limits: Limits, where: Backend
) -> Iterator[Edges]:
    """Edges between two rows, ascending; then those of crowds, whose members are the same as its first row."""
    pairs = spilled_pairs(rooms, num_grams, limits, where)
    work = partial(edges_in, pairs.rooms, curation.comparison)
    yield from map_partitions(work, pairs.ranges, where, limits.memory_mib)
    placed, ranges = placed_crowds(pairs.rooms, candidates(pairs.rooms, every), compared(curation), limits, where)
    for part in ranges:
        near = crowd_edges(members_in(pairs.rooms, placed, part.content))
        yield replace(near, same=np.ones(len(near.a), np.bool_))


def compared(curation: Curation) -> Compared:
    """What the search for crowds needs of it."""
    return Compared(curation.question, curation.reference, curation.comparison.rule, curation.comparison.n)


def survey(
    partitions: Iterable[Partition[Share]], rooms: Rooms, curation: Curation, limits: Limits, where: Backend
) -> Surveyed:
    """Looks over all shares, as they come."""
    import polars as pl

    overlaps = Overlaps(curation.benchmarks, curation.comparison.rule, curation.comparison.n)
    rows: list[Path] = []
    counts: list[Path] = []
    faults: list[Path] = []
    work = partial(look, rooms, replace(curation, benchmarks=()), overlaps.fresh())
    for seen in map_partitions(work, partitions, where, limits.memory_mib):
        rows += [seen.rows] if seen.rows else []
        faults.append(seen.faults)
        counts.append(seen.num_grams)
        overlaps.join(seen.overlaps)
    return Surveyed(
        pl.scan_parquet(rows) if rows else pl.LazyFrame(),
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
    if curation.texts:
        keep_texts(rooms, share, [asked["question"], asked["reference"]])
    found = tokens(texts, curation.comparison.rule)
    every = every_gram(found, curation.comparison.n)
    own = overlaps.fresh()
    keys = whole_keys(found)
    own.look(texts, answers, found, every, keys)
    rows = _narrow(rooms, curation, share, frame) if curation.narrow else None
    path = rooms.folder / f"faults-{share.first_row:010d}.parquet"
    with writing(path):
        faults.with_columns(pl.col("row") + share.first_row).write_parquet(path, statistics=False)
    return Seen(
        rows,
        path,
        own.looked(),
        spill_words(rooms, share, keys, every),
    )


def _narrow(rooms: Rooms, curation: Curation, share: Share, frame: "pl.DataFrame") -> Path:
    import polars as pl

    path = rooms.folder / f"narrow-{share.first_row:010d}.parquet"
    characters = pl.col(curation.question).str.len_chars()
    with writing(path):
        frame.select(pl.col(curation.narrow).cast(pl.Categorical), characters=characters).write_parquet(
            path, statistics=False
        )
    return path


def described_edges(
    rooms: Rooms, num_grams: Sequence[Path], every: Sequence[Share], curation: Curation, limits: Limits, where: Backend
) -> "Iterator[pl.DataFrame]":
    """The table `edges` of measures, in parts: what two rows share in words, besides how much.

    Edges between two rows ascend; behind them come those between the first row of a crowd and its others. Crowds among
    a few rows are the work of one process, while others are still at the ranges.
    """
    pairs = spilled_pairs(rooms, num_grams, limits, where)
    of_crowds = candidates(pairs.rooms, every)
    few = [few_together(of_crowds)] if of_crowds.shares and of_crowds.are_few else []
    work = partial(describe_part, pairs.rooms, curation, limits, tuple(every))
    yield from map_partitions(work, [*pairs.ranges, *few], where, limits.memory_mib)
    if not few:
        placed, ranges = placed_crowds(pairs.rooms, of_crowds, compared(curation), limits, where)
        work = partial(describe_crowds, pairs.rooms, curation, limits, tuple(every), placed)
        yield from map_partitions(work, ranges, where, limits.memory_mib)


def describe_part(
    rooms: Rooms, curation: Curation, limits: Limits, every: Sequence[Share], part: KeyRange | Candidates
) -> "pl.DataFrame":
    """The edges of a range of pairs, or of the crowds among some rows, with the words that show them."""
    import polars as pl

    if isinstance(part, KeyRange):
        return describe(rooms, edges_in(rooms, curation.comparison, part), limits.edges_at_once, every)
    placed, ranges = placed_crowds(rooms, part, compared(curation), limits, HERE)
    tables = [describe_crowds(rooms, curation, limits, every, placed, some.content) for some in ranges]
    return pl.concat([table("edges", {}), *tables])


def describe_crowds(
    rooms: Rooms, curation: Curation, limits: Limits, every: Sequence[Share], placed: Placed, part: RowRange
) -> "pl.DataFrame":
    """The edges of the crowds among a range of rows with the words that show them."""
    return describe(rooms, crowd_edges(members_in(rooms, placed, part)), limits.edges_at_once, every, NEAR_COPY)


def describe(
    rooms: Rooms, found: Edges, edges_at_once: int, every: Sequence[Share], reason: str | None = None
) -> "pl.DataFrame":
    """Edges with the words that show them; texts of some of them are held at a time."""
    import polars as pl

    parts = [table("edges", {})]
    for start in range(0, len(found.a), edges_at_once):
        chosen = slice(start, start + edges_at_once)
        some = Edges(found.a[chosen], found.b[chosen], found.share[chosen], found.same[chosen])
        numbers = distinct(np.concatenate([some.a, some.b]))
        texts, answers = kept_texts(rooms, every, numbers, 2)
        keyed = numbers.tolist()
        facts = described(some, dict(zip(keyed, texts, strict=True)), dict(zip(keyed, answers, strict=True)), reason)
        parts.append(table("edges", facts))
    return pl.concat(parts)
