"""The journal: what is finished, in one SQLite file that is the only truth about a run.

Each unit of work is one transaction: all of its rows, or none. A kill at any instant loses at most the unit that
was being committed. The file is in WAL mode, so readers in other processes never block the writer; it must
lie on a local disk, since WAL needs shared memory. Clock readings stay in here: rows carry none.
"""

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from sqlite3 import Connection, IntegrityError
from threading import RLock
from types import TracebackType
from typing import Self

import zstandard

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, canonical_json, combined_key
from thinkscale.records import Record
from thinkscale.store.database import connect, connect_read_only, damaged, translated
from thinkscale.store.states import Event, Progress, Stage, StoredState
from thinkscale.store.tables import TABLE_OF, TABLES

_PAGE_ROWS = 200
"""Rows read at a time: no statement stays open between pages, so a slow reader never holds back a checkpoint."""

_STAGES = """
SELECT name, state, identity, fingerprint, stages.position, started, finished,
    COUNT(units.key), COALESCE(SUM(seconds), 0), COALESCE(SUM(usd), 0)
FROM stages LEFT JOIN units ON units.stage = stages.name {where} GROUP BY name ORDER BY stages.position
"""
_ROWS = """
SELECT unit_position, row_position, payload FROM rows
WHERE stage = ? AND table_name = ? AND (unit_position, row_position) > (?, ?)
ORDER BY unit_position, row_position LIMIT ?
"""
_INSERT_UNIT = """
INSERT INTO units (stage, key, position, seconds, usd) VALUES (?, ?, ?, ?, ?) ON CONFLICT (stage, key) DO NOTHING
"""
_INSERT_ROW = """
INSERT INTO rows (stage, table_name, unit, unit_position, row_position, payload) VALUES (?, ?, ?, ?, ?, ?)
"""
_PROGRESS = """
INSERT INTO progress (stage, done, total, unit_name, started, updated, seconds_left, gauges)
VALUES (?, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (stage) DO UPDATE SET done = excluded.done, total = excluded.total, unit_name = excluded.unit_name,
updated = excluded.updated, seconds_left = excluded.seconds_left, gauges = excluded.gauges
"""


