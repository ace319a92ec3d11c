"""Files of rows: every ending round-trips, and a broken file is named with its line."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import read_rows, write_rows

ROWS: list[dict[str, JSON]] = [{"id": "a", "question": "1 + 1 = ?\u2028"}, {"id": "b", "question": "∫ x dx"}]


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst", "x.parquet"])
def test_every_ending_round_trips(tmp_path: Path, name: str) -> None:
    assert write_rows(tmp_path / name, ROWS) == 2
    assert [dict(row.values) for row in read_rows(tmp_path / name)] == ROWS
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no file .*absent\.jsonl"):
        list(read_rows(tmp_path / "absent.jsonl"))


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text('{"id": 1}\n\n{"id": 2,\n')
    with pytest.raises(DataError, match=r"pool\.jsonl:3: broken JSON"):
        list(read_rows(path))


def test_a_row_that_is_no_object_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "pool.jsonl"
    path.write_text("[1, 2]\n")
    with pytest.raises(DataError, match=r"pool\.jsonl:1: a row must be a JSON object"):
        list(read_rows(path))


@pytest.mark.parametrize(
    ("name", "content"),
    [("x.jsonl.gz", b"not gzip"), ("x.jsonl", b"\xff\xfe{}"), ("x.parquet", b"PAR0"), ("x.jsonl.zst", b"not zstd")],
)
def test_a_file_that_is_not_what_its_ending_says_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name.replace(".", r"\.")):
        list(read_rows(tmp_path / name))


def test_an_unknown_ending_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n")
    with pytest.raises(DataError, match=r"\.csv"):
        list(read_rows(tmp_path / "x.csv"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_rows(path, ROWS)

    def broken() -> Iterator[dict[str, JSON]]:
        yield ROWS[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_rows(path, broken())
    assert [dict(row.values) for row in read_rows(path)] == ROWS
