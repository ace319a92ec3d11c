"""Starting a program's process: its descriptors, and what its parent keeps of it.

The program runs with real descriptors 0, 1 and 2, so that what works under plain Python works here. Input is a file in
memory, output is a pipe that is read up to the limit. On descriptor 3 it reports, on 4 it is asked; both carry frames,
and the program may write what it likes to them: a forged report says only what it might have said anyway.
"""

import fcntl
import os
import resource
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Bounds:
    """The limits of one execution, as they came over the pipe."""

    cpu_seconds: float
    wall_seconds: float
    memory_bytes: int
    output_bytes: int
    disk_bytes: int


@dataclass
class Child:
    """A running program: `output` is what it wrote, `errors` the end of its error stream, `inbox` its frames."""

    pid: int
    pidfd: int
    bounds: Bounds
    streams: dict[int, str]
    requests: int
    deadline: float
    files_before: int
    output: bytearray = field(default_factory=bytearray)
    errors: bytearray = field(default_factory=bytearray)
    inbox: bytearray = field(default_factory=bytearray)
    outbox: bytearray = field(default_factory=bytearray)
    error_bytes: int = 0
    met: str = ""
    """The limit that it met, where this side ended it."""


def start(body: Callable[[], None], bounds: Bounds, stdin: bytes = b"") -> Child:
    """Forks a process that runs `body` on fresh descriptors; `body` must not return."""
    given = _memory_file(stdin)
    out_read, out_write = os.pipe()
    err_read, err_write = os.pipe()
    report_read, report_write = os.pipe()
    ask_read, ask_write = os.pipe()
    files = num_files()
    pid = os.fork()
    if pid == 0:
        try:
            _take(given, out_write, err_write, report_write, ask_read)
            body()
        finally:
            os._exit(70)
    for fd in (given, out_write, err_write, report_write, ask_read):
        os.close(fd)
    for fd in (out_read, err_read, report_read, ask_write):
        os.set_blocking(fd, False)
    return Child(
        pid=pid,
        pidfd=os.pidfd_open(pid) if hasattr(os, "pidfd_open") else -1,
        bounds=bounds,
        streams={out_read: "output", err_read: "errors", report_read: "inbox"},
        requests=ask_write,
        deadline=time.monotonic() + bounds.wall_seconds,
        files_before=files,
    )


def _memory_file(content: bytes) -> int:
    """A file without a name that holds `content`, read from its beginning."""
    if hasattr(os, "memfd_create"):
        fd = os.memfd_create("stdin")
    else:
        with tempfile.TemporaryFile() as file:
            fd = os.dup(file.fileno())
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(fd, rest) :]
    os.lseek(fd, 0, os.SEEK_SET)
    return fd


def _take(*fds: int) -> None:
    """Makes `fds` the descriptors 0, 1, 2, ... and closes all others."""
    raised = [fcntl.fcntl(fd, fcntl.F_DUPFD, 32) for fd in fds]
    for number, fd in enumerate(raised):
        os.dup2(fd, number)
    os.closerange(len(fds), min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1 << 20))


def num_files() -> int:
    """Files on the file system of the working folder, which in a sandbox is the program's alone."""
    state = os.statvfs(".")
    return state.f_files - state.f_ffree
