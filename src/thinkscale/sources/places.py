"""Where the files of a source lie: in a local folder that stands in for its repository, or at a commit of it.

A commit that nobody pinned is looked up once and kept in `sources.lock.json` beside the recipe, as package managers do,
so that a second run reads the same rows. A local folder holds the repository's files at their paths, or one file named
after the source (`math.jsonl.gz`), or is such a file itself.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from thinkscale.errors import DataError, StorageError
from thinkscale.sources.catalogue import Entry
from thinkscale.sources.files import FOREIGN_SUFFIXES, SUFFIXES, is_readable
from thinkscale.sources.hub import fetch, is_commit, list_files, resolve_commit

LOCK = "sources.lock.json"


@dataclass(frozen=True, slots=True)
class Place:
    """The files of a source in the order in which they are read, by their names; `commit` is empty for local ones."""

    files: Mapping[str, Path]
    commit: str = ""


def local_place(entry: Entry, name: str, local: Path) -> Place:
    """The files of an entry in a local folder, or the one file that stands for them all. Raises DataError.

    A folder of several sets holds each in a folder named after it. Looked for in this order: a file named after the
    source, that folder, the repository's own files.
    """
    if local.is_file():
        return Place({local.name: local})
    if not local.is_dir():
        raise DataError(f"there is no folder or file {local} to read {name} from (--local, `local` in a recipe)")
    beside = entry.without.files if entry.without else ()
    suffixes = (*SUFFIXES, *FOREIGN_SUFFIXES)
    named = (local / f"{stem}{suffix}" for stem in (name, *entry.also) for suffix in suffixes)
    if found := next((path for path in named if path.is_file()), None):
        return Place({found.name: found, **{item: local / item for item in beside if (local / item).is_file()}})
    folder = next((local / item for item in (name, entry.repository) if (local / item).is_dir()), local)
    names = _names(folder)
    if not matching(names, entry.files):
        raise DataError(
            f"{local} holds neither a file named {' or '.join((name, *entry.also))} ({', '.join(suffixes)}), nor the "
            f"files of {entry.repository} ({', '.join(entry.files)}); it holds {_some(names)}"
        )
    return Place({item: folder / item for item in matching(names, (*entry.files, *beside))})


def hub_place(entry: Entry, commit: str) -> Place:
    """The files of an entry at a commit, fetched where they are not there yet. Raises DataError."""
    wanted = (*entry.files, *(entry.without.files if entry.without else ()))
    folder = fetch(entry.repository, commit, wanted)
    there = matching(_names(folder), wanted)
    if not matching(there, entry.files):
        names = list_files(entry.repository, commit)
        raise DataError(
            f"{entry.repository} at {commit} holds no file {' or '.join(entry.files)}; it holds {_some(names)}. Fetch "
            "those and give them with --local FILE (`local` in a recipe)"
        )
    return Place({item: folder / item for item in there}, commit)


def split_place(repository: str, commit: str, config: str | None, split: str, files: Sequence[str]) -> Place:
    """The files of any data set of the Hub: those that fit `files`, else those of a configuration and split."""
    names = list_files(repository, commit)
    wanted = matching(names, files) if files else data_files(names, config, split)
    if not wanted:
        what = f"file {' or '.join(files)}" if files else f"file of {f'{config}, ' if config else ''}split {split}"
        readable = [name for name in names if is_readable(name)]
        raise DataError(f"{repository} at {commit} holds no {what}; it holds {_some(readable)} (set `files`)")
    places = {name.rpartition("/")[0] for name in wanted}
    if len(places) > 1 and not files and config is None:
        found = ", ".join(sorted(place or "its top folder" for place in places))
        raise DataError(f"{repository} has split {split} in {found}; say which with `config`")
    folder = fetch(repository, commit, wanted)
    return Place({item: folder / item for item in wanted}, commit)


def data_files(names: Iterable[str], config: str | None, split: str) -> list[str]:
    """The files of a split, by the layouts that the Hub knows: `data/train-*`, `CONFIG/train-*`, `CONFIG/train/*`,
    `train.jsonl`; those of every configuration where none is named."""
    found = []
    for name in sorted(names):
        *folders, file = name.split("/")
        if not is_readable(file):
            continue
        stem = file.split(".")[0]
        if config is not None and config not in folders and not stem.startswith(config):
            continue
        words = stem.replace("_", "-").split("-")
        if split in folders or split in words:
            found.append(name)
    return found


def matching(names: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """The names that fit a pattern, by pattern, sorted within each; a name comes once."""
    names = sorted(names)
    fitting = (name for pattern in patterns for name in names if _fits(name, pattern))
    return list(dict.fromkeys(fitting))


def _fits(name: str, pattern: str) -> bool:
    if pattern.startswith("**/"):
        return fnmatchcase(name, pattern.removeprefix("**/"))
    parts, wanted = name.split("/"), pattern.split("/")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))


def _names(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()]


def _some(names: Sequence[str], most: int = 8) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return (", ".join(sorted(names)[:most]) or "nothing that can be read") + more


def pinned(repository: str, revision: str | None, folder: Path) -> str:
    """The commit of a repository: the one that is asked for, else the one in `folder`'s lock file, else the newest,
    which is then written there. Raises DataError, StorageError."""
    if revision is not None and is_commit(revision):
        return revision
    path = folder / LOCK
    locked = read_lock(path)
    key = repository if revision is None else f"{repository}@{revision}"
    if key not in locked:
        locked = {**locked, key: resolve_commit(repository, revision)}
        _write_lock(path, locked)
    return locked[key]


def read_lock(path: Path) -> dict[str, str]:
    """Repository to commit, empty where there is no file. Raises DataError where it holds something else."""
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is not readable ({error}); delete it, and the newest commits are taken") from error
    if not isinstance(found, dict) or not all(isinstance(item, str) and is_commit(item) for item in found.values()):
        raise DataError(f"{path} does not map repositories to commits; delete it, and the newest commits are taken")
    return found


def _write_lock(path: Path, locked: Mapping[str, str]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.write_text(json.dumps(dict(sorted(locked.items())), indent=2) + "\n", encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise StorageError(
            f"{path} could not be written: {error.strerror or error}; it must keep the commit that is read, or pin it "
            "with `revision`"
        ) from error
    finally:
        partial.unlink(missing_ok=True)
