"""Watching a program's process from the process that started it: its streams, its clock, and how it ended."""

import contextlib
import os
import select
import signal
import time

from thinkscale.sandbox.inside.children import Child, num_files
from thinkscale.sandbox.inside.frames import Header, announced, pack, unpack

OUTPUT, WALL_TIME, CPU_TIME, SIGNAL, EXIT, FINISHED = "output", "wall_time", "cpu_time", "signal", "exit", "finished"
MAX_FILES = 10_000
"""Files that a program may make in its folder: they cost the kernel memory that no limit on bytes counts."""
TAIL_BYTES = 2_000
LOOK_SECONDS = 0.05
"""How often the number of files is looked at, and a process without pidfd (macOS, Linux before 5.3)."""
CHUNK = 1 << 16
TIME_SIGNALS = (signal.SIGKILL, signal.SIGPROF, signal.SIGXCPU)
MAX_FACT = 2_000
NEARLY = 0.98
"""The timer's clock and the account of an ended process differ by less."""


def watch(child: Child, *, frames: bool) -> tuple[Header, bytes] | None:
    """Reads until the program has sent a frame (where `frames`), or has ended: then None."""
    poll = _poll(child)
    next_look = time.monotonic() + LOOK_SECONDS
    while True:
        if frames and not child.met and (frame := _frame(child)) is not None:
            _drain(child)
            if not child.met:
                return frame
        if child.met:
            _kill(child)
        wait = min(child.deadline - time.monotonic(), LOOK_SECONDS)
        events = poll.poll(max(wait, 0) * 1000)
        ended = False
        for fd, event in events:
            if fd == child.pidfd:
                ended = True
            elif fd == child.requests:
                _ask(child, poll)
            elif not _read(child, fd) and event & (select.POLLHUP | select.POLLERR):
                poll.unregister(fd)
        now = time.monotonic()
        if now > next_look:
            next_look = now + LOOK_SECONDS
            ended = _look(child) or ended
        if now > child.deadline:
            child.met = child.met or WALL_TIME
        if ended:
            for fd in child.streams:
                while _read(child, fd):
                    pass
            return _frame(child) if frames and not child.met else None


def _drain(child: Child) -> None:
    """Reads what was written before a frame, so that a limit of output does not depend on who was faster."""
    for fd in child.streams:
        while not child.met and _read(child, fd):
            pass


def _poll(child: Child) -> select.poll:
    poll = select.poll()
    for fd in child.streams:
        poll.register(fd, select.POLLIN)
    if child.pidfd >= 0:
        poll.register(child.pidfd, select.POLLIN)
    if child.outbox:
        poll.register(child.requests, select.POLLOUT)
    return poll


def _frame(child: Child) -> tuple[Header, bytes] | None:
    """The next frame of the program's, with those facts of its header that have the form of facts."""
    if announced(child.inbox) > child.bounds.output_bytes:
        child.met = child.met or OUTPUT
        return None
    try:
        found = unpack(child.inbox)
    except (ValueError, RecursionError):
        found = ({}, b"", len(child.inbox))
    if found is None:
        return None
    header, blob, length = found
    del child.inbox[:length]
    return {key[:MAX_FACT]: value for key, value in header.items() if _is_fact(value)}, blob


def _is_fact(value: object) -> bool:
    if isinstance(value, list):
        return len(value) <= MAX_FACT and all(isinstance(item, str) and len(item) <= MAX_FACT for item in value)
    return isinstance(value, str) and len(value) <= MAX_FACT


def put_back(child: Child, header: Header, blob: bytes) -> None:
    """Undoes the reading of a frame."""
    child.inbox[:0] = pack(header, blob)


def ask(child: Child, header: Header, blob: bytes) -> None:
    """Queues a frame for the program; `watch` sends it."""
    child.outbox += pack(header, blob)


def _ask(child: Child, poll: select.poll) -> None:
    try:
        sent = os.write(child.requests, memoryview(child.outbox)[:CHUNK])
    except BlockingIOError:
        return
    except BrokenPipeError:
        sent = len(child.outbox)
    del child.outbox[:sent]
    if not child.outbox:
        poll.unregister(child.requests)


def _read(child: Child, fd: int) -> bool:
    """Takes what a stream holds; False where there was nothing."""
    try:
        data = os.read(fd, CHUNK)
    except BlockingIOError:
        return False
    stream = child.streams[fd]
    kept: bytearray = getattr(child, stream)
    kept += data
    if stream == "errors":
        child.error_bytes += len(data)
        del kept[:-TAIL_BYTES]
    if max(len(child.output), child.error_bytes, len(child.inbox) - 64) > child.bounds.output_bytes:
        child.met = child.met or OUTPUT
        del kept[:]
    return bool(data)


def _look(child: Child) -> bool:
    """Counts the files; says whether the process has ended, where no descriptor tells."""
    if num_files() - child.files_before > MAX_FILES:
        child.met = child.met or OUTPUT
    return child.pidfd < 0 and os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _kill(child: Child) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(child.pid, signal.SIGKILL)


def end(child: Child) -> tuple[Header, bytes]:
    """Kills what still runs; says `ending`, `detail` and `cpu_seconds`, with what it wrote to its output."""
    _kill(child)
    _, status, usage = os.wait4(child.pid, 0)
    for fd in (*child.streams, child.requests, child.pidfd):
        if fd >= 0:
            os.close(fd)
    cpu = usage.ru_utime + usage.ru_stime
    ending, detail = _ending(child, status, cpu)
    return {"ending": ending, "detail": detail[-TAIL_BYTES:], "cpu_seconds": cpu}, bytes(child.output)


def _ending(child: Child, status: int, cpu: float) -> tuple[str, str]:
    errors = child.errors.decode(errors="replace").strip()
    if child.met == OUTPUT:
        return OUTPUT, f"more than {child.bounds.output_bytes} bytes of output, or more than {MAX_FILES} files"
    if cpu > child.bounds.cpu_seconds:
        return CPU_TIME, f"{cpu:.2f} s of processor time, the limit is {child.bounds.cpu_seconds:g} s"
    if child.met:
        return child.met, f"{child.bounds.wall_seconds:g} s of waiting with {cpu:.2f} s of processor time"
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        if number in TIME_SIGNALS and cpu > child.bounds.cpu_seconds * NEARLY:
            return CPU_TIME, f"{cpu:.2f} s of processor time, the limit is {child.bounds.cpu_seconds:g} s"
        return SIGNAL, f"ended by signal {number} ({signal.strsignal(number)}) {errors}"
    code = os.waitstatus_to_exitcode(status)
    report = _report(child)
    if report:
        return report, errors
    return (FINISHED, errors) if code == 0 else (EXIT, f"exit status {code} {errors}")


def _report(child: Child) -> str:
    """What the program's own side says of an exception: `exception` or `memory`."""
    try:
        found = unpack(child.inbox)
    except (ValueError, RecursionError):
        return ""
    raised = found[0].get("ended_by") if found else None
    if not isinstance(raised, str):
        return ""
    return "memory" if raised == "MemoryError" else "exception"
