"""Which GPUs of a shared machine are free, and a hold on them until a training ends.

A GPU is free where nvidia-smi lists no process that computes on it and less than FREE_MIB of its memory is in use. The
second is needed as well: a container does not see the processes of others, only the memory that they hold. Between the
look and the first allocation another training may look too, so whoever takes a GPU holds a lock named after it; the
kernel ends the lock with its process.

CUDA_VISIBLE_DEVICES is obeyed. Where it names as many GPUs as are wanted, somebody chose them, and they are used, busy
or not, with a word about who is on them; where it names more, free ones are chosen among those. Its numbers are taken
for nvidia-smi's (CUDA counts so on machines of equal GPUs, and anywhere with CUDA_DEVICE_ORDER=PCI_BUS_ID).

Rejected: nvidia-ml-py, a dependency for two questions that nvidia-smi answers as well.
"""

import csv
import fcntl
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from thinkscale.errors import ConfigError

FREE_MIB = 1024
"""Drivers keep up to some 600 MiB of a GPU that nobody uses."""

ASK_SECONDS = 30.0
VISIBLE = "CUDA_VISIBLE_DEVICES"
_GPUS = "index,uuid,name,memory.total,memory.used"
_PARTS = "mig.mode.current"
_PROCESSES = "gpu_uuid,pid,process_name,used_memory"


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """A GPU as nvidia-smi lists it. Memory in MiB; None where the driver does not say."""

    index: str
    uuid: str
    name: str
    total_mib: int | None
    used_mib: int | None
    is_divided: bool = False
    """Into MIG instances, which have names of their own."""
    holders: tuple[str, ...] = ()
    """Who else computes on it, for a person."""
    is_used_here: bool = False
    """By this process: an engine of an earlier stage keeps a GPU open, even with all its memory given back."""

    @property
    def is_free(self) -> bool:
        return not self.is_divided and not self.holders and (self.used_mib or 0) < FREE_MIB

    def account(self, taken_by: str | None = None) -> str:
        """What is on it: `GPU 0 (NVIDIA H100): 61,234 of 81,559 MiB in use: python (process 7 of ann, 60,000 MiB)`."""
        used = "" if self.used_mib is None else f"{self.used_mib:,} of {self.total_mib or 0:,} MiB in use"
        if self.is_divided:
            what = f"divided (MIG); name one of its parts in {VISIBLE}, `nvidia-smi -L` lists them"
        elif self.holders:
            what = ": ".join(filter(None, (used, ", ".join(self.holders))))
        elif taken_by:
            what = f"taken by a training that is starting ({taken_by})"
        elif self.is_free:
            what = "free"
        elif self.is_used_here:
            what = f"{used}, by this process (process {os.getpid()})"
        else:
            what = f"{used}, by a process that cannot be seen from here (another container or user)"
        return f"GPU {self.index} ({self.name}): {what}"


@contextmanager
def reserved(count: int, say: Callable[[str], None] = lambda _text: None) -> Iterator[tuple[str, ...]]:
    """`count` GPUs as CUDA_VISIBLE_DEVICES takes them, ours while the block runs; none where one is wanted and none is.

    Raises ConfigError where so many are not free, naming who holds the others.
    """
    listed = read_gpus()
    with ExitStack() as locks:
        if listed is None:
            yield _without_driver(count, say)
            return
        visible = os.environ.get(VISIBLE)
        mine = visible_gpus(listed, visible)
        if not mine:
            yield _no_gpu(count, "none" if visible is None else f"{VISIBLE}={visible} shows none of {len(listed)}", say)
            return
        yield _chosen(mine, count, visible is not None, locks, say)


def _chosen(
    mine: Sequence[Gpu | str], count: int, is_named: bool, locks: ExitStack, say: Callable[[str], None]
) -> tuple[str, ...]:
    """The GPUs that are taken, locked by `locks`."""
    taken_by: dict[str, str] = {}
    free: list[str] = []
    for gpu in mine:
        if len(free) == count:
            break
        if isinstance(gpu, str):  # a part of a GPU, of which nothing is known
            free.append(gpu)
        elif gpu.is_free:
            holder = _lock(gpu.uuid, locks)
            if holder is None:
                free.append(gpu.uuid)
            else:
                taken_by[gpu.uuid] = holder
    accounts = [
        gpu.account(taken_by.get(gpu.uuid)) if isinstance(gpu, Gpu) else f"{gpu}: a part of a GPU" for gpu in mine
    ]
    if len(free) < count and is_named and len(mine) == count:
        say(f"{VISIBLE} names the GPUs, so they are used as they are: {'; '.join(accounts)}")
        return tuple(gpu if isinstance(gpu, str) else gpu.uuid for gpu in mine)
    if len(free) < count:
        raise ConfigError(_shortage(count, len(free), accounts, is_named))
    names = {gpu.uuid: f"GPU {gpu.index}" for gpu in mine if isinstance(gpu, Gpu)}
    say("training on " + ", ".join(names.get(name, name) for name in free))
    return tuple(free)


def _shortage(count: int, num_free: int, accounts: Sequence[str], is_named: bool) -> str:
    where = f" that {VISIBLE} names" if is_named else ""
    fewer = f"ask for {num_free} (--gpus {num_free}), " if num_free else ""
    wanted = "a GPU is" if count == 1 else f"{count} GPUs are"
    free = f"{num_free} {'is' if num_free == 1 else 'are'} free"
    lines = "\n  ".join(accounts)
    return (
        f"{wanted} wanted, and of {len(accounts)}{where} {free} (no process on it and less than {FREE_MIB:,} MiB in "
        f"use):\n  {lines}\nWait, {fewer}or name {count} in {VISIBLE} to use what is not free all the same"
    )


