"""The tables of the small run."""

from pathlib import Path

import pytest

from tests.reporting.traces.small_run import write_tables


@pytest.fixture(scope="session")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tables(tmp_path_factory.mktemp("tables"))
