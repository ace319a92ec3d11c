"""manifest.json: size and SHA-256 of every file that a run made. Its existence means that the run is done."""

import hashlib
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from thinkscale.errors import RunDirectoryError
from thinkscale.keys import JSON
from thinkscale.store.atomic import is_partial, read_json, write_json
from thinkscale.store.lock import LOCK_NAME
from thinkscale.store.tables import TABLES

MANIFEST_NAME = "manifest.json"
JOURNAL_NAME = "journal.db"
_FORMAT = 1
_LEFT_OUT = frozenset({MANIFEST_NAME, LOCK_NAME, JOURNAL_NAME, f"{JOURNAL_NAME}-wal", f"{JOURNAL_NAME}-shm"})
"""The journal changes by being opened; the stages' fingerprints stand for what it holds."""


class Damage(StrEnum):
    """How a file differs from its manifest."""

    MISSING = "missing"
    SIZE = "another size"
    CONTENT = "another content"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One file, relative to the run directory, that is not as the manifest says."""

    path: str
    damage: Damage


def write_manifest(folder: Path, fingerprints: Mapping[str, str]) -> None:
    """Writes the manifest of `folder` as it stands; `fingerprints` are the finished stages'. Raises StorageError."""
    files: dict[str, JSON] = {
        name: {"size": (folder / name).stat().st_size, "sha256": sha256_of(folder / name)} for name in _files(folder)
    }
    tables: dict[str, JSON] = {
        name: _num_rows(folder / f"{name}.parquet") for name in TABLES if f"{name}.parquet" in files
    }
    stages: list[JSON] = [{"name": name, "fingerprint": key} for name, key in fingerprints.items()]
    write_json(folder / MANIFEST_NAME, {"format": _FORMAT, "files": files, "tables": tables, "stages": stages})


def verify(folder: Path) -> tuple[Difference, ...]:
    """The files of the manifest that are missing or changed. RunDirectoryError where there is no readable manifest."""
    path = folder / MANIFEST_NAME
    try:
        manifest = read_json(path)
        files: dict[str, dict[str, object]] = manifest["files"]  # type: ignore[index, call-overload, assignment]
        return tuple(_differences(folder, files))
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{path}: there is no manifest, so the run is not finished. Run it to the end"
        ) from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise RunDirectoryError(
            f"{path}: not a readable manifest ({error}). Run the recipe again to make it"
        ) from error


def _differences(folder: Path, files: dict[str, dict[str, object]]) -> Iterator[Difference]:
    for name, facts in files.items():
        path = folder / name
        if not path.is_file():
            yield Difference(path=name, damage=Damage.MISSING)
        elif path.stat().st_size != facts["size"]:
            yield Difference(path=name, damage=Damage.SIZE)
        elif sha256_of(path) != facts["sha256"]:
            yield Difference(path=name, damage=Damage.CONTENT)


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _files(folder: Path) -> list[str]:
    """Every regular file below `folder`, relative, sorted, without the journal, the lock and the manifest."""
    found = []
    for parent, _, names in os.walk(folder):
        paths = (Path(parent) / name for name in names)
        found += [path.relative_to(folder).as_posix() for path in paths if path.is_file() and not is_partial(path)]
    return sorted(set(found) - _LEFT_OUT)


def _num_rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return int(pq.read_metadata(path).num_rows)
