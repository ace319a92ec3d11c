"""A folder, of a model or of what is handed over, that is there whole or not at all."""

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thinkscale.errors import ConfigError, StorageError

MARKER = "training.json"
"""Our own account of a training; a folder that holds it may be replaced by a later training."""


def check_output(out: Path) -> None:
    """Raises ConfigError where `out` is something that a training did not make: it is never overwritten."""
    if not out.exists() or (out.is_dir() and ((out / MARKER).is_file() or not any(out.iterdir()))):
        return
    raise ConfigError(f"{out} exists and was not made by a training (no {MARKER} in it); choose another --out")


@contextmanager
def publishing(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out` that becomes `out` when the body ends; after an exception `out` is as before.

    A kill leaves `out` absent or whole, and at most a hidden `.partial` folder, which the next call removes.
    Raises StorageError where writing or renaming fails.
    """
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        for partial in out.parent.iterdir():
            if re.fullmatch(rf"\.{re.escape(out.name)}\.\d+\.partial", partial.name):
                shutil.rmtree(partial)
        temporary = out.with_name(f".{out.name}.{os.getpid()}.partial")
        temporary.mkdir()
    except OSError as error:
        raise StorageError(f"{out}: cannot be written ({error.strerror or error})") from error
    try:
        yield temporary
        _put_in_place(temporary, out)
    except OSError as error:
        raise StorageError(f"{out}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put_in_place(temporary: Path, out: Path) -> None:
    for path in (*temporary.rglob("*"), temporary):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    if out.exists():
        shutil.rmtree(out)
    temporary.replace(out)
