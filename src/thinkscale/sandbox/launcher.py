"""Starts a command in namespaces of its own, on a file system that shows only what it is given. Run as a script.

What bubblewrap does, for machines that lack it: new user, mount, process, network, IPC, host name and cgroup
namespaces; a root of memory, onto which the given files are bound read-only; no capabilities. It runs alone with the
standard library, before anything is contained, and executes nothing but the given command.
"""

import ctypes
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

NEW_NAMESPACES = (
    0x00020000  # mount
    | 0x02000000  # cgroup
    | 0x04000000  # host name
    | 0x08000000  # IPC
    | 0x10000000  # user
    | 0x20000000  # processes
    | 0x40000000  # network
)
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 2, 4, 32, 4096, 16384, 1 << 18
KEPT_FLAGS = {2: 2, 4: 4, 8: 8, 1024: 1024, 2048: 2048, 4096: 1 << 21}
"""statvfs flags of a source, as mount flags: within a user namespace a bind may not drop what its source forbids."""
MNT_DETACH = 2
PR_SET_PDEATHSIG, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 1, 24, 38
CAPABILITY_VERSION = 0x20080522
NOBODY = 65534
BASE = "/tmp"
MAX_FILES = 100_000
PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}


@dataclass(frozen=True)
class Plan:
    """What to show, and what to run on it."""

    binds: list[tuple[str, str]]
    covered: list[str]
    devices: list[str]
    folder: str
    disk_bytes: int
    environment: dict[str, str]
    command: list[str]


class Kernel:
    """System calls that Python's library lacks. Each raises OSError naming the step."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def _check(self, result: int, step: str) -> None:
        if result != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"{step}: {os.strerror(number)}")

    def unshare(self) -> None:
        self._check(self._libc.unshare(NEW_NAMESPACES), "new namespaces")

    def mount(self, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        arguments = (source.encode(), target.encode(), kind.encode(), ctypes.c_ulong(flags), options.encode())
        self._check(self._libc.mount(*arguments), f"mounting {kind or source} on {target}")

    def pivot_root(self, new: str, old: str) -> None:
        number = PIVOT_ROOT.get(os.uname().machine, -1)
        self._check(self._libc.syscall(ctypes.c_long(number), new.encode(), old.encode()), "changing the root")

    def leave(self, folder: str) -> None:
        self._check(self._libc.umount2(folder.encode(), MNT_DETACH), f"leaving {folder}")

    def prctl(self, option: int, value: int) -> bool:
        return bool(self._libc.prctl(option, ctypes.c_ulong(value), *[ctypes.c_ulong(0)] * 3) == 0)

    def drop_capabilities(self) -> None:
        capability = 0
        while self.prctl(PR_CAPBSET_DROP, capability):
            capability += 1
        header = (ctypes.c_uint32 * 2)(CAPABILITY_VERSION, 0)
        self._check(self._libc.capset(header, (ctypes.c_uint32 * 6)()), "dropping capabilities")
        if not self.prctl(PR_SET_NO_NEW_PRIVS, 1):
            raise OSError("no new privileges: refused")


def launch(plan: Plan) -> NoReturn:
    """Becomes the parent of process 1 of a new namespace, which runs the plan's command; ends with its exit status."""
    kernel = Kernel()
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    user, group = os.geteuid(), os.getegid()
    kernel.unshare()
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"{NOBODY} {user} 1")
    Path("/proc/self/gid_map").write_text(f"{NOBODY} {group} 1")
    kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    pid = os.fork()
    if pid == 0:
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.setsid()
        socket.sethostname("sandbox")
        _build(kernel, plan)
        kernel.drop_capabilities()
        kernel.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        os.execve(plan.command[0], plan.command, plan.environment)
    os.close(0)
    os.close(1)
    os._exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) & 0xFF)


def _build(kernel: Kernel, plan: Plan) -> None:
    """Makes the plan's files the whole file system. The old root is reached through /old while binding, then left."""
    kernel.mount("none", "/", "", MS_REC | MS_PRIVATE)
    kernel.mount("tmpfs", BASE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    os.chdir(BASE)
    for name in ("new", "old"):
        Path(name).mkdir()
    kernel.pivot_root(".", "old")
    os.chdir("/")
    kernel.mount("tmpfs", "/new", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755")
    for source, target in [*plan.binds, *((device, device) for device in plan.devices)]:
        _bind(kernel, f"/old{source}", f"/new{target}", device=source in plan.devices)
    for folder in plan.covered:
        kernel.mount("tmpfs", f"/new{folder}", "tmpfs", MS_NOSUID | MS_NODEV | MS_RDONLY)
    Path(f"/new{plan.folder}").mkdir(exist_ok=True)
    options = f"size={plan.disk_bytes},nr_inodes={MAX_FILES},mode=0755"
    kernel.mount("tmpfs", f"/new{plan.folder}", "tmpfs", MS_NOSUID | MS_NODEV, options)
    kernel.mount("none", "/new", "", MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV)
    os.chdir("/new")
    kernel.pivot_root(".", ".")
    kernel.leave(".")
    os.chdir(plan.folder)


def _bind(kernel: Kernel, source: str, target: str, *, device: bool) -> None:
    place = Path(target)
    if Path(source).is_dir():
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()
    kernel.mount(source, target, "", MS_BIND | MS_REC)
    found = os.statvfs(target).f_flag
    kept = sum(flag for seen, flag in KEPT_FLAGS.items() if found & seen and not (device and flag == MS_NODEV))
    barred = MS_NOSUID | (0 if device else MS_NODEV)
    kernel.mount("none", target, "", MS_REMOUNT | MS_BIND | MS_RDONLY | kept | barred)


if __name__ == "__main__":
    try:
        launch(Plan(**json.loads(sys.argv[1])))
    except OSError as error:
        sys.exit(f"cannot build a sandbox: {error}")
