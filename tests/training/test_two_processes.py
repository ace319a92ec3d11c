"""Held-out rows, best weights and adapters where two processes share a model."""

import os
import pickle
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.test_held_out import held_out_of
from tests.training.test_sft import hand_computed_loss, ignore
from thinkscale.errors import StageError
from thinkscale.records import HeldOut
from thinkscale.training.launch import trained_on
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import TrainingRow

TORCHRUN = (
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"),
    *("--nproc-per-node", "2", "--max-restarts", "0"),
)

KILLED = """
import os, pickle, signal, sys
from pathlib import Path
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints

def kill(step):
    if step.step == 6:
        os.kill(os.getpid(), signal.SIGKILL)

rows, settings, folder = pickle.loads(Path(sys.argv[1]).read_bytes())
train_sft(rows, settings, folder / "two", kill, checkpoints=Checkpoints(folder=folder / "checkpoints", every_steps=2))
"""


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.timeout(600)
@pytest.mark.parametrize("lora", [None, Lora(rank=4)])
def test_two_processes_measure_and_keep_what_one_does_also_after_a_kill(
    lora: Lora | None, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """Five held-out rows are three passes: the process that has one less computes one again and must not count it."""
    settings = SftSettings(
        model=str(base_model),
        epochs=2,
        effective_batch_size=4,
        micro_batch_size=2,
        learning_rate=3e-2,
        max_length=64,
        device="cpu",
        held_out_rows=5,
        evaluate_every_steps=3,
        keep="best",
        lora=lora,
    )
    one = train_sft(rows, settings, tmp_path / "one", ignore)
    (tmp_path / "killed.py").write_text(KILLED)
    (tmp_path / "job.pickle").write_bytes(pickle.dumps((rows, settings, tmp_path)))
    command = [*TORCHRUN, str(tmp_path / "killed.py"), str(tmp_path / "job.pickle")]
    assert subprocess.run(
        command, check=False, capture_output=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    ).returncode
    assert not (tmp_path / "two").exists()
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)
    seen: list[HeldOut] = []
    two = trained_on(2, train_sft)(
        rows, settings, tmp_path / "two", ignore, on_held_out=seen.append, checkpoints=checkpoints
    )
    assert two.hyperparameters["world_size"] == 2
    assert two.resumed_from_step == 4
    assert two.parameters == one.parameters
    assert [found.step for found in one.held_out] == [found.step for found in two.held_out] == [0, 3, 6, 8]
    for mine, other in zip(one.held_out, two.held_out, strict=True):
        assert mine.loss == pytest.approx(other.loss, abs=1e-4)
        assert mine.token_accuracy == pytest.approx(other.token_accuracy, abs=1e-9)
    assert tuple(seen) == two.held_out
    held_out = held_out_of(two, rows)
    best = min(found.loss for found in two.held_out)
    assert hand_computed_loss(tmp_path / "two", held_out) == pytest.approx(best, abs=1e-5)
    assert hand_computed_loss(tmp_path / "two.last", held_out) == pytest.approx(two.held_out[-1].loss, abs=1e-5)


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.timeout(600)
def test_bfloat16_weights_are_rounded_alike_in_copies_and_apart_in_shards(
    base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """Copies that were rounded apart would drift apart; the published ones would then not be what was measured."""
    settings = SftSettings(
        model=str(base_model),
        epochs=4,
        effective_batch_size=4,
        learning_rate=1e-2,
        max_length=64,
        device="cpu",
        held_out_rows=4,
        dtype="bfloat16",
        weights="bfloat16",
    )
    for sharding in (True, False):
        out = tmp_path / str(sharding)
        result = trained_on(2, train_sft)(rows, replace(settings, sharding=sharding), out, ignore)
        assert result.hyperparameters["optimiser"] == "StochasticAdamW"
        assert result.steps[-1].loss < result.steps[0].loss - 0.3
        measured = hand_computed_loss(out, held_out_of(result, rows))
        assert measured == pytest.approx(result.held_out[-1].loss, rel=0.01)


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.timeout(600)
def test_a_loss_that_is_not_finite_ends_both_processes(
    base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = SftSettings(
        model=str(base_model), epochs=10, learning_rate=1e30, max_length=64, device="cpu", held_out_rows=4
    )
    with pytest.raises(StageError, match="training step"):
        trained_on(2, train_sft)(rows, settings, tmp_path / "out", ignore)
    assert not list(tmp_path.iterdir())
