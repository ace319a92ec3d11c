"""The paper's Table 3 from the paper's own points, through the functions that a run's scores go through."""

from itertools import combinations

import pytest

from thinkscale.records import Score, Verdict
from thinkscale.reporting.published import PublishedPoint, published, published_metrics
from thinkscale.statistics import MethodMetrics, method_metrics, scaling_per_doubling

TABLES = {
    "token_conditional": "Table 12",
    "token_conditional_forced": "Table 12",
    "step_conditional": "Table 13",
    "step_conditional_forced": "Table 13",
    "class_conditional": "Table 14",
}
WORKED_OUT = {
    "token_conditional": -23.8,
    "token_conditional_forced": 13.2,
    "step_conditional": 2.93,
    "step_conditional_forced": 6.41,
    "class_conditional": 25.18,
}
"""Points per doubling, from the whole counts behind the printed percentages."""
FROM_PRINTED = {"step_conditional": 3.0, "step_conditional_forced": 6.4, "class_conditional": 25.3}
"""From the percentages as they are printed, to one digit."""


def points_of(method: str) -> list[PublishedPoint]:
    found = [point for point in published(["aime24"], ["s1"]) if point.method == method]
    return [point for point in found if point.source == TABLES[method]]


def scores_of(point: PublishedPoint, method: str, place: int) -> list[Score]:
    """Thirty problems that all think as long as the published mean, of which the published number is right."""
    assert point.correct is not None
    assert point.thinking_tokens is not None
    return [
        Score(
            benchmark="aime24",
            model="s1-32B",
            method=method,
            budget_tokens=point.budget_tokens,
            waits=0,
            variant=point.variant,
            problem_id=f"p{number}",
            sample=0,
            response_key=f"{method}-{place}-{number}",
            verdict=Verdict.CORRECT if number < point.correct else Verdict.WRONG,
            thinking_tokens=int(point.thinking_tokens),
        )
        for number in range(point.of)
    ]


def metrics_of(method: str) -> MethodMetrics:
    scores = [score for place, point in enumerate(points_of(method)) for score in scores_of(point, method, place)]
    if method == "class_conditional":
        plain = next(point for point in published(["aime24"], ["s1"]) if point.thinking_tokens == 6109)
        scores += scores_of(plain, "truncation", 9)
    (found,) = (item for item in method_metrics(scores, resamples=100) if item.method == method)
    return found


@pytest.mark.parametrize("method", TABLES)
def test_control_scaling_and_performance_are_the_published_ones(method: str) -> None:
    stated = next(item for item in published_metrics() if item.method == method and item.benchmark == "aime24")
    found = metrics_of(method)
    assert found.num_cells == stated.num_runs
    assert found.control_of_cells.value == stated.control_percent
    assert found.scaling_per_doubling.value == pytest.approx(WORKED_OUT[method], abs=0.05)
    assert found.scaling_per_doubling.value == pytest.approx(stated.scaling_per_doubling, abs=0.5)
    assert found.max_accuracy.value == pytest.approx(stated.performance_percent, abs=0.05)


@pytest.mark.parametrize("method", FROM_PRINTED)
def test_printed_percentages_give_the_same_to_a_tenth(method: str) -> None:
    points = points_of(method)
    slope = scaling_per_doubling([p.thinking_tokens or 0 for p in points], [round(100 * p.accuracy, 1) for p in points])
    assert slope == pytest.approx(FROM_PRINTED[method], abs=0.05)


@pytest.mark.parametrize(
    ("method", "per_1000"),
    [
        ("token_conditional", -4.8),
        ("token_conditional_forced", 6.7),
        ("step_conditional", 0.6),
        ("step_conditional_forced", 2.5),
        ("class_conditional", 4.1),
    ],
)
def test_the_printed_formula_gives_other_numbers(method: str, per_1000: float) -> None:
    """Points per 1,000 tokens, as the paper's equation reads: no reading of its unit gives the printed ones."""
    assert metrics_of(method).scaling_per_1000_tokens.value == pytest.approx(per_1000, abs=0.06)


def test_class_control_is_by_direction() -> None:
    """Short thinks 8,033 tokens and long 9,651, without a prompt it is 6,109: one of two goes the way it asks for."""
    found = metrics_of("class_conditional")
    assert (found.control.value, found.control.reason) == (50, "by convention")
    assert found.control_of_cells.value == 50
    assert found.control_of_cells.reason == ""


def test_control_of_single_generations_counts_each_of_them() -> None:
    """All thirty of a cell think alike here, so the share of generations is that of cells."""
    found = metrics_of("token_conditional")
    assert found.control.value == found.control_of_cells.value == 40
    assert found.over_budget_rate.value == 60


def slope_of(tokens: list[float], correct: list[int]) -> float:
    slope = scaling_per_doubling(tokens, [100 * count / 30 for count in correct])
    assert slope is not None
    return slope


def test_rejections_printed_slope_is_that_of_the_last_five_points() -> None:
    """Table 3 says -35 of five points, figure 6 has six; its printed performance, 40.0, is that of the first."""
    points = [point for point in published(["aime24"], ["s1"]) if point.method == "rejection"]
    tokens, correct = [point.thinking_tokens or 0 for point in points], [point.correct or 0 for point in points]
    assert correct == [12, 11, 10, 9, 8, 7]
    assert slope_of(tokens, correct) == pytest.approx(-28.6, abs=0.05)
    assert slope_of(tokens[:5], correct[:5]) == pytest.approx(-18.6, abs=0.05)
    assert slope_of(tokens[1:], correct[1:]) == pytest.approx(-35.5, abs=0.05)


def test_budget_forcings_printed_slope_hangs_on_which_five_points_are_taken() -> None:
    """Figure 1, AIME24, without the last (6 waits, which Table 3 does not count): 15 is what most choices round to."""
    tokens, correct = [500, 1000, 2000, 3933, 5301, 6657, 7320], [0, 4, 9, 13, 15, 16, 17]
    slopes = [
        slope_of([tokens[place] for place in places], [correct[place] for place in places])
        for places in combinations(range(7), 5)
    ]
    assert [min(slopes), max(slopes)] == pytest.approx([13.87, 15.57], abs=0.01)
    assert (len(slopes), sum(round(slope) == 15 for slope in slopes)) == (21, 14)
    assert slope_of([*tokens], [*correct]) == pytest.approx(14.8, abs=0.05)
