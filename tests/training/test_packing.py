"""Packing: each row once, like loads on every process, no pass over its limit, and the same losses in every shape."""

# ruff: noqa: ANN401 - torch is loaded where a test needs it, so its types have no name here
import random
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from thinkscale.training.batches import plan_batches
from thinkscale.training.packing import (
    JOINED,
    Limits,
    Pass,
    computed_positions,
    divide,
    epoch_passes,
    first_fit,
    limits_of,
    padding_fraction,
)
from thinkscale.training.settings import Batching, SftSettings
from thinkscale.training.tokens import TrainingRow, build_row

RANDOM = random.Random(5)
LENGTHS = [RANDOM.randint(20, 400) for _ in range(100)]
KINDS = [Batching.SHUFFLED, Batching.BY_LENGTH, Batching.PADDING_FREE, Batching.PACKED]
VOCABULARY = 64


@pytest.mark.parametrize("batching", KINDS)
@pytest.mark.parametrize("world_size", [1, 2, 3, 8])
@pytest.mark.parametrize("limits", [{}, {"rows": 3}, {"tokens": 700}, {"rows": 2, "tokens": 500}])
def test_every_row_is_in_one_pass_of_one_process_and_processes_keep_step(
    batching: Batching, world_size: int, limits: dict[str, int]
) -> None:
    rows = list(range(7, 47))
    divided = divide(rows, LENGTHS, batching, Limits(world_size=world_size, **limits))
    assert len(divided) == world_size
    assert len({len(passes) for passes in divided}) == 1
    passes = list(chain(*divided))
    assert sorted(chain(*passes)) == rows
    for members in passes:
        assert len(members) <= limits.get("rows", 40)
        if len(members) > 1:
            assert computed_positions(members, LENGTHS, batching) <= limits.get("tokens", 10**9)


def test_first_fit_decreasing_by_hand() -> None:
    """7 and 3 fill the first bin of 10, 6 and 4 the second, 5 and 2 and 2 the third."""
    lengths = [7, 6, 5, 4, 3, 2, 2]
    assert first_fit(range(7), lengths, Limits(tokens=10)) == [[0, 4], [1, 3], [2, 5, 6]]


def test_bins_are_as_few_as_first_fit_needs_and_evenly_full() -> None:
    """14 tokens need two bins of 10; first fit would leave 10 and 4, evenly it is 7 and 7."""
    lengths = [5, 5, 2, 2]
    ((first, second),) = divide(range(4), lengths, Batching.PACKED, Limits(tokens=10))
    assert sorted(map(sum, ([lengths[row] for row in first], [lengths[row] for row in second]))) == [7, 7]


def test_where_evenly_filled_bins_would_overflow_first_fit_stays() -> None:
    """6, 5 | 4, 4, 3 by first fit fills 11 and 11; lightest first would put 6, 4 and then has no room for 3 and 4."""
    lengths = [6, 5, 4, 4, 3]
    (passes,) = divide(range(5), lengths, Batching.PACKED, Limits(tokens=11))
    assert sorted(sum(lengths[row] for row in members) for members in passes) == [11, 11]


def test_processes_get_like_numbers_of_tokens() -> None:
    for start in range(0, 96, 16):
        rows = range(start, start + 16)
        divided = divide(rows, LENGTHS, Batching.PACKED, Limits(world_size=4, tokens=4096))
        loads = [sum(LENGTHS[row] for members in passes for row in members) for passes in divided]
        longest = max(LENGTHS[row] for row in rows)
        assert max(loads) - min(loads) <= longest
        assert max(loads) <= 1.15 * sum(loads) / 4


def test_a_row_longer_than_a_pass_is_alone_in_its_own() -> None:
    (passes,) = divide([0, 1, 2], [50, 900, 60], Batching.PACKED, Limits(tokens=400))
    assert sorted(map(sorted, passes)) == [[0, 2], [1]]


def test_by_length_puts_alike_rows_under_each_other() -> None:
    """100, 90, 80 are within three quarters of 100, 40 and 30 of 40; 9 is not of 40."""
    (passes,) = divide(range(6), [40, 100, 9, 80, 30, 90], Batching.BY_LENGTH, Limits())
    assert sorted(passes) == [(0, 4), (1, 5, 3), (2,)]


def test_fewer_rows_than_processes_leave_empty_passes() -> None:
    for batching in KINDS:
        divided = divide([3, 4], LENGTHS, batching, Limits(world_size=4))
        assert sorted(chain(*divided)) == [(), (), (3,), (4,)]


def test_padding_is_what_is_computed_and_holds_no_token() -> None:
    """Rectangles of 2 x 4 and 2 x 6 positions hold 2 + 4 + 4 + 6 = 16 tokens; joined rows have no padding."""
    steps: list[list[list[Pass]]] = [[[(0, 1), (2, 3)]]]
    assert padding_fraction([2, 4, 4, 6], steps, Batching.SHUFFLED) == pytest.approx(1 - 16 / 20)
    assert padding_fraction([2, 4, 4, 6], steps, Batching.PACKED) == 0


