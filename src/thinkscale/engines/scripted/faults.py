"""What goes wrong in a rehearsal, and when: a plan that is a pure function, so that a failure can be had again.

Whether attempt n of a request meets a fault depends on the plan's seed, the request and n alone: not on the order
in which requests come, nor on the clock. A retry is another attempt, so it can succeed.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from thinkscale.errors import ConfigError


class Fault(StrEnum):
    """One way in which a server fails."""

    RATE_LIMIT = "rate_limit"
    """429 with Retry-After."""
    SERVER_ERROR = "server_error"
    """500."""
    OVERLOADED = "overloaded"
    """503, or 529 in Anthropic's protocol."""
    STALL = "stall"
    """No more bytes, and the connection stays open: before the reply or in the middle of it."""
    TORN_STREAM = "torn_stream"
    """The connection is cut in the middle of the reply."""
    MALFORMED = "malformed"
    """Broken JSON: an event of a stream, or the body."""
    WRONG_COUNTS = "wrong_counts"
    """A usage that contradicts what was sent, or more choices than were asked for."""
    SLOW_DEATH = "slow_death"
    """From some token on, each event takes twice as long as the one before."""
    BAD_REQUEST = "bad_request"
    """400, on every attempt."""
    OUT_OF_CREDIT = "out_of_credit"
    """The quota of the key is spent. The first key that meets it stays without credit, no other key does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultPlan:
    """Which share of attempts meets which fault. Raises ConfigError on shares that are none."""

    shares: Mapping[Fault, float] = field(default_factory=dict)
    permanent_share: float = 0.0
    """Of the requests whose first attempt meets a fault, those that meet it on every attempt."""
    seed: int = 42

    def __post_init__(self) -> None:
        total = sum(self.shares.values())
        wrong = [f"{fault}={share}" for fault, share in self.shares.items() if not 0 <= share <= 1]
        if wrong or total > 1 + 1e-9:
            raise ConfigError(
                f"the shares of faults must lie between 0 and 1 and sum to at most 1: "
                f"{', '.join(wrong) or f'they sum to {total:g}'}"
            )
        if not 0 <= self.permanent_share <= 1:
            raise ConfigError(f"the permanent share of faults is {self.permanent_share:g}; give 0 to 1")

    def fault(self, request_key: str, attempt: int) -> Fault | None:
        """What attempt number `attempt` (from 1) of a request meets; None where it is answered as it should be."""
        if not self.shares:
            return None
        first = self._drawn(request_key, 1)
        lasting = first is Fault.BAD_REQUEST or self._number("permanent", request_key) < self.permanent_share
        if attempt == 1 or (first is not None and lasting):
            return first
        found = self._drawn(request_key, attempt)
        return None if found is Fault.BAD_REQUEST else found

    def place(self, request_key: str, attempt: int) -> float:
        """How far into the reply the fault strikes, in [0, 1)."""
        return self._number("place", request_key, attempt)

    def _drawn(self, request_key: str, attempt: int) -> Fault | None:
        number = self._number("fault", request_key, attempt)
        for fault in Fault:
            number -= self.shares.get(fault, 0.0)
            if number < 0:
                return fault
        return None

    def _number(self, *parts: str | int) -> float:
        text = "\n".join(str(part) for part in (self.seed, *parts))
        return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=7).digest()) / 2**56


NO_FAULTS = FaultPlan()


def parse_shares(texts: Iterable[str]) -> dict[Fault, float]:
    """Shares from texts such as `rate_limit=0.05`. Raises ConfigError that says what is wrong with which."""
    shares: dict[Fault, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        fault, share = _fault(name.strip()), _share(text, number) if equals else None
        if share is None:
            raise ConfigError(f"--fault {text!r} has no share; write for instance {fault}=0.05")
        if fault in shares:
            raise ConfigError(f"--fault {fault} is given twice; give it once")
        shares[fault] = share
    return shares


def _fault(name: str) -> Fault:
    try:
        return Fault(name)
    except ValueError:
        raise ConfigError(f"there is no fault {name!r}; there are {', '.join(Fault)}") from None


def _share(text: str, number: str) -> float:
    try:
        share = float(number)
    except ValueError:
        raise ConfigError(f"--fault {text!r}: {number!r} is no number; write for instance 0.05") from None
    if not 0 <= share <= 1:
        raise ConfigError(f"--fault {text!r}: a share lies between 0 and 1")
    return share
