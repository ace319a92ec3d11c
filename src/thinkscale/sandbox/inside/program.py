"""In the program's own process: running it as a whole, or answering calls of its functions.

This code shares its process with hostile code, which may replace every function that it uses. Nothing here is believed
by anyone: what it reports is at most what the program might have said itself.
"""

import atexit
import contextlib
import linecache
import os
import random
import sys
import threading
import traceback
import types
from collections.abc import Callable
from typing import Any, NoReturn

from thinkscale.sandbox.inside.calls import answer, builtin_name
from thinkscale.sandbox.inside.frames import read_frame, write_frame

REPORTS, REQUESTS = 3, 4
FILE = "main.py"
SEED = 0
"""Programs that draw at random draw the same in every run, so that a verdict can be repeated."""


def run_whole(code: types.CodeType, source: str) -> NoReturn:
    """Runs a program as Python would: as `__main__`, to its exit status."""
    module = _prepare("__main__", source)
    status = _attempt(lambda: exec(code, module.__dict__))
    _leave(status or 0)


def serve_calls(code: types.CodeType, source: str) -> NoReturn:
    """Runs a program's top level as a module, then answers requests until there are none."""
    module = _prepare("program", source)
    status = _attempt(lambda: exec(code, module.__dict__))
    if status is not None:
        _leave(status)
    objects: dict[int | str, Any] = {}
    while (frame := read_frame(REQUESTS)) is not None:
        header, blob = frame
        reply, value = answer(header, blob, module.__dict__, objects)
        write_frame(REPORTS, reply, value)
    os._exit(0)


def _prepare(name: str, source: str) -> types.ModuleType:
    """The module to run in. The interpreter's own sys.stdin, stdout and stderr have not been touched before."""
    random.seed(SEED)
    with contextlib.suppress(OSError, UnicodeError), open(FILE, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
        file.write(source)
    linecache.cache[FILE] = (len(source), None, source.splitlines(keepends=True), FILE)
    sys.argv = [FILE]
    module = types.ModuleType(name)
    module.__dict__["__file__"] = FILE
    module.__dict__["__builtins__"] = __builtins__
    sys.modules[name] = module
    return module


def _attempt(body: Callable[[], object]) -> int | None:
    """The exit status with which `body` left, after reporting what it raised; None where it ran to its end."""
    try:
        body()
    except SystemExit as stop:
        return _exit_status(stop.code)
    except BaseException as error:  # noqa: BLE001 - whatever a program raises ends it and nothing else
        _report(error)
        return 1
    return None


def _exit_status(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    with contextlib.suppress(Exception):
        print(code, file=sys.stderr)
    return 1


def _report(error: BaseException) -> None:
    write_frame(REPORTS, {"ended_by": builtin_name(type(error))})
    trace = error.__traceback__
    for _ in range(2):  # the frames of this file
        trace = trace.tb_next if trace else None
    try:
        sys.excepthook(type(error), error.with_traceback(trace), trace)
    except BaseException:  # noqa: BLE001 - an exception whose own text raises
        with contextlib.suppress(BaseException):
            traceback.print_tb(trace)


def _leave(status: int) -> NoReturn:
    """Ends the process as the interpreter would: threads, exit functions, what is still in buffers."""
    try:
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        if sys.stdout is not None and not sys.stdout.closed:
            sys.stdout.flush()
    except BaseException:  # noqa: BLE001 - Python's own status for output that could not be flushed
        status = status or 120
    os._exit(status)
