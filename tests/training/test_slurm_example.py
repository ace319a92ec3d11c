"""The Slurm example, with a cluster of shell scripts: what it starts, and how it stops and is queued again."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "slurm-training.sbatch"

FAKES = {
    "scontrol": """
if [ "$1" = show ]; then printf 'node-a\\nnode-b\\n'; else echo "$*" >> "$TOLD"; kill -TERM "$PPID"; fi
""",
    # One node is enough to see the line.
    "srun": 'shift; "$@" & child=$!; trap "kill -TERM $child" TERM; wait $child; wait $child',
    "torchrun": 'echo "$*" > "$TOLD.torchrun"; [ -n "${LASTS:-}" ] && exec /bin/sleep 60; exit "${EXIT:-0}"',
}


@pytest.fixture
def cluster(tmp_path: Path) -> dict[str, str]:
    """An environment in which Slurm's programs are scripts that write down what they are told."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in FAKES.items():
        (programs / name).write_text(f"#!/bin/bash\n{body}\n")
        (programs / name).chmod(0o755)
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "TOLD": str(tmp_path / "told"),
        "SOURCE": "runs/s1",
        "OUT": str(tmp_path / "student"),
        "SLURM_JOB_ID": "123456",
        "SLURM_JOB_NUM_NODES": "2",
        "SLURM_JOB_NODELIST": "node-[a-b]",
    }


@contextmanager
def submitted(environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """The batch script, run as Slurm would; what it leaves running is ended."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("needs bash")
    job = subprocess.Popen(
        [bash, str(SCRIPT)], env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield job
    finally:
        with suppress(ProcessLookupError):
            os.killpg(job.pid, signal.SIGKILL)
        job.communicate()


def wait_for(path: Path) -> None:
    until = time.monotonic() + 60
    while not path.exists() or not path.read_text():
        assert time.monotonic() < until
        time.sleep(0.02)


@pytest.mark.parametrize("code", [0, 3])
def test_each_node_runs_torchrun_with_one_meeting_point_and_the_job_ends_as_it_does(
    code: int, cluster: dict[str, str]
) -> None:
    more = "--micro-batch-size 1 --set train.activation_checkpointing=true"
    with submitted({**cluster, "EXIT": str(code), "MORE": more, "SLURM_RESTART_COUNT": "2"}) as job:
        assert job.wait(60) == code
    assert Path(cluster["TOLD"] + ".torchrun").read_text().strip() == (
        "--nnodes 2 --nproc-per-node 8 --max-restarts 0 --rdzv-backend c10d --rdzv-endpoint node-a:23456 "
        "--rdzv-id 123456-2 -m thinkscale train sft runs/s1 --model Qwen/Qwen2.5-32B-Instruct "
        f"--out {cluster['OUT']} {more}"
    )
    assert not Path(cluster["TOLD"]).exists()


def test_near_its_time_limit_the_job_is_queued_again(cluster: dict[str, str]) -> None:
    with submitted({**cluster, "LASTS": "yes"}) as job:
        wait_for(Path(cluster["TOLD"] + ".torchrun"))
        job.send_signal(signal.SIGUSR1)
        assert job.wait(60) != 0
        assert job.stderr is not None
        assert "time is nearly up: requeued" in job.stderr.read()
    assert Path(cluster["TOLD"]).read_text() == "requeue 123456\n"


def test_a_preempted_job_ends_its_step_and_queues_nothing(cluster: dict[str, str]) -> None:
    with submitted({**cluster, "LASTS": "yes"}) as job:
        wait_for(Path(cluster["TOLD"] + ".torchrun"))
        job.terminate()
        assert job.wait(60) != 0
    assert not Path(cluster["TOLD"]).exists()


def test_a_model_that_is_there_is_not_trained_again(cluster: dict[str, str]) -> None:
    out = Path(cluster["OUT"])
    out.mkdir()
    (out / "training.json").write_text("{}")
    with submitted(cluster) as job:
        assert job.wait(60) == 0
    assert not Path(cluster["TOLD"] + ".torchrun").exists()


def test_what_is_missing_is_said(cluster: dict[str, str]) -> None:
    with submitted({name: value for name, value in cluster.items() if name != "OUT"}) as job:
        assert job.wait(60) != 0
        assert job.stderr is not None
        assert "the folder of the trained model" in job.stderr.read()
