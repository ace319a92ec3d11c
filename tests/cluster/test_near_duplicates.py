"""Near-duplicates by partitions: the edges of the path in memory, bit for bit, however the work is shared out."""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.cluster.test_spill import small_files
from thinkscale.cluster import HERE, Backend
from thinkscale.curation.duplicates import MAX_ROWS_OF_A_GRAM, edges
from thinkscale.curation.edges import Edges
from thinkscale.curation.words import tokens
from thinkscale.errors import ConfigError, DataError, StorageError
from thinkscale.stages.near_duplicates import Comparison, Limits, near_duplicates, whole
from thinkscale.stages.shares import Share, read, shares

TWO = Backend(workers=2)
PHRASE = "where m and n are relatively prime positive integers find m plus n"


def questions(seed: int, size: int) -> list[str]:
    """Few distinct texts, many copies, near copies and reorderings, a phrase that over 100 rows have, and blanks."""
    chance = random.Random(seed)
    made = [" ".join(chance.choice("abcdefghijklmnopqrstuvwxyz") * 2 for _ in range(30)) for _ in range(size // 10)]
    found = []
    for number in range(size):
        words = chance.choice(made).split()
        for _ in range(chance.choice([0, 0, 1, 4])):
            words[chance.randrange(len(words))] = str(chance.randrange(50))
        if chance.random() < 0.3:
            words = words[10:] + words[:10]
        found.append(" ".join(words) + (f" {PHRASE}" if chance.random() < 0.6 else ""))
        if number % 50 == 0:
            found[-1] = ["", "!!", "two words"][number // 50 % 3]
    return found


def stored(folder: Path, texts: Sequence[str | None], group: int, files: int = 1) -> list[Path]:
    import polars as pl

    paths = []
    for number, part in enumerate(np.array_split(np.array(texts, dtype=object), files)):
        paths.append(folder / f"part-{number:03d}.parquet")
        frame = pl.DataFrame(
            {"question": list(part), "noise": ["x" * 50] * len(part)}, schema_overrides={"question": pl.String}
        )
        frame.write_parquet(paths[-1], row_group_size=group)
    return paths


def limits(share_bytes: int = 1, range_size: int = 1 << 40, pairs: int = 1 << 40) -> Limits:
    return Limits(
        memory_mib=0, share_bytes=share_bytes, range_grams=range_size, range_pairs=range_size, pairs_at_once=pairs
    )


def assert_equal(found: Edges, expected: Edges) -> None:
    for name in ("a", "b", "share", "same"):
        one, other = getattr(found, name), getattr(expected, name)
        assert one.dtype == other.dtype
        assert one.tobytes() == other.tobytes(), name


@dataclass(frozen=True)
class Case:
    group: int
    files: int
    limits: Limits
    where: Backend = HERE


@pytest.mark.parametrize(
    "case",
    [
        Case(10_000, 1, limits()),
        Case(7, 1, limits()),
        Case(100, 5, limits(share_bytes=30_000, range_size=500)),
        Case(100, 5, limits(range_size=200, pairs=1000)),
        Case(64, 2, limits(range_size=3000, pairs=500), TWO),
        Case(500, 1, limits(range_size=20_000), Backend(workers=4)),
    ],
)
def test_edges_are_those_of_the_path_in_memory(tmp_path: Path, case: Case) -> None:
    texts = questions(5, 600)
    expected = edges(tokens(texts))
    assert len(expected.a) > 900
    assert 0 < expected.same.sum() < len(expected.a)
    assert sum(PHRASE in text for text in texts) > MAX_ROWS_OF_A_GRAM
    paths = stored(tmp_path, texts, case.group, case.files)
    found = list(near_duplicates(paths, tmp_path / "scratch", limits=case.limits, where=case.where))
    assert_equal(whole(iter(found)), expected)
    assert list((tmp_path / "scratch").iterdir()) == []


def test_the_work_is_in_as_many_parts_as_the_limits_say(tmp_path: Path) -> None:
    paths = stored(tmp_path, questions(5, 600), 100)
    assert len(shares(paths, ["question"], 1)) == 6
    assert len(list(near_duplicates(paths, tmp_path, limits=limits(range_size=1 << 40)))) == 1
    assert len(list(near_duplicates(paths, tmp_path, limits=limits(range_size=500)))) > 20


def test_rule_and_n_reach_the_work(tmp_path: Path) -> None:
    texts = ["A b, c d e f g h", "a B c d e f g h", "a b c d e f g x"]
    paths = stored(tmp_path, texts, 2)
    assert_equal(whole(near_duplicates(paths, tmp_path, Comparison(n=3))), edges(tokens(texts), 3))
    found = whole(near_duplicates(paths, tmp_path, Comparison(rule="s1", n=2)))
    assert_equal(found, edges(tokens(texts, "s1"), 2))
    assert not found.same.any()


@pytest.mark.parametrize("texts", [[], [""], [None, "", None], ["one"], ["a b c d e f g h i j k l m n"]])
def test_pools_without_a_pair_have_no_edges(tmp_path: Path, texts: list[str | None]) -> None:
    paths = stored(tmp_path, texts, 2)
    assert len(whole(near_duplicates(paths, tmp_path, limits=limits(), where=TWO)).a) == 0


def test_no_file_at_all_has_no_edges(tmp_path: Path) -> None:
    assert len(whole(near_duplicates([], tmp_path)).a) == 0


def test_shares_number_rows_through_all_files(tmp_path: Path) -> None:
    texts = [f"text {number}" for number in range(10)]
    paths = stored(tmp_path, texts, 2, files=2)
    found = [partition.content for partition in shares(paths, ["question"], 1)]
    assert [(share.first_row, share.num_rows) for share in found] == [(0, 2), (2, 2), (4, 1), (5, 2), (7, 2), (9, 1)]
    assert [text for share in found for text in read(share, ["question"])["question"]] == texts
    together = shares(paths, ["question"], 1 << 30)
    assert [partition.name for partition in together] == [
        "part-000.parquet rows 0 to 4",
        "part-001.parquet rows 5 to 9",
    ]


def test_wrong_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "text.parquet").write_text("no")
    with pytest.raises(DataError, match=r"text\.parquet: not a readable Parquet file"):
        shares([tmp_path / "text.parquet"], ["question"], 1)
    with pytest.raises(DataError, match=r"none\.parquet: not a readable"):
        shares([tmp_path / "none.parquet"], ["question"], 1)
    paths = stored(tmp_path, ["a"], 1)
    with pytest.raises(DataError, match="no column 'problem'; there are question, noise"):
        shares(paths, ["problem"], 1)
    with pytest.raises(DataError, match="1 rows where 2 were counted"):
        read(Share(paths[0], 0, 1, 0, 2), ["question"])


def test_a_full_disk_names_the_share_and_leaves_no_spill_file(tmp_path: Path) -> None:
    paths = stored(tmp_path, questions(5, 600), 10_000)
    with (
        small_files(50_000),
        pytest.raises(StorageError, match=r"^part-000\.parquet rows 0 to 599: .*\.run: the disk is full"),
    ):
        whole(near_duplicates(paths, tmp_path / "scratch"))
    assert list((tmp_path / "scratch").iterdir()) == []


def test_too_little_memory_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 256"):
        Limits.within(255)
    assert Limits.within(1024).range_grams > 4 * Limits.within(400).range_grams
