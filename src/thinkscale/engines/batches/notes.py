"""What is remembered of a batch, so that a kill at any instant neither loses it nor pays for it twice.

A note is saved before the batch is created, with a marker that the provider is given too, and again with the batch's
id. A note without an id is of a batch that may exist: the provider is searched for the marker before its rows are
sent again. A row's custom id is the marker and its place in the note, so any key of ours fits the providers' rules.
"""

from dataclasses import dataclass, field
from typing import Protocol

from thinkscale.engines.chat import ChatRequest
from thinkscale.keys import JSON


class Notes(Protocol):
    """Where batches are remembered. Each call is durable when it returns."""

    def load(self) -> list[dict[str, JSON]]:
        """All that was saved and not forgotten, in the order in which it was first saved."""
        ...

    def save(self, key: str, note: dict[str, JSON]) -> None:
        """Saves or replaces the note under `key`."""
        ...

    def forget(self, key: str) -> None:
        """Removes the note under `key`. Its rows were given to the caller before, who has stored them by now."""
        ...


@dataclass(slots=True, kw_only=True)
class Row:
    """One request on its way, with what its failed attempts cost so far in this process."""

    request: ChatRequest
    attempts: int = 0
    """Batches that it was sent in."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    origin: tuple[str, int] | None = None
    """Marker and place in the batch where it failed last; that note stands until a new one holds the row."""


@dataclass(slots=True, kw_only=True)
class Flight:
    """One batch: what the note says, and the rows that the caller has asked for."""

    marker: str
    since: float
    """Unix time of the first note; the batch was created later."""
    keys: list[str | None]
    """By place; None where the row is finished."""
    attempts: list[int]
    """By place: which attempt of its row this is."""
    batch_id: str | None = None
    rows: dict[int, Row] = field(default_factory=dict)
    """By place: rows asked for whose result is not known yet."""
    num_failures: int = 0
    """Polls in a row that brought no answer."""

    def note(self) -> dict[str, JSON]:
        """The flight as it is saved."""
        return {
            "marker": self.marker,
            "since": self.since,
            "keys": list(self.keys),
            "attempts": list(self.attempts),
            "batch_id": self.batch_id,
        }

    def place_of(self, custom_id: str) -> int | None:
        """The row's place, None where the custom id is none of this batch."""
        marker, _, place = custom_id.rpartition("-")
        known = marker == self.marker and place.isascii() and place.isdigit() and int(place) < len(self.keys)
        return int(place) if known else None

    @property
    def is_finished(self) -> bool:
        """Whether the caller has every row, or another note holds it."""
        return all(key is None for key in self.keys)


def custom_id(marker: str, place: int) -> str:
    """The name of a row in its batch: at most 64 letters, digits and hyphens, as both providers ask."""
    return f"{marker}-{place}"


def flight_of(note: dict[str, JSON]) -> Flight:
    """The flight that `note` was saved of."""
    keys, attempts, batch_id, since = note["keys"], note["attempts"], note["batch_id"], note["since"]
    assert isinstance(keys, list)
    assert isinstance(attempts, list)
    assert isinstance(since, (int, float))
    return Flight(
        marker=str(note["marker"]),
        since=float(since),
        keys=[None if key is None else str(key) for key in keys],
        attempts=[item for item in attempts if isinstance(item, int)],
        batch_id=None if batch_id is None else str(batch_id),
    )
