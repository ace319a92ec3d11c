"""What a program's process gives up for good before its first line runs: time, memory, files, and sight of others."""

import ctypes
import os
import resource
import signal
import struct
import sys
from math import ceil

from thinkscale.sandbox.inside.filter import libc, process_control
from thinkscale.sandbox.inside.system_calls import MACHINES

PR_SET_PDEATHSIG, PR_SET_DUMPABLE = 1, 4
CLOCK_PROCESS_CPUTIME_ID = 2
MAIN_STACK = 120 << 20
"""Linux keeps at least 128 MB of room below the main stack, so that it can grow to this without a new start."""
OPEN_FILES = 256
PROCESSES = 512
"""Threads, where the kernel counts them by namespace (Linux 5.14)."""


def hide_memory() -> None:
    """No other process of the same user may trace this one or read its memory; it ends with its parent."""
    process_control(PR_SET_DUMPABLE, 0)
    process_control(PR_SET_PDEATHSIG, signal.SIGKILL)


def limit_resources(*, cpu_seconds: float, memory_bytes: int, disk_bytes: int) -> None:
    """Sets hard limits. The kernel kills the process when it has used `cpu_seconds` of processor time.

    Not ITIMER_PROF and RLIMIT_CPU, which count ticks: on a busy virtual machine they were seen to run 40% ahead of the
    time that was used. The second, in whole seconds, stands behind, should a program find and stop the timer.
    """
    hard = {
        resource.RLIMIT_CPU: 2 * ceil(cpu_seconds) + 1,
        resource.RLIMIT_AS: memory_bytes,
        resource.RLIMIT_FSIZE: disk_bytes,
        resource.RLIMIT_NOFILE: OPEN_FILES,
        resource.RLIMIT_CORE: 0,
    }
    if _counts_by_namespace():
        hard[resource.RLIMIT_NPROC] = PROCESSES
    for limit, value in hard.items():
        _lower(limit, value)
    ceiling = resource.getrlimit(resource.RLIMIT_STACK)[1]
    wanted = MAIN_STACK if ceiling == resource.RLIM_INFINITY else min(MAIN_STACK, ceiling)
    resource.setrlimit(resource.RLIMIT_STACK, (wanted, ceiling))
    if not kill_after(cpu_seconds):
        signal.setitimer(signal.ITIMER_PROF, cpu_seconds)


def kill_after(cpu_seconds: float) -> bool:
    """A timer on this process's own clock that ends in SIGKILL; False where it cannot be had."""
    machine = MACHINES.get(os.uname().machine)
    if sys.platform != "linux" or machine is None:
        return False
    event = struct.pack("qii48x", 0, signal.SIGKILL, 0)  # struct sigevent: value, signal, SIGEV_SIGNAL
    number = ctypes.c_int()
    create, settime = map(ctypes.c_long, machine.timers)
    if libc().syscall(create, ctypes.c_long(CLOCK_PROCESS_CPUTIME_ID), event, ctypes.byref(number)) != 0:
        return False
    seconds, rest = divmod(cpu_seconds, 1)
    when = struct.pack("qqqq", 0, 0, int(seconds), int(rest * 1e9) + 1)  # struct itimerspec: interval, value
    return bool(libc().syscall(settime, ctypes.c_long(number.value), ctypes.c_long(0), when, None) == 0)


def _lower(limit: int, value: int) -> None:
    ceiling = resource.getrlimit(limit)[1]
    bound = value if ceiling == resource.RLIM_INFINITY else min(value, ceiling)
    try:
        resource.setrlimit(limit, (bound, bound))
    except (OSError, ValueError):  # macOS refuses some limits
        if sys.platform == "linux":
            raise


def _counts_by_namespace() -> bool:
    if sys.platform != "linux":
        return False
    major, minor = os.uname().release.split(".")[:2]
    return (int(major), int("".join(filter(str.isdigit, minor)) or 0)) >= (5, 14)
