"""JSON arrays and CSV files stream row by row, and a broken row is named."""

import io
import json
from pathlib import Path

import pytest

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources import documents
from thinkscale.sources.files import read_rows

ROWS: list[dict[str, JSON]] = [{"a": 1, "b": "x]},{"}, {"a": -2.5, "b": [1, {"c": None}]}, {"b": '∫ \\boxed{"}'}]


def values(path: Path, without: tuple[str, ...] = ()) -> list[dict[str, JSON]]:
    return [dict(row.values) for row in read_rows(path, without)]


@pytest.mark.parametrize("indent", [None, 2])
@pytest.mark.parametrize("window", [1, 7, 1 << 20])
def test_an_array_is_read_whatever_the_window(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, window: int, indent: int | None
) -> None:
    monkeypatch.setattr(documents, "WINDOW_CHARACTERS", window)
    (tmp_path / "x.json").write_text(json.dumps(ROWS, indent=indent), encoding="utf-8")
    rows = list(read_rows(tmp_path / "x.json"))
    assert [row.values for row in rows] == ROWS
    assert [row.place for row in rows] == [f"{tmp_path}/x.json, row {number}" for number in (1, 2, 3)]


def test_an_array_is_not_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "WINDOW_CHARACTERS", 64)
    text = io.StringIO("[" + ",".join(['{"a": "0123456789"}'] * 1000) + "]")
    assert documents.starts_array(text)
    rows = documents.array_rows(text, "x")
    next(rows)
    assert text.tell() < 200


@pytest.mark.parametrize("content", ["[]", " \n[ ]\n", "\ufeff[]"])
def test_an_empty_array_has_no_rows(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    assert values(tmp_path / "x.json") == []


def test_json_lines_under_the_ending_json_are_read(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("".join(json.dumps(row) + "\n" for row in ROWS), encoding="utf-8")
    assert values(tmp_path / "x.json") == ROWS


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"a": 1}, {"a": }]', r"x\.json, row 2: broken JSON"),
        ('[{"a": 1}, {"a": 2}', r"x\.json, row 3: broken JSON"),
        ('[{"a": 1}, [2]]', r"x\.json, row 2: a row must be a JSON object, this is list"),
        ('[{"a": ' + "1" * 5000 + "}]", r"x\.json, row 1: a number is too long"),
    ],
)
def test_a_broken_array_is_refused_with_the_row(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message):
        values(tmp_path / "x.json")


def test_csv_keeps_line_breaks_in_quotes_and_says_where_a_row_ends(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('\ufeffQuestion,Year\n"Find\n$x$, then ""y""",1983\nShort,\n', encoding="utf-8")
    rows = list(read_rows(tmp_path / "x.csv"))
    assert [row.values for row in rows] == [
        {"Question": 'Find\n$x$, then "y"', "Year": "1983"},
        {"Question": "Short", "Year": None},
    ]
    assert [row.place.rpartition(":")[2] for row in rows] == ["3", "4"]


def test_a_csv_row_with_too_many_fields_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("a,b\n1,2\n1,2,3\n")
    with pytest.raises(DataError, match=r"x\.csv:3: more fields"):
        values(tmp_path / "x.csv")


@pytest.mark.parametrize("name", ["x.jsonl", "x.json", "x.csv", "x.parquet"])
def test_a_column_that_is_left_out_is_not_there(tmp_path: Path, name: str) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [{"a": "1", "b": "2"}]
    match name.rpartition(".")[2]:
        case "parquet":
            pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / name)
        case "csv":
            (tmp_path / name).write_text("a,b\n1,2\n")
        case _:
            (tmp_path / name).write_text(json.dumps(rows if name == "x.json" else rows[0]))
    assert values(tmp_path / name, ("b",)) == [{"a": "1"}]
