"""Batches: exact effective sizes, every row once an epoch, the same rows in a step however they are batched."""

# ruff: noqa: ANN401 - torch is loaded where a test needs it, so its types have no name here
import random
from collections.abc import Callable
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import ConfigError
from thinkscale.records import Step
from thinkscale.training.batches import BatchPlan, epoch_batches, plan_batches
from thinkscale.training.packing import epoch_passes
from thinkscale.training.settings import Batching, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

RANDOM = random.Random(7)
LENGTHS = [RANDOM.randint(60, 250) for _ in range(500)]
KINDS = [Batching.SHUFFLED, Batching.BY_LENGTH, Batching.PADDING_FREE, Batching.PACKED]


@pytest.mark.parametrize(
    ("effective", "micro", "world", "expected"),
    [(16, None, 1, (16, 1)), (16, 4, 1, (4, 4)), (16, 1, 8, (1, 2)), (16, None, 8, (2, 1))],
)
def test_accumulation_is_derived_so_that_the_effective_batch_is_what_was_asked(
    effective: int, micro: int | None, world: int, expected: tuple[int, int]
) -> None:
    plan = plan_batches(effective, micro, world)
    assert (plan.micro_batch_size, plan.accumulation_steps) == expected
    assert plan.effective_batch_size == effective


@pytest.mark.parametrize(("micro", "world"), [(5, 1), (4, 8), (None, 3)])
def test_a_batch_that_cannot_be_divided_is_refused_with_its_numbers(micro: int | None, world: int) -> None:
    with pytest.raises(ConfigError, match=rf"batch of 16 rows.*{world} processes x micro-batch {micro or 1}"):
        plan_batches(16, micro, world)


def test_a_refusal_names_what_can_be_divided() -> None:
    with pytest.raises(ConfigError, match="effective_batch_size 15 or 18, or 1, 2, 4, 8 or 16 processes"):
        plan_batches(16, None, 3)
    with pytest.raises(
        ConfigError, match="effective_batch_size 32, or 1, 2 or 4 processes, or micro_batch_size 1 or 2"
    ):
        plan_batches(16, 4, 8)


def test_an_epoch_has_every_row_once_and_only_the_last_batch_is_short() -> None:
    batches = epoch_batches(500, 16, seed=1, epoch=0)
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    assert [len(batch) for batch in batches] == [16] * 31 + [4]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_batches(500, 16, seed=1, epoch=0)
    assert first == epoch_batches(500, 16, seed=1, epoch=0)
    assert first != epoch_batches(500, 16, seed=1, epoch=1)
    assert first != epoch_batches(500, 16, seed=2, epoch=0)


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    assert [sorted(batch) for batch in epoch_batches(3, 16, seed=1, epoch=0)] == [[0, 1, 2]]


@pytest.mark.parametrize("batching", KINDS)
@pytest.mark.parametrize("world_size", [1, 2, 4])
def test_a_step_has_the_same_rows_in_every_batching_and_on_any_number_of_processes(
    batching: Batching, world_size: int
) -> None:
    settings = SftSettings(model="m", max_length=512, seed=3)
    plan = plan_batches(16, None, world_size)
    steps = epoch_passes(LENGTHS, settings, plan, batching, 2)
    rows = [sorted(row for passes in step for members in passes for row in members) for step in steps]
    assert rows == [sorted(batch) for batch in epoch_batches(500, 16, seed=3, epoch=2)]


def mixed_rows() -> list[TrainingRow]:
    """18 rows of 4 to 60 tokens."""
    generator = random.Random(9)
    made = []
    for index in range(18):
        ids = [generator.randrange(3, 64) for _ in range(generator.choice([4, 9, 20, 60]))]
        made.append(build_row(f"p{index}", ids[:2], [*ids[2:], 2]))
    return made


