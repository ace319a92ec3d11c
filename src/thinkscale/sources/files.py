"""Rows of JSONL (plain, .gz, .zst) and Parquet files, streamed, each with its place for error messages.

JSON arrays and CSV, in which others publish their sets, are read too, but not written.
"""

import datetime
import gzip
import io
import json
import zlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import IO

from thinkscale.errors import DataError, StorageError
from thinkscale.keys import JSON
from thinkscale.sources.documents import array_rows, csv_rows, starts_array
from thinkscale.sources.parquet import write_parquet

SUFFIXES = (".jsonl", ".jsonl.gz", ".jsonl.zst", ".parquet")
"""What rows are written to, and read from."""
FOREIGN_SUFFIXES = (".json", ".csv")
"""What rows are read from only."""
PARQUET_BATCH_ROWS = 1024
"""Rows of a Parquet file that are held at once: of long traces some 50 MB."""
ZSTD_READ_BYTES = 1 << 10
"""Compressed bytes taken at once: at most 128 KiB come of every 4, so that memory stays below 32 MiB."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row and where it stands: `place` reads `pool.jsonl:17` or `pool.parquet, row 17`."""

    place: str
    values: Mapping[str, JSON]


def is_readable(name: str) -> bool:
    """Whether `name` ends like a file that `read_rows` reads, those that are never written included."""
    return name.endswith((*SUFFIXES, *FOREIGN_SUFFIXES))


def is_table(name: str) -> bool:
    """Whether `name` ends like a file that `read_rows` reads."""
    return name.endswith(SUFFIXES)


def read_rows(path: Path, without: Collection[str] = ()) -> Iterator[SourceRow]:
    """The rows of `path` in order, without some columns. Raises DataError naming the file, and a broken row's line.

    A column that is left out is not even read from a Parquet file.
    """
    if not path.is_file():
        raise DataError(f"there is no file {path}; give a JSONL (.jsonl, .jsonl.gz, .jsonl.zst) or Parquet file")
    if not path.name.endswith(FOREIGN_SUFFIXES):
        require_table(path)
    try:
        if path.suffix == ".parquet":
            yield from _read_parquet(path, without)
            return
        for row in _read_csv(path) if path.suffix == ".csv" else _read_json(path):
            kept = {key: value for key, value in row.values.items() if key not in without} if without else row.values
            yield SourceRow(row.place, kept)
    except OSError as error:
        raise cannot_read(path, error) from error


def cannot_read(path: Path, error: OSError) -> DataError:
    """The error for a file that the system does not let be read."""
    return DataError(f"{path} cannot be read: {error.strerror or error}")


def require_table(path: Path) -> None:
    """Raises DataError where `path` has an ending that rows are not written to."""
    if not is_table(path.name):
        raise DataError(f"{path}: the ending {path.suffix!r} is none of {', '.join(SUFFIXES)}")


def _read_csv(path: Path) -> Iterator[SourceRow]:
    try:
        with path.open(encoding="utf-8", newline="") as text:
            yield from (SourceRow(f"{path}:{number}", values) for number, values in csv_rows(text, str(path)))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not readable as CSV in UTF-8: {error}") from error


def _read_json(path: Path) -> Iterator[SourceRow]:
    with json_text(path) as lines:
        if path.suffix == ".json" and starts_array(lines):
            for number, row in array_rows(lines, str(path)):
                yield SourceRow(f"{path}, row {number}", row)
            return
        for number, line in enumerate(lines, 1):
            if line.strip():
                place = f"{path}:{number}"
                yield SourceRow(place, decoded(line, place))


@contextmanager
def json_text(path: Path) -> Iterator[IO[str]]:
    """A file of JSON opened for reading. DataError where its bytes cannot be unpacked or are no UTF-8."""
    try:
        with open_text(path) as lines:
            yield lines
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise DataError(f"{path} is not readable as JSON lines in UTF-8: {error}") from error


def decoded(line: str, place: str) -> Mapping[str, JSON]:
    """The row that a line of JSON states. Raises DataError naming `place`."""
    try:
        values = json.loads(line)
    except json.JSONDecodeError as error:
        raise DataError(f"{place}: broken JSON ({error.msg} at column {error.colno}); mend the line") from error
    except (ValueError, RecursionError) as error:
        raise DataError(f"{place}: a number is too long or the nesting too deep: {error}") from error
    if not isinstance(values, dict):
        raise DataError(f"{place}: a row must be a JSON object, this is {type(values).__name__}")
    return values


