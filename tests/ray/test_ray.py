"""Partitions over a Ray cluster of two nodes: the results of one process, also where a worker is killed."""

import importlib
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.cluster.test_near_duplicates import assert_equal, limits, questions, stored
from tests.cluster.test_partitions import numbered, refuse, square
from tests.ray.conftest import Nodes
from thinkscale.cluster import Backend, Partition, map_partitions
from thinkscale.errors import DataError, StageError
from thinkscale.stages.near_duplicates import near_duplicates, whole

pytestmark = pytest.mark.ray

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "ray" / "curate.py"

NOBODY = """
import sys
from thinkscale.cluster import Backend, Partition, map_partitions
list(map_partitions(abs, [Partition("p", 1)], Backend(address=sys.argv[1])))
"""


@pytest.fixture(scope="module")
def two_nodes(nodes: Nodes) -> Backend:
    return Backend(address=nodes.address)


def place(_number: int) -> tuple[int, str]:
    ray = importlib.import_module("ray")
    time.sleep(0.3)  # so that one worker alone cannot do it all before the other has started
    return os.getpid(), ray.get_runtime_context().get_node_id()


def test_results_are_those_of_one_process_whatever_the_number(two_nodes: Backend) -> None:
    for size in (0, 1, 30):
        assert list(map_partitions(square, numbered(size), two_nodes)) == [n * n for n in range(size)]


def test_both_nodes_work(two_nodes: Backend) -> None:
    places = list(map_partitions(place, numbered(12), two_nodes))
    assert len({node for _, node in places}) == 2
    assert os.getpid() not in {pid for pid, _ in places}


@dataclass(frozen=True)
class Slow:
    """Writes who is at work on what, so that a test can kill the worker in the middle of it."""

    folder: Path

    def __call__(self, number: int) -> int:
        (self.folder / f"{number}-{os.getpid()}").touch()
        time.sleep(0.5)
        return number * number


def test_a_worker_killed_in_the_middle_is_replaced(two_nodes: Backend, tmp_path: Path) -> None:
    results = map_partitions(Slow(tmp_path), numbered(12), two_nodes)
    found = [next(results) for _ in range(3)]
    at_work = max(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime_ns)
    number, pid = map(int, at_work.name.split("-"))
    os.kill(pid, signal.SIGKILL)
    found += results
    assert found == [n * n for n in range(12)]
    workers = {int(path.name.split("-")[1]) for path in tmp_path.glob(f"{number}-*")}
    assert len(workers) == 2, "the partition of the killed worker was done again by another"


def test_near_duplicates_are_those_of_one_process_while_workers_are_killed(
    nodes: Nodes, two_nodes: Backend, tmp_path: Path
) -> None:
    paths = stored(tmp_path, questions(5, 600), 50)
    sizes = limits(range_size=2000, pairs=2000)
    alone = whole(near_duplicates(paths, tmp_path / "alone", limits=sizes))
    killed: set[int] = set()
    over = threading.Event()

    def kill_some() -> None:
        while len(killed) < 3 and not over.wait(0.05):
            at_work = [pid for pid in nodes.workers() if pid not in killed]
            if at_work and any(tmp_path.glob("scratch/*/grams/*.run")):
                killed.add(at_work[0])
                os.kill(at_work[0], signal.SIGKILL)
                over.wait(2.0)

    killer = threading.Thread(target=kill_some)
    killer.start()
    try:
        found = whole(near_duplicates(paths, tmp_path / "scratch", limits=sizes, where=two_nodes))
    finally:
        over.set()
        killer.join()
    assert killed
    assert_equal(found, alone)
    assert list((tmp_path / "scratch").iterdir()) == []


def die(number: int) -> int:
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return number


def test_a_partition_that_no_worker_survives_is_named(two_nodes: Backend) -> None:
    with pytest.raises(StageError, match=r"^rows 1: its worker died .*smaller"):
        list(map_partitions(die, numbered(3), two_nodes))


@pytest.mark.parametrize(
    ("number", "kind", "message"),
    [(0, DataError, "rows 0: row 17 has no question"), (1, StageError, "rows 1: UnpicklableError: the line is dead")],
)
def test_an_error_of_the_work_names_its_partition(
    two_nodes: Backend, number: int, kind: type[Exception], message: str
) -> None:
    with pytest.raises(kind) as caught:
        list(map_partitions(refuse, [Partition(f"rows {number}", number)], two_nodes))
    assert str(caught.value) == message


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "head"])
def test_an_address_where_nobody_answers_says_what_to_do(address: str, tmp_path: Path) -> None:
    """In a process of its own, which has not heard of the cluster of the other tests."""
    environment = {**os.environ, "RAY_TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", NOBODY, address], capture_output=True, text=True, env=environment, check=False
    )
    assert f"ConfigError: workers ray:{address}: no Ray cluster answers there" in done.stderr


def test_the_example_writes_the_same_bytes_on_the_cluster_and_on_one_machine(nodes: Nodes, tmp_path: Path) -> None:
    import polars as pl

    texts = questions(5, 400)
    for number in range(2):
        part = pl.DataFrame({"question": texts[number::2], "reference": ["7"] * 200})
        part.write_parquet(tmp_path / f"{number}.parquet", row_group_size=40)
    pool = [str(path) for path in sorted(tmp_path.glob("*.parquet"))]
    written: list[bytes] = []
    for workers in ("local:1", f"ray:{nodes.address}"):
        out = tmp_path / f"fates-{len(written)}"
        words = [*pool, "--against", "lab_numeric", "--out", str(out), "--workers", workers]
        words += ["--scratch", str(tmp_path / "scratch")]
        subprocess.run([sys.executable, str(EXAMPLE), *words], check=True, capture_output=True)
        written.append(out.read_bytes())
    assert written[0] == written[1]
    fates = pl.read_parquet(tmp_path / "fates-0")
    assert fates.filter(pl.col("fate") == "duplicate").height > 100
