"""How much a lane may be asked at a time: a window of calls in flight, and allowances a minute. Pure: takes `now`.

The window is found, not configured. It looks at the time to the first token alone, since the time to the last one
depends on the length of the answer:

- Opening: each call that starts promptly opens the window by one, so it doubles with each first token's time.
- Refusals (429, 503) are a hard ceiling. The window is halved; the refusals of the same burst count down to what
  the server really took; then the window opens up to that ceiling again, and probes beyond it ever more rarely. A
  probe's refusal only returns to the ceiling. A refusal now and then, whatever is in flight, is weather: below a fifth
  of the last calls it is retried and changes nothing, since halving on each would end at one call in flight.
- A queue at the server is a soft ceiling: calls that have not started for longer than usual are in its line. The window
  shrinks to the calls that have started, and grows by 3% a second from there.

Rejected: additive increase and multiplicative decrease alone, which spends half of its time far under a capacity that
it knows; and the gradient of latency, which takes longer answers for a slower server.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

SATURATED = 0.95
"""A window that is less full than this says nothing about what the server can do."""
LINE_SHARE = 0.08
"""Share of the window that may stand in the server's line before the window shrinks."""
SOFT_GROWTH = 0.03
SOFT_SECONDS = 1.0
FIRST_PROBE_SECONDS = 10.0
MOST_PROBE_SECONDS = 600.0
LEAST_PATIENCE_SECONDS = 0.25
PATIENCE = 5.0
"""A call that has not started after this many usual times to the first token stands in line."""
REFUSED_SHARE = 0.2
"""Share of the last calls whose refusal means that there are too many, if there are three of them at least."""
OUTCOMES = 50


