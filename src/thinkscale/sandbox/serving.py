"""The inside of a killable worker (workers.py): a process that loads once, and a fresh copy of it for every request.

The loaded process never touches a request. It forks a child that does, under limits that the kernel keeps, and tells
the client how that ended. A child serves one request: what a request may use, and what comes of it, cannot depend on
which requests came before, as it would with the caches of a computer algebra system that lives on.

Rejected: a timeout by signal handler. Python runs handlers between two bytecodes, so a power of a large integer never
sees it, and no thread but the main one may ask for it. A signal at its default action ends the process inside C code.

In the child: CPU time by a kernel timer on its own clock (ITIMER_PROF where there is none), with RLIMIT_CPU behind it;
memory by RLIMIT_AS; no files grow (RLIMIT_FSIZE); no descriptors but its answer's; death with its parent (Linux). An
audit hook refuses sockets, processes, files opened for writing, and the compiling of text, which is what eval() needs,
except where a handler says `compiling()`. That hook is a second fence for readers that should never get there; it is no
sandbox for code that runs.
"""

import ctypes
import gc
import json
import math
import os
import resource
import select
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

from thinkscale.keys import JSON
from thinkscale.sandbox.inside.confine import kill_after
from thinkscale.sandbox.inside.frames import read_bytes, write_bytes

Handler = Callable[[JSON], JSON]
HEADER = struct.Struct(">I")
CHUNK = 1 << 16
PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
CLIENT_CHECK_SECONDS = 1.0
MAX_OPEN_FILES = 32
MAX_INHERITED = 256
"""Descriptors above are not looked for; the loaded process has a handful."""
REFUSED_EVENTS = ("socket.", "subprocess.", "os.", "shutil.", "ctypes.", "pty.", "ftplib.", "urllib.", "webbrowser.")
ALLOWED_EVENTS = frozenset({"os.listdir", "os.scandir"})
"""What an import does."""
ANSWER_DESCRIPTOR = 3
_COMPILING: list[bool] = []
"""Not empty within `compiling()`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """How a child ended: what it wrote, its wait status, its CPU seconds, and whether it was out of wall time."""

    written: bytes
    status: int
    cpu_seconds: float
    late: bool


def serve(load: Callable[[], Handler], *, compiles: bool = False) -> None:
    """Answers the requests of the client that started this process, until it is gone. `sys.argv[1]` is its process id.

    `load` imports what is heavy and returns what turns a request into an answer. `compiles` allows eval() in children.
    """
    client = int(sys.argv[1])
    requests, answers = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    os.chdir("/")
    handler = load()
    gc.collect()
    gc.freeze()
    try:
        write_frame(answers, {"ready": True})
        while (request := _next_request(requests, client)) is not None:
            write_frame(answers, _answered(handler, request, requests, compiles))
    except BrokenPipeError:
        return  # the client is gone


def _next_request(requests: int, client: int) -> dict[str, JSON] | None:
    """None where the client is gone. Another process of the client's may hold its end of the pipe open."""
    while not select.select([requests], [], [], CLIENT_CHECK_SECONDS)[0]:
        if os.getppid() != client:
            return None
    return cast("dict[str, JSON] | None", read_frame(requests))


def read_frame(descriptor: int) -> JSON:
    """One JSON value after its length, None at the end of the stream."""
    header = read_bytes(descriptor, HEADER.size)
    body = read_bytes(descriptor, HEADER.unpack(header)[0]) if header else None
    return cast(JSON, json.loads(body)) if body else None


def write_frame(descriptor: int, value: JSON) -> None:
    """Writes `value` with its length in front. ASCII, so that a lone surrogate of a text passes."""
    write_bytes(descriptor, frame(value))


def frame(value: JSON) -> bytes:
    """`value` as it goes through a pipe."""
    body = json.dumps(value).encode("ascii")
    return HEADER.pack(len(body)) + body


def _answered(handler: Handler, request: dict[str, JSON], requests: int, compiles: bool) -> JSON:
    limits = cast("dict[str, float]", request["limits"])
    reading, writing = os.pipe()
    loaded = os.getpid()
    child = os.fork()
    if child == 0:
        try:
            _prepare(loaded, writing, limits, compiles)
            _handle(handler, request["body"])
        finally:
            os._exit(1)
    os.close(writing)
    try:
        watch = _watched(child, reading, requests, limits)
    finally:
        os.close(reading)
    return {"cpu_seconds": watch.cpu_seconds, **_ending(watch, limits)}


