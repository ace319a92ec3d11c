"""What of this machine a sandbox shows: Python's own files and the libraries that they load, all read-only.

Bound are the interpreter, its standard library without installed packages, the folders of shared libraries, the
packages in PACKAGES where they are installed, and the folder `inside` of this package. No /etc, /proc, /sys, /home.
"""

import platform
import sys
import sysconfig
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PACKAGES = ("numpy", "sortedcontainers")
"""Packages that programs may import, since judges of programming contests offer them."""
HARNESS, PACKAGE_FOLDER, WORK = "/harness", "/packages", "/tmp"
DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom")
ENVIRONMENT = {
    "PATH": "/nowhere",
    "HOME": WORK,
    "LANG": "C.UTF-8",
    "TZ": "UTC",
    "PYTHONHASHSEED": "0",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}
"""Everything that a program finds in its environment. A fixed hash seed makes the order of sets repeatable.

One arena for malloc: each more takes 64 MiB of the address space that is limited, one for every few threads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Read-only binds (source, target), folders within them that are covered, and where Python looks for modules."""

    python: str
    binds: tuple[tuple[str, str], ...]
    covered: tuple[str, ...]
    paths: tuple[str, ...]


@cache
def python_view() -> View:
    """What the running interpreter needs."""
    python = Path(sys.executable).resolve()
    library = Path(sysconfig.get_path("stdlib")).resolve()
    inside = Path(__file__).resolve().parent / "inside"
    binds = [(str(path), str(path)) for path in (python, library, *_shared_libraries(python))]
    packages = [(str(path), f"{PACKAGE_FOLDER}/{path.name}") for path in _package_files()]
    covered = [library / name for name in ("site-packages", "dist-packages", "test")]
    return View(
        python=str(python),
        binds=(*binds, *packages, (str(inside), f"{HARNESS}/thinkscale/sandbox/inside")),
        covered=tuple(str(path) for path in covered if path.is_dir()),
        paths=(str(library), str(library / "lib-dynload"), PACKAGE_FOLDER),
    )


def _shared_libraries(python: Path) -> list[Path]:
    triplet = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    folders = [Path("/lib") / triplet, Path("/usr/lib") / triplet]
    if not folders[1].is_dir():
        folders = [Path("/lib"), Path("/usr/lib"), Path("/usr/lib64")]
    own = sorted((python.parent.parent / "lib").glob("libpython*.so*"))
    conda = (
        sorted((python.parent.parent / "lib").glob("lib[!p]*.so*"))
        if (python.parent.parent / "conda-meta").is_dir()
        else []
    )
    loaders = [Path("/lib64"), *Path("/lib").glob("ld-linux*")]
    return [path for path in (*folders, *loaders, *own, *conda) if path.exists()]


def _package_files() -> list[Path]:
    found = []
    for name in PACKAGES:
        spec = find_spec(name)
        if spec is not None and spec.origin is not None:
            folder = Path(spec.origin).resolve().parent
            found += [path for path in (folder, folder.with_name(f"{name}.libs")) if path.is_dir()]
    return found