def _read_parquet(path: Path, without: Collection[str]) -> Iterator[SourceRow]:
    import pyarrow
    import pyarrow.parquet

    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            number = 0
            columns = [name for name in file.schema_arrow.names if name not in without]
            for batch in file.iter_batches(PARQUET_BATCH_ROWS, columns=columns):
                for values in batch.to_pylist():
                    number += 1
                    yield SourceRow(f"{path}, row {number}", {key: _as_json(value) for key, value in values.items()})
    except (pyarrow.ArrowException, ValueError) as error:
        raise DataError(f"{path} is not a readable Parquet file: {error}") from error


def _as_json(value: object) -> JSON:
    """A value of Parquet with its times and decimals as text. What JSON cannot state otherwise stays as it is."""
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (Decimal, datetime.timedelta)):
        return str(value)
    if isinstance(value, (list, tuple)):
        return [_as_json(item) for item in value]
    if isinstance(value, dict):
        return {key: _as_json(item) for key, item in value.items()}
    return value  # type: ignore[return-value]  # bytes: refused by name where a problem is made of the row


class _ZstdBytes(io.RawIOBase):
    """The content of a zstd file, all frames. The library's own reader takes a cut frame for the end of the file."""

    def __init__(self, file: IO[bytes]) -> None:
        import zstandard

        self._library = zstandard.ZstdDecompressor()
        self._frame = self._library.decompressobj()
        self._begun = False
        self._content = memoryview(b"")
        self._packed = b""
        self._file = file
        self._whole_frames = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        while not self._content:
            packed = self._packed or self._file.read(ZSTD_READ_BYTES)
            if not packed:
                if self._begun or not self._whole_frames:
                    raise EOFError("it is cut short, the end is missing")
                return 0
            self._advance(packed)
        size = min(len(buffer), len(self._content))
        buffer[:size] = self._content[:size]
        self._content = self._content[size:]
        return size

    def _advance(self, packed: bytes) -> None:
        self._begun = True
        self._content, self._packed = memoryview(self._frame.decompress(packed)), b""
        if self._frame.eof:
            self._packed, self._begun = self._frame.unused_data, False
            self._frame = self._library.decompressobj()
            self._whole_frames += 1

    def close(self) -> None:
        self._file.close()
        super().close()


@contextmanager
def open_text(path: Path, mode: str = "r") -> Iterator[IO[str]]:
    """Opens a text file for reading (`r`) or writing (`w`), compressed by its ending."""
    if path.suffix == ".gz":
        with gzip.GzipFile(path, mode + "b") as packed, io.TextIOWrapper(packed, encoding="utf-8") as text:
            yield text
    elif path.suffix == ".zst":
        import zstandard

        try:
            binary = io.BufferedReader(_ZstdBytes(path.open("rb"))) if mode == "r" else zstandard.open(path, mode + "b")
            with binary, io.TextIOWrapper(binary, encoding="utf-8") as text:
                yield text
        except (zstandard.ZstdError, EOFError) as error:
            raise DataError(f"{path} is not readable as zstd: {error}") from error
    else:
        with path.open(mode, encoding="utf-8") as text:
            yield text


def write_rows(path: Path | None, rows: Iterable[Mapping[str, JSON]], columns: Sequence[str] = ()) -> int:
    """Writes rows to `path` by its ending (complete or not at all), or to standard output as JSON lines.

    A Parquet file has `columns` even where no row has them, then the keys of all rows as they first appear.
    Returns how many were written. Raises DataError on an ending or values that cannot be written, StorageError
    where the system refuses.
    """
    import sys

    if path is None:
        return _write_lines(sys.stdout, rows)
    require_table(path)
    try:
        return _write_file(path, rows, columns)
    except OSError as error:  # of writing only: read_rows turns those of reading into DataError
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}. Nothing was lost: a file that was there before "
            "is as it was. Free some space, or choose another folder"
        ) from error


def _write_file(path: Path, rows: Iterable[Mapping[str, JSON]], columns: Sequence[str]) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        if path.suffix == ".parquet":
            count = write_parquet(partial, rows, columns, path)
        else:
            with open_text(partial, "w") as text:
                count = _write_lines(text, rows)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return count


def _write_lines(text: IO[str], rows: Iterable[Mapping[str, JSON]]) -> int:
    count = 0
    for row in rows:
        line = json.dumps(row, ensure_ascii=False)
        try:
            line.encode()
        except UnicodeEncodeError:  # a lone surrogate, which only an escape can write
            line = json.dumps(row)
        text.write(line + "\n")
        count += 1
    return count
