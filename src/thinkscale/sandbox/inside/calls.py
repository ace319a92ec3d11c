"""Calls into a program: what is asked of its functions and objects, and how the answer is put as plain data.

A request names a target: a name of the program ("solve", "Solution().solve"), or the number of an object that it gave
out before. Arguments and results are wire data; the header of a reply says `raised` where it is an exception.
"""

import builtins
import json
from collections.abc import Iterator, Mapping
from typing import Any, cast

from thinkscale.sandbox.inside.decoding import decode
from thinkscale.sandbox.inside.frames import Header
from thinkscale.sandbox.inside.wire import WireError, encode

MAX_MESSAGE = 1_000
Objects = dict[int | str, Any]


def answer(header: Header, blob: bytes, names: Mapping[str, Any], objects: Objects) -> tuple[Header, bytes]:
    """The reply to one request. Everything that the program raises is in it, SystemExit too."""
    named = header.get("classes")
    shared = named if isinstance(named, list) else []
    classes = {name: names[name] for name in shared if isinstance(names.get(name), type)}
    try:
        request = decode(json.loads(blob), classes=classes, object_of=lambda handle, _: _target(handle, names, objects))
        value = perform(cast("list[Any]", request))
        wire = encode(value, classes=classes, handle_of=lambda thing: keep(thing, objects))
        return {}, json.dumps(wire).encode()
    except WireError as error:
        return {"raised": "WireError", "message": str(error)[:MAX_MESSAGE]}, b""
    except BaseException as error:  # noqa: BLE001 - whatever a program raises is its answer
        raised = error.error if isinstance(error, TargetError) else error
        return {"raised": builtin_name(type(raised)), "message": message_of(raised)}, b""


def perform(request: list[Any]) -> object:
    """One operation on an object: call it, or look into it."""
    match request:
        case ["call", target, tuple(arguments), dict(keywords)]:
            return target(*arguments, **keywords)
        case ["get", target, str(name)]:
            return getattr(target, name)
        case ["set", target, str(name), value]:
            setattr(target, name, value)
            return None
        case ["item", target, key]:
            return target[key]
        case ["length", target]:
            return len(target)
        case ["iterate", target]:
            return Iterating(iter(target))
        case ["next", target]:
            return next(target.iterator)
    raise WireError("no such operation")


class TargetError(Exception):
    """The thing that was asked for cannot be had: it is not there, or making it raised `error`."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(type(error)))
        self.error = error


def _target(handle: int | str, names: Mapping[str, Any], objects: Objects) -> object:
    try:
        return target(handle, names, objects)
    except BaseException as error:
        raise TargetError(error) from error


class Iterating:
    """An iterator that stays here; the other side asks for the next."""

    def __init__(self, iterator: Iterator[object]) -> None:
        self.iterator = iterator


def target(handle: int | str, names: Mapping[str, Any], objects: Objects) -> Any:  # noqa: ANN401 - whatever it is
    """The object that a handle stands for; "Solution().solve" makes one Solution for all calls. Raises NameError."""
    if handle in objects:
        return objects[handle]
    if isinstance(handle, int):
        raise NameError(f"no object has the number {handle}")
    owner, dot, attribute = handle.rpartition(".")
    if dot:
        found = getattr(target(owner, names, objects), attribute)
    elif handle.endswith("()"):
        found = target(handle[:-2], names, objects)()
    elif handle in names:
        found = names[handle]
    else:
        raise NameError(f"the program defines no {handle}")
    objects[handle] = found
    return found


def keep(thing: object, objects: Objects) -> int:
    """The number of an object that stays here; the same object has the same number."""
    for number, known in objects.items():
        if known is thing and isinstance(number, int):
            return number
    number = len(objects)
    objects[number] = thing
    return number


def builtin_name(kind: type) -> str:
    """The nearest of Python's own classes, since one of the program's means nothing elsewhere."""
    return next((base.__name__ for base in type.mro(kind) if vars(builtins).get(base.__name__) is base), "Exception")


def message_of(error: BaseException) -> str:
    """Class and text of an exception, whose own text may raise."""
    try:
        text = str(error)[:MAX_MESSAGE]
    except BaseException:  # noqa: BLE001 - a text that raises is no text
        text = "(its text cannot be had)"
    return f"{type(error).__name__[:100]}: {text}"
