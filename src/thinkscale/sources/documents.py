"""Rows of JSON arrays and CSV files, one at a time: what data sets of others come in beside JSON lines and Parquet.

A JSON array is taken apart value by value from a window of its text, so that memory holds one row of a file of any
size. Rejected: `json.load`, which holds the file and all of its rows.
"""

import csv
import json
import sys
from collections.abc import Iterator
from typing import IO

from thinkscale.errors import DataError
from thinkscale.keys import JSON

WINDOW_CHARACTERS = 1 << 20
BLANKS = " \t\r\n"


def starts_array(text: IO[str]) -> bool:
    """Whether the first character that is no blank opens an array; the text is wound back."""
    while (character := text.read(1)) and character in BLANKS + "\ufeff":
        pass
    text.seek(0)
    return character == "["


def array_rows(text: IO[str], name: str) -> Iterator[tuple[int, dict[str, JSON]]]:
    """The objects of a JSON array with their numbers from 1. Raises DataError naming the row that is broken."""
    decoder = json.JSONDecoder()
    window, at, number, ended = text.read(WINDOW_CHARACTERS), 0, 0, False
    at = window.index("[") + 1
    while True:
        at = _past(window, at, BLANKS)
        if at < len(window) and window[at] == "," and number:
            at = _past(window, at + 1, BLANKS)
        if at < len(window) and window[at] == "]":
            return
        try:
            value, end = decoder.raw_decode(window, at)
            whole = end < len(window) or ended
        except json.JSONDecodeError as error:
            value, end, whole = None, at, False
            if ended:
                raise DataError(f"{name}, row {number + 1}: broken JSON ({error.msg}); mend the file") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{name}, row {number + 1}: a number is too long or the nesting too deep") from error
        if not whole:  # the value may go on behind the window
            more = text.read(max(WINDOW_CHARACTERS, len(window) - at))
            window, at, ended = window[at:] + more, 0, not more
            continue
        number += 1
        if not isinstance(value, dict):
            raise DataError(f"{name}, row {number}: a row must be a JSON object, this is {type(value).__name__}")
        yield number, value
        at = end


def _past(window: str, at: int, characters: str) -> int:
    while at < len(window) and window[at] in characters:
        at += 1
    return at


def csv_rows(text: IO[str], name: str) -> Iterator[tuple[int, dict[str, JSON]]]:
    """The rows of a CSV file with a header line, by the number of their last line; an empty field is None.

    Raises DataError where a row has more fields than the header.
    """
    csv.field_size_limit(min(sys.maxsize, 2**31 - 1))
    reader = csv.DictReader(text)
    try:
        for row in reader:
            if None in row:
                raise DataError(f"{name}:{reader.line_num}: more fields than the header has columns; mend the line")
            yield reader.line_num, {key.removeprefix("\ufeff"): value or None for key, value in row.items()}
    except csv.Error as error:
        raise DataError(f"{name}:{reader.line_num}: not readable as CSV: {error}") from error
