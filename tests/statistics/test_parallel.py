"""Cells of k samples: values computed by hand, and the rules of which samples are voted on."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from thinkscale.records import Cut, Score, Verdict
from thinkscale.statistics import cells_from_scores, wilson_interval
from thinkscale.statistics.parallel import curve_of, parallel_cells, sampled_scores, token_series

RIGHT, WRONG, CUT, NONE = Verdict.CORRECT, Verdict.WRONG, Verdict.CUT_OFF, Verdict.NO_ANSWER


def score(problem: str, sample: int, verdict: Verdict, answer: str | None, **changes: object) -> Score:
    made = Score(
        benchmark="b",
        model="m",
        method="truncation",
        budget_tokens=500,
        waits=0,
        variant="",
        problem_id=problem,
        sample=sample,
        response_key=f"{problem}-{sample}",
        verdict=verdict,
        thinking_tokens=10 * (sample + 1),
        answer_tokens=5,
        generated_tokens=10 * (sample + 1) + 5,
        cut=Cut.THINKING if verdict is CUT else Cut.NONE,
        answer=answer,
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def pool(problem: str, samples: Sequence[tuple[Verdict, str | None]], **changes: object) -> list[Score]:
    return [score(problem, at, verdict, answer, **changes) for at, (verdict, answer) in enumerate(samples)]


POOLS = [
    *pool("p", [(RIGHT, "7"), (RIGHT, "7"), (WRONG, "8")]),
    *pool("q", [(WRONG, "1"), (RIGHT, "2"), (CUT, None)]),
]


def by_k(
    method: str, scores: Sequence[Score] = POOLS, rewards: dict[str, dict[str, float]] | None = None
) -> list[float]:
    cells = [cell for cell in parallel_cells(scores, rewards or {}) if cell.method == method]
    assert [cell.k for cell in cells] == list(range(1, len(cells) + 1))
    return [cell.accuracy for cell in cells]


def test_majority_and_pass_are_the_means_over_problems_of_values_by_hand() -> None:
    # p: of the pairs one is 7, 7 and two are ties; q: 1 against 2 is a tie, and beside a cut one the other wins.
    assert by_k("majority") == pytest.approx([(2 / 3 + 1 / 3) / 2, (2 / 3 + 1 / 2) / 2, (1 + 1 / 2) / 2])
    assert by_k("pass") == pytest.approx([(2 / 3 + 1 / 3) / 2, (1 + 2 / 3) / 2, 1.0])


def test_best_of_n_chooses_by_reward_and_never_a_sample_without_an_answer_before_one() -> None:
    rewards = {"judge": {"p-0": 0.1, "p-1": 0.9, "p-2": 0.5, "q-0": 0.2, "q-1": 0.3, "q-2": 99.0}}
    # p: pairs 01 right, 02 wrong, 12 right; q: 01 right, 02 wrong, 12 right.
    assert by_k("best_of_n", rewards=rewards) == pytest.approx([(2 / 3 + 1 / 3) / 2, 2 / 3, 1.0])
    cells = [cell for cell in parallel_cells(POOLS, rewards) if cell.method == "best_of_n"]
    assert {cell.variant for cell in cells} == {"judge"}


def test_a_cell_of_k_costs_k_samples_and_states_its_pool() -> None:
    cells = [cell for cell in parallel_cells(POOLS, {}) if cell.method == "majority"]
    assert [cell.mean_generated_tokens for cell in cells] == [25, 50, 75]
    assert [cell.mean_thinking_tokens for cell in cells] == [20, 40, 60]
    counts = {(cell.num_scores, cell.correct, cell.wrong, cell.cut_off, cell.cut_in_thinking) for cell in cells}
    assert counts == {(6, 3, 2, 1, 1)}
    # q: only one of three single samples is cut, and no pair is.
    assert [cell.accuracy_of_finished for cell in cells] == pytest.approx([1 / (1 + 2 / 3), (2 / 3 + 1 / 2) / 2, 3 / 4])


def test_one_sample_is_the_sequential_cell_with_its_interval() -> None:
    (sequential,) = cells_from_scores(POOLS)
    first = {cell.method: cell for cell in parallel_cells(POOLS, {}) if cell.k == 1}
    for cell in first.values():
        assert cell.accuracy == pytest.approx(sequential.accuracy)
        assert cell.accuracy_of_finished == pytest.approx(sequential.accuracy_of_finished)
        assert (cell.accuracy_low, cell.accuracy_high) == pytest.approx(
            (sequential.accuracy_low, sequential.accuracy_high)
        )


def test_equal_answers_that_were_graded_differently_earn_their_share() -> None:
    assert by_k("majority", pool("p", [(RIGHT, "7"), (WRONG, "7")])) == pytest.approx([0.5, 0.5])


def test_votes_are_over_truncation_else_over_forcing_without_waits_and_by_budget() -> None:
    forced = [
        replace(item, method="budget_forcing", waits=waits, response_key=f"w{waits}-{item.response_key}")
        for waits in (0, 2)
        for item in POOLS
    ]
    other = [replace(item, method="class_conditional", variant="short") for item in POOLS]
    larger = [replace(item, budget_tokens=None) for item in POOLS]
    assert sampled_scores([*forced, *other, *POOLS]) == POOLS
    assert sampled_scores([*other, *forced]) == [item for item in forced if not item.waits]
    budgets = [(cell.budget_tokens, cell.k) for cell in parallel_cells([*larger, *POOLS], {}) if cell.method == "pass"]
    assert budgets == [(500, 1), (500, 2), (500, 3), (None, 1), (None, 2), (None, 3)]


def test_k_goes_to_the_smallest_pool_and_a_single_sample_makes_no_cell() -> None:
    assert len(by_k("pass", [*POOLS, *pool("r", [(RIGHT, "1"), (RIGHT, "1")])])) == 2
    assert parallel_cells([*POOLS, *pool("r", [(RIGHT, "1")])], {}) == []
    assert parallel_cells([], {}) == []


def test_the_order_of_scores_changes_nothing() -> None:
    rewards = {"logprob": {item.response_key: -float(at % 3) for at, item in enumerate(POOLS)}}
    assert parallel_cells(POOLS[::-1], rewards) == parallel_cells(POOLS, rewards)


def test_an_interval_holds_its_value_and_has_width_where_all_problems_agree() -> None:
    values = np.array([[0.0, 1.0, 0.25], [0.0, 1.0, 0.75], [0.0, 1.0, 0.5]])
    zero, one, middle = curve_of(values)
    assert (zero.low, zero.high) == wilson_interval(0, 3)
    assert (one.low, one.high) == wilson_interval(3, 3)
    assert middle.accuracy == pytest.approx(0.5)
    (alike,) = curve_of(np.full((10, 1), 0.5))
    assert (alike.low, alike.high) == wilson_interval(5, 10)
    # The bootstrap of three values: the least mean is 0.25, drawn once in 27 times, which is more than 2.5%.
    assert (middle.low, middle.high) == pytest.approx((0.25, 0.75))


def test_sequential_and_parallel_points_share_the_axis_of_generated_tokens() -> None:
    cells = [*cells_from_scores(POOLS), *parallel_cells(POOLS, {})]
    sequential, majority, some = token_series(cells, "b", "m")
    assert (sequential.method, sequential.is_parallel, majority.method, some.method) == (
        "truncation", False, "majority", "pass",
    )  # fmt: skip
    assert [cell.mean_generated_tokens for cell in sequential.cells] == [25]
    assert [cell.mean_generated_tokens for cell in majority.cells] == [25, 50, 75]
    assert majority.budget_tokens == 500
    assert token_series(cells, "b", "another") == ()
