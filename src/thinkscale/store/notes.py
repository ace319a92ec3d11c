"""Notes of a stage that is under way: drafts of long completions, batches that a provider works on.

They are no rows: a note under a unit's key goes with the commit of that unit, and all go when the stage is finished, so
the tables of an interrupted run equal those of an undisturbed one.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass

import zstandard

from thinkscale.errors import EncodingError
from thinkscale.keys import JSON, canonical_json
from thinkscale.store.database import damaged
from thinkscale.store.journal import Journal

_INSERT = "INSERT INTO notes (stage, key, payload) VALUES (?, ?, ?) ON CONFLICT (stage, key) DO UPDATE SET payload = ?"


@dataclass(frozen=True, slots=True)
class Notes:
    """The notes of one stage. Any thread may use them; every method may raise what Journal's do."""

    journal: Journal
    stage: str

    def save(self, key: str, value: JSON) -> None:
        """Replaces the note under `key`."""
        payload = zstandard.compress(canonical_json(value).encode())
        with self.journal.transaction() as connection:
            connection.execute(_INSERT, (self.stage, key, payload, payload))

    def load(self, key: str) -> JSON:
        """The note under `key`, None where there is none."""
        found = self.journal.query("SELECT payload FROM notes WHERE stage = ? AND key = ?", (self.stage, key))
        return self._value(found[0][0]) if found else None

    def keys(self, prefix: str = "") -> list[str]:
        """The keys that begin with `prefix`, in order."""
        statement = "SELECT key FROM notes WHERE stage = ? AND substr(key, 1, ?) = ? ORDER BY key"
        return [str(key) for (key,) in self.journal.query(statement, (self.stage, len(prefix), prefix))]

    def forget(self, key: str) -> None:
        """Removes a note. One that is not there is no error."""
        with self.journal.transaction() as connection:
            connection.execute("DELETE FROM notes WHERE stage = ? AND key = ?", (self.stage, key))

    def _value(self, payload: object) -> JSON:
        try:
            value: JSON = json.loads(zstandard.decompress(payload))  # type: ignore[arg-type]
        except (zstandard.ZstdError, TypeError, ValueError) as error:
            raise damaged(self.journal.path, f"a note cannot be unpacked: {error}") from error
        return value


@dataclass(frozen=True, slots=True)
class JournalDrafts:
    """Drafts of completions as notes under their requests' keys. See engines.tokens.Drafts."""

    notes: Notes

    def load(self, key: str) -> tuple[int, ...]:
        """The ids that were saved last, empty where none were."""
        found = self.notes.load(key)
        if found is None:
            return ()
        if not isinstance(found, list) or not all(isinstance(item, int) for item in found):
            raise EncodingError(f"the draft of {key} holds no token ids")
        return tuple(int(str(item)) for item in found)

    def save(self, key: str, ids: Sequence[int]) -> None:
        """Replaces the draft."""
        self.notes.save(key, list(ids))
