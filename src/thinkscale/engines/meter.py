"""What an engine is doing right now, for progress lines and for other terminals. Written by one thread, read by any."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from thinkscale.keys import JSON

RATE_SECONDS = 20.0
"""Tokens a second are a mean over this much time."""


@dataclass(slots=True)
class Meter:
    """Counts since this process began. Dollars include what earlier invocations of the run paid."""

    attempts: int = 0
    retries: int = 0
    from_cache: int = 0
    completion_tokens: int = 0
    in_flight: int = 0
    limit: int = 0
    """Calls that may be in flight now, over all lanes."""
    lanes: int = 0
    """Endpoint and key pairs in use."""
    spent_usd: float = 0.0
    max_spend_usd: float | None = None
    price: Callable[[int, int], float] | None = None
    """Dollars for tokens read and written; None where the model has no price."""
    open_prompt_tokens: int = 0
    open_completion_tokens: int = 0
    """Of calls in flight: paid for already, and not in `spent_usd` yet."""
    tick: Callable[[], None] = field(default=lambda: None)
    """Called by the one who waits, twice a second, so that others see how things stand."""
    _marks: deque[tuple[float, int]] = field(default_factory=deque)

    def tokens_per_second(self, now: float | None = None) -> float:
        """Completion tokens a second over the last seconds. To be called by one reader."""
        now = time.monotonic() if now is None else now
        self._marks.append((now, self.completion_tokens))
        while len(self._marks) > 2 and now - self._marks[1][0] > RATE_SECONDS:
            self._marks.popleft()
        then, before = self._marks[0]
        return (self.completion_tokens - before) / (now - then) if now - then > 0.5 else 0.0

    def reading(self, done: int, total: int | None) -> dict[str, JSON]:
        """The gauges as they stand in the journal; the projection takes the mean price of a finished row."""
        row: dict[str, JSON] = {
            "tokens_per_second": round(self.tokens_per_second(), 1),
            "completion_tokens": self.completion_tokens,
            "in_flight": self.in_flight,
            "in_flight_limit": self.limit,
            "lanes": self.lanes,
            "retries": self.retries,
            "from_cache": self.from_cache,
        }
        if self.price:
            spent = self.spent_usd + self.price(self.open_prompt_tokens, self.open_completion_tokens)
            row["spent_usd"] = round(spent, 6)
            row["projected_usd"] = round(self.spent_usd * total / done, 6) if total and done else None
            row["max_spend_usd"] = self.max_spend_usd
        return row

    def text(self, done: int, total: int | None) -> str:
        """The gauges as a person reads them: `1,204 tok/s, 64 in flight, $1.20 of about $14.05`."""
        return meter_text(self.reading(done, total))


def meter_text(row: dict[str, JSON]) -> str:
    """The gauges as a person reads them: `1,204 tok/s, 64 in flight, $1.20 of about $14.05`."""
    parts = [f"{row['tokens_per_second']:,.0f} tok/s"]
    if row["in_flight_limit"]:
        parts.append(f"{row['in_flight']:,} in flight")
    if row["retries"]:
        parts.append(f"{row['retries']:,} retries")
    if row["from_cache"]:
        parts.append(f"{row['from_cache']:,} from cache")
    if "spent_usd" in row:
        projected = row["projected_usd"]
        parts.append(f"${row['spent_usd']:,.2f}" + (f" of about ${projected:,.2f}" if projected else ""))
    return ", ".join(parts)
