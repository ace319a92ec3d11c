"""`select` over a Ray cluster of two nodes: the selection of one process to the byte, also where a worker is killed."""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ray.conftest import Nodes
from tests.test_select_workers import write_pool
from thinkscale.commands.select import select
from thinkscale.commands.selection_files import Inputs

pytestmark = pytest.mark.ray

SETTINGS = {"count": 40, "seed": 7}


def selected(pool: Path, folder: Path, workers: str) -> tuple[bytes, bytes]:
    out, report = folder / "out.jsonl", folder / "fates.jsonl"
    select(Inputs(problems=(pool,)), out, {**SETTINGS, "workers": workers, "memory_mib": 256}, report=report)
    return out.read_bytes(), report.read_bytes()


def test_a_selection_over_ray_is_that_of_one_process(nodes: Nodes, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool.jsonl")
    alone = selected(pool, tmp_path / "alone", "local:1")
    assert selected(pool, tmp_path / "ray", f"ray:{nodes.address}") == alone


def test_it_is_the_same_where_a_worker_is_killed(nodes: Nodes, tmp_path: Path) -> None:
    pool = write_pool(tmp_path / "pool.jsonl", 1_000)
    alone = selected(pool, tmp_path / "alone", "local:1")
    killed: set[int] = set()
    over = threading.Event()

    def kill_one() -> None:
        while not killed and not over.wait(0.02):
            for pid in nodes.workers()[:1]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)

    killer = threading.Thread(target=kill_one)
    killer.start()
    try:
        found = selected(pool, tmp_path / "ray", f"ray:{nodes.address}")
    finally:
        over.set()
        killer.join()
    assert found == alone
    assert killed
