"""Files of rows: every ending round-trips, and a broken file is named with its line."""

import datetime
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
import zstandard

from thinkscale.errors import DataError, StorageError
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
    (tmp_path / "x.xlsx").write_text("a,b\n")
    with pytest.raises(DataError, match=r"\.xlsx"):
        list(read_rows(tmp_path / "x.xlsx"))


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "x.jsonl"
    write_rows(path, ROWS)

    def broken() -> Iterator[dict[str, JSON]]:
        yield ROWS[0]
        raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        write_rows(path, broken())
    assert [dict(row.values) for row in read_rows(path)] == ROWS


LINES = b"".join(b'{"number": %d}\n' % number for number in range(5000))
FRAME = zstandard.ZstdCompressor().compress(LINES)
SKIPPABLE = b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc"


@pytest.mark.parametrize(
    ("content", "num_rows"),
    [(FRAME, 5000), (FRAME + FRAME, 10_000), (FRAME + SKIPPABLE + FRAME, 10_000), (FRAME + SKIPPABLE, 5000)],
)
def test_every_frame_of_zstd_is_read(tmp_path: Path, content: bytes, num_rows: int) -> None:
    (tmp_path / "x.jsonl.zst").write_bytes(content)
    assert len(list(read_rows(tmp_path / "x.jsonl.zst"))) == num_rows


@pytest.mark.parametrize("content", [b"", FRAME[:3], FRAME[:-1], FRAME + FRAME[:20], FRAME + FRAME[: len(FRAME) // 2]])
def test_a_cut_zstd_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.jsonl.zst").write_bytes(content)
    with pytest.raises(DataError, match=r"x\.jsonl\.zst.*cut short"):
        list(read_rows(tmp_path / "x.jsonl.zst"))


@pytest.mark.slow
def test_highly_compressed_zstd_is_read_in_bounded_pieces(tmp_path: Path) -> None:
    (tmp_path / "x.jsonl.zst").write_bytes(zstandard.ZstdCompressor().compress(b"\n" * (64 << 20) + b"{}\n"))
    assert [row.place.rpartition(":")[2] for row in read_rows(tmp_path / "x.jsonl.zst")] == [str((64 << 20) + 1)]


@pytest.mark.parametrize(
    ("rows", "columns", "expected"),
    [
        ([{"a": 1}, {"b": "x", "a": None}], (), [{"a": 1, "b": None}, {"a": None, "b": "x"}]),
        ([{"b": 1}], ("a", "b"), [{"a": None, "b": 1}]),
        ([], ("a", "b"), []),
    ],
)
def test_parquet_has_every_column(
    tmp_path: Path, rows: list[dict[str, JSON]], columns: tuple[str, ...], expected: list[dict[str, JSON]]
) -> None:
    path = tmp_path / "x.parquet"
    assert write_rows(path, rows, columns) == len(rows)
    assert [row.values for row in read_rows(path)] == expected
    assert pyarrow.parquet.read_schema(path).names == list(dict.fromkeys([*columns, *(key for r in rows for key in r)]))


@pytest.mark.parametrize(
    ("values", "message"),
    [([1, "x"], "`a`"), ([["x"], "x"], "`a`"), ([2**70], "`a`"), (["\ud800"], "`a`"), ([{}], "as Parquet")],
)
def test_values_that_make_no_parquet_are_refused(tmp_path: Path, values: list[JSON], message: str) -> None:
    with pytest.raises(DataError, match=rf"x\.parquet: .*{message}"):
        write_rows(tmp_path / "x.parquet", ({"a": value} for value in values))
    assert list(tmp_path.iterdir()) == []


def test_times_and_decimals_of_parquet_become_text(tmp_path: Path) -> None:
    day = datetime.datetime(2025, 1, 2, 3, 4, 5)
    columns = {"at": [day], "on": [day.date()], "cost": [Decimal("1.50")], "deep": [[{"at": day}]]}
    pyarrow.parquet.write_table(pyarrow.table(columns), tmp_path / "x.parquet")
    assert [row.values for row in read_rows(tmp_path / "x.parquet")] == [
        {"at": day.isoformat(), "on": "2025-01-02", "cost": "1.50", "deep": [{"at": day.isoformat()}]}
    ]


@pytest.mark.parametrize("line", ['{"a": ' + "1" * 5000 + "}", '{"a": ' + "[" * 200_000 + "]" * 200_000 + "}"])
def test_a_line_beyond_the_reader_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / "x.jsonl").write_text("{}\n" + line + "\n")
    with pytest.raises(DataError, match=r"x\.jsonl:2: a number is too long or the nesting too deep"):
        list(read_rows(tmp_path / "x.jsonl"))


@pytest.mark.parametrize("name", ["x.jsonl", "x.jsonl.gz", "x.jsonl.zst"])
def test_a_lone_surrogate_is_written_as_its_escape(tmp_path: Path, name: str) -> None:
    rows: list[dict[str, JSON]] = [{"a": "\ud800"}, {"a": "\u222b"}]
    write_rows(tmp_path / name, rows)
    assert [row.values for row in read_rows(tmp_path / name)] == rows


@pytest.mark.parametrize("name", ["file/x.jsonl", "folder.jsonl", "folder.parquet"])
def test_a_refusal_of_the_system_names_the_path(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").touch()
    (tmp_path / name).mkdir() if name.startswith("folder") else None
    with pytest.raises(StorageError, match=rf"{name}.*Nothing was lost"):
        write_rows(tmp_path / name, ROWS)
    assert {path.name for path in tmp_path.iterdir()} <= {"file", name}


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_rows(tmp_path / "x.jsonl", ROWS)

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("thinkscale.sources.files._write_lines", full)
    with pytest.raises(StorageError, match=r"x\.jsonl could not be written: No space left"):
        write_rows(tmp_path / "x.jsonl", ROWS[:1])
    assert len(list(read_rows(tmp_path / "x.jsonl"))) == 2
    assert len(list(tmp_path.iterdir())) == 1
