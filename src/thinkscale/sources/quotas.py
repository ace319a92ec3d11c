"""So many rows of a stream, equally from its groups: reservoirs of bounded size, a draw for each row alone."""

import heapq
from collections.abc import Iterable, Mapping
from typing import TypeVar

from thinkscale.keys import seed_from

T = TypeVar("T")


def draw(keyed: Iterable[tuple[str, str, T]], count: int, seed: int) -> list[T]:
    """`count` of the items (group, text, item), in their order; all of them where there are fewer.

    Each group gives as many as any other, as far as it reaches. Which of a group is decided by (seed, text), so that
    it depends on no other row, nor on the order of the rows. Memory holds `count` items of each group at most.
    """
    groups: dict[str, list[tuple[int, int, T]]] = {}
    for number, (key, text, item) in enumerate(keyed):
        group = groups.setdefault(key, [])
        entry = (-seed_from(seed, "quota", text), -number, item)
        if len(group) < count:
            heapq.heappush(group, entry)
        else:
            heapq.heappushpop(group, entry)
    shares = equal_shares({key: len(group) for key, group in groups.items()}, count, seed)
    kept = [entry for key, group in groups.items() for entry in sorted(group, reverse=True)[: shares[key]]]
    return [item for _, _, item in sorted(kept, key=lambda entry: -entry[1])]


def equal_shares(sizes: Mapping[str, int], count: int, seed: int) -> dict[str, int]:
    """`count` shared out equally among groups; what a small one cannot fill goes to the others.

    Who gets one more where it does not come out even is drawn by (seed, group).
    """
    shares = dict.fromkeys(sizes, 0)
    left = min(count, sum(sizes.values()))
    while left:
        able = sorted((key for key in sizes if shares[key] < sizes[key]), key=lambda key: seed_from(seed, key))
        step = max(1, left // len(able))
        for key in able:
            taken = min(step, sizes[key] - shares[key], left)
            shares[key] += taken
            left -= taken
    return shares
