"""The whole lab, small, killed with SIGKILL at random instants: it ends with the bytes of an undisturbed run."""

import hashlib
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

SMALL = (
    "collect.sources.0.size=300",
    "select.count=24",
    "train.epochs=2",
    "train.save_every_steps=1",
    "evaluate.benchmarks=[lab_numeric:4,lab_closed:4,lab_choice:4]",
    "evaluate.methods=[truncation,budget_forcing,class_conditional,token_conditional_forced,minimum,rejection]",
    "evaluate.wait_strings=[Wait,rotate]",
    "evaluate.token_targets=[16]",
    "evaluate.minimum_thinking_tokens=[32]",
    "evaluate.rejection_attempts=4",
    "report.resamples=200",
)
NUM_KILLS = 25


def start(out: Path) -> subprocess.Popen[str]:
    settings = [part for setting in SMALL for part in ("--set", setting)]
    arguments = [sys.executable, "-m", "thinkscale", "run", "lab", "--out", str(out), *settings]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_to_the_end(out: Path) -> float:
    started = time.monotonic()
    child = start(out)
    said, _ = child.communicate(timeout=600)
    assert child.returncode == 0, said
    return time.monotonic() - started


def kept_bytes(out: Path) -> dict[str, str]:
    """Hashes of everything that must not depend on how often the run was killed: tables, weights, report, figures."""
    names = [*out.glob("*.parquet"), *out.glob("report.*"), *out.glob("figures/*"), *out.glob("checkpoints/student/*")]
    # They state provenance (how often it was started) and clock readings.
    skip = {"report.md", "report.html", "training.json", "costs.png", "costs.svg"}
    return {
        str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in names
        if path.name not in skip
    }


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_killed_at_random_instants_ends_with_the_same_bytes(tmp_path: Path) -> None:
    seconds = run_to_the_end(tmp_path / "undisturbed")
    expected = kept_bytes(tmp_path / "undisturbed")
    assert {
        "responses.parquet",
        "scores.parquet",
        "trajectories.parquet",
        "checkpoints/student/model.safetensors",
    } <= set(expected)
    rng = random.Random(42)
    killed = tmp_path / "killed"
    kills = 0
    while kills < NUM_KILLS:
        child = start(killed)
        try:
            child.wait(timeout=rng.uniform(0.05, 0.45) * seconds)
        except subprocess.TimeoutExpired:
            child.kill()
            kills += 1
        child.communicate()
        if child.returncode == 0:
            break
    run_to_the_end(killed)
    assert kills >= 8
    assert kept_bytes(killed) == expected
