"""Sets of reals as unions of intervals: what intervals, relations, unions and complements all say.

A region is a list of pieces in order, ends as forms with floats beside them. Pieces that overlap or touch are one. Two
regions are equal where their pieces are, closed ends with closed ends, and the exact ends compare as equal.
"""

import math
from typing import NamedTuple

from thinkscale.grading.math.forms import Form

TOUCH = 1e-12


class End(NamedTuple):
    """A place on the line: its float, and the form that says it exactly (None at infinity)."""

    place: float
    form: Form | None


class Piece(NamedTuple):
    """An interval; a point is closed at both its ends, which are one."""

    low: End
    low_closed: bool
    high: End
    high_closed: bool


Region = tuple[Piece, ...]
MINUS_INFINITY, INFINITY = End(-math.inf, None), End(math.inf, None)
LINE: Region = (Piece(MINUS_INFINITY, False, INFINITY, False),)


def same_place(left: End, right: End) -> bool:
    if left.place == right.place:
        return True
    if math.isinf(left.place) or math.isinf(right.place):
        return False
    return abs(left.place - right.place) <= TOUCH * max(abs(left.place), abs(right.place), 1e-9)


def piece(low: End, low_closed: bool, high: End, high_closed: bool) -> Region:
    """The interval as a region; none where its ends are the wrong way round."""
    if same_place(low, high):
        return (Piece(low, True, high, True),) if low_closed and high_closed else ()
    if low.place > high.place:
        return ()
    return (Piece(low, low_closed and low.form is not None, high, high_closed and high.form is not None),)


def united(pieces: list[Piece]) -> Region:
    """The union, overlapping and touching pieces made one."""
    ordered = sorted(pieces, key=lambda part: (part.low.place, not part.low_closed))
    merged: list[Piece] = []
    for part in ordered:
        if merged and _joins(merged[-1], part):
            merged[-1] = _joined(merged[-1], part)
        else:
            merged.append(part)
    return tuple(merged)


def _joins(left: Piece, right: Piece) -> bool:
    if same_place(left.high, right.low):
        return left.high_closed or right.low_closed
    return left.high.place > right.low.place


def _joined(left: Piece, right: Piece) -> Piece:
    low_closed = left.low_closed or (right.low_closed and same_place(left.low, right.low))
    if same_place(left.high, right.high):
        return Piece(left.low, low_closed, left.high, left.high_closed or right.high_closed)
    last = left if left.high.place > right.high.place else right
    return Piece(left.low, low_closed, last.high, last.high_closed)


def intersection(left: Region, right: Region) -> Region:
    """The points in both."""
    found: list[Piece] = []
    for a in left:
        for b in right:
            if same_place(a.low, b.low):
                low, low_closed = a.low, a.low_closed and b.low_closed
            else:
                low, low_closed = max((a.low, a.low_closed), (b.low, b.low_closed), key=lambda end: end[0].place)
            if same_place(a.high, b.high):
                high, high_closed = a.high, a.high_closed and b.high_closed
            else:
                high, high_closed = min((a.high, a.high_closed), (b.high, b.high_closed), key=lambda end: end[0].place)
            found.extend(piece(low, low_closed, high, high_closed))
    return united(found)


def complement(region: Region) -> Region:
    """The reals outside."""
    rest: list[Piece] = []
    low, low_closed = MINUS_INFINITY, False
    for part in region:
        rest.extend(piece(low, low_closed, part.low, not part.low_closed))
        low, low_closed = part.high, not part.high_closed
    if low.place != math.inf:
        rest.extend(piece(low, low_closed, INFINITY, False))
    return united(rest)
