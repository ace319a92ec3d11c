"""Where labels go, so that no label covers a point or another label. Pure geometry in units of the figure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

CHARACTER_WIDTH = 6.1
"""Mean width of a character of the labels' font (11 units)."""
LINE_HEIGHT = 12.0
GAP = 9.0
"""Distance of a label's end from the middle of its point."""
RISE = 14.0
"""Distance of a label's middle line from the middle of its point, where it stands above or below."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its middle and its whole width and height."""

    x: float
    y: float
    width: float
    height: float

    def overlaps(self, other: "Box") -> bool:
        """Whether the two share any area."""
        return (
            abs(self.x - other.x) * 2 < self.width + other.width
            and abs(self.y - other.y) * 2 < self.height + other.height
        )


@dataclass(frozen=True, slots=True)
class Label:
    """Text that wants to stand near a point, or stands (then x and y are the middle of the text)."""

    text: str
    x: float
    y: float


def placed(labels: Iterable[Label], obstacles: Sequence[Box], width: float, height: float) -> list[Label]:
    """Those of `labels` that find a free place beside their point, the first given the first choice.

    Tries right and left of the point, then above and below; a label without room is left out, since a tooltip
    and a table tell the same.
    """
    taken = list(obstacles)
    standing = []
    for label in labels:
        for box in _places(label):
            inside = (
                box.width / 2 <= box.x <= width - box.width / 2 and box.height / 2 <= box.y <= height - box.height / 2
            )
            if inside and not any(box.overlaps(other) for other in taken):
                taken.append(box)
                standing.append(Label(label.text, box.x, box.y))
                break
    return standing


def _places(label: Label) -> list[Box]:
    text_width = CHARACTER_WIDTH * len(label.text)
    aside = GAP + text_width / 2
    diagonal = GAP * 0.8
    # Beside the point first: intervals run through it from above to below.
    offsets = [
        (aside, 0.0),
        (-aside, 0.0),
        (aside - 3, diagonal),
        (3 - aside, -diagonal),
        (aside - 3, -diagonal),
        (3 - aside, diagonal),
        (0.0, -RISE),
        (0.0, RISE),
    ]
    return [Box(label.x + dx, label.y + dy, text_width, LINE_HEIGHT) for dx, dy in offsets]
