"""Replies that were paid for, kept for every later run: one SQLite file beside all run directories.

A request's key holds all that decides its reply (model, endpoint, rendered prompt, sampling, sample index), so a stored
reply is the answer to the same question. Several processes and threads may read and write at once: SQLite locks in WAL
mode, each writer waits for its turn, and the second writer of a key leaves the first reply in place.

- A damaged row is a miss and is removed: its reply is fetched again, which is all that a cache promises.
- A damaged file is a StorageError that says to delete it; deleting it by ourselves would throw away paid replies.
- A reply that cannot be written is a StorageError of `put`. The caller still has it, and decides.

Rejected: a file for each reply (millions of small files), and the journal (a cache outlives a run, a journal is one).
"""

import json
import os
import sqlite3
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Lock

import zstandard

from thinkscale.errors import EncodingError, StorageError
from thinkscale.keys import JSON, content_key

_APPLICATION = 0x74687363
"""`thsc`: marks the file as ours in SQLite's header."""
_VERSION = 1
_BUSY_SECONDS = 30.0
_RETRY_SECONDS = 0.02
_TOUCH_SECONDS = 3600.0
"""Reading a row notes the time at most this often, so that reading does not become writing."""
_LEVEL = 3
_PRUNED_AT_ONCE = 5_000
"""Rows of one transaction of `prune`: other writers wait for no longer than that takes."""
_BUSY = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_FORMAT})

_SCHEMA = f"""
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, used REAL NOT NULL, checksum INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS by_use ON replies (used);
PRAGMA application_id = {_APPLICATION};
PRAGMA user_version = {_VERSION};
COMMIT;
"""


def request_key(model: str, endpoint_identity: str, request_identity: JSON) -> str:
    """The content key of one request: who answers (model and server), and all that decides the reply."""
    return content_key("request", model, endpoint_identity, request_identity)


def default_path() -> Path:
    """`thinkscale/requests.db` under XDG_CACHE_HOME where that is an absolute path, else under ~/.cache."""
    given = os.environ.get("XDG_CACHE_HOME", "")
    folder = Path(given) if Path(given).is_absolute() else Path.home() / ".cache"
    return folder / "thinkscale" / "requests.db"


class RequestCache:
    """Replies by request key. `open` makes one; any thread may use it; a process that forks opens its own."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = Lock()

    @classmethod
    def open(cls, path: Path | None = None) -> "RequestCache":
        """The cache in `path`, else in the default place; made where absent, readable by its owner alone.

        Raises StorageError where it is damaged, of another format, or cannot be written.
        """
        path = path or default_path()
        with _translated(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600)
            connection = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
            try:
                _prepare_in_turn(path, connection)
            except BaseException:
                connection.close()
                raise
        return cls(path, connection)

    def get(self, key: str) -> dict[str, JSON] | None:
        """The stored reply; None where there is none, or where its row was damaged (it is then removed)."""
        with self._use() as connection:
            row = connection.execute("SELECT used, checksum, payload FROM replies WHERE key = ?", (key,)).fetchone()
            if row is None:
                return None
            value = _unpacked(row[1], row[2])
            now = time.time()
            if value is None:
                # Only the row that was read: another process may have put a sound one in its place.
                connection.execute("DELETE FROM replies WHERE key = ? AND payload IS ?", (key, row[2]))
            elif abs(now - row[0]) > _TOUCH_SECONDS:
                with suppress(sqlite3.OperationalError):  # a full disk must not keep back what was found
                    connection.execute("UPDATE replies SET used = ? WHERE key = ?", (now, key))
            return value

    def put(self, key: str, value: Mapping[str, JSON]) -> None:
        """Stores a reply; from then on it survives a kill. A key that is there already keeps its reply.

        Raises StorageError where it cannot be written, EncodingError on a value with no stable JSON.
        """
        payload = _packed(value)
        with self._use() as connection:
            connection.execute(
                "INSERT INTO replies (key, used, checksum, payload) VALUES (?, ?, ?, ?) ON CONFLICT (key) DO NOTHING",
                (key, time.time(), zlib.crc32(payload), payload),
            )

    def count(self) -> int:
        """Replies stored."""
        with self._use() as connection:
            return int(connection.execute("SELECT COUNT(*) FROM replies").fetchone()[0])

    def size_bytes(self) -> int:
        """What the replies take in the file, without pages that are free to be used again."""
        with self._use() as connection:
            return _size(connection)

    def prune(self, max_bytes: int) -> int:
        """Removes the replies that were used longest ago until `max_bytes` hold the rest; how many were removed.

        "Used" is known to the hour. The file shrinks at once where nobody is reading it, else with a later prune.
        """
        num_removed = 0
        with self._use() as connection:
            while (excess := _size(connection) - max_bytes) > 0:
                if (removed := _remove_oldest(connection, excess)) == 0:
                    break
                num_removed += removed
            if num_removed:
                # Page by page and in place: VACUUM would need as much free space again, and wait for all readers.
                connection.execute("PRAGMA incremental_vacuum").fetchall()
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        return num_removed

    def close(self) -> None:
        """Ends the use of the file; what was put is stored already."""
        with self._lock:
            self._connection.close()

    @contextmanager
    def _use(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _translated(self.path):
            yield self._connection


def _prepare_in_turn(path: Path, connection: sqlite3.Connection) -> None:
    """Prepares the file; SQLite refuses to change to WAL mode, without waiting, while another process does so."""
    deadline = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return _prepare(path, connection)
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > deadline:
                raise
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        time.sleep(_RETRY_SECONDS)


def _prepare(path: Path, connection: sqlite3.Connection) -> None:
    """Makes the tables in a new file, else checks that the file is ours. Several processes may do so at once."""
    connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # of use in a new file only
    if _origin(connection) == (0, 0, 0):
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
    application, version, _ = _origin(connection)
    if application != _APPLICATION:
        raise StorageError(f"{path}: this is not a request cache of thinkscale. Name another file")
    if version != _VERSION:
        raise StorageError(f"{path}: written by another version of thinkscale (format {version}). Name another file")
    # A power cut may lose the last replies, never the file's consistency; a kill loses nothing that was stored.
    connection.execute("PRAGMA synchronous = NORMAL")


def _origin(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Application, format and number of tables at one instant: between two reads another process may make the file."""
    connection.execute("BEGIN")
    try:
        tables = connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()[0]
        application = connection.execute("PRAGMA application_id").fetchone()[0]
        version = connection.execute("PRAGMA user_version").fetchone()[0]
    finally:
        connection.execute("ROLLBACK")
    return application, version, tables


