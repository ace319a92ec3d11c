"""The test's own code, in a sandbox that the program never sees.

The names of the program are stand-ins here: a call of one becomes a frame to the client, which asks the program in its
own sandbox and sends back plain data. So the program cannot look at what is expected, and no object of its own is
ever compared; the test's code can be anything that Python allows.
"""

import builtins
import json
import linecache
import os
import random
import traceback
import types
from collections.abc import Iterator
from typing import Any, NoReturn

from thinkscale.sandbox.inside.calls import message_of
from thinkscale.sandbox.inside.decoding import decode
from thinkscale.sandbox.inside.extent import is_writable
from thinkscale.sandbox.inside.frames import Header, read_frame, write_frame
from thinkscale.sandbox.inside.program import REPORTS, REQUESTS, SEED
from thinkscale.sandbox.inside.wire import Opaque, WireError, encode, name_of

PASSED, FAILED, BROKEN, RAISED = "passed", "failed", "broken", "raised"
MALFORMED = "Malformed"
TEST, CONTEXT = "test.py", "context.py"
MAX_DETAIL = 500
MAX_SHOWN = 10_000
"""Items of a value that is written out for the evidence, where 200 characters are kept."""


class ProgramError(BaseException):
    """The program raised what a test must not catch, or what it gave cannot be read. `raised` names it."""

    def __init__(self, raised: str, message: str) -> None:
        super().__init__(message)
        self.raised = raised


class BrokenTestError(BaseException):
    """The test does what cannot be done from here, and must not catch it."""


def _cannot_cross(value: object) -> int:
    raise BrokenTestError(f"an object of class {name_of(type(value))} cannot be given to the program")


class Exchange:
    """The other side of the pipe, with the classes that cross by value."""

    def __init__(self) -> None:
        self.classes: dict[str, type] = {}
        self.raised: dict[int, BaseException] = {}
        self.last = ""

    def perform(self, operation: str, *parts: object) -> Any:  # noqa: ANN401 - whatever the program gives
        """One operation on an object of the program's. Raises what it raised, where that is a class of Python's own."""
        wire = encode([operation, *parts], classes=self.classes, handle_of=_cannot_cross)
        write_frame(REPORTS, {"classes": list(self.classes)}, json.dumps(wire).encode())
        frame = read_frame(REQUESTS)
        if frame is None:
            os._exit(0)
        header, blob = frame
        if "raised" in header:
            raise self._error(operation, str(header["raised"]), str(header.get("message", "")))
        try:
            value = decode(json.loads(blob), classes=self.classes, object_of=lambda *names: Remote(self, *names))
        except (WireError, ValueError, RecursionError) as error:
            raise ProgramError(MALFORMED, str(error)) from error
        self.last = _short(value)
        return value

    def _error(self, operation: str, name: str, message: str) -> BaseException:
        """What the program raised. StopIteration from a call would end a loop of the test's own, `map(f, cases)`, as if
        it had passed: only an iterator may end so.
        """
        kind = getattr(builtins, name, None)
        ends_loops = isinstance(kind, type) and issubclass(kind, (StopIteration, StopAsyncIteration))
        if not (isinstance(kind, type) and issubclass(kind, Exception)) or (ends_loops and operation != "next"):
            return ProgramError(name, message)
        error = _made(kind, message)
        self.raised[id(error)] = error
        return error


def _made(kind: type[Exception], message: str) -> Exception:
    """An exception of that class, or of the nearest above it that a message alone makes."""
    try:
        return kind(message)
    except TypeError:
        base = kind.__base__
        return _made(base, message) if base is not None and issubclass(base, Exception) else Exception(message)


