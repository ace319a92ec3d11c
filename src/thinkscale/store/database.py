"""Opening the journal's SQLite file, and SQLite's failures as errors that say what to do."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thinkscale.errors import RunDirectoryError, ThinkscaleError
from thinkscale.store.atomic import cannot_write, no_space, writing

_APPLICATION = 0x7468736A
"""`thsj`: marks the file as ours in SQLite's header."""
_VERSION = 2
_HEADER = b"SQLite format 3\x00"
_BUSY_SECONDS = 30.0

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE stages (
    name TEXT PRIMARY KEY, state TEXT NOT NULL, identity TEXT NOT NULL, fingerprint TEXT NOT NULL DEFAULT '',
    position INTEGER NOT NULL, started REAL NOT NULL, finished REAL
);
CREATE TABLE units (
    stage TEXT NOT NULL, key TEXT NOT NULL, position INTEGER NOT NULL, seconds REAL NOT NULL,
    usd REAL NOT NULL, PRIMARY KEY (stage, key), UNIQUE (stage, position)
) WITHOUT ROWID;
CREATE TABLE rows (
    stage TEXT NOT NULL, table_name TEXT NOT NULL, unit TEXT NOT NULL,
    unit_position INTEGER NOT NULL, row_position INTEGER NOT NULL, payload BLOB NOT NULL,
    PRIMARY KEY (stage, table_name, unit_position, row_position)
);
CREATE TABLE progress (
    stage TEXT PRIMARY KEY, done INTEGER NOT NULL, total INTEGER NOT NULL, unit_name TEXT NOT NULL,
    started REAL NOT NULL, updated REAL NOT NULL, seconds_left REAL, gauges TEXT NOT NULL
);
CREATE TABLE notes (
    stage TEXT NOT NULL, key TEXT NOT NULL, payload BLOB NOT NULL, PRIMARY KEY (stage, key)
) WITHOUT ROWID;
CREATE TABLE events (
    id INTEGER PRIMARY KEY, time REAL NOT NULL, stage TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL
);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""

_FULL = {sqlite3.SQLITE_FULL}
_FAILING = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM}
_DAMAGED = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT}
_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}


def connect(path: Path) -> sqlite3.Connection:
    """The writer's connection; the tables are made in an empty or new file. Raises RunDirectoryError, StorageError."""
    _check_header(path)
    with translated(path):
        connection = _connect(path, "rwc")
        try:
            if _is_empty(connection):
                connection.execute("PRAGMA journal_mode = WAL")
                connection.executescript(_SCHEMA)
            _check_origin(path, connection)
            # A power cut may lose the last units, never the file's consistency; a kill loses nothing committed.
            connection.execute("PRAGMA synchronous = NORMAL")
        except BaseException:
            connection.close()
            raise
        return connection


def connect_read_only(path: Path) -> sqlite3.Connection:
    """A connection that cannot write and holds up no writer. Raises RunDirectoryError."""
    if not path.is_file():
        raise RunDirectoryError(f"{path}: there is no journal here, so {path.parent} is not a run directory")
    _check_header(path)
    if not path.stat().st_size:
        raise RunDirectoryError(f"{path}: the run is being made just now; ask again in a moment")
    with translated(path):
        try:
            return _checked_read_only(path, "ro")
        except sqlite3.OperationalError as error:
            if _code(error) not in _FAILING or path.with_name(f"{path.name}-wal").exists():
                raise
            return _checked_read_only(path, "ro&immutable=1")  # a folder that takes no shared-memory file


def _checked_read_only(path: Path, mode: str) -> sqlite3.Connection:
    connection = _connect(path, mode)
    try:
        _check_origin(path, connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _connect(path: Path, mode: str) -> sqlite3.Connection:
    address = f"{path.absolute().as_uri()}?mode={mode}"
    return sqlite3.connect(address, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _check_header(path: Path) -> None:
    """SQLite itself takes any file of a few bytes for an empty database, and would write over it."""
    with writing(path):
        if not path.exists():
            return
        with path.open("rb") as stream:
            found = stream.read(len(_HEADER))
    if found and found != _HEADER:
        raise damaged(path, "it is not a SQLite file")


def _is_empty(connection: sqlite3.Connection) -> bool:
    """Whether the file holds nothing yet: it is new, or its maker was killed before the tables were committed."""
    tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
    return not tables and connection.execute("PRAGMA application_id").fetchone()[0] == 0


def _check_origin(path: Path, connection: sqlite3.Connection) -> None:
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if application != _APPLICATION:
        raise RunDirectoryError(f"{path}: this is not a journal of thinkscale. Choose another --out")
    if version != _VERSION:
        raise RunDirectoryError(
            f"{path}: written by another version of thinkscale (journal format {version}, this one reads {_VERSION}). "
            "Use that version, or another --out"
        )


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turns SQLite's failures in the body into StorageError or RunDirectoryError; mistakes of ours pass as they are."""
    try:
        yield
    except sqlite3.DatabaseError as error:
        known = _known(path, error)
        if known is None:
            raise
        raise known from error


def _known(path: Path, error: sqlite3.DatabaseError) -> ThinkscaleError | None:
    code = _code(error)
    if code in _FULL or "database or disk is full" in str(error):
        return no_space(path)
    if code in _FAILING:
        return cannot_write(path, str(error))
    if code in _DAMAGED:
        return damaged(path, str(error))
    if code in _BUSY:
        return RunDirectoryError(f"{path}: another program holds the journal ({error}). Close it and run again")
    return None


def damaged(path: Path, reason: str) -> RunDirectoryError:
    """The error for a journal that cannot be read."""
    return RunDirectoryError(
        f"{path}: the journal is damaged or no journal of thinkscale ({reason}). "
        f"Put back a copy of {path.name}, or start again with another --out"
    )


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code, 0 where Python raised the error itself."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
