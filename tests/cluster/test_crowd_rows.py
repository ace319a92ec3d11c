"""Crowds of a pool by shares, levels and ranges are those of the whole at once, bit for bit."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from tests.cluster.test_near_duplicates import limits
from tests.curation.test_crowds import FENCE, edited, wrapped
from thinkscale.cluster import HERE, Backend
from thinkscale.curation.crowds import Members, members
from thinkscale.curation.duplicates import crowded_rows
from thinkscale.curation.likeness import answer_numbers
from thinkscale.curation.measures import table
from thinkscale.curation.words import tokens
from thinkscale.stages import crowd_rows
from thinkscale.stages.crowd_rows import candidates, members_in, placed_crowds
from thinkscale.stages.curate_shares import Curation, compared, described_edges, measured, survey
from thinkscale.stages.near_duplicates import spilled_pairs, whole
from thinkscale.stages.rooms import spilling
from thinkscale.stages.shares import shares


def crowded_pool() -> tuple[list[str], list[str]]:
    """Two crowds with two answers each, questions in a wrapping, and others; shuffled, some without an answer."""
    generator = random.Random(11)
    texts = [edited(number, generator) for number in range(500)]
    texts += [wrapped(number, 1 + number % 3) for number in range(300)]
    texts += [f"Nobody asks question {number} about {number * 7} in the words of this one." for number in range(80)]
    answers = [("", "7", "8")[number % 3] for number in range(len(texts))]
    order = list(range(len(texts)))
    generator.shuffle(order)
    return [texts[place] for place in order], [answers[place] for place in order]


def at_once(texts: Sequence[str], answers: Sequence[str]) -> Members:
    found = tokens(texts)
    rows = crowded_rows(found)
    return members(found, rows, answer_numbers([answers[row] for row in rows.tolist()]))


def written(folder: Path, texts: Sequence[str], answers: Sequence[str], group: int) -> Path:
    path = folder / "pool.parquet"
    nulls = pl.when(pl.col("reference") != "").then("reference")
    frame = pl.DataFrame({"source": ["one"] * len(texts), "question": texts, "reference": answers})
    frame.with_columns(reference=nulls).write_parquet(path, row_group_size=group)
    return path


@pytest.mark.parametrize(
    ("group", "words_at_once", "edges_at_once", "where"),
    [(1_000, 1 << 20, 1 << 40, HERE), (70, 400, 50, HERE), (150, 1, 1 << 40, Backend(workers=2))],
)
def test_crowds_by_parts_are_those_of_the_whole(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    group: int,
    words_at_once: int,
    edges_at_once: int,
    where: Backend,
) -> None:
    texts, answers = crowded_pool()
    expected = at_once(texts, answers)
    assert len(set(expected.firsts.tolist())) >= 4
    if where is HERE:  # another process has its own constants
        monkeypatch.setattr(crowd_rows, "BUCKET_BITS", 5)
        monkeypatch.setattr(crowd_rows, "JOINED_AT_ONCE", words_at_once)
    some = replace(limits(range_size=4 * words_at_once), edges_at_once=edges_at_once)
    curation = Curation()
    partitions = shares([written(tmp_path, texts, answers, group)], curation.columns, 1)
    every = [part.content for part in partitions]
    with spilling(tmp_path) as empty:
        found = survey(partitions, empty, curation, limits(range_size=20_000), HERE)
        rooms = spilled_pairs(empty, found.num_grams, limits(range_size=20_000), HERE).rooms
        placed, ranges = placed_crowds(rooms, candidates(rooms, every), compared(curation), some, where)
        parts = [members_in(rooms, placed, part.content) for part in ranges]
    assert (len(parts) > 5) == (edges_at_once < 100)
    for name in ("firsts", "rows", "share"):
        assert np.array_equal(np.concatenate([getattr(part, name) for part in parts]), getattr(expected, name)), name


def test_members_are_the_same_as_their_first_row_for_who_decides(tmp_path: Path) -> None:
    texts, answers = crowded_pool()
    expected = at_once(texts, answers)
    path = written(tmp_path, texts, answers, 200)
    with measured([path], tmp_path, limits=limits(range_size=20_000)) as found:
        edges = whole(found.edges)
    last = slice(len(edges.a) - len(expected.rows), None)
    assert np.array_equal(edges.a[last], expected.firsts)
    assert np.array_equal(edges.b[last], expected.rows)
    assert edges.same[last].all()


@pytest.mark.parametrize("few_rows", [crowd_rows.FEW_ROWS, 1])
def test_described_crowds_are_the_same_as_one_part_beside_others_and_in_maps_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, few_rows: int
) -> None:
    monkeypatch.setattr(crowd_rows, "FEW_ROWS", few_rows)
    texts, answers = crowded_pool()
    expected = at_once(texts, answers)
    partitions = shares([written(tmp_path, texts, answers, 200)], Curation().columns, 1)
    some = replace(limits(range_size=20_000), edges_at_once=100)
    with spilling(tmp_path) as rooms:
        found = survey(partitions, rooms, Curation(), some, HERE)
        every = [part.content for part in partitions]
        tables = list(described_edges(rooms, found.num_grams, every, Curation(), some, HERE))
    frame = pl.concat([table("edges", {}), *tables])
    near = frame.filter(pl.col("reason") == "near_copy").sort("b")
    assert near["a"].to_list() == expected.firsts.tolist()
    assert near["b"].to_list() == expected.rows.tolist()
    assert near["share"].to_list() == expected.share.tolist()
    assert near.filter(pl.col("span") == "").height == 0
    assert frame.filter(pl.col("reason") != "near_copy").height > 0


def test_a_pool_without_candidates_has_no_crowds_and_no_text_is_read_again(tmp_path: Path) -> None:
    path = written(tmp_path, [FENCE, FENCE], ["", ""], 1)
    with measured([path], tmp_path, limits=limits(range_size=100)) as found:
        path.unlink()
        edges = whole(found.edges)
    assert (edges.a.tolist(), edges.b.tolist(), edges.same.tolist()) == ([0], [1], [True])
