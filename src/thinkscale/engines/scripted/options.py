"""What the loopback server is told to be like. Its defaults are a server that never refuses and never waits."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thinkscale.engines.scripted.faults import NO_FAULTS, FaultPlan
from thinkscale.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOptions:
    """Raises ConfigError on values that make no server."""

    tokens_per_second: float | None = None
    """Of each request; None is as fast as it goes."""
    first_token_seconds: float = 0.0
    chunk_tokens: int = 16
    """Tokens an event: a test double must cost less than what it tests."""
    capacity: int | None = None
    """Requests that are answered at a time."""
    queue: bool = False
    """Whether those above `capacity` wait in line; else they are refused with 429."""
    requests_per_minute: float | None = None
    """Of each key."""
    tokens_per_minute: float | None = None
    """Of each key; a request counts its prompt and its `max_tokens`."""
    burst_seconds: float = 60.0
    """How much unused allowance a key saves up."""
    retry_after_seconds: float = 1.0
    """What refusals ask for, where a limit does not say better."""
    keys: tuple[str, ...] = ()
    """Keys that are valid; empty lets anyone in."""
    credit: Mapping[str, int] = field(default_factory=dict)
    """Tokens that a key may use before its quota is spent; a key that is not named has no end."""
    faults: FaultPlan = NO_FAULTS
    stall_seconds: float = 600.0
    """When a stalled or dying connection is closed at last."""
    max_model_len: int = 131072
    thinking_field: str | None = "reasoning_content"
    """Where a chat reply has its thinking: a field of the message (`reasoning` in newer vLLM), or None for marks in
    the text."""
    batch_polls: int = 2
    """How often a batch is asked for before it is done."""
    batch_failed_share: float = 0.0
    """Rows of a batch that fail; when they are submitted again, they are drawn anew."""
    port: int = 0
    """0 is any free one."""

    def __post_init__(self) -> None:
        above_zero = {
            "tokens_per_second": self.tokens_per_second,
            "requests_per_minute": self.requests_per_minute,
            "tokens_per_minute": self.tokens_per_minute,
            "capacity": self.capacity,
            "chunk_tokens": self.chunk_tokens,
            "burst_seconds": self.burst_seconds,
            "max_model_len": self.max_model_len,
        }
        for name, value in above_zero.items():
            if value is not None and value <= 0:
                raise ConfigError(f"{name} is {value:g}; give a number above 0")
        if self.first_token_seconds < 0 or not 0 <= self.batch_failed_share <= 1:
            raise ConfigError("first_token_seconds must not be negative, and batch_failed_share lies between 0 and 1")
