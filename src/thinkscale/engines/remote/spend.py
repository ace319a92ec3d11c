"""A spend cap that is never crossed: the worst case of every attempt is set aside before it is sent.

An attempt reserves the price of its whole prompt, uncached, and of every token that it may write. When it ends, the
reservation is replaced by what was received, failed or not. So spent + reserved never passes the cap as long as no
server writes more than it was asked for. Rejected: comparing what was spent with the cap before each request, which
overshoots by all that is in flight.
"""

import math
from dataclasses import dataclass
from threading import Lock

from thinkscale.engines.remote.prices import PICODOLLARS, Price, to_picodollars
from thinkscale.errors import ConfigError, SpendCapError


@dataclass(slots=True, kw_only=True, eq=False)
class Reservation:
    """Money set aside for one attempt. It is given back exactly once, to `settle` or to `release`."""

    picodollars: int
    is_open: bool = True

    @property
    def usd(self) -> float:
        return self.picodollars / PICODOLLARS


class Ledger:
    """What one model of a run has cost, and may still cost. Any thread may call any method.

    `spent_usd` is what earlier invocations of the run paid, `batch` counts at the price of the batch API. Without a
    price nothing is counted; a cap then raises ConfigError, since it could not be held. `model` is for that message.
    """

    def __init__(
        self,
        price: Price | None,
        cap_usd: float | None = None,
        spent_usd: float = 0.0,
        *,
        model: str = "",
        batch: bool = False,
    ) -> None:
        self.price = price
        self.cap_usd = cap_usd
        self.batch = batch
        self._cap = None if cap_usd is None else _checked_cap(cap_usd, price, model)
        self._spent = to_picodollars(spent_usd, up=True)
        self._reserved = 0
        self._num_open = 0
        self._refused: int | None = None
        self._lock = Lock()

    @property
    def spent_usd(self) -> float:
        """Paid for all that was received, earlier invocations included."""
        return self._spent / PICODOLLARS

    @property
    def reserved_usd(self) -> float:
        """The worst case of all that is in flight."""
        return self._reserved / PICODOLLARS

    @property
    def left_usd(self) -> float | None:
        """What may still be reserved; None without a cap."""
        return None if self._cap is None else max(0, self._cap - self._spent - self._reserved) / PICODOLLARS

    @property
    def exhausted(self) -> bool:
        """Nothing is in flight and what was refused last still does not fit: waiting would be in vain."""
        with self._lock:
            return self._num_open == 0 and self._refused is not None and not self._fits(self._refused)

    def reserve(self, prompt_tokens: int, max_tokens: int) -> Reservation | None:
        """Sets aside the worst case of one attempt; None where it does not fit under the cap beside what is open."""
        worst = self._cost(prompt_tokens, 0, max_tokens)
        with self._lock:
            if not self._fits(worst):
                self._refused = worst
                return None
            self._refused = None
            self._reserved += worst
            self._num_open += 1
        return Reservation(picodollars=worst)

    def settle(self, reservation: Reservation, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> float:
        """Replaces a reservation by what the attempt cost, in dollars. Failed attempts are paid for what they brought.

        More tokens than were reserved are counted as they are: the money is gone.
        """
        cost = self._cost(prompt_tokens, cached_tokens, completion_tokens)
        self._close(reservation, cost)
        return cost / PICODOLLARS

    def release(self, reservation: Reservation) -> None:
        """Gives a reservation back unspent: the request never reached the server."""
        self._close(reservation, 0)

    def _close(self, reservation: Reservation, cost: int) -> None:
        with self._lock:
            if not reservation.is_open:
                raise ValueError("a reservation was settled or released twice")
            reservation.is_open = False
            self._reserved -= reservation.picodollars
            self._num_open -= 1
            self._spent += cost

    def _fits(self, cost: int) -> bool:
        return self._cap is None or self._spent + self._reserved + cost <= self._cap

    def _cost(self, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> int:
        if self.price is None:
            return 0
        return self.price.picodollars(prompt_tokens, cached_tokens, completion_tokens, batch=self.batch)


def _checked_cap(cap_usd: float, price: Price | None, model: str) -> int:
    """The cap in picodollars. Raises ConfigError where it is no amount, or the model has no price."""
    if not math.isfinite(cap_usd) or cap_usd < 0:
        raise ConfigError(f"the spend cap must be an amount in US dollars, 0 or more, not {cap_usd}")
    if price is None:
        name = model or "NAME"
        raise ConfigError(
            f"a spend cap of {cap_usd:g} USD cannot be held, since the price of {model or 'this model'} is not known. "
            f"Give it in a price file, in US dollars for a million tokens, such as\n"
            f"models:\n  {name}: {{input: 1.0, output: 4.0}}\n"
            f"(0 for a server of your own), or leave the cap out"
        )
    return to_picodollars(cap_usd, up=False)


def cap_reached(ledger: Ledger) -> SpendCapError:
    """The error with which a run ends at its cap."""
    return SpendCapError(
        f"the spend cap of {ledger.cap_usd:g} USD is reached: {ledger.spent_usd:.4f} USD are spent, and the next "
        "request might cross it. What was answered is stored; the same command with a higher --max-spend goes on"
    )