class Remote(Opaque):
    """Something of the program's: what is done to it is done over there. It equals only itself."""

    __slots__ = ("exchange",)
    exchange: Exchange

    def __init__(self, exchange: Exchange, handle: int | str, kind: str) -> None:
        object.__setattr__(self, "handle", handle)
        object.__setattr__(self, "kind", kind)
        object.__setattr__(self, "exchange", exchange)

    def __call__(self, *arguments: object, **keywords: object) -> object:
        return self.exchange.perform("call", self, arguments, keywords)

    def __getattr__(self, name: str) -> object:
        if name.startswith("__"):
            raise AttributeError(name)
        return self.exchange.perform("get", self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self.exchange.perform("set", self, name, value)

    def __getitem__(self, key: object) -> object:
        return self.exchange.perform("item", self, key)

    def __len__(self) -> int:
        length = self.exchange.perform("length", self)
        if type(length) is not int:
            raise TypeError("a length is an integer")
        return length

    def __iter__(self) -> Iterator[object]:
        over_there = self.exchange.perform("iterate", self)
        while True:
            try:
                value = self.exchange.perform("next", over_there)
            except StopIteration:
                return
            yield value


def serve_check(_code: types.CodeType, _source: str) -> NoReturn:
    """Runs one test, and reports `done`: passed, failed, broken (the test's own fault), or raised (by the program)."""
    frame = read_frame(REQUESTS)
    if frame is None:
        os._exit(0)
    random.seed(SEED)
    exchange = Exchange()
    write_frame(REPORTS, _outcome(json.loads(frame[1]), exchange))
    os._exit(0)


def _outcome(test: dict[str, Any], exchange: Exchange) -> Header:
    module = types.ModuleType("__main__")
    names = module.__dict__
    try:
        _run(test["context"], CONTEXT, names)
        code = compile(test["code"], TEST, "exec", dont_inherit=True)
    except BaseException as error:  # noqa: BLE001 - a test that cannot begin says nothing of the program
        return {"done": BROKEN, "detail": message_of(error)[:MAX_DETAIL]}
    own = [(name, kind) for name, kind in names.items() if isinstance(kind, type)]
    exchange.classes = {name: kind for name, kind in own if kind.__module__ == "__main__"}
    for name in test["candidates"]:
        names[name.partition("(")[0].partition(".")[0]] = Remote(exchange, name, "function")
    candidate = names["candidate"] = Remote(exchange, test["candidates"][0], "function") if test["candidates"] else None
    linecache.cache[TEST] = (len(test["code"]), None, test["code"].splitlines(keepends=True), TEST)
    try:
        exec(code, names)
        if test["entry"]:
            if not callable(names.get(test["entry"])):
                return {"done": BROKEN, "detail": f"the test defines no {test['entry']}"}
            names[test["entry"]](candidate)
    except BaseException as error:  # noqa: BLE001 - each kind of failure is told apart below
        return _failure(error, exchange)
    return {"done": PASSED, "detail": ""}


def _run(source: str, file: str, names: dict[str, Any]) -> None:
    exec(compile(source, file, "exec", dont_inherit=True), names)


def _failure(error: BaseException, exchange: Exchange) -> Header:
    if isinstance(error, ProgramError):
        return {"done": RAISED, "raised": error.raised, "detail": str(error)[:MAX_DETAIL]}
    if id(error) in exchange.raised:
        return {"done": RAISED, "raised": type(error).__name__, "detail": f"{_line(error)}: {error}"[:MAX_DETAIL]}
    if type(error) in (NameError, BrokenTestError):
        return {"done": BROKEN, "detail": message_of(error)[:MAX_DETAIL]}
    last = f"; the last call gave {exchange.last}" if exchange.last else ""
    return {"done": FAILED, "detail": f"{_line(error)}: {message_of(error)}"[:MAX_DETAIL] + last}


def _line(error: BaseException) -> str:
    lines = [entry for entry in traceback.extract_tb(error.__traceback__) if entry.filename == TEST]
    return f"line {lines[-1].lineno} of the test, {(lines[-1].line or '')[:200]}" if lines else "the test"


def _short(value: object) -> str:
    try:
        if not is_writable(value, max_items=MAX_SHOWN):
            return f"a large value of class {type(value).__name__}"
        return repr(value)[:200]
    except (ValueError, RecursionError):  # an integer of more than 4,300 digits; a deep list
        return f"a value of class {type(value).__name__}"
