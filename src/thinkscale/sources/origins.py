"""One source as a recipe or a command names it: what identifies its rows, and the rows themselves.

Three kinds, one shape: a set of the catalogue, any data set of the Hub, a file of one's own. What identifies them is
known before anything is read (a commit, or the hashes of local files), so that a run can refuse rows that changed.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.sources.catalogue import Entry, find_entry
from thinkscale.sources.places import Place, hub_place, local_place, pinned, split_place
from thinkscale.sources.reading import Found, Tally, Wanted, read_entry, read_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where rows come from. Either `entry` is there, or the rows name their columns as we do, or as `columns` says."""

    name: str
    """Problem.source of its rows."""
    key: str
    """What names it in a run's identity."""
    wanted: Wanted
    lock_folder: Path
    """Where the commits of sets that nobody pinned are kept."""
    entry: Entry | None = None
    local: Path | None = None
    repository: str | None = None
    revision: str | None = None
    config: str | None = None
    split: str = "train"
    files: tuple[str, ...] = ()
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def commit(self) -> str:
        """The commit that is read, empty for local files. Looked up where it is not known. Raises DataError."""
        if self.local is not None or self.repository is None:
            return ""
        return pinned(self.repository, self.revision, self.lock_folder)

    def fingerprints(self) -> dict[str, JSON]:
        """What identifies the rows: the commit or the hash of each local file, and the rules of the entry."""
        found: dict[str, JSON] = {f"{self.key} (rules)": self.entry.identity()} if self.entry else {}
        if self.local is None:
            return {**found, self.key: self.commit}
        if self.entry is None:
            return {**found, self.key: file_hash(self.local)}
        place = local_place(self.entry, self.name, self.local)
        return {**found, **{f"{self.key}: {name}": file_hash(path) for name, path in place.files.items()}}

    def place(self) -> Place:
        """The files, fetched where they are not there. Raises DataError."""
        if self.entry is not None:
            return local_place(self.entry, self.name, self.local) if self.local else hub_place(self.entry, self.commit)
        if self.local is not None:
            return Place({self.local.name: self.local})
        assert self.repository is not None
        return split_place(self.repository, self.commit, self.config, self.split, self.files)

    def read(self, tally: Tally) -> Iterator[Found]:
        """The rows, one at a time. Raises DataError."""
        files = self.place().files
        if self.entry is not None:
            yield from read_entry(self.entry, self.name, files, self.wanted, tally)
            return
        for number, found in enumerate(read_plain(files, self.name, self.columns, self.wanted.seed, tally)):
            if number == self.wanted.limit:
                return
            yield found


def catalogue_origin(
    name: str,
    wanted: Wanted,
    lock_folder: Path,
    *,
    local: Path | None = None,
    revision: str | None = None,
    columns: Mapping[str, str] | None = None,
) -> Origin:
    """A set of the catalogue. Raises ConfigError on an unknown name, field, or years where the set has none."""
    entry = find_entry(name)
    if wanted.years and "year" not in entry.facts:
        raise ConfigError(f"{name}: its rows state no year; leave `years` out")
    return Origin(
        name=name,
        key=name,
        wanted=wanted,
        lock_folder=lock_folder,
        entry=entry.with_columns(columns or {}),
        local=local,
        repository=entry.repository,
        revision=revision or entry.revision,
    )


def file_hash(path: Path) -> str:
    """A hash of a file's bytes. Raises DataError where it is missing."""
    if not path.is_file():
        raise DataError(f"there is no file {path}")
    with path.open("rb") as file:
        return hashlib.file_digest(file, "blake2b").hexdigest()[:32]
