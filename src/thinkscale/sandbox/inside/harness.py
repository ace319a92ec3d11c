"""The first process of a sandbox, and the process that serves one program, alone with the standard library.

Three kinds of process: this one (process 1 of its namespace, which cannot be killed from inside), one for each program,
which compiles it once, and one for each execution of it. After a program everything that is left is killed and its
folder emptied. Chosen over a fresh sandbox for each test, which costs 100 ms where a fork costs 2.
"""

import contextlib
import gc
import importlib
import os
import signal
import site
import sys
from typing import NoReturn

from thinkscale.sandbox.inside.children import Bounds, start
from thinkscale.sandbox.inside.confine import hide_memory
from thinkscale.sandbox.inside.filter import ConfinementError, filter_harness
from thinkscale.sandbox.inside.frames import Header, read_bytes, read_header, write_frame
from thinkscale.sandbox.inside.server import CLIENT_IN, CLIENT_OUT, confine, empty_folder, fence, serve_program
from thinkscale.sandbox.inside.supervise import end, watch

WARM = (
    "bisect",
    "collections",
    "copy",
    "dataclasses",
    "datetime",
    "functools",
    "heapq",
    "itertools",
    "math",
    "operator",
    "queue",
    "re",
    "statistics",
    "string",
    "typing",
)
"""Loaded once, since most programs import them."""


def serve(*, contained: bool, folder: str, paths: list[str]) -> NoReturn:
    """Serves programs until the client closes its end.

    `contained` says that this is process 1 of its own namespace: only then is everything else killed after a program.
    """
    sys.path[:] = paths
    os.chdir(folder)
    if contained:
        hide_memory()
    for name in WARM:
        importlib.import_module(name)
    site.setquit()  # exit and quit, which -S leaves out with everything else of site
    fence(filter_harness, contained)
    gc.collect()
    gc.freeze()
    while (head := read_header(CLIENT_IN)) is not None:
        header, length = head
        if header["op"] == "hello":
            write_frame(CLIENT_OUT, _hello(contained))
        else:
            _one_program(length, contained)
    os._exit(0)


def _hello(contained: bool) -> Header:
    """Tries every fence in a process of its own."""
    child = start(lambda: _try_fences(contained), Bounds(1.0, 10.0, 1 << 28, 1 << 16, 1 << 20))
    watch(child, frames=False)
    ended, _ = end(child)
    return {"ok": ended["ending"] == "finished", "detail": ended["detail"], "process": os.getpid()}


def _try_fences(contained: bool) -> NoReturn:
    try:
        confine(Bounds(1.0, 10.0, 1 << 28, 1 << 16, 1 << 20), contained)
    except (ConfinementError, OSError, ValueError) as error:
        os.write(2, str(error).encode())
        os._exit(1)
    os._exit(0)


def _one_program(length: int, contained: bool) -> None:
    """Serves a program of so many bytes. They never enter this process: what is freed here is not wiped, and the next
    program, which starts with a copy of this memory, could find the text of the last and run that in its own place.
    """
    if os.listdir("."):  # noqa: PTH208 - whatever is here is not a program's, and must not be emptied
        os._exit(71)
    pid = os.fork()
    if pid == 0:
        try:
            if contained:
                hide_memory()
            source = read_bytes(CLIENT_IN, length)
            if source is not None:
                serve_program(source.decode("utf-8", "surrogatepass"), contained)
        finally:
            os._exit(70)
    _, status = os.waitpid(pid, 0)
    if contained:
        _kill_the_rest()
    clean = empty_folder(contained)
    write_frame(CLIENT_OUT, {"closed": os.waitstatus_to_exitcode(status), "clean": clean})


def _kill_the_rest() -> None:
    """Everything in this namespace but process 1."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(-1, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        while True:
            os.waitpid(-1, 0)
