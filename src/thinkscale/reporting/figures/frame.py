"""The ranges of a panel of accuracy over tokens (log scale), and where its values lie in it."""

import math
from dataclasses import dataclass

WIDTH, HEIGHT = 275, 270


@dataclass(frozen=True, slots=True)
class Frame:
    """The ranges of a panel in units of the figure."""

    least_tokens: float
    most_tokens: float
    percent_ticks: list[int]

    def x(self, tokens: float) -> float:
        """Distance from the left edge."""
        return WIDTH * math.log(tokens / self.least_tokens) / math.log(self.most_tokens / self.least_tokens)

    def y(self, accuracy_percent: float) -> float:
        """Distance from the upper edge."""
        least, most = self.percent_ticks[0], self.percent_ticks[-1]
        return HEIGHT * (most - accuracy_percent) / (most - least)

    def tokens_at(self, x: float) -> float:
        """The inverse of `x`."""
        return float(self.least_tokens * (self.most_tokens / self.least_tokens) ** (x / WIDTH))

    def percent_at(self, y: float) -> float:
        """The inverse of `y`."""
        least, most = self.percent_ticks[0], self.percent_ticks[-1]
        return most - y / HEIGHT * (most - least)

    @property
    def token_ticks(self) -> list[float]:
        """Doublings that fall inside: powers of two up to 64, then 125, 250, 500, 1,000 where thinking is long.

        Every second or fourth where they are many; the ends of a range without doublings.
        """
        unit = 125.0 / 128 if self.most_tokens >= 1000 else 1.0
        doublings = [2.0**power * (unit if power > 6 else 1.0) for power in range(40)]
        ticks = [tick for tick in doublings if self.least_tokens <= tick <= self.most_tokens]
        if len(ticks) < 2:
            return [math.ceil(self.least_tokens), math.floor(self.most_tokens)]
        return ticks[:: 1 + (len(ticks) - 1) // 8]
