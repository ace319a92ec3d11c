"""One request on its way: its job, each attempt at it, what an attempt costs, and how long to pause before the next."""

from dataclasses import dataclass
from typing import Generic, TypeAlias

from thinkscale.engines.meter import Meter
from thinkscale.engines.remote.failures import CROWDED, TRANSIENT, Failure, FailureKind
from thinkscale.engines.remote.lanes import Lane
from thinkscale.engines.remote.pace import backoff_seconds
from thinkscale.engines.remote.spend import Ledger, Reservation
from thinkscale.engines.remote.turns import CHARACTERS_PER_TOKEN
from thinkscale.engines.remote.watch import Watch
from thinkscale.engines.remote.wire import Call, Completion, Outcome, Reply, Request
from thinkscale.keys import content_key

BEHIND_THE_PROMPT = frozenset({FailureKind.STALL, FailureKind.TORN, FailureKind.MALFORMED, FailureKind.WRONG_COUNTS})
"""After these the server has read the prompt, and may charge for it even where nothing came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """How patient the queue is. Seconds, unless said otherwise."""

    retries: int = 5
    """Failures of one request, beyond the first, before it is given up. What a lane is to blame for is not counted."""
    most_attempts: int = 50
    """Attempts of one request, whoever is to blame."""
    connect_seconds: float = 10.0
    stall_seconds: float = 120.0
    """Silence, or next to no progress, for longer than this is a failure."""
    patience_seconds: float = 600.0
    """How long every lane may be dead before the stage stops."""
    stream: bool = True


Draft: TypeAlias = tuple[tuple[int, ...], tuple[float, ...]]
"""The ids of a reply so far, and their log-probabilities."""


@dataclass(slots=True, eq=False)
class Job(Generic[Request]):
    """One request until it ends."""

    request: Request
    key: str
    reply: Reply
    """What there is of its reply: of the attempt in flight, or what the last one left to the next."""
    attempts: int = 0
    first_sent: float = 0.0
    failures: int = 0
    """Those that may have been the request's own."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    num_drafted: int = 0
    draft: Draft | None = None
    """What waits to be saved: as it was before the server said why it stopped, so without a stop token."""

    def put_draft(self) -> None:
        """Lays what has come in ready to be saved."""
        self.draft = tuple(self.reply.ids), tuple(self.reply.logprobs)

    def outcome(self, error: str | None, now: float) -> Outcome:
        """How it ended."""
        return Outcome(
            attempts=self.attempts,
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            seconds=now - self.first_sent if self.first_sent else 0.0,
            usd=self.usd,
            error=error,
        )


@dataclass(slots=True, eq=False)
class Sending(Generic[Request]):
    """One attempt in flight."""

    job: Job[Request]
    lane: Lane
    call: Call
    number: int
    at: float
    expected: float
    reservation: Reservation
    watch: Watch
    num_before: int
    """Ids that earlier attempts left."""
    heard: bool = False
    """The server has begun to answer."""
    counted: int = 0
    """Tokens of it that the meter has."""
    is_stuck: bool = False
    """It was given up, and is being ended."""

    @property
    def has_grown(self) -> bool:
        """Whether it brought ids that the next attempt can go on from."""
        return self.job.reply.finish is None and len(self.job.reply.ids) > self.num_before

    def count(self, meter: Meter) -> None:
        """Shows the tokens that have come in, estimated where the server sends text."""
        reply = self.job.reply
        written = len(reply.ids) - self.num_before
        if written <= 0:
            written = (len(reply.thinking) + len(reply.text)) // CHARACTERS_PER_TOKEN
        if written > self.counted:
            meter.completion_tokens += written - self.counted
            meter.open_completion_tokens += written - self.counted
            self.counted = written


@dataclass(frozen=True, slots=True)
class Answered(Generic[Request, Completion]):
    """A request that ended, well or not."""

    request: Request
    reply: Reply
    outcome: Outcome
    completion: Completion


def settle(sending: Sending[Request], failure: Failure | None, ledger: Ledger, meter: Meter) -> int:
    """Counts what an attempt cost, whatever became of it. Returns the tokens that it took of its lane's allowance."""
    job, reply, call = sending.job, sending.job.reply, sending.call
    prompt = completion = 0
    if sending.heard or (failure is not None and failure.kind in BEHIND_THE_PROMPT):
        prompt = call.prompt_tokens if reply.prompt_tokens is None else reply.prompt_tokens
        received = max(len(reply.ids) - sending.num_before, reply.num_pieces)
        if failure is not None:  # pieces hold several tokens, and nobody says how many
            received = max(received, (len(reply.thinking) + len(reply.text)) // CHARACTERS_PER_TOKEN)
        completion = received if reply.completion_tokens is None else max(reply.completion_tokens, received)
        premium = -(-reply.cache_written_tokens // 4)  # Anthropic: writing to the cache costs 1.25 times the price
        job.usd += ledger.settle(sending.reservation, prompt + premium, reply.cached_tokens, completion)
    else:
        ledger.release(sending.reservation)
    job.prompt_tokens += prompt
    job.completion_tokens += completion
    meter.completion_tokens += completion - sending.counted
    meter.open_completion_tokens -= sending.counted
    meter.open_prompt_tokens -= call.prompt_tokens if sending.heard else 0
    meter.spent_usd = ledger.spent_usd
    return prompt + completion


def pause_seconds(
    job: Job[Request], failure: Failure, terms: Terms, *, has_grown: bool, elsewhere: bool
) -> float | None:
    """Seconds before the next attempt; None where there is to be none. Counts the failure where it was the request's.

    A torn attempt that brought ids to go on from counts as none. What a server asks one lane to wait does not hold a
    request that can go elsewhere.
    """
    lane_to_blame = failure.kind in CROWDED or failure.kind is FailureKind.CONNECTION
    job.failures += not (lane_to_blame or has_grown)
    if failure.kind not in TRANSIENT or job.failures > terms.retries or job.attempts >= terms.most_attempts:
        return None
    jitter = int(content_key(job.key, job.attempts)[:8], 16) / 2**32
    wait = backoff_seconds(min(job.attempts, 8), jitter)
    if failure.retry_after and not (lane_to_blame and elsewhere):
        wait = max(wait, failure.retry_after)
    return wait
