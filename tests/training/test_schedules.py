"""Learning rates and the paper's hyperparameters, as the trainer really had them."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.test_sft import ignore
from thinkscale.training.settings import Schedule, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

pytestmark = pytest.mark.lab


def expected_rate(schedule: Schedule, peak: float, step: int, warmup: int, total: int) -> float:
    """Of optimizer step `step`, counted from 1: transformers sets the rate before the step is made."""
    before = step - 1
    if before < warmup:
        return peak * before / warmup
    share = (before - warmup) / (total - warmup)
    return {
        Schedule.COSINE: peak * (1 + math.cos(math.pi * share)) / 2,
        Schedule.LINEAR: peak * (1 - share),
        Schedule.CONSTANT: peak,
    }[schedule]


@pytest.mark.parametrize("schedule", list(Schedule))
def test_the_learning_rate_of_each_step_is_that_of_the_formula(
    schedule: Schedule, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """20 rows in steps of 4 for 8 epochs are 40 steps, 12.5% of which are 5 of warm-up."""
    settings = SftSettings(
        model=str(base_model),
        epochs=8,
        effective_batch_size=4,
        learning_rate=1e-3,
        warmup_ratio=0.125,
        lr_scheduler=schedule,
        max_length=64,
        device="cpu",
    )
    result = train_sft(rows, settings, tmp_path / "out", ignore)
    assert result.hyperparameters["warmup_steps"] == 5
    wanted = [expected_rate(schedule, 1e-3, step, 5, 40) for step in range(1, 41)]
    assert [step.learning_rate for step in result.steps] == pytest.approx(wanted, rel=1e-9)


@pytest.mark.slow
def test_a_thousand_rows_are_the_papers_315_steps_with_16_of_warm_up(base_model: Path, tmp_path: Path) -> None:
    """s1: 5 epochs of 1,000 rows in batches of 16 are 5 * 63 = 315 steps; 5% of them, 15.75, are rounded up."""
    rows = [build_row(f"p{index}", [3 + index % 50], [4 + index % 40, 2]) for index in range(1000)]
    result = train_sft(rows, SftSettings(model=str(base_model), device="cpu"), tmp_path / "out", ignore)
    found = result.hyperparameters
    assert len(result.steps) == found["num_steps"] == 315
    assert found["warmup_steps"] == 16
    names = ("epochs", "effective_batch_size", "learning_rate", "lr_scheduler", "weight_decay", "betas", "seed")
    assert [found[name] for name in names] == [5, 16, 1e-5, "cosine", 1e-4, [0.9, 0.95], 42]
    rates = [step.learning_rate for step in result.steps]
    assert rates[16] == max(rates) == 1e-5
    assert rates[15] == pytest.approx(1e-5 * 15 / 16)
    assert rates[314] == pytest.approx(1e-5 * (1 + math.cos(math.pi * 298 / 299)) / 2)


@pytest.mark.parametrize(("name", "value"), [("activation_checkpointing", True), ("attention", "eager")])
def test_where_and_how_it_is_computed_does_not_change_the_curve(
    name: str, value: object, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = SftSettings(model=str(base_model), epochs=2, learning_rate=1e-2, max_length=64, device="cpu")
    plain = train_sft(rows, settings, tmp_path / "plain", ignore)
    asked = train_sft(rows, replace(settings, **{name: value}), tmp_path / "asked", ignore)  # type: ignore[arg-type]
    assert asked.hyperparameters[name] == value
    for one, other in zip(plain.steps, asked.steps, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.gradient_norm == pytest.approx(other.gradient_norm, rel=1e-4)
