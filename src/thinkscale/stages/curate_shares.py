"""Curation of a pool of any size: faults, overlaps with benchmarks, and near-duplicates, share by share.

One pass over the texts: a share is read once, cut into words once, and then

- its questions' faults are found (curation/quality), a table of the faulty ones;
- it is looked over for the benchmarks' questions (curation/overlap). Which n-grams are boilerplate hangs on the whole
  pool, so what a share has seen is joined in order, and the hits are told at the end;
- its n-grams are spilled for near-duplicates (near_duplicates.py).

What is gathered in one place is narrow: faults, hits and edges, and of each row a few numbers, never a text. Equal at
any number of shares, ranges and workers.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from thinkscale.cluster import HERE, Backend, connected, map_partitions
from thinkscale.curation.duplicates import Edges
from thinkscale.curation.overlap import Benchmark, Hit, Looked, Overlaps
from thinkscale.curation.words import tokens
from thinkscale.stages.near_duplicates import (
    DEFAULT_MIB,
    Comparison,
    Limits,
    Rooms,
    Rows,
    spill_words,
    spilled_edges,
    spilling,
)
from thinkscale.stages.shares import Share, read, shares

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True, kw_only=True)
class Curation:
    """What is measured: the pool's columns, the benchmarks, and how texts are compared."""

    question: str = "question"
    reference: str = "reference"
    narrow: tuple[str, ...] = ("source",)
    """Columns that are gathered for all rows."""
    benchmarks: tuple[Benchmark, ...] = ()
    comparison: Comparison = field(default_factory=Comparison)

    @property
    def columns(self) -> list[str]:
        """All that is read of a share."""
        return list(dict.fromkeys((self.question, self.reference, *self.narrow)))


@dataclass(frozen=True, slots=True)
class SharedMeasures:
    """What is known of all rows. `edges` are made while they are taken, and must be taken inside the context."""

    rows: "pl.DataFrame"
    """The narrow columns and `characters` of the question, in order."""
    faults: "pl.DataFrame"
    """row, reason, evidence: sorted by row."""
    hits: list[Hit]
    edges: Iterator[Edges]


@dataclass(frozen=True, slots=True)
class Seen:
    """What one share gives. `overlaps` is what looking over it has added to an empty state."""

    rows: "pl.DataFrame"
    faults: "pl.DataFrame"
    overlaps: Looked
    num_grams: Rows


@contextmanager
def measured(
    paths: Sequence[Path],
    scratch: Path,
    curation: Curation | None = None,
    limits: Limits | None = None,
    where: Backend = HERE,
) -> Iterator[SharedMeasures]:
    """Measures all rows of Parquet files. Spill files lie in `scratch` until the context ends."""
    import polars as pl

    curation, limits = curation or Curation(), limits or Limits.within(DEFAULT_MIB)
    partitions = shares(paths, curation.columns, limits.share_bytes)
    overlaps = Overlaps(curation.benchmarks, curation.comparison.rule, curation.comparison.n)
    rows, faults, counts = [], [], []
    num_rows = sum(partition.content.num_rows for partition in partitions)
    with connected(where), spilling(scratch, num_rows) as rooms:
        work = partial(look, rooms, curation, copy.deepcopy(overlaps))  # in this process it would see what is joined
        for seen in map_partitions(work, partitions, where, limits.memory_mib):
            rows.append(seen.rows)
            faults.append(seen.faults)
            counts.append(seen.num_grams)
            overlaps.join(seen.overlaps)
        edges = spilled_edges(rooms, counts, curation.comparison, limits, where)
        yield SharedMeasures(
            pl.concat(rows) if rows else pl.DataFrame(),
            pl.concat(faults)
            if faults
            else pl.DataFrame(schema={"row": pl.Int64, "reason": pl.String, "evidence": pl.String}),
            overlaps.hits(),
            edges,
        )


def look(rooms: Rooms, curation: Curation, overlaps: Overlaps, share: Share) -> Seen:
    """Looks over one share; `overlaps` has the benchmarks and has seen nothing."""
    import polars as pl

    from thinkscale.curation.quality.columns import question_fault_table

    frame = read(share, curation.columns).with_columns(pl.col(curation.question, curation.reference).fill_null(""))
    asked = frame.select(question=pl.col(curation.question), reference=pl.col(curation.reference))
    faults = question_fault_table(asked).with_columns(pl.col("row") + share.first_row)
    texts, answers = asked["question"].to_list(), asked["reference"].to_list()
    found = tokens(texts, curation.comparison.rule)
    own = copy.deepcopy(overlaps)
    own.look(texts, answers, found)
    rows = frame.select(*curation.narrow, characters=pl.col(curation.question).str.len_chars())
    return Seen(rows, faults, own.looked(), spill_words(rooms, curation.comparison.n, share, found))
