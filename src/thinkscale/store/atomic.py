"""Writing that either happened or did not, and one error for a disk that does not take it."""

import errno
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from thinkscale.errors import StorageError
from thinkscale.keys import JSON, plain

_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_PARTIAL = ".partial"


def no_space(path: Path) -> StorageError:
    """The error for a full disk, quota or file size limit while writing to `path`."""
    return StorageError(
        f"{path}: the disk is full (or a quota or file size limit is reached). Nothing that was committed before is "
        f"lost. Free space on the disk that holds {path.parent} and run the same command again: it goes on from there"
    )


def cannot_write(path: Path, reason: str) -> StorageError:
    """The error for any other failure to write to `path`."""
    return StorageError(
        f"{path}: cannot be written ({reason}). Nothing that was committed before is lost. "
        f"Mend the cause and run the same command again, or choose another --out"
    )


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns an OSError of the body into a StorageError that names `path`. Only writes to `path` belong in the body."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise no_space(path) from error
        raise cannot_write(path, error.strerror or str(error)) from error


@contextmanager
def atomic_file(path: Path) -> Iterator[BinaryIO]:
    """A stream whose bytes become `path` when the body ends; after an exception `path` is as it was before.

    The bytes are on the disk (fsync) before the name is. A kill leaves at most a hidden `.partial` file, which
    `remove_partial_files` takes away. Raises StorageError where opening, flushing or renaming fails.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{_PARTIAL}")
    with writing(path):
        stream = temporary.open("wb")
    try:
        yield stream
        with writing(path):
            stream.flush()
            os.fsync(stream.fileno())
            stream.close()
            temporary.replace(path)
            sync_folder(path.parent)
    finally:
        with suppress(OSError):  # after a failed write the buffer cannot be flushed; that error is already on its way
            stream.close()
        temporary.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Makes the names in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Writes `path` as a whole, atomically. Raises StorageError."""
    with atomic_file(path) as stream, writing(path):
        stream.write(text.encode())


def write_json(path: Path, value: object) -> None:
    """Writes `value` as indented JSON with sorted keys, atomically. Raises StorageError and EncodingError."""
    write_text(path, json.dumps(plain(value), indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> JSON:
    """The JSON value in `path`. Raises OSError and ValueError."""
    value: JSON = json.loads(path.read_text(encoding="utf-8"))
    return value


def remove_partial_files(folder: Path) -> None:
    """Takes away what killed writers left in `folder`. The caller must be its only writer."""
    for path in folder.glob(f".*{_PARTIAL}"):
        with writing(path):
            path.unlink(missing_ok=True)


def is_partial(path: Path) -> bool:
    """Whether `path` is the temporary file of an `atomic_file`."""
    return path.name.startswith(".") and path.name.endswith(_PARTIAL)
