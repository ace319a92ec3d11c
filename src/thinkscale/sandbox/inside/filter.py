"""The filter of system calls: a second fence, inside that of the namespaces.

It is what bounds processes: `RLIMIT_NPROC` does not bind user 0, and a program that cannot fork leaves nothing behind.
Threads are bounded by the address space. Denied calls answer EPERM (clone3: ENOSYS, on which libc falls back to clone,
whose flags a filter can read), so that a program sees an error rather than a death. Chosen over an allow list, which
breaks right programs with every new libc; what a denied call could reach is closed by the namespaces as well.
"""

import ctypes
import os
import struct
import sys
from collections.abc import Iterable
from functools import cache

from thinkscale.sandbox.inside.system_calls import (
    CLONE3,
    FCNTL_COMMANDS,
    IOCTL_COMMANDS,
    MACHINES,
    PIDFD_CALLS,
    PRCTL_COMMANDS,
    SOCKET_OPTIONS,
    Machine,
)

PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38
SECCOMP_MODE_FILTER = 2
ALLOW, DENY, KILL = 0x7FFF0000, 0x00050000 | 1, 0x80000000
"""What a filter answers (linux/seccomp.h): let it pass, EPERM, end the process."""
NO_SUCH_CALL = 0x00050000 | 38
LOAD, EQUAL, ALL_OF, NOT_BELOW, RETURN = 0x20, 0x15, 0x45, 0x35, 0x06
"""BPF_LD+W+ABS, the jumps JEQ, JSET, JGE, and RET (linux/bpf_common.h)."""
NUMBER, MACHINE, FIRST_ARGUMENT = 0, 4, 16
"""Offsets in struct seccomp_data; the low half of argument n lies at 16 + 8n on both machines (little-endian)."""
CLONE_THREAD = 0x00010000
MAP_STACK = 0x20000
SMALLEST_STACK = 128 << 10
"""Smaller stacks of threads are refused: with the limit on address space that bounds their number, also for user 0."""
OWN_PROCESS = 0x5AFE1D00
"""Stands for the process id in a filter that is made once and filled in for each process."""
Line = tuple[int, int, int, int]


class ConfinementError(Exception):
    """This kernel or processor cannot confine as asked."""


def _head(machine: Machine) -> list[Line]:
    return [
        (LOAD, 0, 0, MACHINE),
        (EQUAL, 1, 0, machine.audit),
        (RETURN, 0, 0, KILL),
        (LOAD, 0, 0, NUMBER),
        (NOT_BELOW, 0, 1, 0x40000000),  # the 32-bit calls of x86, under other numbers
        (RETURN, 0, 0, KILL),
    ]


def _refused(numbers: Iterable[int]) -> list[Line]:
    return [line for number in numbers for line in ((EQUAL, 0, 1, number), (RETURN, 0, 0, DENY))]


def _refused_with(number: int, argument: int, values: Iterable[int]) -> list[Line]:
    """Refuses a call where its argument of that index has one of `values`."""
    tests = _refused(values)
    return [
        (EQUAL, 0, len(tests) + 2, number),
        (LOAD, 0, 0, FIRST_ARGUMENT + 8 * argument),
        *tests,
        (RETURN, 0, 0, ALLOW),
    ]


def _only_with(number: int, values: Iterable[int]) -> list[Line]:
    """Refuses a call unless its first argument is one of `values`."""
    passes = [line for value in values for line in ((EQUAL, 0, 1, value), (RETURN, 0, 0, ALLOW))]
    return [
        (EQUAL, 0, len(passes) + 2, number),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        *passes,
        (RETURN, 0, 0, DENY),
    ]


@cache
def filter_for_all(machine: Machine) -> bytes:
    """What no process of a sandbox needs, as BPF code: a little program that reads the number of each system call."""
    no_clone3 = [(EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, NO_SUCH_CALL)]
    return _code([*_head(machine), *no_clone3, *_refused(machine.denied), (RETURN, 0, 0, ALLOW)])


@cache
def filter_for_programs(machine: Machine) -> bytes:
    """What a program may not do besides: new processes, small thread stacks, signals, limits, leases for others."""
    code = [
        *_head(machine),
        *_refused((*machine.forks, *PIDFD_CALLS)),
        (EQUAL, 0, 4, machine.clone),
        (LOAD, 0, 0, FIRST_ARGUMENT),
        (ALL_OF, 1, 0, CLONE_THREAD),
        (RETURN, 0, 0, DENY),
        (RETURN, 0, 0, ALLOW),
        (EQUAL, 0, 6, machine.mmap),
        (LOAD, 0, 0, FIRST_ARGUMENT + 3 * 8),
        (ALL_OF, 0, 3, MAP_STACK),
        (LOAD, 0, 0, FIRST_ARGUMENT + 8),
        (NOT_BELOW, 1, 0, SMALLEST_STACK),
        (RETURN, 0, 0, DENY),
        (RETURN, 0, 0, ALLOW),
        *_refused_with(machine.fcntl, 1, FCNTL_COMMANDS),
        *_refused_with(machine.ioctl, 1, IOCTL_COMMANDS),
        *_refused_with(machine.prctl, 0, PRCTL_COMMANDS),
        *_refused_with(machine.setsockopt, 2, SOCKET_OPTIONS),
    ]
    for number in machine.to_self:
        code += _only_with(number, (0, OWN_PROCESS))
    for number in machine.to_own_process:
        code += _only_with(number, (OWN_PROCESS,))
    return _code([*code, (RETURN, 0, 0, ALLOW)])


def _code(lines: list[Line]) -> bytes:
    return b"".join(struct.pack("HBBI", *line) for line in lines)


class _FilterProgram(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_char_p))


@cache
def libc() -> ctypes.CDLL:
    """The C library, loaded once for all that is forked from here."""
    return ctypes.CDLL(None, use_errno=True)


def process_control(option: int, value: int = 0, pointer: object = None) -> bool:
    """prctl(2); False where it fails or, off Linux, is not there."""
    call = getattr(libc(), "prctl", None)
    if call is None:
        return False
    return bool(call(option, ctypes.c_ulong(value), pointer, ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)


def filter_harness() -> None:
    """For the first process, to be inherited by all. Raises ConfinementError where the filter cannot be had."""
    _install(filter_for_all(_machine()))
    filter_for_programs(_machine())  # made now, so that no process forked from this one has to


def filter_program() -> None:
    """For the process of a program, on top of what it inherited. Raises ConfinementError."""
    own = struct.pack("I", os.getpid())
    _install(filter_for_programs(_machine()).replace(struct.pack("I", OWN_PROCESS), own))


def _machine() -> Machine:
    machine = MACHINES.get(os.uname().machine)
    if machine is None or sys.byteorder != "little":
        raise ConfinementError(f"no filter of system calls is known for {os.uname().machine}")
    return machine


def _install(code: bytes) -> None:
    program = _FilterProgram(len(code) // 8, code)
    if not process_control(PR_SET_NO_NEW_PRIVS, 1) or not process_control(
        PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program)
    ):
        raise ConfinementError(f"the filter of system calls was refused: {os.strerror(ctypes.get_errno())}")
