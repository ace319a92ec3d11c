"""Where a run comes from: versions, commit, command, seed and host. No user name, no folder of the host's."""

import os
import platform
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import thinkscale
from thinkscale.keys import JSON

SOURCE = Path(thinkscale.__file__).parent
"""The package's own folder. The current folder is no guide: it may lie in another project's repository."""

LIBRARIES = (
    "accelerate",
    "altair",
    "anthropic",
    "datasets",
    "math-verify",
    "numpy",
    "openai",
    "polars",
    "pyarrow",
    "pydantic",
    "ray",
    "scipy",
    "sympy",
    "tokenizers",
    "torch",
    "transformers",
    "trl",
    "vllm",
)
"""Distributions whose version can change a result."""


def collect_provenance(argv: Sequence[str], seed: int, determinism: Mapping[str, JSON]) -> dict[str, JSON]:
    """The facts of this process. `determinism` is kept as handed in; libraries are looked up, not imported."""
    return {
        "thinkscale": thinkscale.__version__,
        "python": platform.python_version(),
        "libraries": {name: version for name in LIBRARIES if (version := _version(name))},
        "git": _git(),
        "argv": [without_folders(argument) for argument in argv],
        "seed": seed,
        "host": {"system": platform.system(), "machine": platform.machine(), "cpus": os.cpu_count()},
        "platform": platform.platform(),
        "determinism": dict(determinism),
    }


def without_folders(argument: str) -> str:
    """An argument of a command with each absolute path cut to its last part, also behind an equals sign."""
    parts = argument.split("=")
    return "=".join(part.rstrip("/").rsplit("/", 1)[-1] if part.startswith(("/", "~/")) else part for part in parts)


def _version(name: str) -> str:
    from importlib import metadata

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""


def _git() -> dict[str, JSON]:
    """Commit of the package's own source, empty where it is not a checkout or there is no git.

    An installed package may lie inside another project's repository (its virtual environment), which does not
    track it.
    """
    commit = _git_line("rev-parse", "HEAD") if _git_line("ls-files", "--error-unmatch", "__init__.py") else ""
    if not commit:
        return {"commit": "", "changed": False}
    return {"commit": commit, "changed": bool(_git_line("status", "--porcelain", "--untracked-files=no"))}


def _git_line(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(SOURCE), *arguments], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):  # no git, or one that hangs: a commit is a help, not a need
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
