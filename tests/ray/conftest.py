"""A Ray cluster of two nodes on this machine. Tests skip where Ray is not installed; `make test-ray` installs it."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parents[2]

NODES = """
import sys
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "object_store_memory": 80 << 20}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
cluster.wait_for_nodes()
print("ADDRESS", cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""


@pytest.fixture(autouse=True)
def no_network() -> None:
    """Nodes of a cluster speak over this machine's own address, which the guard of the other tests would refuse."""


@dataclass(frozen=True)
class Nodes:
    """A running cluster: its address, and the process that holds it."""

    address: str
    pid: int

    def workers(self) -> list[int]:
        """The processes that are at work on a partition, all of them started by this cluster."""
        parents = {int(path.name): _parent(path) for path in Path("/proc").iterdir() if path.name.isdigit()}
        ours, found = {self.pid}, {self.pid}
        while found:
            found = {pid for pid, parent in parents.items() if parent in ours} - ours
            ours |= found
        return [pid for pid in sorted(ours) if "ray::_done" in _command(pid)]


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text().rpartition(")")[2].split()[1])
    except OSError:  # it has just ended
        return 0


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


@pytest.fixture(scope="session", autouse=True)
def ray_is_installed() -> None:
    """Skips every test of this folder where it is not."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("needs Ray: `make test-ray` installs it in an environment of its own and runs these tests")


@pytest.fixture(scope="session")
def nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nodes]:
    """Two nodes of one core each, in processes of their own that see this project's tests."""
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # no word to anybody outside
    os.environ["PYTHONPATH"] = os.pathsep.join([str(PROJECT), str(PROJECT / "src")])
    log = (tmp_path_factory.mktemp("ray") / "nodes.log").open("w")
    words = [sys.executable, "-c", NODES]
    with log, subprocess.Popen(words, stdin=-1, stdout=-1, stderr=log, text=True, cwd=PROJECT) as process:
        assert process.stdout is not None
        said = next((line for line in process.stdout if line.startswith("ADDRESS ")), "")
        assert said, Path(log.name).read_text()
        yield Nodes(said.split()[1], process.pid)
        process.communicate("", timeout=60)
