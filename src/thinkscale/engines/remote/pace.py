"""How much a lane may be asked at a time: a window of calls in flight, and allowances a minute. Pure: takes `now`.

The window is found, not configured. It looks at the time to the first token alone, since the time to the last one
depends on the length of the answer:

- Opening: each call that starts promptly lets one and a half others go out, so what is on its way grows by half with
  each first token's time.
- Refusals (429, 503) are a hard ceiling. The window is halved; the refusals of the same burst count down to what
  the server really took; then the window opens up to that ceiling again, and probes beyond it, in steps that double as
  long as they are taken, ever more rarely where they are not. A probe that is refused only returns to the ceiling.
- A refusal now and then, whatever is in flight, is weather. A server that is full refuses all that is too much, again
  and again; so below two fifths of the last calls a refusal is retried and changes nothing, since halving on each would
  end at one call in flight. Calls that have not started yet count as taken: refusals are faster than first tokens.
- A queue at the server is a soft ceiling: calls that have not started for longer than usual are in its line. The window
  shrinks to just below the calls that have started, and grows from there, by 3% at first and then in larger steps, each
  a second or more after the last, and only when a call that filled that one started promptly. What is usual rises only
  by calls sent between a cut and the next growth, when there is no line: a line that stands would else become usual,
  and the window would grow without end.

Rejected: additive increase and multiplicative decrease alone, which spends half of its time far under a capacity that
it knows; and the gradient of latency, which takes longer answers for a slower server.
"""

from collections import OrderedDict, deque
from dataclasses import dataclass, field

