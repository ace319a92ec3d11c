"""AdamW on bfloat16: rounding that is right on average, updates that plain rounding loses, the same after a kill."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.test_sft import ignore, weights
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import TrainingRow

pytestmark = pytest.mark.lab


def test_a_number_becomes_either_neighbour_in_proportion_and_an_exact_one_stays() -> None:
    """Between 1 and 2 bfloat16 counts in 1/128: 1 + 1/512 lies a quarter of the way from 1 to its upper neighbour."""
    import torch

    from thinkscale.training.optimizer import round_randomly

    generator = torch.Generator().manual_seed(1)
    rounded = round_randomly(torch.full((100_000,), 1 + 1 / 512), generator)
    assert set(rounded.tolist()) == {1.0, 1 + 1 / 128}
    assert (rounded > 1).float().mean().item() == pytest.approx(0.25, abs=0.01)
    below = round_randomly(torch.full((100_000,), -(1 + 1 / 512)), generator)
    assert set(below.tolist()) == {-1.0, -1 - 1 / 128}
    exact = torch.tensor([0.0, -0.0, 1.0, -3.5, 2.0**-120, float("inf"), -float("inf")])
    assert torch.equal(round_randomly(exact, generator).float(), exact)
    assert round_randomly(torch.tensor([float("nan")]), generator).isnan().all()


def test_updates_that_plain_bfloat16_loses_are_kept() -> None:
    """A constant gradient moves AdamW by the learning rate a step: 200 steps of 1/2048 from 1 lead to 0.902."""
    import torch

    from thinkscale.training.optimizer import StochasticAdamW

    moved = {}
    for name in ("ours", "plain"):
        weight = torch.nn.Parameter(torch.ones(4096, dtype=torch.bfloat16))
        given = {"lr": 1 / 2048, "betas": (0.9, 0.999), "eps": 1e-8, "weight_decay": 0.0}
        optimizer: torch.optim.Optimizer = (
            StochasticAdamW([weight], seed=1, **given)  # type: ignore[arg-type]
            if name == "ours"
            else torch.optim.AdamW([weight], **given)  # type: ignore[arg-type]
        )
        for _ in range(200):
            weight.grad = torch.full_like(weight, 0.5)
            optimizer.step()
        moved[name] = weight.detach().float().mean().item()
    assert moved["plain"] == 1.0
    assert moved["ours"] == pytest.approx(1 - 200 / 2048, abs=2e-3)


def test_the_second_moment_follows_a_gradient_that_fell() -> None:
    """After a gradient of 1 and 2,000 of 0.01 at beta 0.999 the mean square is 1e-4 + (1e-3 - 1e-7) * 0.999**2000."""
    import torch

    from thinkscale.training.optimizer import StochasticAdamW

    weight = torch.nn.Parameter(torch.zeros(2048, dtype=torch.bfloat16))
    optimizer = StochasticAdamW([weight], lr=0.0, betas=(0.9, 0.999), eps=1e-8, seed=1)
    for step in range(2001):
        weight.grad = torch.full_like(weight, 1.0 if step == 0 else 0.01)
        optimizer.step()
    slope = float(torch.tensor(0.01, dtype=torch.bfloat16)) ** 2
    wanted = 1e-3 * 0.999**2000 + slope * (1 - 0.999**2000)
    assert optimizer.state[weight]["exp_avg_sq"].float().mean().item() == pytest.approx(wanted, rel=0.02)


def test_one_step_is_that_of_torch_to_the_precision_of_storage(monkeypatch: pytest.MonkeyPatch) -> None:
    """In chunks of 100 elements too."""
    import torch

    from thinkscale.training import optimizer as ours

    monkeypatch.setattr(ours, "CHUNK", 100)
    torch.manual_seed(0)
    start, slope = torch.randn(30, 11).bfloat16(), torch.randn(30, 11).bfloat16()
    given = {"lr": 0.1, "betas": (0.9, 0.95), "eps": 1e-8, "weight_decay": 0.3}
    mine, theirs = torch.nn.Parameter(start.clone()), torch.nn.Parameter(start.float())
    mine.grad, theirs.grad = slope, slope.float()
    ours.StochasticAdamW([mine], seed=1, **given).step()  # type: ignore[arg-type]
    torch.optim.AdamW([theirs], **given).step()  # type: ignore[arg-type]
    assert torch.allclose(mine.float(), theirs, rtol=1 / 128, atol=0)


def test_a_training_in_bfloat16_learns_publishes_bfloat16_and_continues_to_identical_weights(
    base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    from safetensors.torch import load_file

    settings = SftSettings(
        model=str(base_model),
        epochs=20,
        effective_batch_size=4,
        learning_rate=1e-2,
        max_length=64,
        device="cpu",
        dtype="bfloat16",
        weights="bfloat16",
    )
    undisturbed = train_sft(rows[:8], settings, tmp_path / "undisturbed", ignore)
    assert undisturbed.steps[0].loss > 3.5
    assert undisturbed.steps[-1].loss < 2.0
    found = undisturbed.hyperparameters
    assert (found["optimiser"], found["dtype"], found["weights"]) == ("StochasticAdamW", "bfloat16", "bfloat16")
    assert {str(weight.dtype) for weight in load_file(tmp_path / "undisturbed" / "model.safetensors").values()} == {
        "torch.bfloat16"
    }
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: object) -> None:
        if getattr(step, "step", 0) == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(rows[:8], settings, tmp_path / "out", stop, checkpoints=checkpoints)
    resumed = train_sft(rows[:8], settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    assert resumed.resumed_from_step == 4
    assert resumed.steps == undisturbed.steps
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")


def test_computing_in_bfloat16_keeps_float32_weights(base_model: Path, rows: list[TrainingRow], tmp_path: Path) -> None:
    """Autocast: a learning rate of 1e-5 moves every weight, which weights in bfloat16 rounded to the nearest do not."""
    from safetensors.torch import load_file

    settings = SftSettings(model=str(base_model), epochs=1, max_length=64, device="cpu", dtype="bfloat16")
    plain = train_sft(rows, replace(settings, dtype="float32"), tmp_path / "plain", ignore)
    result = train_sft(rows, settings, tmp_path / "out", ignore)
    assert (result.hyperparameters["dtype"], result.hyperparameters["weights"]) == ("bfloat16", "float32")
    assert 0 < abs(result.steps[0].loss - plain.steps[0].loss) < 0.02
    before, after = (load_file(folder / "model.safetensors") for folder in (base_model, tmp_path / "out"))
    name = "model.layers.0.mlp.down_proj.weight"
    assert str(after[name].dtype) == "torch.float32"
    assert ((after[name] != before[name]).float().mean()).item() > 0.99