@pytest.mark.lab
def test_all_batchings_have_one_loss_curve(base_model: Path, tmp_path: Path) -> None:
    """24 steps of 9 rows; losses fall by a nat, and part by rounding alone."""
    rows = mixed_rows()
    base = SftSettings(
        model=str(base_model), epochs=12, effective_batch_size=9, learning_rate=1e-2, max_length=64, device="cpu"
    )
    curves: dict[str, list[Step]] = {}
    for name, settings in {
        **{kind.value: replace(base, batching=kind) for kind in KINDS},
        "small passes": replace(base, micro_batch_tokens=70),
        "three rows": replace(base, micro_batch_size=3, batching=Batching.SHUFFLED),
        "full": replace(base, loss="full"),
    }.items():
        curves[name] = list(train_sft(rows, settings, tmp_path / name, lambda _step: None).steps)
    reference = curves["shuffled"]
    assert len(reference) == 24
    assert reference[0].loss > 4
    assert reference[-1].loss < 3.3
    for steps in curves.values():
        assert [step.loss for step in steps] == pytest.approx([step.loss for step in reference], abs=2e-4)
        assert [step.gradient_norm for step in steps] == pytest.approx(
            [step.gradient_norm for step in reference], rel=2e-3
        )
        assert [step.num_tokens for step in steps] == [step.num_tokens for step in reference]
    assert {step.padding for name in ("packed", "padding_free") for step in curves[name]} == {0.0}
    assert min(step.padding for step in reference) > 0.2


@pytest.mark.lab
def test_a_step_counts_its_tokens_and_its_padding(base_model: Path, tmp_path: Path) -> None:
    """Rows of 4 and 10 tokens, 3 and 8 of them trained: under each other they compute 20 positions for 14 tokens."""
    rows = [build_row("a", [5], [6, 7, 2]), build_row("b", [5, 6], [7, 8, 9, 10, 11, 12, 13, 2])]
    settings = SftSettings(model=str(base_model), epochs=1, effective_batch_size=2, max_length=64, device="cpu")
    for batching, padding in ((Batching.SHUFFLED, 1 - 14 / 20), (Batching.PACKED, 0.0)):
        (step,) = train_sft(rows, replace(settings, batching=batching), tmp_path / batching, lambda _step: None).steps
        assert (step.num_tokens, step.num_trained_tokens) == (14, 11)
        assert step.padding == pytest.approx(padding)


@pytest.fixture
def trainer_of(base_model: Path, tmp_path: Path) -> Callable[..., Any]:
    """Builds the trainer of one process of several, without starting the others."""
    from trl.trainer.sft_config import SFTConfig

    from thinkscale.training.arguments import training_arguments
    from thinkscale.training.loading import load_student
    from thinkscale.training.trainer import CompletionTrainer

    def build(settings: SftSettings, rows: list[TrainingRow], world_size: int, process: int) -> Any:
        student = load_student(settings)
        plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, 1)
        arguments = training_arguments(settings, plan, tmp_path / "scratch", None, SFTConfig)
        trainer: Any = CompletionTrainer(
            rows, settings, plan, model=student.model, args=arguments, processing_class=student.tokenizer
        )
        trainer.steps.plan = BatchPlan(
            world_size=world_size, micro_batch_size=plan.micro_batch_size // world_size, accumulation_steps=1
        )
        trainer.steps.process = process
        return trainer

    return build


@pytest.mark.lab
@pytest.mark.parametrize("batching", KINDS)
@pytest.mark.parametrize("num_rows", [16, 1])
def test_mean_gradients_of_several_processes_are_those_of_one(
    batching: Batching, num_rows: int, base_model: Path, trainer_of: Callable[..., Any]
) -> None:
    """With one row, three of four processes make an empty pass: a gradient of zeros, not none."""
    import torch

    settings = SftSettings(
        model=str(base_model), effective_batch_size=16, max_length=64, micro_batch_tokens=90, batching=batching,
        device="cpu",
    )  # fmt: skip
    rows = mixed_rows()[:num_rows]

    def gradients(world_size: int, process: int) -> tuple[float, list[torch.Tensor]]:
        trainer = trainer_of(settings, rows, world_size, process)
        (share,) = chain(*trainer.steps)
        loss = trainer.training_step(trainer.model, share)
        return float(loss), [weight.grad for weight in trainer.model.parameters()]

    loss, whole = gradients(1, 0)
    parts = [gradients(4, process) for process in range(4)]
    assert sum(part for part, _ in parts) / 4 == pytest.approx(loss, abs=1e-5)
    for number, expected in enumerate(whole):
        mean = torch.stack([part[number] for _, part in parts]).mean(0)
        assert torch.allclose(mean, expected, atol=1e-6)
