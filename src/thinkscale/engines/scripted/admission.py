"""Whom the loopback server lets in: valid keys, their credit, and their allowance a minute."""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass

from thinkscale.engines.remote.failures import FailureKind
from thinkscale.engines.scripted.options import ServerOptions
from thinkscale.engines.scripted.protocol import Refusal


@dataclass(slots=True)
class Allowance:
    """So many a minute: unused ones are saved up to `most`, and a request waits for what it lacks."""

    per_minute: float
    most: float
    left: float
    at: float

    def refill(self, now: float) -> None:
        """Adds what has come since the last look."""
        self.left = min(self.most, self.left + (now - self.at) * self.per_minute / 60)
        self.at = now

    def lacking_seconds(self, amount: float) -> float:
        """How long until `amount` is there; 0 where it is. More than can be saved up counts as all that can."""
        return max(0.0, (min(amount, self.most) - self.left) * 60 / self.per_minute)


@dataclass(slots=True)
class _Account:
    requests: Allowance | None
    tokens: Allowance | None
    credit: float


class Admission:
    """The accounts of all keys. `clock` gives seconds."""

    def __init__(self, options: ServerOptions, clock: Callable[[], float]) -> None:
        self._options = options
        self._clock = clock
        self._accounts: dict[str, _Account] = {}
        self._broke: str | None = None

    def _account(self, key: str) -> _Account:
        if key not in self._accounts:
            options = self._options
            self._accounts[key] = _Account(
                self._allowance(options.requests_per_minute),
                self._allowance(options.tokens_per_minute),
                options.credit.get(key, math.inf),
            )
        return self._accounts[key]

    def _allowance(self, per_minute: float | None) -> Allowance | None:
        if per_minute is None:
            return None
        most = max(1.0, per_minute * self._options.burst_seconds / 60)
        return Allowance(per_minute, most, most, self._clock())

    def enter(self, key: str, tokens: int) -> Refusal | None:
        """Takes a request of `tokens` (prompt and the most it may write) off the key's allowance, or says why not."""
        if self._options.keys and key not in self._options.keys:
            return Refusal(kind=FailureKind.REFUSED_KEY, text="Incorrect API key provided.")
        account = self._account(key)
        if account.credit <= 0:
            return OUT_OF_CREDIT
        now = self._clock()
        limits = [(account.requests, 1.0), (account.tokens, float(tokens))]
        for allowance, _ in limits:
            if allowance:
                allowance.refill(now)
        wait = max(allowance.lacking_seconds(amount) if allowance else 0.0 for allowance, amount in limits)
        if wait > 0:
            text = f"Rate limit reached. Please try again in {wait:.3f}s."
            return Refusal(kind=FailureKind.RATE_LIMIT, text=text, retry_after=wait)
        for allowance, amount in limits:
            if allowance:
                allowance.left -= amount
        return None

    def spend(self, key: str, tokens: int) -> None:
        """Charges the key's credit."""
        self._account(key).credit -= tokens

    def go_broke(self, key: str) -> bool:
        """The fault `out_of_credit` meets `key`: the first that it meets has no credit from now on, others go on."""
        if self._broke is None:
            self._broke = key
            self._account(key).credit = 0
        return self._broke == key

    def headers(self, key: str) -> dict[str, str]:
        """OpenAI's headers about what is left; none where there is no limit."""
        account = self._account(key)
        found: dict[str, str] = {}
        for name, allowance in (("requests", account.requests), ("tokens", account.tokens)):
            if allowance:
                allowance.refill(self._clock())
                found[f"x-ratelimit-limit-{name}"] = f"{allowance.per_minute:.0f}"
                found[f"x-ratelimit-remaining-{name}"] = f"{max(0, math.floor(allowance.left))}"
                found[f"x-ratelimit-reset-{name}"] = f"{allowance.lacking_seconds(allowance.most):.3f}s"
        return found


OUT_OF_CREDIT = Refusal(
    kind=FailureKind.OUT_OF_CREDIT,
    text="You exceeded your current quota, please check your plan and billing details.",
)


def key_hash(key: str) -> str:
    """What stands for a key in logs."""
    return hashlib.blake2b(key.encode(), digest_size=4).hexdigest() if key else ""