def _prepare(loaded: int, writing: int, limits: dict[str, float], compiles: bool) -> None:
    """The limits of a child."""
    if sys.platform == "linux":
        process_control = ctypes.CDLL(None).prctl
        process_control(PR_SET_PDEATHSIG, signal.SIGKILL)
        process_control(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if os.getppid() != loaded:
            os._exit(1)
    os.dup2(0, 2)
    os.dup2(writing, ANSWER_DESCRIPTOR)
    os.closerange(ANSWER_DESCRIPTOR + 1, MAX_INHERITED)
    seconds = 2 * math.ceil(limits["cpu_seconds"]) + 1  # ticks were seen to run ahead of the time that was used
    _limit(resource.RLIMIT_CPU, seconds, seconds + 1)
    _limit(resource.RLIMIT_AS, int(limits["memory_bytes"]))
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, MAX_OPEN_FILES)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    if not kill_after(limits["cpu_seconds"]):
        signal.setitimer(signal.ITIMER_PROF, limits["cpu_seconds"])
    sys.addaudithook(_refuse if not compiles else _refuse_effects)


def _limit(which: int, soft: int, hard: int | None = None) -> None:
    """Sets a limit; a system that knows no such limit goes without it (macOS and RLIMIT_AS)."""
    try:
        resource.setrlimit(which, (soft, soft if hard is None else hard))
    except (ValueError, OSError):
        if sys.platform == "linux":
            raise


@contextmanager
def compiling() -> Iterator[None]:
    """Within it the handler may compile text: sympy makes code of its own for polynomials, of numbered names only."""
    _COMPILING.append(True)
    try:
        yield
    finally:
        _COMPILING.pop()


def _refuse_effects(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        flags = arguments[2] if isinstance(arguments[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
            raise PermissionError("a worker opens no file for writing")
    elif event.startswith(REFUSED_EVENTS) and event not in ALLOWED_EVENTS:
        raise PermissionError(f"a worker has no {event}")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "compile" and not _COMPILING and str(arguments[1]).startswith("<"):  # "<string>" and its like: no file
        raise PermissionError("a worker compiles no text")
    _refuse_effects(event, arguments)


def _handle(handler: Handler, body: JSON) -> None:
    """Writes what the handler makes of the request, or why it made nothing. Does not return."""
    answer: JSON
    try:
        answer = {"outcome": "answered", "value": handler(body)}
        data = frame(answer)
    except MemoryError:
        data = frame({"outcome": "memory", "detail": "out of memory"})
    except BaseException as error:  # noqa: BLE001 (whatever a library raises on hostile text is an answer: it failed)
        text = error.args[0][:200] if error.args and isinstance(error.args[0], str) else ""
        data = frame({"outcome": "failed", "detail": f"{type(error).__name__}: {text}"})
    write_bytes(ANSWER_DESCRIPTOR, data)
    os._exit(0)


def _watched(child: int, reading: int, requests: int, limits: dict[str, float]) -> Watch:
    """Reads what the child writes until it ends, at most for the wall time; kills it where the client is gone."""
    deadline = time.monotonic() + limits["wall_seconds"]
    pieces: list[bytes] = []
    size, late = 0, False
    poll = select.poll()
    poll.register(reading, select.POLLIN)
    poll.register(requests, 0)
    while True:
        left = deadline - time.monotonic()
        ready = dict(poll.poll(max(0.0, left) * 1000))
        late = not ready and left <= 0
        if late or requests in ready:
            break
        if reading in ready:
            piece = os.read(reading, CHUNK)
            pieces.append(piece)
            size += len(piece)
            if not piece or size > limits["output_bytes"]:
                break
    if late or requests in ready or size > limits["output_bytes"]:
        os.kill(child, signal.SIGKILL)
    _, status, usage = os.wait4(child, 0)
    return Watch(written=b"".join(pieces), status=status, cpu_seconds=usage.ru_utime + usage.ru_stime, late=late)


def _ending(watch: Watch, limits: dict[str, float]) -> dict[str, JSON]:
    if watch.late:
        return {"outcome": "wall_time", "detail": f"{limits['wall_seconds']:g} s of wall time"}
    body = watch.written[HEADER.size :]
    if len(watch.written) > HEADER.size and HEADER.unpack(watch.written[: HEADER.size])[0] == len(body):
        return cast("dict[str, JSON]", json.loads(body))
    if os.WIFSIGNALED(watch.status):
        number = os.WTERMSIG(watch.status)
        if number in (signal.SIGPROF, signal.SIGXCPU) or watch.cpu_seconds >= limits["cpu_seconds"]:
            return {"outcome": "cpu_time", "detail": f"{limits['cpu_seconds']:g} s of CPU time"}
        return {"outcome": "died", "detail": f"killed by {signal.Signals(number).name}"}
    return {"outcome": "died", "detail": f"ended without an answer, status {os.WEXITSTATUS(watch.status)}"}
