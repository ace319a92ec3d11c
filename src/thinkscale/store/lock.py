"""One writer for a folder: a kernel lock that ends with its process, however that ends."""

import fcntl
import json
import os
import time
from pathlib import Path

from thinkscale.errors import RunDirectoryError
from thinkscale.store.atomic import writing

LOCK_NAME = ".lock"

_held: set[int] = set()
"""Descriptors to close in forked children, which would else keep the lock of a parent that was killed."""


class DirectoryLock:
    """Held from construction to `release`. Raises RunDirectoryError, naming the holder, where another writer is."""

    def __init__(self, folder: Path) -> None:
        path = folder / LOCK_NAME
        with writing(path):
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with writing(path):
                _announce(self._descriptor)
        except BlockingIOError as error:
            holder = _holder(self._descriptor)
            os.close(self._descriptor)
            raise RunDirectoryError(
                f"{folder}: another process is writing here ({holder}). Wait for it, stop it, or choose another --out; "
                f"`thinkscale status {folder}` shows how far it is"
            ) from error
        except BaseException:
            os.close(self._descriptor)
            raise
        _close_in_children(self._descriptor)

    def release(self) -> None:
        """Lets the next writer in. A second call does nothing."""
        if self._descriptor >= 0:
            _held.discard(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1


def _announce(descriptor: int) -> None:
    holder = {"pid": os.getpid(), "started": time.strftime("%Y-%m-%d %H:%M:%S")}
    os.ftruncate(descriptor, 0)
    os.pwrite(descriptor, json.dumps(holder).encode(), 0)


def _holder(descriptor: int) -> str:
    try:
        holder = json.loads(os.pread(descriptor, 1000, 0))
        return f"process {int(holder['pid'])}, since {holder['started']}"
    except (OSError, ValueError, KeyError, TypeError):  # it may be between taking the lock and writing its name
        return "it has not written its name yet"


def _close_in_children(descriptor: int) -> None:
    if not _registered:
        os.register_at_fork(after_in_child=_forget)
        _registered.append(True)
    _held.add(descriptor)


_registered: list[bool] = []


def _forget() -> None:
    while _held:
        os.close(_held.pop())
