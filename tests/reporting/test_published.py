"""The published points are those of the paper, and the metrics of Table 3 follow from them."""

from itertools import combinations
from math import log2

import pytest

from thinkscale.errors import ConfigError
from thinkscale.reporting.published import PublishedPoint, published, published_metrics, studies

BENCHMARKS = ("aime24", "aime25", "math500", "gpqa_diamond")


def of_method(method: str, source: str) -> list[PublishedPoint]:
    return [point for point in published(["aime24"], ["s1"]) if (point.method, point.source) == (method, source)]


def test_percentages_are_counts_of_problems_where_they_can_be() -> None:
    headline = next(point for point in published(["aime24"], ["s1"]) if point.label == "best of its runs")
    assert (headline.correct, headline.of, headline.accuracy) == (17, 30, 17 / 30)
    averaged = next(point for point in published(["aime24"], ["s1"]) if point.model == "o1")
    assert averaged.correct is None
    assert averaged.accuracy == pytest.approx(0.744)


def scaling(points: list[PublishedPoint]) -> float:
    """The mean over pairs of points of accuracy per doubling of the thinking, in points."""
    slopes = []
    for first, second in combinations(points, 2):
        assert first.thinking_tokens is not None
        assert second.thinking_tokens is not None
        gained, doublings = second.accuracy - first.accuracy, log2(second.thinking_tokens / first.thinking_tokens)
        slopes.append(100 * gained / doublings)
    return sum(slopes) / len(slopes)


@pytest.mark.parametrize(
    ("method", "source", "expected"),
    [
        ("token_conditional", "Table 12", -24),
        ("token_conditional_forced", "Table 12", 13),
        ("step_conditional", "Table 13", 3),
        ("step_conditional_forced", "Table 13", 6),
        ("class_conditional", "Table 14", 25),
    ],
)
def test_table_3_follows_from_the_points_in_points_per_doubling(method: str, source: str, expected: int) -> None:
    points = of_method(method, source)
    stated = next(item for item in published_metrics() if item.method == method)
    assert stated.scaling_per_doubling == expected
    assert scaling(points) == pytest.approx(expected, abs=1)
    assert 100 * max(point.accuracy for point in points) == pytest.approx(stated.performance_percent, abs=0.05)


def test_the_scaling_of_rejection_is_that_of_five_of_the_six_points() -> None:
    points = of_method("rejection", "Figure 6")
    assert scaling(points) == pytest.approx(-28.6, abs=0.1)
    assert scaling(points[1:]) == pytest.approx(-35.5, abs=0.1)
    assert points[0].correct == 12


def test_what_was_read_from_a_figure_says_so() -> None:
    assert {point.digitised for point in published(BENCHMARKS) if point.source.startswith("Figure")} == {True}
    assert {point.digitised for point in published(BENCHMARKS) if point.source.startswith("Table")} == {False}
    first = of_method("budget_forcing", "Figure 1")
    assert [(point.thinking_tokens, point.correct) for point in first] == [
        (500, 0), (1000, 4), (2000, 9), (3933, 13), (5301, 15), (6657, 16), (7320, 17),
    ]  # fmt: skip


def test_told_steps_count_as_tokens_and_intervals_as_fractions() -> None:
    told = of_method("step_conditional", "Table 13")
    assert [(point.variant, point.budget_tokens) for point in told][:2] == [("16", 1600), ("32", 3200)]
    random = next(point for point in published(["aime24"], ["s1-ablations"]) if point.model == "1K-random")
    assert random.difference_low == pytest.approx(-0.267)
    assert random.difference_high == pytest.approx(-0.033)


def test_studies_are_chosen_by_name() -> None:
    assert list(studies()) == ["s1", "s1.1", "s1-ablations"]
    assert {point.study for point in published(BENCHMARKS, ["s1.1"])} == {"s1.1"}
    assert len(published(["aime25"], ["s1.1"])) == 3
    with pytest.raises(ConfigError, match=r"no published study 's2'; there are s1, s1\.1"):
        published(BENCHMARKS, ["s2"])
