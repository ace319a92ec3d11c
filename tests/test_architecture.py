"""Floors: imports only go down, there is no circle, and the core stays light."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src" / "thinkscale"

FLOORS: dict[str, int] = {
    "errors": 0, "keys": 0, "records": 0, "settings": 0,
    "thinking": 1, "grading": 1, "curation": 1, "statistics": 1, "lab": 1,
    "engines": 2, "sources": 2, "training": 2, "store": 2, "progress": 2, "recipes": 2,
    "sandbox": 2, "cluster": 2, "credentials": 2, "energy": 2, "handover": 2,
    "config": 3, "reporting": 3, "verification": 3,
    "stages": 4,
    "pipeline": 5,
    "commands": 6,
    "cli": 7, "__main__": 7,
}  # fmt: skip
"""The floor of each room. docs/architecture.md says what lives on which."""

HEAVY = (
    "torch",
    "transformers",
    "ray",
    "sympy",
    "math_verify",
    "latex2sympy2_extended",
    "trl",
    "datasets",
    "altair",
    "pandas",
    "scipy",
    "polars",
    "pyarrow",
    "aiohttp",
    "dotenv",
)


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports_of(path: Path, known: dict[str, Path]) -> Iterator[str]:
    """Modules of ours that `path` imports, also inside functions; a name of a package counts as its module."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("thinkscale"):
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                yield whole if whole in known else node.module
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name.startswith("thinkscale"))


def room_of(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def test_every_room_has_a_floor() -> None:
    rooms = {room_of(name) for name in modules()} - {""}
    assert rooms == {room for room in FLOORS if room in rooms}
    assert rooms - set(FLOORS) == set()


def test_imports_only_go_down() -> None:
    known = modules()
    upward = [
        f"{name} (floor {FLOORS[room_of(name)]}) imports {target} (floor {FLOORS[room_of(target)]})"
        for name, path in known.items()
        if room_of(name)
        for target in imports_of(path, known)
        if room_of(target) and FLOORS[room_of(target)] > FLOORS[room_of(name)]
    ]
    assert upward == []


def test_there_is_no_circle() -> None:
    known = modules()
    graph = {name: set(imports_of(path, known)) - {name, "thinkscale"} for name, path in known.items()}
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " -> ".join((*trail, name))
        if name not in done:
            for target in graph.get(name, ()):
                visit(target, (*trail, name))
            done.add(name)

    for name in graph:
        visit(name, ())


@pytest.mark.parametrize("statement", ["import thinkscale", "import thinkscale.cli", "import thinkscale.config"])
def test_the_core_loads_nothing_heavy(statement: str) -> None:
    code = f"{statement}\nimport sys\nprint(*[name for name in {HEAVY} if name in sys.modules])"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert loaded == []
