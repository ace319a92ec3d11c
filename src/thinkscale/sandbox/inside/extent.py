"""How much a value is when it is written out: lists that share their parts may be small and endless at once."""

import collections
from collections.abc import Iterator

CONTAINERS = (list, tuple, set, frozenset, collections.deque)


def is_writable(value: object, *, max_items: int) -> bool:
    """Whether `repr` writes at most so many items, each shared part as often as it occurs and no cycle twice.

    Forty lists that each hold the one before twice make a text that no memory holds. Plain data of `decode` only.
    """
    left = max_items
    path: list[tuple[int, Iterator[object]]] = [(id(value), _parts(value))]
    on_path = {id(value)}
    while path:
        for part in path[-1][1]:
            left -= 1
            if left < 0:
                return False
            if _has_parts(part) and id(part) not in on_path:
                on_path.add(id(part))
                path.append((id(part), _parts(part)))
                break
        else:
            on_path.discard(path.pop()[0])
    return True


def _has_parts(value: object) -> bool:
    return isinstance(value, (*CONTAINERS, dict)) or isinstance(_attributes(value), dict)


def _attributes(value: object) -> object:
    """Those of an instance, whatever its class does when it is asked for one."""
    try:
        return None if isinstance(value, type) else object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


def _parts(value: object) -> Iterator[object]:
    if isinstance(value, dict):
        for pair in value.items():
            yield from pair
    elif isinstance(value, CONTAINERS):
        yield from value
    elif isinstance(attributes := _attributes(value), dict):
        yield from attributes.values()
