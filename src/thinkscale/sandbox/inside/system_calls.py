"""Numbers of system calls, from asm/unistd_64.h (x86_64) and asm-generic/unistd.h (aarch64)."""

from dataclasses import dataclass

DENIED: dict[str, tuple[int, int | None]] = {
    # name: (on x86_64, on aarch64)
    "execve": (59, 221),
    "execveat": (322, 281),
    "socket": (41, 198),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "msgget": (68, 186),
    "semget": (64, 190),
    "mq_open": (240, 180),
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "kcmp": (312, 272),
    "tkill": (200, 130),
    "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "unshare": (272, 97),
    "setns": (308, 268),
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "userfaultfd": (323, 282),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "reboot": (169, 142),
    "init_module": (175, 105),
    "finit_module": (313, 273),
    "delete_module": (176, 106),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "quotactl": (179, 60),
    "acct": (163, 89),
    "syslog": (103, 116),
    "personality": (135, 92),
    "setpriority": (141, 140),
    "sched_setattr": (314, 274),
    "sched_setscheduler": (144, 119),
    "sched_setparam": (142, 118),
    "ioprio_set": (251, 30),
    "inotify_init": (253, None),
    "inotify_init1": (294, 26),
    "fanotify_init": (300, 262),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    "vmsplice": (278, 75),
    "seccomp": (317, 277),
    "move_pages": (279, 239),
    "migrate_pages": (256, 238),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}
"""What no process of a sandbox needs: other programs, sockets, shared memory, other processes, mounts, the machine.

The number of inotify instances is counted for the user, outside too."""
NEW_DENIED = {
    "io_uring_setup": 425,
    "io_uring_enter": 426,
    "io_uring_register": 427,
    "open_tree": 428,
    "move_mount": 429,
    "fsopen": 430,
    "fsconfig": 431,
    "fsmount": 432,
    "fspick": 433,
    "process_madvise": 440,
    "mount_setattr": 442,
    "quotactl_fd": 443,
    "memfd_secret": 447,
    "process_mrelease": 448,
    "open_tree_attr": 467,
}
"""As above, with numbers that are the same on every machine."""
CLONE3 = 435
PIDFD_CALLS = (424, 434, 438)
"""pidfd_send_signal, pidfd_open, pidfd_getfd: on every machine."""
FCNTL_COMMANDS = (8, 10, 15, 1024, 1026)
"""F_SETOWN, F_SETSIG and F_SETOWN_EX send any signal to any process; F_SETLEASE makes every process of the machine
that opens a file wait (45 s), F_NOTIFY watches its folders."""
IOCTL_COMMANDS = (0x8901, 0x8902)
"""FIOSETOWN, SIOCSPGRP: F_SETOWN by another name."""
SOCKET_OPTIONS = (7, 32)
"""SO_SNDBUF, SO_SNDBUFFORCE: what waits in a pair of sockets is memory of the kernel, which no limit counts."""
PRCTL_COMMANDS = (4,)
"""PR_SET_DUMPABLE: the machine's collector of core dumps, where it has one, is given the memory of what is dumpable."""


@dataclass(frozen=True)
class Machine:
    """What a filter must know of one kind of processor."""

    audit: int
    """AUDIT_ARCH_* (linux/audit.h): how a filter sees which table a number belongs to."""
    clone: int
    mmap: int
    to_self: tuple[int, ...]
    """prlimit64 and sched_setaffinity: their first argument must be 0 or the caller's own process id."""
    timers: tuple[int, int]
    """timer_create and timer_settime."""
    forks: tuple[int, ...]
    """fork, vfork where they exist, and memfd_create: what the serving processes need and a program may not."""
    to_own_process: tuple[int, ...]
    """kill and tgkill: their first argument must be the caller's own process id."""
    fcntl: int
    ioctl: int
    prctl: int
    setsockopt: int
    denied: tuple[int, ...]


MACHINES = {
    "x86_64": Machine(
        audit=0xC000003E,
        clone=56,
        mmap=9,
        to_self=(302, 203),
        timers=(222, 223),
        forks=(57, 58, 319),
        to_own_process=(62, 234),
        fcntl=72,
        ioctl=16,
        prctl=157,
        setsockopt=54,
        denied=(*(x86 for x86, _ in DENIED.values()), *NEW_DENIED.values()),
    ),
    "aarch64": Machine(
        audit=0xC00000B7,
        clone=220,
        mmap=222,
        to_self=(261, 122),
        timers=(107, 110),
        forks=(279,),
        to_own_process=(129, 131),
        fcntl=25,
        ioctl=29,
        prctl=167,
        setsockopt=208,
        denied=(*(arm for _, arm in DENIED.values() if arm is not None), *NEW_DENIED.values()),
    ),
}
