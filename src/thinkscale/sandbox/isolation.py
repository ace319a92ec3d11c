"""Which fence stands round model code on this machine, and the command that starts a sandbox behind it.

An isolation is tried, not looked for: containers often have bubblewrap installed and forbid what it needs. Where none
can be had, nothing runs, unless the caller names the one that protects nothing.
"""

import json
import shutil
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path

from thinkscale.errors import SandboxError
from thinkscale.sandbox.channel import STARTING_SECONDS, Channel, LostError
from thinkscale.sandbox.inside.server import PREFIX
from thinkscale.sandbox.view import DEVICES, ENVIRONMENT, HARNESS, WORK, View, python_view


class Kind(StrEnum):
    """The ways to keep a program in, best first."""

    BUBBLEWRAP = "bubblewrap"
    NAMESPACES = "namespaces"
    """Our own launcher, on the same means of the kernel's."""
    NONE = "none-i-accept-that-model-code-can-destroy-this-machine"
    """Limits on time and memory only. For a machine that is itself thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Isolation:
    """One way to start a sandbox; `bwrap` is the path of bubblewrap where that is used."""

    kind: Kind
    bwrap: str = ""

    @property
    def contained(self) -> bool:
        """Whether a program is kept from the rest of the machine."""
        return self.kind is not Kind.NONE

    def command(self, *, disk_bytes: int) -> list[str]:
        """The command that starts a harness on its standard input and output. `disk_bytes` bounds its folder."""
        view = python_view()
        harness = _harness(view, self.kind)
        match self.kind:
            case Kind.BUBBLEWRAP:
                return [self.bwrap, *_bubblewrap_options(view, disk_bytes), "--", *harness]
            case Kind.NAMESPACES:
                launcher = Path(__file__).resolve().parent / "launcher.py"
                return [view.python, "-I", "-S", "-B", str(launcher), _plan(view, disk_bytes, harness)]
            case Kind.NONE:
                return ["/usr/bin/env", *(f"{name}={value}" for name, value in ENVIRONMENT.items()), *harness]


def _plan(view: View, disk_bytes: int, command: list[str]) -> str:
    """What launcher.py reads."""
    plan: dict[str, object] = {"binds": view.binds, "covered": view.covered, "devices": DEVICES, "folder": WORK}
    plan |= {"disk_bytes": disk_bytes, "environment": ENVIRONMENT, "command": command}
    return json.dumps(plan)


def _harness(view: View, kind: Kind) -> list[str]:
    contained = kind is not Kind.NONE
    source = HARNESS if contained else str(Path(__file__).resolve().parents[2])
    folder = WORK if contained else "."
    paths = list(view.paths) if contained else [path for path in sys.path if path]
    code = (
        f"import sys; sys.path.insert(0, {source!r})\n"
        "from thinkscale.sandbox.inside.harness import serve\n"
        f"serve(contained={contained}, folder={folder!r}, paths={paths!r})"
    )
    return [view.python, "-s", "-S", "-B", "-P", "-c", code]


def _bubblewrap_options(view: View, disk_bytes: int) -> list[str]:
    options = ["--unshare-user", "--unshare-all", "--uid", "65534", "--gid", "65534", "--hostname", "sandbox"]
    options += ["--die-with-parent", "--new-session", "--as-pid-1", "--cap-drop", "ALL", "--clearenv"]
    for name, value in ENVIRONMENT.items():
        options += ["--setenv", name, value]
    for source, target in view.binds:
        options += ["--ro-bind", source, target]
    for folder in view.covered:
        options += ["--tmpfs", folder, "--remount-ro", folder]
    for device in DEVICES:
        # Read-only: the node is the machine's own, and who owns it may change its mode. Writing to it needs no more.
        options += ["--dev-bind", device, device, "--remount-ro", device]
    return [*options, "--size", str(disk_bytes), "--tmpfs", WORK, "--remount-ro", "/", "--chdir", WORK]


def check_name(name: str) -> None:
    """Raises SandboxError where no isolation is called so."""
    if name not in list(Kind):
        raise SandboxError(f"no isolation is called {name!r}; there are {', '.join(Kind)}")


def find_isolation(name: str | None = None) -> Isolation:
    """The best isolation that works here, or the one called `name`. Raises SandboxError where it cannot be had."""
    if name is not None:
        check_name(name)
    wanted: Sequence[Kind] = [Kind(name)] if name is not None else [Kind.BUBBLEWRAP, Kind.NAMESPACES]
    failures = []
    for kind in wanted:
        found = _try(kind)
        if isinstance(found, Isolation):
            return found
        failures.append(f"{kind}: {found}")
    raise SandboxError(
        "model programs cannot be kept in on this machine, so none is run.\n  "
        + "\n  ".join(failures)
        + "\nInstall bubblewrap (apt install bubblewrap), or allow unprivileged user namespaces (docs/sandbox.md). "
        f"On a machine that may be destroyed, name the isolation {Kind.NONE}."
    )


@cache
def _try(kind: Kind) -> Isolation | str:
    """A sandbox of that kind is started and says hello; the reason where it does not."""
    bwrap = shutil.which("bwrap") or ""
    if kind is Kind.BUBBLEWRAP and not bwrap:
        return "bwrap is not installed"
    if kind is not Kind.NONE and sys.platform != "linux":
        return "it needs Linux"
    isolation = Isolation(kind=kind, bwrap=bwrap if kind is Kind.BUBBLEWRAP else "")
    try:
        with (
            tempfile.TemporaryDirectory(prefix=PREFIX) as folder,
            Channel(isolation.command(disk_bytes=1 << 20), folder) as channel,
        ):
            answer, _ = channel.request({"op": "hello"}, seconds=STARTING_SECONDS)
    except (LostError, OSError) as error:
        return str(error)
    if isolation.contained and answer.get("process") != 1:
        return "its processes are not in a namespace of their own"
    return isolation if answer.get("ok") or not isolation.contained else str(answer.get("detail"))
