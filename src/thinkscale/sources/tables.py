"""Several JSONL tables that are written side by side, each complete or not at all."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from thinkscale.errors import StorageError
from thinkscale.keys import JSON


class Table:
    """A table that is being written; without `keep` nothing of it stays, and an older one goes."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text
        self.keep = True

    def write(self, row: Mapping[str, JSON]) -> None:
        """One more row."""
        self._text.write(json.dumps(row, ensure_ascii=False) + "\n")


@contextmanager
def open_table(path: Path) -> Iterator[Table]:
    """A table whose rows become `path` when the body ends; after an exception `path` is as it was before.

    Raises StorageError where the system refuses.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("w", encoding="utf-8") as text:
            table = Table(text)
            yield table
        if table.keep:
            partial.replace(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        raise StorageError(f"{path} could not be written: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
