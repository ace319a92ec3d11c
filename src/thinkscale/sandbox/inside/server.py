"""The process that serves one program: compiles it once, and starts a process for each execution."""

import contextlib
import importlib
import json
import os
import resource
import shutil
import signal
import stat
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

from thinkscale.sandbox.inside.checker import serve_check
from thinkscale.sandbox.inside.children import Bounds, Child, start
from thinkscale.sandbox.inside.confine import limit_resources
from thinkscale.sandbox.inside.filter import ConfinementError, filter_program
from thinkscale.sandbox.inside.frames import Header, read_frame, write_frame
from thinkscale.sandbox.inside.program import FILE, run_whole, serve_calls
from thinkscale.sandbox.inside.supervise import ask, end, put_back, watch

CLIENT_IN, CLIENT_OUT = 0, 1
COSTLY = ("numpy",)
"""Loaded before a program's executions are forked, where its top level names it: 100 ms once, not for each test."""
COMPILE_SECONDS = 5.0
COMPILE_BYTES = 2 << 30
PREFIX = "thinkscale-program-"
"""How the name of a folder begins that a client made for programs which nothing contains."""
FOLDER_MODE = 0o700


def serve_program(source: str, contained: bool) -> NoReturn:
    """Compiles a program and serves its executions, until the client closes it."""
    code = _compiled(source)
    if code is None:
        os._exit(0)
    for name in set(COSTLY) & set(code.co_names):
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    write_frame(CLIENT_OUT, {"opened": True})
    child: Child | None = None
    while (frame := read_frame(CLIENT_IN)) is not None:
        header, blob = frame
        if child is not None and header["op"] in ("run", "start"):
            end(child)  # of an execution that was given up when its other side was lost
        match header["op"]:
            case "run":
                child = start(_body(run_whole, code, source, _bounds(header), contained), _bounds(header), blob)
                child = _reply(child, frames=False)
            case "start":
                serving = serve_check if header["check"] else serve_calls
                child = start(_body(serving, code, source, _bounds(header), contained), _bounds(header))
                ask(child, header, blob)
                child = _reply(child, frames=True)
            case "ask" if child is not None:
                ask(child, header, blob)
                child = _reply(child, frames=True)
            case "stop" if child is not None:
                _finish(child)
                child = None
            case _:
                break
        if child is None and not empty_folder(contained):
            break
    os._exit(0)


def _compiled(source: str) -> types.CodeType | None:
    """The program's code, or None after telling why not. A source that hangs the compiler ends this process alone."""
    signal.setitimer(signal.ITIMER_PROF, COMPILE_SECONDS)
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (COMPILE_BYTES, before[1]))
    try:
        code = compile(source.removeprefix("\ufeff"), FILE, "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError, SystemError) as error:
        write_frame(CLIENT_OUT, {"opened": False, "detail": f"{type(error).__name__}: {str(error)[:500]}"})
        return None
    signal.setitimer(signal.ITIMER_PROF, 0)
    resource.setrlimit(resource.RLIMIT_AS, before)
    return code


def _body(
    serving: Callable[[types.CodeType, str], NoReturn],
    code: types.CodeType,
    source: str,
    bounds: Bounds,
    contained: bool,
) -> Callable[[], None]:
    def body() -> None:
        confine(bounds, contained)
        serving(code, source)

    return body


def _bounds(header: Header) -> Bounds:
    values = json.loads(str(header["bounds"]))
    return Bounds(**values)


def _reply(child: Child, *, frames: bool) -> Child | None:
    """Sends the program's next frame, or how it ended; the child while it still runs."""
    frame = watch(child, frames=frames)
    if frame is not None and "ended_by" not in frame[0]:
        write_frame(CLIENT_OUT, {"reply": json.dumps(frame[0])}, frame[1])
        return child
    if frame is not None:
        put_back(child, *frame)
        watch(child, frames=False)
    _finish(child)
    return None


def _finish(child: Child) -> None:
    header, output = end(child)
    write_frame(CLIENT_OUT, header, output)


def confine(bounds: Bounds, contained: bool) -> None:
    limit_resources(cpu_seconds=bounds.cpu_seconds, memory_bytes=bounds.memory_bytes, disk_bytes=bounds.disk_bytes)
    fence(filter_program, contained)


def fence(filtering: Callable[[], None], contained: bool) -> None:
    """Where nothing is contained anyway, a missing filter is no reason to stop."""
    try:
        filtering()
    except ConfinementError:
        if contained:
            raise


def empty_folder(contained: bool) -> bool:
    """Removes what a program left; False where something will not go: then the sandbox is of no more use.

    Rights, attributes and times of the folder itself too: they would reach the next program. Where nothing is
    contained, only a folder that the client made for this, which its name says, is ever emptied.
    """
    folder = Path.cwd()
    if folder == Path("/") or not (contained or folder.name.startswith(PREFIX)):
        return False
    try:
        Path.cwd().chmod(FOLDER_MODE)  # by its name: without rights it cannot be reached as "."
        for attribute in os.listxattr(".") if sys.platform == "linux" else ():
            os.removexattr(".", attribute)
        for path in Path().iterdir():
            if stat.S_ISDIR(path.lstat().st_mode):
                shutil.rmtree(path)
            else:
                path.unlink()
        os.utime(".", (0, 0))
    except (OSError, RecursionError):  # folders that may not be read, or a thousand deep
        return False
    return True
