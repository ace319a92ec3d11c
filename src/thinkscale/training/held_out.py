"""Which rows are kept from training, to measure the model on.

The choice depends on the seed and the rows' content alone: not on their order, nor on epochs, batches or processes.
Rows of one problem, and rows of one prompt, stay together, since an answer to a prompt that was trained on says
nothing of generalisation. Rejected: the last rows of the table, which makes the split depend on how it was written.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import content_key
from thinkscale.records import Decision, Fate
from thinkscale.training.tokens import STAGE

REASON = "held_out"


class OfProblem(Protocol):
    """A row or pair: a frozen record that knows its problem."""

    @property
    def problem_id(self) -> str: ...


Row = TypeVar("Row", bound=OfProblem)


@dataclass(frozen=True, slots=True, kw_only=True)
class Split(Generic[Row]):
    """Rows in their order on either side, and a Fate for each that is held out."""

    trained: tuple[Row, ...]
    held_out: tuple[Row, ...]
    fates: tuple[Fate, ...]


def split_held_out(
    rows: Sequence[Row], count: int, seed: int, prompt_of: Callable[[Row], Sequence[int]], *, stage: str = STAGE
) -> Split[Row]:
    """`count` rows are held out: whole groups of one problem or prompt, in the order of their keys, while they fit.

    Raises ConfigError where no row would be left to train on, DataError where no choice of groups in that order has
    exactly `count` rows.
    """
    if count == 0:
        return Split(trained=tuple(rows), held_out=(), fates=())
    if count >= len(rows):
        raise ConfigError(f"held_out_rows is {count}, but there are {len(rows)} rows, and one must be trained on")
    chosen: set[int] = set()
    for group in _groups(rows, seed, prompt_of):
        if len(chosen) + len(group) <= count:
            chosen.update(group)
    if len(chosen) != count:
        raise DataError(
            f"held_out_rows is {count}, but rows of one problem or prompt stay together, and so {len(chosen)} can be "
            f"held out; set held_out_rows to {len(chosen)}, or to more"
        )
    return Split(
        trained=tuple(row for place, row in enumerate(rows) if place not in chosen),
        held_out=tuple(row for place, row in enumerate(rows) if place in chosen),
        fates=tuple(_fate(rows[place], count, len(rows), stage) for place in sorted(chosen)),
    )


def _groups(rows: Sequence[Row], seed: int, prompt_of: Callable[[Row], Sequence[int]]) -> list[list[int]]:
    """Places of rows that share a problem or a prompt, also by way of others; by the lowest key of their rows."""
    keys = [content_key(REASON, seed, row) for row in rows]
    leader = list(range(len(rows)))

    def lead(place: int) -> int:
        while leader[place] != place:
            leader[place] = leader[leader[place]]
            place = leader[place]
        return place

    first: dict[tuple[str, object], int] = {}
    for place, row in enumerate(rows):
        for mark in (("problem", row.problem_id), ("prompt", tuple(prompt_of(row)))):
            leader[lead(place)] = lead(first.setdefault(mark, place))
    groups: dict[int, list[int]] = {}
    for place in range(len(rows)):
        groups.setdefault(lead(place), []).append(place)
    return sorted(groups.values(), key=lambda group: min(keys[place] for place in group))


def _fate(row: OfProblem, count: int, num_rows: int, stage: str) -> Fate:
    evidence = f"one of {count} of {num_rows} rows that the training is measured on"
    return Fate(problem_id=row.problem_id, stage=stage, decision=Decision.DROPPED, reason=REASON, evidence=evidence)