@dataclass(slots=True)
class Window:
    """How many calls a lane may have in flight: `limit`, between 1 and `most`."""

    most: int
    limit: float = 8.0
    ceiling: float | None = None
    """What the server took when it last refused; None before any refusal."""
    opening: bool = True
    num_in_flight: int = 0
    _waiting: OrderedDict[int, tuple[float, bool]] = field(default_factory=OrderedDict)
    """Calls without a first token: when they were sent, and whether they filled the window."""
    _usual_start: float | None = None
    _cut_at: float = float("-inf")
    _grown_at: float = float("-inf")
    _probe_at: float = float("inf")
    _probe_seconds: float = FIRST_PROBE_SECONDS
    _probing: bool = False
    _refused: deque[bool] = field(default_factory=lambda: deque(maxlen=OUTCOMES))
    """Of the last calls, whether they were refused or started."""
    _counting_down: bool = False
    """The refusals of the burst that led to the last cut are still coming in."""

    def __post_init__(self) -> None:
        self.limit = min(self.limit, float(self.most))

    @property
    def room(self) -> int:
        """Calls that may be sent now."""
        return int(self.limit) - self.num_in_flight

    def sent(self, call: int, now: float) -> None:
        """A call goes out."""
        self.num_in_flight += 1
        self._waiting[call] = now, self.num_in_flight >= SATURATED * int(self.limit)

    def started(self, call: int, now: float) -> None:
        """Its first token is there."""
        sent, filled = self._waiting.pop(call, (None, False))
        if sent is None:
            return
        self._refused.append(False)
        seconds = now - sent
        usual = self._usual_start
        # Falls at once and rises slowly: what the server does when it is not crowded.
        self._usual_start = seconds if usual is None or seconds < usual else usual + 0.01 * (seconds - usual)
        if filled and (usual is None or seconds <= self._patience(usual)):
            self._grow(now)
        self.look(now)

    def ended(self, call: int) -> None:
        """The call is over, well or not."""
        self.num_in_flight -= 1
        self._waiting.pop(call, None)

    def crowded(self, call: int, sent: float, now: float) -> bool:
        """The server refused a call for having too much to do; whether that says something about the window.

        To be said before `ended`.
        """
        self._waiting.pop(call, None)
        self._refused.append(True)
        if sent < self._cut_at:  # of the burst that was answered with a cut already
            if self.ceiling is not None and self._counting_down:
                self.ceiling = max(1.0, self.ceiling - 1)
                self.limit = min(self.limit, self.ceiling)
            return True
        if self._probing and self.ceiling is not None:
            self.limit = self.ceiling
            self._probe_seconds = min(MOST_PROBE_SECONDS, 2 * self._probe_seconds)
            self._counting_down = False
        elif self._refused.count(True) >= max(3, REFUSED_SHARE * len(self._refused)):
            self.ceiling = float(max(1, self.num_in_flight - 1))
            self.limit = max(1.0, self.ceiling / 2)
            self._probe_seconds = FIRST_PROBE_SECONDS
            self._counting_down, self.opening = True, False
        else:
            return False
        self._refused.clear()
        self._probing = False
        self._cut_at = now
        self._probe_at = now + self._probe_seconds
        return True

    def look(self, now: float) -> None:
        """Shrinks the window where too many calls stand in the server's line."""
        if self._usual_start is None or now - self._grown_at < 0.1 * SOFT_SECONDS:
            return
        late = now - self._patience(self._usual_start)
        in_line = 0
        for sent, _ in self._waiting.values():
            if sent > late:
                break
            in_line += 1
        if in_line > max(1.0, LINE_SHARE * self.limit):
            self.opening = False
            self.limit = max(1.0, float(self.num_in_flight - in_line))
            self._grown_at = now

    def reset(self) -> None:
        """After the server was away: everything is to be found again, from a small window."""
        self.limit = min(8.0, self.limit)
        self.ceiling, self.opening, self._probing = None, True, False
        self._usual_start = None
        self._probe_at, self._probe_seconds = float("inf"), FIRST_PROBE_SECONDS
        self._refused.clear()

    def _patience(self, usual: float) -> float:
        return max(LEAST_PATIENCE_SECONDS, PATIENCE * usual)

    def _grow(self, now: float) -> None:
        if self.ceiling is not None:
            if self.limit < self.ceiling:
                self.limit = min(self.limit + 1, self.ceiling)
            elif self._probing and now >= self._cut_at and now - self._grown_at > FIRST_PROBE_SECONDS:
                # The last probe was taken: the server holds more than it did.
                self.ceiling, self._probe_seconds = self.limit, FIRST_PROBE_SECONDS
                self._probe(now)
            elif not self._probing and now >= self._probe_at:
                self._probe(now)
        elif self.opening:
            self.limit += 1
        elif now - self._grown_at >= SOFT_SECONDS:
            self.limit += max(1.0, SOFT_GROWTH * self.limit)
            self._grown_at = now
        self.limit = min(self.limit, float(self.most))

    def _probe(self, now: float) -> None:
        assert self.ceiling is not None
        self.limit = self.ceiling + max(1.0, SOFT_GROWTH * self.ceiling)
        self._probing, self._grown_at = True, now


@dataclass(slots=True)
class Allowance:
    """At most `per_minute` in any minute, spread evenly: a bucket that holds one second's worth.

    What a call takes beyond the bucket is owed, and the next waits until it is paid back.
    """

    per_minute: float
    _level: float = field(init=False)
    _filled_at: float | None = None

    def __post_init__(self) -> None:
        self._level = self._burst

    @property
    def _burst(self) -> float:
        return max(1.0, self.per_minute / 60)

    @property
    def _rate(self) -> float:
        # Burst and refill of a minute together are the allowance.
        return max(self.per_minute - self._burst, self.per_minute / 2) / 60

    def wait_seconds(self, now: float) -> float:
        """Seconds until something may be taken; 0 for now."""
        self._fill(now)
        least = min(1.0, self._burst)
        return 0.0 if self._level >= least else (least - self._level) / self._rate

    def take(self, amount: float, now: float) -> None:
        """Counts `amount`; negative amounts give back what was counted too much."""
        self._fill(now)
        self._level = min(self._burst, self._level - amount)

    def _fill(self, now: float) -> None:
        if self._filled_at is not None:
            self._level = min(self._burst, self._level + (now - self._filled_at) * self._rate)
        self._filled_at = now


def backoff_seconds(failures: int, jitter: float, *, base: float = 0.5, most: float = 30.0) -> float:
    """Seconds before the next attempt after `failures` of them: doubling, between half and all of it by `jitter` in
    [0, 1), so that rows which failed together do not come back together."""
    return min(most, base * 2.0 ** min(failures - 1, 16)) * (0.5 + 0.5 * jitter)
