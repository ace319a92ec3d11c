"""Equal shares by water-filling: every domain gets the same number of rows, or all it has where that is less."""

import random
from collections.abc import Mapping

from thinkscale.curation.sampling.chance import below


def quotas(rows: Mapping[str, int], kept: Mapping[str, int], count: int, generator: random.Random) -> dict[str, int]:
    """How many rows to draw of each domain, `count` in all; `rows` are there to draw from, `kept` are taken already.

    Totals of two domains, kept rows included, differ by at most one, but where a domain runs out of rows or has more
    kept ones. Who gets the odd rows is drawn. `count` is at most the number of rows.
    """
    if count > sum(rows.values()):
        raise ValueError(f"{count} rows of {sum(rows.values())}")
    low, high = 0, max(rows[name] + kept.get(name, 0) for name in rows) if rows else 0
    while low < high:
        middle = (low + high + 1) // 2
        if sum(_share(rows, kept, name, middle) for name in rows) <= count:
            low = middle
        else:
            high = middle - 1
    shares = {name: _share(rows, kept, name, low) for name in sorted(rows)}
    room = [name for name in shares if _share(rows, kept, name, low + 1) > shares[name]]
    for _ in range(count - sum(shares.values())):
        shares[room.pop(below(generator, len(room)))] += 1
    return shares


def _share(rows: Mapping[str, int], kept: Mapping[str, int], name: str, level: int) -> int:
    """Rows of a domain that raise it to `level`."""
    return min(rows[name], max(0, level - kept.get(name, 0)))
