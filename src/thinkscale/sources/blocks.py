"""Rows of a file some thousands at a time: what `files.read_rows` gives, at half the time for each row of JSONL.

A block has the rows alone; where one of them stands is worked out when an error has to name it.
"""

import json
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import SourceRow, cannot_read, decoded, json_text, read_rows

BLOCK_CHARACTERS = 2_000_000
"""Of the lines of a block, which as rows take some five times as many bytes."""
BLOCK_ROWS = 4_096
"""Of a file of another format."""
LINES = (".jsonl", ".jsonl.gz", ".jsonl.zst")

_scan: Callable[[str, int], tuple[JSON, int]] = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows that follow each other in a file, and for each its place as `SourceRow.place` has it."""

    rows: Sequence[Mapping[str, JSON]]
    places: Sequence[str] | range
    """Texts; or the numbers of lines of `path`."""
    path: Path

    def place(self, number: int) -> str:
        """Where row `number` of the block stands."""
        place = self.places[number]
        return f"{self.path}:{place}" if isinstance(place, int) else place


def read_blocks(path: Path) -> Iterator[Block]:
    """The rows of `path` in order. Raises DataError as `read_rows` does, after all rows before the broken one."""
    if _is_lines(path):
        yield from _blocks_of_lines(path)
        return
    rows = read_rows(path)
    while some := list(islice(rows, BLOCK_ROWS)):
        yield Block([row.values for row in some], [row.place for row in some], path)


def _blocks_of_lines(path: Path) -> Iterator[Block]:
    first = 1
    try:
        with json_text(path) as text:
            while lines := text.readlines(BLOCK_CHARACTERS):
                rows = _scanned(lines)
                if rows is not None:
                    yield Block(rows, range(first, first + len(rows)), path)
                else:
                    yield from _one_by_one(lines, first, path)
                first += len(lines)
    except OSError as error:
        raise cannot_read(path, error) from error


def _scanned(lines: Sequence[str]) -> list[Mapping[str, JSON]] | None:
    """The rows of lines that each are one object and nothing else; None where any is not."""
    rows: list[Mapping[str, JSON]] = []
    try:
        for line in lines:
            row, end = _scan(line, 0)
            if not isinstance(row, dict) or line[end:] not in ("\n", ""):
                return None
            rows.append(row)
    except (StopIteration, ValueError, RecursionError):
        return None
    return rows


def _one_by_one(lines: Sequence[str], first: int, path: Path) -> Iterator[Block]:
    """The rows of lines among which are blank or broken ones; an error of a line is raised after the rows before it."""
    found: list[SourceRow] = []
    failed: DataError | None = None
    for number, line in enumerate(lines, first):
        if line.strip():
            place = f"{path}:{number}"
            try:
                found.append(SourceRow(place, decoded(line, place)))
            except DataError as error:
                failed = error
                break
    yield Block([row.values for row in found], [row.place for row in found], path)
    if failed is not None:
        raise failed


def rows_at(paths: Iterable[Path], numbers: Container[int]) -> Iterator[tuple[int, Mapping[str, JSON]]]:
    """Some of the rows of files, each with its number from 0 among all rows of all files.

    Of JSONL no other rows are decoded. Raises DataError as `read_rows` does for the rows that are.
    """
    start = 0
    for path in paths:
        places = 0
        for place, row in (
            _chosen_lines(path, start, numbers) if _is_lines(path) else _chosen_rows(path, start, numbers)
        ):
            places = place + 1
            if row is not None:
                yield start + place, row
        start += places


def _chosen_lines(path: Path, start: int, numbers: Container[int]) -> Iterator[tuple[int, Mapping[str, JSON] | None]]:
    place = 0
    try:
        with json_text(path) as text:
            for number, line in enumerate(text, 1):
                if not line.isspace():
                    yield place, decoded(line, f"{path}:{number}") if start + place in numbers else None
                    place += 1
    except OSError as error:
        raise cannot_read(path, error) from error


def _chosen_rows(path: Path, start: int, numbers: Container[int]) -> Iterator[tuple[int, Mapping[str, JSON] | None]]:
    for place, row in enumerate(read_rows(path)):
        yield place, row.values if start + place in numbers else None


def _is_lines(path: Path) -> bool:
    return path.name.endswith(LINES) and path.is_file()