def test_kinds_of_batching_by_their_padding() -> None:
    settings = SftSettings(model="m", max_length=1024)
    plan = plan_batches(16, None, 1)
    padding = {kind: padding_fraction(LENGTHS, epoch_passes(LENGTHS, settings, plan, kind, 0), kind) for kind in KINDS}
    assert padding[Batching.SHUFFLED] > 0.4
    assert padding[Batching.BY_LENGTH] < 0.15
    assert padding[Batching.PADDING_FREE] == padding[Batching.PACKED] == 0


def test_limits_are_what_the_settings_say() -> None:
    plan = plan_batches(16, 2, 2)
    settings = SftSettings(model="m", micro_batch_size=2, max_length=512)
    assert limits_of(settings, plan, Batching.PACKED) == Limits(world_size=2, rows=2, tokens=512)
    assert limits_of(settings, plan, Batching.PADDING_FREE) == Limits(world_size=2, rows=2)
    settings = SftSettings(model="m", micro_batch_tokens=300, max_length=512)
    assert limits_of(settings, plan, Batching.BY_LENGTH) == Limits(world_size=2, tokens=300)


def odd_rows() -> list[TrainingRow]:
    """Rows of very unlike length: one of 2 tokens, one of the whole context of 64, one without a trained token."""
    generator = random.Random(1)
    rows = []
    for name, length, prompt in [("two", 2, 1), ("whole", 64, 3), ("a", 9, 8), ("b", 31, 2), ("c", 3, 1), ("d", 17, 9)]:
        ids = [generator.randrange(3, VOCABULARY) for _ in range(length)]
        rows.append(build_row(name, ids[:prompt], ids[prompt:]))
    ids = [generator.randrange(3, VOCABULARY) for _ in range(5)]
    return [*rows, TrainingRow(problem_id="none", input_ids=tuple(ids), trained=(False,) * 5)]


def single_losses(model: Any, row: TrainingRow) -> list[float]:
    """-log p of each trained token, the row alone through the model as it was loaded."""
    import torch

    with torch.no_grad():
        log_p = torch.log_softmax(model(input_ids=torch.tensor([row.input_ids])).logits[0], dim=-1)
    return [
        -float(log_p[place - 1, row.input_ids[place]]) for place, trained in enumerate(row.trained) if trained and place
    ]


def losses_of(
    model: Any, arrays: Any, passes: Sequence[tuple[int, ...]], kind: str, joined: bool
) -> dict[int, list[float]]:
    """The trained tokens' losses of each row, from passes over several."""
    import torch

    from thinkscale.training.attention import implementation_of
    from thinkscale.training.chunked_loss import install_loss_head

    head = install_loss_head(model, kind)
    found: dict[int, list[float]] = {}
    for rows in passes:
        if not rows:
            continue
        tensors = arrays.joined(rows, implementation_of(model)) if joined else arrays.padded(rows)
        with torch.no_grad():
            losses = head.losses(model, tensors.inputs, tensors.positions, tensors.targets)[1].tolist()
        for row in rows:
            count = int(arrays.num_trained[row])
            found[row], losses = losses[:count], losses[count:]
    return found


@pytest.mark.lab
@pytest.mark.parametrize("loss", ["full", "chunked"])
@pytest.mark.parametrize("batching", KINDS)
@pytest.mark.parametrize("world_size", [1, 2, 3])
def test_each_token_has_the_loss_that_it_has_in_its_row_alone(
    loss: str, batching: Batching, world_size: int, base_model: Path
) -> None:
    """The model has 4 heads of queries over 2 of keys. Shares of several processes together are all rows."""
    from transformers import AutoModelForCausalLM

    from thinkscale.training.attention import use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    rows = odd_rows()
    model: Any = AutoModelForCausalLM.from_pretrained(base_model)
    expected = [single_losses(model, row) for row in rows]
    if batching in JOINED:
        use_sdpa_by_row(model)
    lengths = [len(row) for row in rows]
    divided = divide(range(len(rows)), lengths, batching, Limits(world_size=world_size, tokens=140))
    found = losses_of(model, RowArrays(rows), list(chain(*divided)), loss, batching in JOINED)
    assert [len(losses) for losses in expected] == [1, 61, 1, 29, 2, 8, 0]
    for row, losses in enumerate(expected):
        assert found[row] == pytest.approx(losses, abs=1e-5)


@pytest.mark.lab
@pytest.mark.parametrize("number", range(7))
def test_one_row_alone_is_a_pass_like_any_other(number: int, base_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    from thinkscale.training.attention import use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    row = odd_rows()[number]
    model: Any = AutoModelForCausalLM.from_pretrained(base_model)
    expected = single_losses(model, row)
    use_sdpa_by_row(model)
    assert losses_of(model, RowArrays([row]), [(0,)], "chunked", True)[0] == pytest.approx(expected, abs=1e-5)
