"""Projections by hand, and how often the interval holds what the whole run then took."""

import numpy as np
import pytest

from thinkscale.errors import DataError
from thinkscale.statistics.projection import PilotRow, Projected, project, projection_json, projection_text


def rows(completions: list[int], seconds: float = 36.0, usd: float | None = 0.5) -> list[PilotRow]:
    return [PilotRow(prompt_tokens=100, completion_tokens=n, seconds=seconds, usd=usd) for n in completions]


def test_a_projection_by_hand() -> None:
    # Two rows of 100 and 300 tokens: mean 200, deviation sqrt(20,000), t of one degree of freedom is 12.7062.
    # For 8 more rows: 12.7062 x 141.421 x sqrt(64 / 2 + 8) = 11,364.8.
    projection = project(rows([100, 300]), 10, concurrency=2)
    assert projection.completion_tokens.value == 2_000
    assert projection.completion_tokens.high == pytest.approx(2_000 + 11_364.8, abs=0.5)
    assert projection.completion_tokens.low == 400  # no less than the pilot took
    assert projection.prompt_tokens == Projected(value=1_000, low=1_000, high=1_000)
    assert projection.usd == Projected(value=5.0, low=5.0, high=5.0)
    # 10 rows of 36 s, two at once.
    assert projection.wall_hours.value == pytest.approx(0.05)
    assert projection.gpu_hours is None


def test_a_narrow_pilot_by_hand() -> None:
    # Values 9, 10, 11: mean 10, deviation 1, t of two degrees of freedom 4.30265; 6 more: sqrt(36 / 3 + 6) = 4.24264.
    total = project(rows([9, 10, 11]), 9, concurrency=1).completion_tokens
    assert total.value == 90
    assert total.low == pytest.approx(71.7454, abs=1e-3)
    assert total.high == pytest.approx(108.2546, abs=1e-3)


def test_gpu_hours_are_those_of_the_pilots_throughput() -> None:
    # 1,000 rows of 36 s are 10 hours of rows. Five at once on 4 GPUs of two endpoints: 2 hours x 4 GPUs.
    projection = project(rows([5] * 10), 1_000, concurrency=50, pilot_concurrency=5, num_gpus=4)
    assert projection.gpu_hours is not None
    assert projection.gpu_hours.value == pytest.approx(8.0)
    assert projection.wall_hours.value == pytest.approx(0.2)


def test_a_pilot_smaller_than_its_concurrency_had_only_its_own_rows_in_flight() -> None:
    projection = project(rows([5] * 2), 100, concurrency=50, num_gpus=1)
    assert projection.gpu_hours is not None
    assert projection.gpu_hours.value == pytest.approx(0.5)  # an hour of rows, two at once


def test_no_run_is_shorter_than_its_longest_row_and_idle_places_do_not_help() -> None:
    pilot = [*rows([1], seconds=3_600.0), *rows([1] * 3, seconds=36.0)]
    assert project(pilot, 4, concurrency=1_000).wall_hours == Projected(value=1.0, low=1.0, high=1.0)


def test_a_pilot_that_is_the_whole_is_exact() -> None:
    total = project(rows([100, 300]), 2, concurrency=2).completion_tokens
    assert total == Projected(value=400, low=400, high=400)


def test_one_row_has_no_interval() -> None:
    projection = project(rows([100]), 50, concurrency=1)
    assert projection.completion_tokens == Projected(value=5_000, low=None, high=None)
    assert "5,000  (one row shows no spread)" in projection_text(projection)


def test_one_row_without_a_price_leaves_the_whole_without() -> None:
    projection = project([*rows([5]), *rows([5], usd=None)], 10, concurrency=1)
    assert projection.usd is None
    assert "unknown: the model has no price" in projection_text(projection)


@pytest.mark.parametrize(("num_pilot", "total"), [(0, 5), (3, 2)])
def test_a_pilot_must_have_rows_and_be_a_part_of_the_whole(num_pilot: int, total: int) -> None:
    with pytest.raises(DataError, match="pilot"):
        project(rows([1] * num_pilot), total, concurrency=1)


def test_the_text_and_the_json_state_every_total() -> None:
    projection = project(rows([9, 10, 11]), 9_000, concurrency=8, num_gpus=2)
    text = projection_text(projection)
    for part in (
        "3 of 9,000 rows",
        "900,000  (900,000 to 900,000)",
        "US dollars",
        "4,500.00",
        "hours at 8 at once",
        "GPU",
    ):
        assert part in text
    value = projection_json(projection)
    assert value["usd"] == {"value": 4_500.0, "low": 4_500.0, "high": 4_500.0}
    assert set(value) >= {"prompt_tokens", "completion_tokens", "wall_hours", "gpu_hours", "total_rows"}


def held(draw: np.random.Generator, spread: float, num_pilot: int, total: int) -> float:
    """How often the interval holds the total, over runs whose lengths are lognormal."""
    hits = 0
    for _ in range(400):
        lengths = [int(n) for n in draw.lognormal(8, spread, size=total)]
        projected = project(rows(lengths[:num_pilot]), total, concurrency=1).completion_tokens
        assert projected.low is not None
        assert projected.high is not None
        hits += projected.low <= sum(lengths) <= projected.high
    return hits / 400


def test_about_95_of_100_intervals_hold_what_the_run_took() -> None:
    draw = np.random.default_rng(0)
    assert 0.92 <= held(draw, 0.2, 5, 60) <= 0.98
    assert 0.91 <= held(draw, 0.5, 20, 300) <= 0.98