def _no_gpu(count: int, seen: str, say: Callable[[str], None]) -> tuple[str, ...]:
    if count > 1:
        raise ConfigError(
            f"{count} GPUs are wanted (--gpus, train.processes), and there is {seen} here. Leave that out to train in "
            f"one process; --set train.device=cpu trains in {count} processes on the CPU, to try things out"
        )
    if os.environ.get(VISIBLE):
        say(f"there is no GPU to use ({seen}): training on the CPU")
    return ()


def _without_driver(count: int, say: Callable[[str], None]) -> tuple[str, ...]:
    """Without nvidia-smi nobody knows what is free; torch may see GPUs all the same (ROCm, a bare container)."""
    try:
        import torch

        seen = torch.cuda.device_count()
    except ImportError:
        seen = 0
    if not seen:
        return _no_gpu(count, "none", say)
    named = [item.strip() for item in os.environ.get(VISIBLE, "").split(",") if item.strip()]
    names = named or [str(index) for index in range(seen)]
    if len(names) < count:
        raise ConfigError(f"{count} GPUs are wanted, and torch sees {seen}; ask for --gpus {seen}")
    say(f"nvidia-smi is not here, so whether GPUs are free is not known: training on {', '.join(names[:count])}")
    return tuple(names[:count])


def read_gpus() -> tuple[Gpu, ...] | None:
    """All GPUs of this machine with who is on them; None without an nvidia-smi that answers."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    listed = _ask(program, f"--query-gpu={_GPUS},{_PARTS}")
    if listed is None:
        listed = _ask(program, f"--query-gpu={_GPUS}")  # drivers older than MIG
    if listed is None:
        return None
    return parse_gpus(listed, _ask(program, f"--query-compute-apps={_PROCESSES}") or "")


def _ask(program: str, question: str) -> str | None:
    try:
        done = subprocess.run(
            [program, question, "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=ASK_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def parse_gpus(listed: str, processes: str) -> tuple[Gpu, ...]:
    """What nvidia-smi said of GPUs and of processes, as CSV without header and units.

    A field may be `[N/A]`, `[Not Supported]` or the like, and the name of a process may hold commas. Lines that are no
    answer (`No devices were found`) are passed over.
    """
    holders: dict[str, list[str]] = {}
    used_here: set[str] = set()
    for fields in _rows(processes):
        if len(fields) >= 4 and fields[1].isdigit():
            uuid, pid, *name, memory = fields
            if int(pid) == os.getpid():
                used_here.add(uuid)
                continue
            holders.setdefault(uuid, []).append(_holder(int(pid), ", ".join(name), _mib(memory)))
    gpus = []
    for fields in _rows(listed):
        if len(fields) >= 5 and fields[0].isdigit():
            index, uuid, model, total, used, *parts = fields
            gpus.append(
                Gpu(
                    index=index,
                    uuid=uuid,
                    name=model,
                    total_mib=_mib(total),
                    used_mib=_mib(used),
                    is_divided=parts[:1] == ["Enabled"],
                    holders=tuple(holders.get(uuid, ())),
                    is_used_here=uuid in used_here,
                )
            )
    return tuple(gpus)


def _rows(text: str) -> Iterator[list[str]]:
    for fields in csv.reader(text.splitlines(), skipinitialspace=True, quoting=csv.QUOTE_NONE):
        yield [field.strip() for field in fields]


def _mib(field: str) -> int | None:
    return int(field) if field.isdigit() else None


def _holder(pid: int, name: str, mib: int | None) -> str:
    try:
        owner = f" of {pwd.getpwuid(Path(f'/proc/{pid}').stat().st_uid).pw_name}"
    except (OSError, KeyError):  # another container's, or an account that this one does not know
        owner = ""
    shown = "a process without a name" if not name or name.startswith("[") else name.rpartition("/")[2]
    memory = "" if mib is None else f", {mib:,} MiB"
    return f"{shown} (process {pid}{owner}{memory})"


def visible_gpus(gpus: Sequence[Gpu], visible: str | None) -> tuple[Gpu | str, ...]:
    """Those that `visible`, as CUDA_VISIBLE_DEVICES, shows, in its order; of a MIG instance its name.

    As in CUDA, what it does not know hides all that follows.
    """
    if visible is None:
        return tuple(gpus)
    by_index: Mapping[str, Gpu] = {gpu.index: gpu for gpu in gpus}
    found: list[Gpu | str] = []
    for item in (part.strip() for part in visible.split(",")):
        starting = [gpu for gpu in gpus if item.startswith("GPU-") and gpu.uuid.startswith(item)]
        if item.startswith("MIG-"):
            found.append(item)
        elif item in by_index:
            found.append(by_index[item])
        elif len(starting) == 1:
            found.append(starting[0])
        else:
            break
    return tuple(dict.fromkeys(found))


def _lock(uuid: str, locks: ExitStack) -> str | None:
    """Takes the lock of a GPU until `locks` closes; who has it, where somebody has."""
    path = Path(tempfile.gettempdir()) / f"thinkscale-{uuid}.lock"
    try:
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except PermissionError:  # another user's file: it can be locked all the same
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError as error:
        return f"its lock {path} cannot be opened: {error.strerror}"
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        text = os.pread(descriptor, 20, 0).decode("ascii", errors="replace").strip()
        os.close(descriptor)
        return f"process {text}" if text.isdigit() else "another user's"
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
    except OSError:  # opened to read only: the lock holds without a name
        pass
    locks.callback(os.close, descriptor)
    return None
