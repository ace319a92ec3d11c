"""Comparisons and findings, the words for numbers, and the places of labels."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import pytest

from thinkscale.records import Cell, Reward, Score, Verdict
from thinkscale.reporting import ReportData
from thinkscale.reporting.analysis import analyse
from thinkscale.reporting.document import Table
from thinkscale.reporting.figures.placement import LINE_HEIGHT, Box, Label, placed
from thinkscale.reporting.sections.evaluation_sections import metrics_section
from thinkscale.reporting.sections.findings import findings, warnings
from thinkscale.reporting.theme import percent_ticks
from thinkscale.reporting.wording import estimate, interval, setting, signed
from thinkscale.statistics import Estimate, cells_from_scores
from thinkscale.statistics.parallel import parallel_cells


def scores_of(method: str, budget: int | None, waits: int, correct: int, tokens: int, variant: str = "") -> list[Score]:
    return [
        Score(
            benchmark="b",
            model="m",
            method=method,
            budget_tokens=budget,
            waits=waits,
            variant=variant,
            problem_id=f"p{index:02}",
            sample=0,
            response_key=f"{method}-{budget}-{waits}-{index}",
            verdict=Verdict.CORRECT if index < correct else Verdict.WRONG,
            thinking_tokens=tokens,
        )
        for index in range(40)
    ]


def data_of(scores: list[Score], sizes: Mapping[str, int] | None = None) -> ReportData:
    return ReportData(
        title="t",
        recipe="r",
        models=("m",),
        problems_by_benchmark=sizes or {"b": 40},
        cells=tuple(cells_from_scores(scores, 100)),
        scores=tuple(scores),
        resamples=200,
    )


def test_a_fall_is_found_with_its_size_and_whether_it_is_beyond_noise() -> None:
    data = data_of(
        scores_of("truncation", 100, 0, 30, 100)
        + scores_of("truncation", 200, 0, 28, 190)
        + scores_of("truncation", None, 0, 10, 300)
    )
    analysis = analyse(data)
    assert len(analysis.steps_up.items) == 2
    deep, shallow = analysis.falls
    assert (deep.what, deep.paired.difference, deep.beyond_noise) == ("200 tokens → no budget", -0.45, True)
    assert (shallow.what, shallow.paired.difference, shallow.beyond_noise) == ("100 → 200 tokens", -0.05, False)
    told = findings(data, analysis)
    assert any(
        "Of 2 steps to longer thinking, 2 lower the accuracy of m; 1 of these is beyond noise." in item for item in told
    )
    assert any(
        "falls from 75.0% (100 tokens) to 25.0% (no budget) under truncation: −50.0 points" in item for item in told
    )


def test_steps_between_the_same_responses_are_one_step() -> None:
    short, long = scores_of("truncation", 100, 0, 30, 100), scores_of("truncation", 200, 0, 28, 190)
    no_room = [replace(score, method="budget_forcing", waits=1, variant="Wait") for score in [*short, *long]]
    forced = scores_of("budget_forcing", None, 1, 20, 400, "Wait")
    data = data_of(no_room + forced + short + long)
    told = [(item.second.method, item.what) for item in analyse(data).steps_up.items]
    assert told == [
        ("budget_forcing", "200 tokens → no budget, 1 × Wait"),
        ("truncation", "100 → 200 tokens"),
    ]


def test_a_step_that_does_not_lengthen_the_thinking_is_not_a_step_up() -> None:
    data = data_of(scores_of("truncation", 100, 0, 30, 80) + scores_of("truncation", 200, 0, 20, 80))
    assert analyse(data).steps_up.items == ()


def test_waits_are_compared_with_truncation_where_the_forced_method_has_no_cell_without_waits() -> None:
    data = data_of(
        scores_of("truncation", None, 0, 20, 100)
        + scores_of("budget_forcing", None, 1, 20, 150, "Wait")
        + scores_of("budget_forcing", None, 2, 21, 200, "Wait")
    )
    analysis = analyse(data)
    assert [item.what for item in analysis.wait_effects.items] == ["0 → 1 × Wait", "0 → 2 × Wait"]
    assert [item.what for item in analysis.steps_up.items] == ["0 → 1 × Wait, no budget", "1 → 2 × Wait, no budget"]
    assert any(
        "forcing 2 × Wait (no budget) changes accuracy by +2.5 points" in item
        and "not distinguishable from zero" in item
        for item in findings(data, analysis)
    )


def test_waits_are_compared_at_the_largest_budget_only() -> None:
    data = data_of(
        scores_of("budget_forcing", 100, 0, 10, 90, "Wait")
        + scores_of("budget_forcing", 100, 1, 11, 95, "Wait")
        + scores_of("budget_forcing", 400, 0, 20, 300, "Wait")
        + scores_of("budget_forcing", 400, 1, 22, 350, "Wait")
    )
    (effect,) = analyse(data).wait_effects.items
    assert (effect.first.budget_tokens, effect.second.waits) == (400, 1)


def test_the_base_model_is_met_at_the_largest_setting_that_both_have() -> None:
    scores = scores_of("truncation", 100, 0, 30, 100) + scores_of("truncation", None, 0, 35, 200)
    base = [replace(score, model="base") for score in scores_of("truncation", 100, 0, 10, 100)]
    data = replace(data_of(scores + base), models=("base", "m"), base_model="base")
    (pair,) = analyse(data).versus_base.items
    assert (pair.first.model, pair.second.model, pair.second.budget_tokens) == ("base", "m", 100)
    assert pair.paired.difference == pytest.approx(0.5)


def test_votes_and_choices_have_their_rows_in_the_table_of_metrics() -> None:
    first = [replace(item, answer=item.verdict, logprob=-1.0) for item in scores_of("truncation", None, 0, 30, 100)]
    second = [
        replace(item, answer=item.verdict, logprob=-0.5, sample=1, response_key=f"again-{item.response_key}")
        for item in scores_of("truncation", None, 0, 20, 100)
    ]
    scores = [replace(item, generated_tokens=110) for item in [*first, *second]]
    data = data_of(scores)
    assert [item.method for item in analyse(data).metrics] == ["truncation"]
    rewards = {"logprob": {item.response_key: item.logprob or 0.0 for item in scores}}
    data = replace(data, cells=(*data.cells, *parallel_cells(scores, rewards, 100)))
    analysis = analyse(data)
    section = metrics_section(data, analysis)
    assert section is not None
    table = section.blocks[0]
    assert isinstance(table, Table)
    shown = {row[1]: dict(zip(table.headers, row, strict=True)) for row in table.rows}
    assert list(shown) == ["truncation", "majority vote", "pass@k", "best of n (logprob)"]
    slope, most = "points per doubling of generated", "max performance"
    assert shown["truncation"][slope] == "n/a (one cell)"
    # One sample: 50 of 80. Two: 30 of 40 pass, ties of 10 are a coin's, and the likelier one is the second sample.
    assert [shown[name][slope].split(" ")[0] for name in list(shown)[1:]] == ["0.0", "12.5", "−12.5"]
    assert [shown[name][most].split(" ")[0] for name in list(shown)[1:]] == ["62.5%", "75.0%", "62.5%"]
    passed = next(item for item in analysis.metrics if item.method == "pass").scaling_per_doubling_of_generated
    assert passed.low is not None
    assert passed.high is not None
    assert 0 < passed.low < 12.5 < passed.high
    for column in ("control", "control of cells", "over budget", "budget error"):
        assert shown["pass@k"][column] == "n/a (k is no budget)"


def test_what_a_reward_model_chooses_has_a_row_of_its_own() -> None:
    first = [replace(item, answer=item.verdict) for item in scores_of("truncation", None, 0, 30, 100)]
    second = [replace(item, sample=1, response_key=f"again-{item.response_key}") for item in first]
    second = [replace(item, verdict=Verdict.WRONG, answer="wrong") for item in second]
    scores = [replace(item, generated_tokens=110) for item in [*first, *second]]
    likes_the_first = {item.response_key: float(item.sample == 0) for item in scores}
    data = data_of(scores)
    data = replace(
        data,
        cells=(*data.cells, *parallel_cells(scores, {"reward:m": likes_the_first}, 100)),
        rewards=tuple(
            Reward(response_key=item.response_key, problem_id=item.problem_id, by="reward:m", value=1.0 - item.sample)
            for item in scores
        ),
    )
    row = next(item for item in analyse(data).metrics if item.method == "best_of_n")
    # One sample: 30 of 80. Two: always the first, 30 of 40.
    assert row.variant == "reward:m"
    assert row.scaling_per_doubling_of_generated.value == pytest.approx(37.5)
    assert row.max_accuracy.value == pytest.approx(75)


def test_cells_without_scores_are_not_compared() -> None:
    data = data_of(scores_of("truncation", 100, 0, 30, 100) + scores_of("truncation", 200, 0, 28, 190))
    assert analyse(replace(data, scores=())).steps_up.items == ()


def cell_with(cut_off: int) -> Cell:
    (cell,) = cells_from_scores(scores_of("truncation", None, 0, 10, 100), 50)
    return replace(cell, cut_off=cut_off, wrong=30 - cut_off)


@pytest.mark.parametrize(("cut_off", "alarms"), [(4, 0), (5, 1)])
def test_the_alarm_starts_above_ten_percent_cut_off(cut_off: int, alarms: int) -> None:
    data = replace(data_of(scores_of("truncation", None, 0, 10, 100)), cells=(cell_with(cut_off),))
    assert len(warnings(data)) == alarms


def test_ungradable_responses_are_warned_of() -> None:
    (cell,) = cells_from_scores(scores_of("truncation", None, 0, 10, 100), 50)
    data = replace(data_of([]), cells=(replace(cell, ungradable=3, wrong=27),))
    assert warnings(data) == [
        "b: some responses could not be graded and count as not correct, at worst 3 of 40 (m, truncation, no budget)."
    ]


def test_numbers_read_as_they_should() -> None:
    assert (signed(1.26), signed(-1.26), signed(-0.04)) == ("+1.3", "−1.3", "0.0")
    assert interval(-1.0, 2.55) == "[−1.0, 2.5]"
    assert estimate(Estimate(value=12.34, low=1.0, high=20.0), "%") == "12.3% [1.0, 20.0]"
    assert estimate(Estimate(value=None, low=None, high=None, reason="one cell")) == "n/a (one cell)"
    assert estimate(Estimate(value=50.0, low=None, high=None, reason="by convention"), "%") == "50.0% (by convention)"
    (cell,) = cells_from_scores(scores_of("budget_forcing", 4000, 2, 1, 1, "Wait"), 10)
    assert setting(cell) == "4,000 tokens, 2 × Wait"


def test_labels_cover_neither_points_nor_each_other() -> None:
    points = [(20.0 + 11 * index, 100.0 + 40 * (index % 3)) for index in range(20)]
    obstacles = [Box(x, y, 13, 13) for x, y in points]
    standing = placed([Label("1,000", x, y) for x, y in points], obstacles, 275, 270)
    boxes = [Box(label.x, label.y, 6.1 * len(label.text), LINE_HEIGHT) for label in standing]
    assert len(standing) >= 5
    assert not any(box.overlaps(other) for box in boxes for other in obstacles)
    assert not any(first.overlaps(second) for first, second in combinations(boxes, 2))


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(3, 96, [0, 20, 40, 60, 80, 100]), (42, 66, [40, 50, 60, 70]), (0, 0, [0, 5]), (100, 100, [95, 100])],
)
def test_an_accuracy_axis_ends_on_round_ticks(low: float, high: float, ticks: list[int]) -> None:
    assert percent_ticks(low, high) == ticks
