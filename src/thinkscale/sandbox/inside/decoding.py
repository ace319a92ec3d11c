"""Wire data, which may be hostile, as values.

Nothing is made but plain data and instances of known classes, without running a line of theirs (except hashing, where
one is a key). No recursion, and little cost: what could be made to collide in a dictionary is counted, and timed.
"""

import base64
import builtins
import collections
import decimal
import fractions
import itertools
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from thinkscale.sandbox.inside.wire import MAX_ITEMS, MAX_NAME, SHORT, Opaque, WireError

MAX_HASHED = 20_000
"""Keys and members of sets, other than strings and short numbers: with those alone many can be made to collide."""
HASHING_SECONDS = 2.0
"""Processor time for keys. A million honest ones take 0.2 s; short numbers that are chosen to collide take hours."""
HASHED_AT_ONCE = 200
MAX_DEQUES = 20_000
"""An empty one takes 760 bytes, thirteen times a list."""
MAX_FRACTION_DIGITS = 10_000
"""Hexadecimal: the greatest common divisor of two such numbers takes 2 ms, and the square of that for longer ones."""


def decode(
    wire: object,
    *,
    classes: Mapping[str, type] | None = None,
    object_of: Callable[[int | str, str], object] = Opaque,
) -> object:
    """The value that `wire` stands for. `object_of` makes something of a handle and the name of its class.

    Raises WireError on anything malformed.
    """
    if not (isinstance(wire, dict) and wire.keys() == {"v", "n"} and isinstance(wire["n"], list)):
        raise WireError("not wire data")
    work = _Decoding(wire["n"], classes or {}, object_of)
    try:
        return work.value(wire["v"])
    except (TypeError, ValueError, ArithmeticError, IndexError, AttributeError) as error:
        raise WireError(f"malformed wire data: {error}") from error


class _Decoding:
    """Nodes on their way in: first every mutable shell, then what cannot change, then the shells are filled."""

    def __init__(
        self, nodes: list[Any], classes: Mapping[str, type], object_of: Callable[[int | str, str], object]
    ) -> None:
        self.nodes = nodes
        self.classes = classes
        self.object_of = object_of
        self.made: list[Any] = [_MISSING] * len(nodes)
        self.hashed = 0
        self.hashing_seconds = 0.0
        self.deques = 0

    def value(self, root: object) -> object:
        if len(self.nodes) > MAX_ITEMS:
            raise WireError(f"more than {MAX_ITEMS} items")
        frozen = []
        for index, (tag, *_rest) in enumerate(self.nodes):
            if tag in ("t", "f"):
                frozen.append(index)
            else:
                self.made[index] = self.shell(self.nodes[index])
        # Attributes before anything is hashed: a hash may read them. Whatever hashes comes last.
        for index, node in enumerate(self.nodes):
            if node[0] == "o" and not self.holds_frozen(node):
                self.fill(index)
        for index in frozen:
            self.freeze(index)
        for tags in ("o", "lq", "sd"):
            for index, node in enumerate(self.nodes):
                if node[0] in tags:
                    self.fill(index)
        return self.resolve(root)

    def holds_frozen(self, node: list[Any]) -> bool:
        return any(isinstance(part, list) and self.made[part[0]] is _MISSING for part in node[2:])

    def resolve(self, item: object) -> Any:  # noqa: ANN401 - any value
        if isinstance(item, list):
            (index,) = item
            if not 0 <= index < len(self.made):
                raise WireError("a reference to nothing")
            return self.made[index]
        if isinstance(item, int) and not -SHORT < item < SHORT:
            raise WireError("a long number is a node")
        if item is None or isinstance(item, (bool, int, float, str)):
            return item
        raise WireError("an item is a scalar or a reference")

    def shell(self, node: list[Any]) -> object:
        match node:
            case ["l", *_]:
                return []
            case ["d", *_]:
                return {}
            case ["s", *_]:
                return set()
            case ["q", *_]:
                self.deques += 1
                if self.deques > MAX_DEQUES:
                    raise WireError(f"more than {MAX_DEQUES} deques")
                return collections.deque()
            case ["o", str(name), *_] if name in self.classes:
                return object.__new__(self.classes[name])
            case ["n", str(name)] if isinstance(vars(builtins).get(name), type):
                return vars(builtins)[name]
            case ["h", (int() | str()) as handle, str(name)]:
                return self.object_of(handle, name)
            case [str(tag), *texts] if all(isinstance(text, str) for text in texts):
                return _number(tag, texts)
        raise WireError(f"no such node: {str(node[:2])[:MAX_NAME]}")

    def freeze(self, index: int) -> None:
        """Makes a tuple or frozen set after those that it holds, without recursion."""
        path = [index]
        open_ones = {index}
        while path:
            tag, *items = self.nodes[path[-1]]
            lacking = next((i[0] for i in items if isinstance(i, list) and self.resolve(i) is _MISSING), None)
            if lacking is None:
                done = path.pop()
                open_ones.discard(done)
                parts = map(self.resolve, items)
                self.made[done] = tuple(parts) if tag == "t" else frozenset(self.hash_into(set(), items, parts))
            elif lacking in open_ones:
                raise WireError("a tuple that holds itself")
            else:
                path.append(lacking)
                open_ones.add(lacking)

    def fill(self, index: int) -> None:
        tag, *items = self.nodes[index]
        made = self.made[index]
        if tag == "o":
            object.__getattribute__(made, "__dict__").update(self.pairs(items[1:]))
        elif tag == "d":
            self.hash_into(made, items[::2], self.pairs(items))
        elif tag == "s":
            self.hash_into(made, items, map(self.resolve, items))
        elif not made:
            made.extend(map(self.resolve, items))

    def hash_into(self, made: Any, keys: list[Any], parts: Iterator[Any]) -> Any:  # noqa: ANN401 - a set or dict
        """Puts what `parts` yields into a set or dictionary, at bounded cost."""
        self.hashed += sum(isinstance(key, list) for key in keys)
        if self.hashed > MAX_HASHED:
            raise WireError(f"more than {MAX_HASHED} keys that are neither strings nor short numbers")
        while some := list(itertools.islice(parts, HASHED_AT_ONCE)):
            start = time.process_time()
            made.update(some)
            self.hashing_seconds += time.process_time() - start
            if self.hashing_seconds > HASHING_SECONDS:
                raise WireError("keys that were chosen to collide")
        return made

    def pairs(self, items: list[Any]) -> Iterator[tuple[Any, Any]]:
        parts = map(self.resolve, items)
        return zip(parts, parts, strict=True)


_MISSING = object()


def _number(tag: str, texts: list[str]) -> object:
    match tag, texts:
        case "i", [text]:
            return int(text, 16)
        case "x", [text]:
            return float(text)
        case "c", [real, imaginary]:
            return complex(float(real), float(imaginary))
        case "b", [text]:
            return base64.b64decode(text)
        case "a", [text]:
            return bytearray(base64.b64decode(text))
        case "r", [start, stop, step]:
            return range(int(start, 16), int(stop, 16), int(step, 16))
        case "F", [above, below]:
            if max(len(above), len(below)) > MAX_FRACTION_DIGITS:
                raise WireError(f"a fraction of more than {MAX_FRACTION_DIGITS} digits")
            return fractions.Fraction(int(above, 16), int(below, 16))
        case "D", [text]:
            value = decimal.Decimal(text)
            if value.is_snan():
                raise WireError("a number that raises when it is compared")
            return value
    raise WireError(f"no such node: {tag[:MAX_NAME]}")
