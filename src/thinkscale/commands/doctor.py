"""doctor: what this machine can do. Keys are named by presence, never by value."""

import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec

from thinkscale.credentials import KEY_VARIABLES, PLAIN_VARIABLES, exposure_warnings, origins
from thinkscale.errors import DataError, SandboxError
from thinkscale.keys import JSON
from thinkscale.sandbox.isolation import Kind, find_isolation

EXTRAS = {
    "local models": (("torch", "transformers"), 'pip install torch==2.13.0 && pip install "thinkscale[local]"'),
    "training": (
        ("torch", "transformers", "trl", "accelerate", "datasets"),
        'pip install torch==2.13.0 && pip install "thinkscale[train]"',
    ),
}
LOW_DISK_GIB = 10


def doctor() -> list[dict[str, JSON]]:
    """One row for each thing looked at: `what`, `ok`, `found`, and `do` where something is lacking."""
    rows = [_extra(what, names, remedy) for what, (names, remedy) in EXTRAS.items()]
    rows += [_engines(), _gpu(), _cores(), _disk(), _sandbox()]
    return rows + _keys()


def doctor_text(rows: list[dict[str, JSON]]) -> str:
    """The rows as lines, remedies below."""
    lines = [f"{'ok' if row['ok'] else '--'}  {row['what']!s:<18} {row['found']}" for row in rows]
    remedies = [f"to get {row['what']}: {row['do']}" for row in rows if not row["ok"] and row["do"]]
    return "\n".join([*lines, "", *remedies]).rstrip()


def _row(what: str, ok: bool, found: str, remedy: str = "") -> dict[str, JSON]:
    return {"what": what, "ok": ok, "found": found, "do": "" if ok else remedy}


def _extra(what: str, names: tuple[str, ...], remedy: str) -> dict[str, JSON]:
    missing = [name for name in names if find_spec(name) is None]
    if missing:
        return _row(what, False, f"{', '.join(missing)} not installed", remedy)
    return _row(what, True, ", ".join(f"{name} {_version(name)}" for name in names))


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "of unknown version"


def _engines() -> dict[str, JSON]:
    lacking = [name for name in EXTRAS["local models"][0] if find_spec(name) is None]
    return _row("engines", True, f"scripted; local lacks {', '.join(lacking)}" if lacking else "scripted, local")


def _sandbox() -> dict[str, JSON]:
    try:
        isolation = find_isolation()
    except SandboxError as error:
        return _row("sandbox", False, "no isolation works here, so no model program is run", str(error))
    remedy = "apt install bubblewrap (its launcher is older and better tried than ours)"
    note = "" if isolation.kind is Kind.BUBBLEWRAP else f"; {remedy}"
    return _row("sandbox", True, f"{isolation.kind}: model programs are kept in{note}")


def _gpu() -> dict[str, JSON]:
    remedy = "none is needed for the lab; real models want one"
    if find_spec("torch") is None:
        return _row("GPU", False, "cannot be looked for without torch", remedy)
    import torch

    if not torch.cuda.is_available():
        return _row("GPU", False, "torch sees none", remedy)
    names = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return _row("GPU", True, ", ".join(names))


def _cores() -> dict[str, JSON]:
    return _row(
        "cores", True, f"{len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count()}"
    )


def _disk() -> dict[str, JSON]:
    free = shutil.disk_usage(".").free / 2**30
    return _row("disk", free > LOW_DISK_GIB, f"{free:,.0f} GiB free here", "free some space: checkpoints are large")


def _keys() -> list[dict[str, JSON]]:
    """A row for each known variable, with where it is set, and one for each file that shows keys to others."""
    rows = [_key(name) for name in (*KEY_VARIABLES, *PLAIN_VARIABLES)]
    return rows + [_row("privacy of keys", False, "others can read them", warning) for warning in exposure_warnings()]


def _key(variable: str) -> dict[str, JSON]:
    try:
        found = origins(variable)
    except DataError as error:
        return _row(variable, False, "cannot be looked for in .env", str(error))
    places = ", ".join(f"{name} ({origin})" if name != variable else origin for name, origin in found.items())
    remedy = "export it, or put it into .env in the current folder, if you use that service"
    return _row(variable, bool(found), f"set: {places}" if found else "not set", remedy)
