"""The entries of one big JSON object or array, one by one, in the memory of the longest of them.

A results file of a benchmark with long thinking is gigabytes of one object, which `json.load` would hold several times.
"""

import json
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from thinkscale.errors import DataError
from thinkscale.keys import JSON
from thinkscale.sources.files import open_text

READ_CHARACTERS = 1 << 18
MAX_ENTRY_CHARACTERS = 1 << 28
"""A longer entry is taken for a broken file: an unclosed string would otherwise swallow the rest of it."""

SPACE = re.compile(r"[ \t\n\r]*")
LONGEST_TOKEN = 16
"""An error this near to the end of what was read may be a word, a number or an escape that is not yet there whole."""


def first_character(path: Path) -> str:
    """The first character of the file that is no space, empty where there is none."""
    with _reading(path), open_text(path) as text:
        while piece := text.read(READ_CHARACTERS):
            if stripped := piece.lstrip():
                return stripped[0]
    return ""


def entries(path: Path) -> Iterator[tuple[str, JSON]]:
    """Keys and values of the object in `path`, or the elements of its array under their numbers. In file order.

    Raises DataError with the character's position where the file is no such JSON or goes on behind its end.
    """
    with _reading(path), open_text(path) as text:
        yield from _Reader(path, text).entries()


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = "there is no such file" if isinstance(error, FileNotFoundError) else error.strerror or error
        raise DataError(f"{path} cannot be read: {reason}") from error
    except (UnicodeDecodeError, EOFError, zlib.error) as error:
        raise DataError(f"{path} is not readable as JSON in UTF-8: {error}") from error


class _Reader:
    """A window over the text: `self._buffer[self._at:]` is what was read and not yet used."""

    def __init__(self, path: Path, text: IO[str]) -> None:
        self._path, self._text = path, text
        self._buffer, self._at, self._before = "", 0, 0
        self._decoder = json.JSONDecoder()

    def entries(self) -> Iterator[tuple[str, JSON]]:
        opening = self._next()
        if opening not in ("{", "["):
            raise self._broken("it must be one JSON object or array", 0)
        self._at += 1
        closing, number = {"{": "}", "[": "]"}[opening], 0
        while self._next() != closing:
            if number:
                self._take(",")
            key = str(number)
            if opening == "{":
                name = self._value()
                if not isinstance(name, str):
                    raise self._broken("a key must be a text", 0)
                key = name
                self._take(":")
            yield key, self._value()
            number += 1
        self._take(closing)
        if self._next():
            raise self._broken("there is more behind the end of the JSON", 0)

    def _next(self) -> str:
        """The next character that is no space, empty at the end of the file. It is not used up."""
        while True:
            space = SPACE.match(self._buffer, self._at)
            self._at = space.end() if space else self._at
            if self._at < len(self._buffer):
                return self._buffer[self._at]
            if not self._grow(READ_CHARACTERS):
                return ""

    def _take(self, expected: str) -> None:
        if self._next() != expected:
            raise self._broken(f"{expected!r} is missing", 0)
        self._at += 1

    def _value(self) -> JSON:
        self._next()
        while True:
            try:
                value, end = self._decoder.raw_decode(self._buffer, self._at)
            except json.JSONDecodeError as error:
                offset, left = error.pos - self._at, len(self._buffer) - error.pos
                cut = error.msg.startswith("Unterminated string") or left <= LONGEST_TOKEN
                if not cut or not self._grow(len(self._buffer) - self._at):
                    raise self._broken(error.msg, offset) from error
            except (ValueError, RecursionError) as error:
                raise self._broken(f"a number is too long or the nesting too deep: {error}", 0) from error
            else:
                # A number that ends near the end of the buffer may go on: `3.` is read as 3.
                length, left = end - self._at, len(self._buffer) - end
                if left >= LONGEST_TOKEN or not self._grow(READ_CHARACTERS):
                    self._at += length
                    return value  # type: ignore[no-any-return]  # a JSON decoder gives JSON

    def _grow(self, wanted: int) -> bool:
        """Reads on and moves the window to what is unused; False at the end of the file.

        Doubling what is there keeps repeated decoding of an entry linear.
        """
        if len(self._buffer) - self._at > MAX_ENTRY_CHARACTERS:
            raise self._broken(f"an entry is longer than {MAX_ENTRY_CHARACTERS:,} characters", 0)
        piece = self._text.read(max(wanted, READ_CHARACTERS))
        self._before += self._at
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return bool(piece)

    def _broken(self, what: str, offset: int) -> DataError:
        return DataError(f"{self._path}: broken JSON at character {self._before + self._at + offset:,}: {what}")
