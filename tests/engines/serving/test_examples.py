"""The examples for clusters, with a cluster of shell scripts: what they start, whom they wait for, how they stop."""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[3] / "examples"

FAKES = {
    # Two nodes, one after the other: their servers live until the script ends them.
    "srun": 'for node in a b; do NODE=$node bash -c "${!#}" & done; wait',
    "hostname": 'echo "node-$NODE"',
    "sleep": "exec /bin/sleep 0.02",
    "curl": '[ -e "$STARTED" ] && ! grep -q node-b-8002 <<< "${!#//:/-}"',
    "thinkscale": """
if [ "$1" = serve ]; then
    echo "$CUDA_VISIBLE_DEVICES $* ${VLLM_API_KEY:+with a key}" >> "$TOLD"
    touch "$STARTED"
    exec /bin/sleep 60
fi
echo "$*" > "$ASKED"
exit "${CLIENT_EXIT:-0}"
""",
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment in which Slurm's programs are scripts that write down what they are told."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in FAKES.items():
        path = programs / name
        path.write_text(f"#!/bin/bash\n{body}\n")
        path.chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "STARTED": str(tmp_path / "started"),
        "TOLD": str(tmp_path / "told"),
        "ASKED": str(tmp_path / "asked"),
        "OUT": str(tmp_path / "run"),
        "RECIPE": "teachers.yaml",
        "MODEL": "Qwen/QwQ-32B",
        "SLURM_JOB_ID": "7",
        "SLURM_JOB_NUM_NODES": "2",
        "GPUS_PER_NODE": "4",
        "VLLM_PYTHON": "vllm/bin/python",
        "START_SECONDS": "1",
    }


def submitted(environment: dict[str, str]) -> tuple[int, str]:
    """Exit code and standard error of the batch script, run as Slurm would; what it left running is ended."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    log = Path(environment["ASKED"]).with_name("stderr")
    with log.open("wb") as stderr:
        words = [bash, str(EXAMPLES / "slurm-teachers.sbatch")]
        job = subprocess.Popen(words, env=environment, stderr=stderr, stdout=stderr, start_new_session=True)
        try:
            return job.wait(timeout=30), log.read_text()
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()


def test_a_job_starts_every_copy_and_asks_those_that_answer(cluster: dict[str, str]) -> None:
    code, said = submitted(cluster)
    assert code == 0, said
    told = sorted(Path(cluster["TOLD"]).read_text().splitlines())
    serve = "serve Qwen/QwQ-32B --gpus 2 --gpu-memory-gib 80 --host 0.0.0.0 --port {} --python vllm/bin/python --run"
    first, second = f"0,1 {serve.format(8000)} with a key", f"2,3 {serve.format(8002)} with a key"
    assert told == [first, first, second, second]
    asked = Path(cluster["ASKED"]).read_text().split()
    assert asked[:2] == ["run", "teachers.yaml"]
    (urls,) = [word for word in asked if word.startswith("generate.engine.endpoints=")]
    found = set(urls.partition("=")[2].strip("[]").split(","))
    # One never answers: after START_SECONDS the run begins without it.
    assert found == {"http://node-a:8000/v1", "http://node-a:8002/v1", "http://node-b:8000/v1"}
    assert "3 of 4 servers answer" in said


def test_a_job_fails_as_its_run_does(cluster: dict[str, str]) -> None:
    code, _ = submitted({**cluster, "CLIENT_EXIT": "3"})
    assert code == 3


def test_a_job_without_servers_says_where_their_logs_are(cluster: dict[str, str]) -> None:
    code, said = submitted({**cluster, "STARTED": str(Path(cluster["STARTED"]).with_name("never") / "x")})
    assert code == 1
    assert "no server answers after 1 s; their logs are in" in said
    assert not Path(cluster["ASKED"]).exists()


def test_the_ray_example_says_that_ray_is_missing(tmp_path: Path) -> None:
    (tmp_path / "ray.py").write_text("raise ImportError('not here')")
    words = ["--model", "m", "--gpu-memory-gib", "80", "--vllm-python", "python"]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "ray-teachers.py"), *words],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (1, "ray is not installed here: pip install ray\n")