class Journal:
    """Safe to share between the threads of one process. Every method may raise StorageError (the disk is full or
    fails; what was committed before is intact) and RunDirectoryError (the file is damaged)."""

    def __init__(self, path: Path, connection: Connection) -> None:
        self.path = path
        self._connection = connection
        self._lock = RLock()
        self._compressor = zstandard.ZstdCompressor(level=3, write_checksum=True)
        self._decompressor = zstandard.ZstdDecompressor()

    @classmethod
    def open(cls, path: Path) -> Self:
        """For the one writer; made where there is none. RunDirectoryError for a file that is no journal."""
        return cls(path, connect(path))

    @classmethod
    def open_read_only(cls, path: Path) -> Self:
        """For any process, also while another writes. RunDirectoryError where there is no journal."""
        return cls(path, connect_read_only(path))

    def close(self) -> None:
        """Ends the connection. A second call does nothing."""
        with self._lock, translated(self.path):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """All of the body, or nothing."""
        with self._lock, translated(self.path):
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:  # a full disk may have rolled it back already
                    self._connection.execute("ROLLBACK")
                raise

    def query(self, statement: str, values: Sequence[object] = ()) -> list[tuple[object, ...]]:
        """Every row of a SELECT."""
        with self._lock, translated(self.path):
            return self._connection.execute(statement, tuple(values)).fetchall()

    # Stages

    def stages(self) -> list[Stage]:
        """All stages in the order in which they were begun."""
        return [_stage(row) for row in self.query(_STAGES.format(where=""))]

    def stage(self, name: str) -> Stage | None:
        """One stage, None where it was never begun."""
        found = self.query(_STAGES.format(where="WHERE name = ?"), (name,))
        return _stage(found[0]) if found else None

    def begin_stage(self, name: str, identity: dict[str, JSON]) -> None:
        """Stores a new stage as running. ValueError where it exists."""
        statement = """INSERT INTO stages (name, state, identity, position, started)
                       SELECT ?, ?, ?, COALESCE(MAX(position), 0) + 1, ? FROM stages"""
        try:
            with self.transaction() as connection:
                connection.execute(statement, (name, StoredState.RUNNING, canonical_json(identity), time.time()))
        except IntegrityError as error:
            raise ValueError(f"stage {name} exists already") from error

    def finish_stage(self, name: str) -> str:
        """Marks a stage done and returns the combined key of its rows in order. A finished stage is left as it is."""
        stage = self.stage(name)
        if stage is None:
            raise ValueError(f"stage {name} was not begun")
        if stage.state is StoredState.DONE:
            return stage.fingerprint
        fingerprint = combined_key(self._row_keys(name))
        with self.transaction() as connection:
            connection.execute(
                "UPDATE stages SET state = ?, fingerprint = ?, finished = ? WHERE name = ?",
                (StoredState.DONE, fingerprint, time.time(), name),
            )
            connection.execute("DELETE FROM notes WHERE stage = ?", (name,))
        return fingerprint

    def _row_keys(self, stage: str) -> Iterator[str]:
        """`content_key(table, row)` of each row: it hashes the stored canonical text without reading it as JSON."""
        for table in sorted(TABLES):
            for text in self._texts(table, stage):
                yield blake2b(f'["{table}",'.encode() + text + b"]", digest_size=16).hexdigest()

    def discard_stages(self, names: Iterable[str]) -> None:
        """Forgets these stages with all that they stored, in one transaction. Unknown names are no error."""
        values = [(name,) for name in names]
        with self.transaction() as connection:
            for table in ("rows", "units", "progress", "events", "notes"):
                connection.executemany(f"DELETE FROM {table} WHERE stage = ?", values)
            connection.executemany("DELETE FROM stages WHERE name = ?", values)

    # Units and rows

    def commit(
        self,
        stage: str,
        unit_key: str,
        position: int,
        records: Iterable[Record],
        seconds: float = 0.0,
        usd: float = 0.0,
    ) -> bool:
        """Stores a finished unit with all of its records, or nothing. False where the unit was there already.

        Notes under the unit's key (drafts of it) go in the same transaction. `position` orders the units of a
        stage, whenever they finish; the order within a unit is that of `records`. ValueError where the stage is not
        running or another unit has the position; EncodingError for a record with no stable encoding.
        """
        rows = [
            (stage, TABLE_OF[type(record)], unit_key, position, number, _encode(record))
            for number, record in enumerate(records)
        ]
        try:
            with self.transaction() as connection:
                return self._insert(connection, (stage, unit_key, position, seconds, usd), rows)
        except IntegrityError as error:
            raise ValueError(f"stage {stage}: another unit than {unit_key} has position {position}") from error

    def _insert(
        self,
        connection: Connection,
        unit: tuple[str, str, int, float, float],
        rows: list[tuple[str, str, str, int, int, bytes]],
    ) -> bool:
        state = connection.execute("SELECT state FROM stages WHERE name = ?", unit[:1]).fetchone()
        if state is None or state[0] != StoredState.RUNNING:
            raise ValueError(f"stage {unit[0]} is not running: nothing can be committed to it")
        if not connection.execute(_INSERT_UNIT, unit).rowcount:
            return False
        connection.executemany(
            _INSERT_ROW,
            [(*row[:5], self._compressor.compress(row[5])) for row in rows],
        )
        stage, key = unit[:2]
        # `0` comes behind `/`: the unit's own note, and those under it.
        connection.execute("DELETE FROM notes WHERE stage = ? AND key = ?", (stage, key))
        connection.execute("DELETE FROM notes WHERE stage = ? AND key > ? AND key < ?", (stage, f"{key}/", f"{key}0"))
        return True

    def forget_units(self, stage: str, keys: Iterable[str]) -> None:
        """Forgets units with their rows, so that they are done again, and opens the stage for that."""
        values = [(stage, key) for key in keys]
        with self.transaction() as connection:
            connection.executemany("DELETE FROM rows WHERE stage = ? AND unit = ?", values)
            connection.executemany("DELETE FROM units WHERE stage = ? AND key = ?", values)
            connection.execute(
                "UPDATE stages SET state = ?, fingerprint = '', finished = NULL WHERE name = ?",
                (StoredState.RUNNING, stage),
            )

    def done_units(self, stage: str) -> set[str]:
        """Keys of the units that are committed."""
        return {str(key) for (key,) in self.query("SELECT key FROM units WHERE stage = ?", (stage,))}

    def has_unit(self, stage: str, key: str) -> bool:
        """Whether a unit is committed: for stages with more units than should stand in memory."""
        return bool(self.query("SELECT 1 FROM units WHERE stage = ? AND key = ?", (stage, key)))

    def unit_costs(self, stage: str) -> dict[str, tuple[float, float]]:
        """Seconds and dollars of each unit."""
        found = self.query("SELECT key, seconds, usd FROM units WHERE stage = ?", (stage,))
        return {str(key): (float(str(seconds)), float(str(usd))) for key, seconds, usd in found}

    def rows(self, table: str, stages: Iterable[str]) -> Iterator[dict[str, JSON]]:
        """Rows of a table as plain JSON objects: by stage in the order given, unit position, row position."""
        for stage in stages:
            for text in self._texts(table, stage):
                yield json.loads(text)

    def rows_at(self, table: str, stage: str, position: int) -> list[dict[str, JSON]]:
        """The rows of the unit at a position, in order; empty where there is none."""
        where = "WHERE stage = ? AND table_name = ? AND unit_position = ? ORDER BY row_position"
        found = self.query(f"SELECT payload FROM rows {where}", (stage, table, position))
        return [json.loads(self._decompress(payload)) for (payload,) in found]

    def num_rows(self, table: str, stages: Iterable[str]) -> int:
        """How many rows these stages have in a table."""
        statement = "SELECT COUNT(*) FROM rows WHERE stage = ? AND table_name = ?"
        return sum(int(str(self.query(statement, (stage, table))[0][0])) for stage in stages)

    def _texts(self, table: str, stage: str) -> Iterator[bytes]:
        last: tuple[object, object] = (-(2**63), -1)
        while page := self.query(_ROWS, (stage, table, *last, _PAGE_ROWS)):
            for unit_position, row_position, payload in page:
                last = (unit_position, row_position)
                yield self._decompress(payload)

    def _decompress(self, payload: object) -> bytes:
        try:
            with self._lock:
                return self._decompressor.decompress(payload)  # type: ignore[arg-type]
        except (zstandard.ZstdError, TypeError) as error:
            raise damaged(self.path, f"a row cannot be unpacked: {error}") from error

    # What other terminals see

    def set_progress(
        self,
        stage: str,
        done: int,
        total: int,
        unit_name: str,
        seconds_left: float | None = None,
        gauges: dict[str, JSON] | None = None,
    ) -> None:
        """Replaces the stage's progress: `done` of `total` things that are called `unit_name`."""
        now = time.time()
        values = (stage, done, total, unit_name, now, now, seconds_left, canonical_json(gauges or {}))
        with self.transaction() as connection:
            connection.execute(_PROGRESS, values)

    def progress(self) -> list[Progress]:
        """The last progress of each stage that gave any, oldest first."""
        names = "stage, done, total, unit_name, started, updated, seconds_left, gauges"
        found = self.query(f"SELECT {names} FROM progress ORDER BY started")
        return [Progress(*row[:7], json.loads(str(row[7]))) for row in found]  # type: ignore[call-arg, arg-type]

    def add_event(self, stage: str, kind: str, text: str) -> None:
        """Adds a line to the run's diary; `kind` is what failures and notices are counted by."""
        with self.transaction() as connection:
            values = (time.time(), stage, kind, text)
            connection.execute("INSERT INTO events (time, stage, kind, text) VALUES (?, ?, ?, ?)", values)

    def events(self, stage: str | None = None) -> list[Event]:
        """The diary in order of time, of all stages or of one."""
        where, values = ("", ()) if stage is None else (" WHERE stage = ?", (stage,))
        found = self.query(f"SELECT time, stage, kind, text FROM events{where} ORDER BY id", values)
        return [Event(*row) for row in found]  # type: ignore[arg-type]


def _encode(record: Record) -> bytes:
    try:
        return canonical_json(record).encode()
    except UnicodeEncodeError as error:
        raise EncodingError(f"a {type(record).__name__} holds text that is not valid Unicode: {error}") from error


def _stage(row: tuple[object, ...]) -> Stage:
    name, state, identity, *rest = row
    return Stage(str(name), StoredState(str(state)), json.loads(str(identity)), *rest)  # type: ignore[arg-type]
