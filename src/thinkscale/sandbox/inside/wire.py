"""Values as plain data, on both sides of a process boundary.

A value is `{"v": item, "n": nodes}`. An item is None, a bool, a short int, a finite float or a string as JSON has them,
or `[i]`: the i-th node. A node is a tag with its items: ["l", 1, 2, [3]] is a list. Flat nodes rather than nested JSON,
so that a list of 100,000 linked nodes needs no recursion, and so that shared and cyclic structures keep their shape.

Nothing of a program's own behaviour crosses. Subclasses of plain types cross as their true base value, read through the
base class's own methods; instances of classes that both sides are known to define, by name and plain attributes;
Python's own classes by name; anything else as a handle, which stays in its process and elsewhere equals only itself.
"""

import base64
import builtins
import collections
import decimal
import fractions
import math
from collections.abc import Callable, Collection
from typing import Any, TypeAlias

Item: TypeAlias = "bool | int | float | str | list[int] | None"
Node: TypeAlias = "list[Item]"
Wire: TypeAlias = "dict[str, Item | list[Node]]"

MAX_ITEMS = 1_000_000
MAX_NAME = 100
SHORT = 1 << 63
CONTAINERS: tuple[tuple[Any, str], ...] = (
    (list, "l"),
    (tuple, "t"),
    (set, "s"),
    (frozenset, "f"),
    (collections.deque, "q"),
)


def is_bounded(text: bytes) -> bool:
    """Whether the JSON text of wire data can be read at little cost; told without reading it, for it may be hostile."""
    return text.count(b",") + text.count(b"[") <= 3 * MAX_ITEMS


class WireError(Exception):
    """A value is too large, or what should be wire data is not."""


class Opaque:
    """Something that stayed in another process. It equals only itself, and is neither true nor false."""

    __slots__ = ("handle", "kind")

    def __init__(self, handle: int | str, kind: str) -> None:
        self.handle = handle
        self.kind = kind

    def __bool__(self) -> bool:
        raise TypeError(f"an object of class {self.kind} is not a value that can be tested")

    def __repr__(self) -> str:
        return f"<object of class {self.kind}>"


def _stays(_value: object) -> int:
    return -1


def encode(
    value: object,
    *,
    classes: Collection[str] = (),
    handle_of: Callable[[object], int | str] = _stays,
    max_items: int = MAX_ITEMS,
) -> Wire:
    """`value` as wire data. Instances of the named `classes` cross by attributes; `handle_of` names what stays.

    Raises WireError beyond `max_items`.
    """
    work = _Encoding(classes, handle_of, max_items)
    root = work.item(value)
    while work.waiting:
        index, container = work.waiting.pop()
        work.nodes[index] = work.container(container)
    return {"v": root, "n": work.nodes}


class _Encoding:
    """One value on its way out. `kept` holds every container, so that no id is used twice."""

    def __init__(self, classes: Collection[str], handle_of: Callable[[object], int | str], max_items: int) -> None:
        self.classes = classes
        self.handle_of = handle_of
        self.left = max_items
        self.nodes: list[Node] = []
        self.waiting: list[tuple[int, object]] = []
        self.seen: dict[int, int] = {}
        self.kept: list[object] = []

    def item(self, value: Any) -> Item:  # noqa: ANN401 - any value
        self.left -= 1
        if self.left < 0:
            raise WireError("the value has too many items")
        kind = type(value)
        if value is None or kind is bool or kind is str:
            return value  # type: ignore[no-any-return]
        if (kind is int and -SHORT < value < SHORT) or (kind is float and math.isfinite(value)):
            return value  # type: ignore[no-any-return]
        if _text(kind, "__module__").partition(".")[0] == "numpy" and hasattr(value, "tolist"):
            return self.item(value.tolist())
        if issubclass(kind, str):
            return str.__str__(value)
        scalar = _scalar(value, kind)
        if scalar is not None:
            self.nodes.append(scalar)
            return [len(self.nodes) - 1]
        return self.reference(value)

    def reference(self, value: object) -> Item:
        index = self.seen.get(id(value))
        if index is None:
            index = self.seen[id(value)] = len(self.nodes)
            self.nodes.append([])
            self.kept.append(value)
            self.waiting.append((index, value))
        return [index]

    def container(self, value: Any) -> Node:  # noqa: ANN401 - any container
        kind = type(value)
        for base, tag in CONTAINERS:
            if issubclass(kind, base):
                return [tag, *map(self.item, base.__iter__(value))]
        if issubclass(kind, dict):
            return ["d", *(self.item(part) for pair in dict.items(value) for part in pair)]
        if issubclass(kind, type) and _is_builtin(value):
            return ["n", name_of(value)]
        if issubclass(kind, Opaque):
            return ["h", value.handle, value.kind]
        name = name_of(kind)
        if name in self.classes and isinstance(attributes := _attributes(value), dict):
            return ["o", name, *(self.item(part) for pair in dict.items(attributes) for part in pair)]
        return ["h", self.handle_of(value), name]


def _is_builtin(kind: type) -> bool:
    return vars(builtins).get(name_of(kind)) is kind


def name_of(kind: type) -> str:
    """The name of a class, cut to a bearable length."""
    return _text(kind, "__name__")[:MAX_NAME]


def _text(kind: type, attribute: str) -> str:
    """What type itself knows of a class, whatever its metaclass says."""
    found = type.__dict__[attribute].__get__(kind)
    return found if type(found) is str else ""


def _attributes(value: object) -> object:
    try:
        return object.__getattribute__(value, "__dict__")
    except AttributeError:
        return None


def _scalar(value: Any, kind: type) -> "Node | None":  # noqa: ANN401 - any value
    """Numbers and bytes that JSON lacks, as nodes; None for anything else. Base methods only: a subclass cannot lie."""
    if issubclass(kind, int):
        return ["i", hex(int.__int__(value))]
    if issubclass(kind, float):
        return ["x", repr(float.__float__(value))]
    if issubclass(kind, complex):
        plain = complex.__complex__(value)
        return ["c", repr(plain.real), repr(plain.imag)]
    if issubclass(kind, bytes):
        return ["b", base64.b64encode(bytes.__getitem__(value, slice(None))).decode()]
    if issubclass(kind, bytearray):
        return ["a", base64.b64encode(bytearray.__getitem__(value, slice(None))).decode()]
    if kind is range:
        return ["r", hex(value.start), hex(value.stop), hex(value.step)]
    if kind is fractions.Fraction:
        return ["F", hex(value.numerator), hex(value.denominator)]
    if kind is decimal.Decimal:
        return ["D", decimal.Decimal.__str__(value)]
    return None
