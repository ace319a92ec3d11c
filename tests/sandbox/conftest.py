"""A sandbox of each kind that this machine can have."""

from collections.abc import Iterator

import pytest

from thinkscale.errors import SandboxError
from thinkscale.grading.execution import Ending, Limits
from thinkscale.sandbox.isolation import Isolation, Kind, find_isolation
from thinkscale.sandbox.programs import Sandbox


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for a limit runs under the second isolation only with the slow tests: the limits are kept by the same
    code. Cases marked `both`, and all that end at once, run under each.
    """
    for item in items:
        given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        case = given.get("case")
        if given.get("isolation") is not Kind.NAMESPACES or not isinstance(case, dict) or case.get("both"):
            continue
        if {Ending.WALL_TIME, Ending.CPU_TIME, Ending.MEMORY} & set(case.get("endings", ())):
            item.add_marker(pytest.mark.slow)


LIMITS = Limits(cpu_seconds=2.0, wall_seconds=10.0, memory_bytes=512 << 20, output_bytes=4 << 20, disk_bytes=32 << 20)


@pytest.fixture(scope="session", params=[Kind.BUBBLEWRAP, Kind.NAMESPACES])
def isolation(request: pytest.FixtureRequest) -> Isolation:
    """Skips where this machine cannot have it, and says why."""
    try:
        return find_isolation(request.param)
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def each_sandbox(isolation: Isolation) -> Iterator[Sandbox]:
    """One warm sandbox for all programs, as in a worker; of each kind in turn."""
    with Sandbox(isolation, LIMITS) as warm:
        yield warm


@pytest.fixture(scope="session")
def sandbox() -> Iterator[Sandbox]:
    """A warm sandbox of the best kind, for what does not depend on the kind."""
    try:
        best = find_isolation()
    except SandboxError as error:
        pytest.skip(str(error))
    with Sandbox(best, LIMITS) as warm:
        yield warm
