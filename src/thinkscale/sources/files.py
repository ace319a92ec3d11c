"""Rows of JSONL (plain, .gz, .zst) and Parquet files, streamed, each with its place for error messages."""

import gzip
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from thinkscale.errors import DataError
from thinkscale.keys import JSON

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row and where it stands: `place` reads `pool.jsonl:17` or `pool.parquet, row 17`."""

    place: str
    values: Mapping[str, JSON]


def is_table(name: str) -> bool:
    """Whether `name` ends like a file that `read_rows` reads."""
    return name.endswith(SUFFIXES)


def read_rows(path: Path) -> Iterator[SourceRow]:
    """The rows of `path` in order. Raises DataError naming the file, and the line of a broken row."""
    if not path.is_file():
        raise DataError(f"there is no file {path}; give a JSONL (.jsonl, .jsonl.gz, .jsonl.zst) or Parquet file")
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
    elif is_table(path.name) or path.suffix == ".json":
        yield from _read_jsonl(path)
    else:
        raise DataError(f"{path}: the ending {path.suffix!r} is none of {', '.join(SUFFIXES)}")


def _read_jsonl(path: Path) -> Iterator[SourceRow]:
    try:
        with open_text(path) as lines:
            for number, line in enumerate(lines, 1):
                if not line.strip():
                    continue
                place = f"{path}:{number}"
                try:
                    values = json.loads(line)
                except json.JSONDecodeError as error:
                    raise DataError(
                        f"{place}: broken JSON ({error.msg} at column {error.colno}); mend the line"
                    ) from error
                if not isinstance(values, dict):
                    raise DataError(f"{place}: a row must be a JSON object, this is {type(values).__name__}")
                yield SourceRow(place, values)
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile) as error:
        raise DataError(f"{path} is not readable as JSON lines in UTF-8: {error}") from error


def _read_parquet(path: Path) -> Iterator[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            for batch in file.iter_batches():
                for values in batch.to_pylist():
                    number += 1
                    yield SourceRow(f"{path}, row {number}", values)
    except pyarrow.ArrowInvalid as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


@contextmanager
def open_text(path: Path, mode: str = "r") -> Iterator[IO[str]]:
    """Opens a text file for reading (`r`) or writing (`w`), compressed by its ending."""
    if path.suffix == ".gz":
        with gzip.GzipFile(path, mode + "b") as packed, io.TextIOWrapper(packed, encoding="utf-8") as text:
            yield text
    elif path.suffix == ".zst":
        import zstandard

        try:
            with zstandard.open(path, mode + "b") as binary, io.TextIOWrapper(binary, encoding="utf-8") as text:
                yield text
        except zstandard.ZstdError as error:
            raise DataError(f"{path} is not readable as zstd: {error}") from error
    else:
        with path.open(mode, encoding="utf-8") as text:
            yield text


def write_rows(path: Path | None, rows: Iterable[Mapping[str, JSON]]) -> int:
    """Writes rows to `path` by its ending (complete or not at all), or to standard output as JSON lines.

    Returns how many were written.
    """
    import sys

    if path is None:
        return _write_lines(sys.stdout, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        if path.suffix == ".parquet":
            count = _write_parquet(partial, list(rows))
        elif is_table(path.name):
            with open_text(partial, "w") as text:
                count = _write_lines(text, rows)
        else:
            raise DataError(f"{path}: the ending {path.suffix!r} is none of {', '.join(SUFFIXES)}")
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _write_lines(text: IO[str], rows: Iterable[Mapping[str, JSON]]) -> int:
    count = 0
    for row in rows:
        text.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write_parquet(path: Path, rows: list[Mapping[str, JSON]]) -> int:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([dict(row) for row in rows]), path)
    return len(rows)
