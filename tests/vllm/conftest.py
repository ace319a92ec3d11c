"""A running vLLM for the tests of this folder. They skip where it is not installed; `make test-vllm` installs it."""

from collections.abc import Iterator

import pytest

from tests.vllm.server import PYTHON, VllmServer


@pytest.fixture(scope="session")
def vllm_python() -> str:
    """The interpreter of vLLM's environment."""
    if not PYTHON.is_file():
        pytest.skip(f"needs vLLM in {PYTHON.parent.parent.name}: `make test-vllm` installs it and runs these tests")
    return str(PYTHON)


@pytest.fixture(scope="session")
def server(vllm_python: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VllmServer]:
    """One server for all tests: it takes half a minute to start."""
    running = VllmServer(tmp_path_factory.mktemp("vllm") / "server.log")
    running.start()
    try:
        yield running
    finally:
        running.kill()
