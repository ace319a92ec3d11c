"""Batches: exact effective sizes, every row once an epoch, little padding."""

import random

import pytest

from thinkscale.errors import ConfigError
from thinkscale.training.batches import epoch_batches, padding_fraction, plan_batches

RANDOM = random.Random(7)
LENGTHS = [RANDOM.randint(60, 250) for _ in range(500)]


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


@pytest.mark.parametrize("by_length", [True, False])
def test_an_epoch_has_every_row_once_and_only_the_last_batch_is_short(by_length: bool) -> None:
    batches = epoch_batches(LENGTHS, 16, seed=1, epoch=0, by_length=by_length)
    assert sorted(index for batch in batches for index in batch) == list(range(500))
    assert [len(batch) for batch in batches] == [16] * 31 + [4]


def test_order_depends_on_seed_and_epoch_alone() -> None:
    first = epoch_batches(LENGTHS, 16, seed=1, epoch=0)
    assert first == epoch_batches(LENGTHS, 16, seed=1, epoch=0)
    assert first != epoch_batches(LENGTHS, 16, seed=1, epoch=1)
    assert first != epoch_batches(LENGTHS, 16, seed=2, epoch=0)


def test_fewer_rows_than_a_batch_are_one_batch() -> None:
    assert [sorted(batch) for batch in epoch_batches([5, 9, 7], 16, seed=1, epoch=0)] == [[0, 1, 2]]


def test_padding_counts_each_micro_batch_to_its_longest_row() -> None:
    assert padding_fraction([2, 4, 4, 6], [[0, 1], [2, 3]], 2) == pytest.approx(1 - 16 / 20)
    assert padding_fraction([2, 4, 4, 6], [[0, 1], [2, 3]], 1) == 0


def test_grouping_by_length_leaves_little_padding() -> None:
    grouped = padding_fraction(LENGTHS, epoch_batches(LENGTHS, 16, seed=1, epoch=0), 16)
    shuffled = padding_fraction(LENGTHS, epoch_batches(LENGTHS, 16, seed=1, epoch=0, by_length=False), 16)
    assert grouped < 0.05
    assert shuffled > 0.3
