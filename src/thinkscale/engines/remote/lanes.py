"""Lanes: each pair of an endpoint and a key, with its window, its allowances and its health.

The next call goes to the open lane that is the least full. A lane that loses its connection several times in a row is
dead until its endpoint answers again; one whose key is refused or out of credit is retired for good, with its reason.
Rejected: one limit for the whole pool, which the slowest endpoint would set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import product

from thinkscale.credentials import ApiKey
from thinkscale.engines.remote.failures import CROWDED, OF_THE_KEY, Failure, FailureKind
from thinkscale.engines.remote.pace import Allowance, Window

FAILURES_TO_DIE = 3
"""Calls that brought not one byte while no other did either, after which an endpoint is taken for dead."""
FIRST_PROBE_SECONDS = 0.5
MOST_PROBE_SECONDS = 15.0


class LaneState(StrEnum):
    """Whether calls may go out on a lane."""

    OPEN = "open"
    DEAD = "dead"
    """The endpoint does not answer; it is asked again and again whether it is back."""
    RETIRED = "retired"
    """The key is refused or out of credit: out of the rotation until the next start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneLimits:
    """What the user says of a lane. Allowances are those of one key at one endpoint."""

    most_in_flight: int = 1024
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None


@dataclass(slots=True, eq=False)
class Lane:
    """One endpoint with one key."""

    endpoint: str
    key: ApiKey | None
    window: Window
    requests: Allowance | None = None
    tokens: Allowance | None = None
    state: LaneState = LaneState.OPEN
    reason: str = ""
    """Why it is not open."""
    rests_until: float = 0.0
    """The server asked to be left alone until then."""
    failures_in_row: int = 0
    heard_at: float = float("-inf")
    """When a reply began last."""
    probe_at: float = 0.0
    probe_seconds: float = FIRST_PROBE_SECONDS
    mean_completion_tokens: float | None = None

    @property
    def name(self) -> str:
        """As messages show it."""
        return f"{self.endpoint} ({self.key.name})" if self.key else self.endpoint

    def wait_seconds(self, now: float) -> float:
        """Seconds until its allowances and its rest let a call go out; the window is another matter."""
        waits = [self.rests_until - now]
        waits += [allowance.wait_seconds(now) for allowance in (self.requests, self.tokens) if allowance]
        return max(0.0, *waits)

    def expected_tokens(self, prompt_tokens: int, max_tokens: int) -> float:
        """What a call is counted with until it ends: the mean answer of this lane, the most at first."""
        return prompt_tokens + min(self.mean_completion_tokens or max_tokens, max_tokens)

    def sent(self, call: int, expected_tokens: float, now: float) -> None:
        """A call goes out."""
        self.window.sent(call, now)
        if self.requests:
            self.requests.take(1, now)
        if self.tokens:
            self.tokens.take(expected_tokens, now)

    def ended(self, call: int, expected_tokens: float, tokens: float, now: float) -> None:
        """A call is over and took so many tokens."""
        self.window.ended(call)
        if self.tokens:
            self.tokens.take(tokens - expected_tokens, now)

    def started(self, call: int, now: float) -> None:
        """The first of a call's reply is there."""
        self.failures_in_row, self.heard_at = 0, now
        self.window.started(call, now)

    def succeeded(self, completion_tokens: int) -> None:
        """A call brought a whole reply."""
        before = self.mean_completion_tokens
        self.mean_completion_tokens = completion_tokens if before is None else 0.95 * before + 0.05 * completion_tokens

    def failed(self, call: int, failure: Failure, sent: float, now: float) -> str | None:
        """Draws the consequence for the lane; a sentence for a person where its state changed."""
        if failure.kind in CROWDED:
            if self.window.crowded(call, sent, now) and failure.retry_after:
                self.rests_until = max(self.rests_until, now + failure.retry_after)
            return None
        if failure.kind in OF_THE_KEY:
            was_retired = self.state is LaneState.RETIRED
            self.state, self.reason = LaneState.RETIRED, failure.text
            what = "is out of credit" if failure.kind is FailureKind.OUT_OF_CREDIT else "is refused"
            return None if was_retired else f"{self.name}: the key {what} and left the rotation ({failure.text})"
        if failure.kind in (FailureKind.CONNECTION, FailureKind.STALL) and sent > self.heard_at:
            self.failures_in_row += 1
            if self.failures_in_row >= FAILURES_TO_DIE and self.state is LaneState.OPEN:
                self.die(failure.text, now)
                return f"{self.name}: does not answer ({failure.text}); its work goes elsewhere until it is back"
        return None

    def die(self, reason: str, now: float) -> None:
        """Takes the endpoint for dead, to be asked again soon."""
        self.state, self.reason = LaneState.DEAD, reason
        self.probe_seconds = FIRST_PROBE_SECONDS
        self.probe_at = now + self.probe_seconds

    def probed(self, problem: str | None, now: float) -> str | None:
        """What asking a dead endpoint gave; a sentence where it is back."""
        if problem is not None:
            self.reason = problem
            self.probe_seconds = min(MOST_PROBE_SECONDS, 2 * self.probe_seconds)
            self.probe_at = now + self.probe_seconds
            return None
        if self.state is not LaneState.DEAD:
            return None
        self.state, self.reason, self.failures_in_row = LaneState.OPEN, "", 0
        self.window.reset()
        return f"{self.name}: answers again"


def make_lanes(endpoints: Sequence[str], keys: Sequence[ApiKey], limits: LaneLimits) -> list[Lane]:
    """A lane for each endpoint and key; without keys one for each endpoint."""
    per_minute = limits.requests_per_minute, limits.tokens_per_minute
    lanes = []
    rotation: Sequence[ApiKey | None] = keys or (None,)
    for endpoint, key in product(endpoints, rotation):
        requests, tokens = (Allowance(value) if value else None for value in per_minute)
        lanes.append(Lane(endpoint.rstrip("/"), key, Window(limits.most_in_flight), requests, tokens))
    return lanes


def least_full(lanes: Iterable[Lane], now: float) -> Lane | None:
    """The open lane with room that has the smallest share of its window in use; None where there is none now."""
    ready = [
        lane for lane in lanes if lane.state is LaneState.OPEN and lane.window.room > 0 and lane.wait_seconds(now) <= 0
    ]
    return min(ready, key=lambda lane: lane.window.num_in_flight / lane.window.limit, default=None)
