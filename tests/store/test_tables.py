import dataclasses
from pathlib import Path
from typing import Any

import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from thinkscale.errors import DataError, EncodingError
from thinkscale.records import Label, Problem, Record, to_row
from thinkscale.store import tables
from thinkscale.store.tables import TABLES, read_table, schema, write_rows, write_table

from .samples import CELL, EVERY_KIND, problem


def test_the_samples_cover_every_table() -> None:
    assert set(EVERY_KIND) == set(TABLES)


@pytest.mark.parametrize("table", TABLES)
def test_records_come_back_exactly(table: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    record_type: type[Record] = TABLES[table]
    assert write_table(path, record_type, EVERY_KIND[table]) == len(EVERY_KIND[table])
    found = list(read_table(path, record_type))
    assert found == list(EVERY_KIND[table])
    assert {type(record) for record in found} == {record_type}


def test_values_keep_their_types(tmp_path: Path) -> None:
    write_table(tmp_path / "p.parquet", Problem, EVERY_KIND["problems"])
    original = EVERY_KIND["problems"][1]
    found = list(read_table(tmp_path / "p.parquet", Problem))[1]
    for field in dataclasses.fields(Problem):
        assert type(getattr(found, field.name)) is type(getattr(original, field.name)), field.name
    assert [type(item) for item in found.extra["b"][:2]] == [int, float]  # type: ignore[index, union-attr]


def test_the_schema_has_native_columns_and_marks_json() -> None:
    found = schema(tables.TABLES["responses"])
    assert found.field("thinking_tokens").type == pa.int64()
    assert found.field("finish").type == pa.string()
    assert not found.field("finish").nullable
    assert found.field("error").nullable
    assert found.field("forced").type == pa.list_(
        pa.field("element", pa.list_(pa.field("element", pa.int64(), False)), False)
    )
    assert found.field("sampling").metadata == {b"thinkscale.encoding": b"json"}
    assert schema(TABLES["problems"]).field("choices").type == pa.list_(pa.field("element", pa.string(), False))
    assert schema(TABLES["cells"]).field("accuracy").type == pa.float64()


def test_equal_rows_give_equal_bytes_in_row_groups_of_a_fixed_size(tmp_path: Path) -> None:
    first, second = tmp_path / "a.parquet", tmp_path / "b.parquet"
    write_table(first, Problem, [problem(number) for number in range(2500)])
    write_rows(second, Problem, (to_row(problem(number)) for number in range(2500)))
    assert first.read_bytes() == second.read_bytes()
    metadata = pq.read_metadata(first)
    assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [1000, 1000, 500]
    assert [found.id for found in read_table(first, Problem)] == [f"lab-{number}" for number in range(2500)]


def test_an_empty_table_is_a_table(tmp_path: Path) -> None:
    assert write_table(tmp_path / "x.parquet", Label, []) == 0
    assert list(read_table(tmp_path / "x.parquet", Label)) == []


def test_other_programs_read_and_write_our_tables(tmp_path: Path) -> None:
    path, again = tmp_path / "x.parquet", tmp_path / "y.parquet"
    write_table(path, Problem, EVERY_KIND["problems"])
    pl.read_parquet(path).write_parquet(again)
    assert list(read_table(again, Problem)) == list(EVERY_KIND["problems"])


def test_a_failed_write_leaves_the_old_table_and_no_debris(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    write_table(path, Label, EVERY_KIND["labels"])
    before = path.read_bytes()

    def broken() -> Any:  # noqa: ANN401 - a generator that fails
        yield from (problem(number) for number in range(1500))
        raise RuntimeError("source failed")

    with pytest.raises(RuntimeError, match="source failed"):
        write_table(path, Problem, broken())
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["x.parquet"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"level": 2**63}, "column level"),
        ({"question": None}, "column question may not be empty"),
        ({"question": 3}, "column question"),
        ({"question": "\ud800"}, "column question"),
        ({"choices": ["a", 1]}, "column choices"),
        ({"surprise": 1}, "has no field surprise"),
    ],
)
def test_a_value_that_does_not_fit_is_refused(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(EncodingError, match=message):
        write_rows(tmp_path / "x.parquet", Problem, [{**to_row(problem(1)), **change}])
    assert list(tmp_path.iterdir()) == []


def test_a_row_without_a_field_that_has_a_default_gets_it(tmp_path: Path) -> None:
    row = to_row(problem(1))
    del row["level"]
    write_rows(tmp_path / "x.parquet", Problem, [row])
    assert list(read_table(tmp_path / "x.parquet", Problem)) == [problem(1)]
    del row["question"]
    with pytest.raises(EncodingError, match="a row is no Problem"):
        write_rows(tmp_path / "x.parquet", Problem, [row])


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"problem_id": ["a"], "nam": ["b"]}, "has no column nam; its columns are problem_id, name"),
        ({"problem_id": [1]}, "column problem_id is int64, not string"),
        ({"problem_id": [["a"]]}, "column problem_id is list"),
        ({"problem_id": ["a"]}, "row 0 is no Label"),
        (
            {"problem_id": ["a", None], "name": ["", ""], "value": ["", ""], "by": ["", ""]},
            "row 1 .*problem_id is empty",
        ),
    ],
)
def test_a_foreign_table_is_refused_with_file_and_column(table: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    pq.write_table(pa.table(table), path)
    with pytest.raises(DataError, match=message) as caught:
        list(read_table(path, Label))
    assert str(path) in str(caught.value)


def test_an_unknown_enum_value_names_its_row(tmp_path: Path) -> None:
    write_rows(tmp_path / "x.parquet", Problem, [to_row(problem(1)), {**to_row(problem(2)), "kind": "riddle"}])
    with pytest.raises(DataError, match="row 1 is no Problem: 'riddle'"):
        list(read_table(tmp_path / "x.parquet", Problem))


def test_a_missing_or_broken_file_is_a_data_error(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    with pytest.raises(DataError, match="there is no such file"):
        list(read_table(path, Label))
    path.write_bytes(b"PAR1 is not enough PAR1")
    with pytest.raises(DataError, match="not a readable table"):
        list(read_table(path, Label))
    write_table(path, type(CELL), [CELL])
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(DataError, match="not a readable table"):
        list(read_table(path, type(CELL)))
