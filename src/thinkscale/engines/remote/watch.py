"""Finds a stream that still sends, but next to nothing: a slow death, which no limit on silence sees. Pure."""

from dataclasses import dataclass

SPANS = 4
"""Parts of the time allowed, in each of which a stream is looked at."""
LEAST_SHARE = 0.02
"""Of what its best part brought: all parts together must bring more than this."""


@dataclass(slots=True)
class Watch:
    """Compares what one stream brought in the last `seconds` with its own best.

    A stream that has not begun is not stuck: standing in line is no fault, and silence has its own limit.
    """

    seconds: float
    _marks: tuple[tuple[float, int], ...] = ()
    _best: int = 0

    def is_stuck(self, num_pieces: int, now: float) -> bool:
        """Whether a stream that has brought `num_pieces` so far is as good as dead. To be asked often."""
        if not num_pieces:
            return False
        if not self._marks:
            self._marks = ((now, num_pieces),)
            self._best = num_pieces
            return False
        if now - self._marks[-1][0] < self.seconds / SPANS:
            return False
        self._best = max(self._best, num_pieces - self._marks[-1][1])
        self._marks = (*self._marks, (now, num_pieces))[-SPANS - 1 :]
        if len(self._marks) <= SPANS:
            return False
        return num_pieces - self._marks[0][1] <= LEAST_SHARE * self._best