NEVER = float("-inf")
SATURATED = 0.95
OPENING_SATURATED = 0.5
"""A window that is less full than this says nothing about what the server can do. While it opens, half is enough."""
OPENING_STEP = 1.5
LINE_SHARE = 0.08
"""Share of the window that may stand in the server's line before the window shrinks."""
USUAL_SHARE = 0.1
MEAN_SHARE = 0.02
"""What one call counts for in the times to the first token: of those without a line, and of all."""
SOFT_GROWTH = 0.03
SOFT_SECONDS = 1.0
CAREFUL_STEPS = 5
"""So many steps of 3% pass the place where a line was seen; if there is none, it was no line, and steps may grow."""
FIRST_PROBE_SECONDS = 10.0
MOST_PROBE_SECONDS = 600.0
LEAST_PATIENCE_SECONDS = 0.1
PATIENCE = 3.0
"""A call that has not started after this many usual times to the first token stands in line."""
REFUSED_SHARE = 0.4
LEAST_REFUSED = 4
"""Share of the last calls whose refusal means that there are too many, if there are so many of them at least."""
CLOSE_SHARE = 0.9
"""A ceiling that falls by less than this is corrected; one that falls by more halves the window."""
MOST_STEP_SHARE = 0.25
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
    _mean_start: float = 0.0
    _cut_at: float = NEVER
    _started_last: float = NEVER
    """When the latest of those that have started was sent."""
    _shrunk_at: float = NEVER
    """When it was last cut because of a line."""
    _grown_at: float = NEVER
    _probe_at: float = float("inf")
    _probe_seconds: float = FIRST_PROBE_SECONDS
    _step_share: float = SOFT_GROWTH
    _num_steps: int = 0
    """Steps since the window was last cut because of a line."""
    _found: float = float("inf")
    """The ceiling when it was found last; later refusals move it by little."""
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
        self._waiting[call] = now, self.num_in_flight >= self._full_at

    def started(self, call: int, now: float) -> None:
        """Its first token is there."""
        sent, filled = self._waiting.pop(call, (None, False))
        if sent is None:
            return
        self._refused.append(False)
        self._started_last = max(self._started_last, sent)
        seconds = now - sent
        usual = self._usual_start
        if filled and (usual is None or seconds <= self._patience(usual)):
            self._grow(sent, now)
        self._learn(seconds, sent)
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
        if sent <= self._cut_at:  # of the burst that was answered with a cut already
            if self.ceiling is not None and self._counting_down:
                self.ceiling = max(1.0, self.ceiling - 1)
                self.limit = min(self.limit, self.ceiling)
            return True
        num_refused, num_others = self._refused.count(True), min(len(self._waiting), OUTCOMES)
        if num_refused < max(LEAST_REFUSED, REFUSED_SHARE * (len(self._refused) + num_others)):
            return False
        if self._probing and self.ceiling is not None:
            self.limit = self.ceiling
            self._probe_seconds = min(MOST_PROBE_SECONDS, 2 * self._probe_seconds)
            self._counting_down = False
        else:
            self.ceiling = float(max(1, self.num_in_flight - 1))
            if self.ceiling < CLOSE_SHARE * self._found:  # news; all else sets right what was found
                self.limit, self._found = max(1.0, self.ceiling / 2), self.ceiling
            else:
                self.limit = self.ceiling
            self._probe_seconds = FIRST_PROBE_SECONDS
            self._counting_down, self.opening = True, False
        self._refused.clear()
        self._probing, self._step_share = False, SOFT_GROWTH
        self._cut_at = now
        self._probe_at = now + self._probe_seconds
        return True

    def look(self, now: float) -> None:
        """Shrinks the window where too many calls stand in the server's line."""
        if self._usual_start is None:
            return
        late, in_line = now - self._patience(self._usual_start), now - 1.5 * self._usual_start
        num_late = num_in_line = 0
        for sent, _ in self._waiting.values():
            if sent > max(late, in_line):
                break
            if sent < self._started_last:  # a later call has started: this one hangs, it stands in no line
                continue
            num_late += self._shrunk_at <= sent <= late  # those sent before were answered with the last cut
            num_in_line += sent <= in_line
        if num_late > max(1.0, LINE_SHARE * self.limit):
            self.opening = False
            self.limit = max(1.0, min(self.limit, (1 - SOFT_GROWTH) * (self.num_in_flight - num_in_line)))
            self._shrunk_at = self._grown_at = now
            self._step_share, self._num_steps = SOFT_GROWTH, 0
        elif not self.opening and self.ceiling is None and not num_in_line and self.num_in_flight >= self._full_at:
            self._grow(now, now)  # long replies: nothing starts that could say so

    def reset(self) -> None:
        """After the server was away: everything is to be found again, from a small window."""
        self.limit = min(8.0, self.limit)
        self.ceiling, self.opening, self._probing = None, True, False
        self._found, self._shrunk_at, self._grown_at = float("inf"), NEVER, NEVER
        self._usual_start = None
        self._probe_at, self._probe_seconds, self._step_share = float("inf"), FIRST_PROBE_SECONDS, SOFT_GROWTH
        self._refused.clear()

    @property
    def _full_at(self) -> float:
        """Calls in flight from which on the window counts as full."""
        return (OPENING_SATURATED if self.opening else SATURATED) * int(self.limit)

    def _patience(self, usual: float) -> float:
        return max(LEAST_PATIENCE_SECONDS, PATIENCE * usual)

    def _learn(self, seconds: float, sent: float) -> None:
        """What is usual: the mean of calls that met no line, and never more than the mean of all."""
        if self._usual_start is None:
            self._usual_start = self._mean_start = seconds
            return
        self._mean_start += MEAN_SHARE * (seconds - self._mean_start)
        is_first = self.opening and len(self._refused) < OUTCOMES
        if is_first or sent >= self._shrunk_at >= self._grown_at > NEVER:
            self._usual_start += USUAL_SHARE * (seconds - self._usual_start)
        else:
            self._usual_start = min(self._usual_start, self._mean_start)

    def _grow(self, sent: float, now: float) -> None:
        """A call that was sent when the window was full started promptly."""
        if self.opening:
            self.limit += OPENING_STEP
        elif self.ceiling is not None and self._shrunk_at < self._cut_at and self.limit < self.ceiling:
            self.limit = min(self.limit + 1, self.ceiling)
        elif self.ceiling is not None and self.limit >= self.ceiling:
            self._go_beyond(now)
        elif sent >= self._grown_at and now - self._grown_at >= SOFT_SECONDS:
            self.limit += max(1.0, self._step_share * self.limit)
            self._num_steps += 1
            if self._num_steps >= CAREFUL_STEPS:
                self._step_share = min(MOST_STEP_SHARE, 2 * self._step_share)
            self._grown_at = now
        self.limit = min(self.limit, float(self.most))

    def _go_beyond(self, now: float) -> None:
        """Looks now and then whether the server takes more than when it last refused."""
        assert self.ceiling is not None
        if not self._probing and now >= self._probe_at:
            self._refused.clear()
        elif self._probing and now - self._grown_at > FIRST_PROBE_SECONDS:  # it holds more than it did
            self.ceiling = self._found = self.limit
            self._probe_seconds = FIRST_PROBE_SECONDS
            self._step_share = min(MOST_STEP_SHARE, 2 * self._step_share)
        else:
            return
        self.limit = self.ceiling + max(1.0, self._step_share * self.ceiling)
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
