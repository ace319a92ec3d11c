"""What is installed: one set of pins for pip and uv, torch outside the core, the lab's model inside the package."""

import tomllib
from itertools import chain
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((PROJECT / "pyproject.toml").read_text())
OTHERS = {".venv", ".venv-ray", ".venv-vllm", "runs", ".git", "node_modules"}
"""Folders that hold no text of ours."""


def test_pip_and_uv_read_the_same_pins() -> None:
    pins = (PROJECT / "constraints.txt").read_text().split()
    assert PYPROJECT["tool"]["uv"]["constraint-dependencies"] == pins
    assert "torch==2.13.0" in pins


def test_every_direct_dependency_is_pinned() -> None:
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    wanted += PYPROJECT["dependency-groups"]["dev"]
    pinned = {pin.split("==")[0].lower() for pin in (PROJECT / "constraints.txt").read_text().split()}
    names = {name.split("[")[0].split(">")[0].split("=")[0].lower() for name in wanted} - {"thinkscale"}
    assert names <= pinned


def test_the_core_does_not_depend_on_torch() -> None:
    assert not any(name.startswith(("torch", "transformers", "trl")) for name in PYPROJECT["project"]["dependencies"])


def test_no_file_names_a_machine() -> None:
    """No absolute path of a home or work folder, and no host of a package registry, in anything that is committed."""
    marks = ("/" + "work/", "/" + "root/", "/" + "opt/pypi", "find" + "-links")
    texts = [path for path in PROJECT.rglob("*") if path.suffix in {".py", ".md", ".toml", ".yaml", ".txt", ".json"}]
    kept = [path for path in texts if not OTHERS & set(path.relative_to(PROJECT).parts)]
    found = [path.name for path in kept if any(mark in path.read_text(errors="replace") for mark in marks)]
    assert found == []