def _size(connection: sqlite3.Connection) -> int:
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)


def _remove_oldest(connection: sqlite3.Connection, excess: int) -> int:
    """Removes the oldest replies, until those removed hold `excess` bytes or are as many as go at once."""
    keys: list[tuple[str]] = []
    oldest = "SELECT key, LENGTH(payload) FROM replies ORDER BY used, key LIMIT ?"
    for key, size in connection.execute(oldest, (_PRUNED_AT_ONCE,)):
        keys.append((key,))
        excess -= size
        if excess <= 0:
            break
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM replies WHERE key = ?", keys)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    return len(keys)


def _packed(value: Mapping[str, JSON]) -> bytes:
    """ASCII, since a reply may hold half a surrogate pair, which UTF-8 cannot write."""
    try:
        text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    except (ValueError, TypeError) as error:
        raise EncodingError(f"a reply cannot be cached: {error}") from error
    return zstandard.ZstdCompressor(level=_LEVEL).compress(text.encode("ascii"))


def _unpacked(checksum: object, payload: object) -> dict[str, JSON] | None:
    """The stored object, None where the row is damaged."""
    if not isinstance(payload, bytes) or zlib.crc32(payload) != checksum:
        return None
    try:
        value = json.loads(zstandard.ZstdDecompressor().decompress(payload))
    except (zstandard.ZstdError, ValueError):
        return None
    return value if isinstance(value, dict) else None


@contextmanager
def _translated(path: Path) -> Iterator[None]:
    """Turns failures of the disk and of SQLite into a StorageError that says what to do."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path}: the request cache cannot be used ({error.strerror or error})") from error
    except sqlite3.ProgrammingError:
        raise  # a mistake of ours, such as the use of a closed cache
    except sqlite3.DatabaseError as error:
        if _code(error) in _DAMAGED:
            raise StorageError(
                f"{path}: the request cache is damaged ({error}). Delete it and run again; "
                f"runs keep what they have, and what only the cache held is asked for again"
            ) from error
        raise StorageError(
            f"{path}: the request cache cannot be used ({error}). Free space or mend the cause, "
            f"or set XDG_CACHE_HOME to another folder"
        ) from error


def _code(error: sqlite3.DatabaseError) -> int:
    """SQLite's primary result code, 0 where Python raised the error itself."""
    return int(getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF
