"""compare: what is compared, what is refused, and what comes out."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scored import problem, run_directory, scores, tables
from thinkscale.cli.comparing import names
from thinkscale.commands.compare import CompareOptions, compare
from thinkscale.errors import ConfigError, DataError
from thinkscale.records import Score, Verdict
from thinkscale.reporting.compared import comparison_json, comparison_markdown, comparison_text
from thinkscale.statistics import detectable_difference, holm


def of(first: str, second: str = "", **options: object) -> CompareOptions:
    return CompareOptions(first=names(first), second=names(second), **options)  # type: ignore[arg-type]


def test_two_runs_by_hand(tmp_path: Path) -> None:
    """At 500 tokens the second gains p000 to p009 and loses p019: sign flips of 11, so p = 2 (1 + 11) / 2^11."""
    first = run_directory(tmp_path / "a", scores(lambda number, _: number >= 10))
    second = run_directory(tmp_path / "b", scores(lambda number, budget: number < 19 if budget else number >= 10))
    found = compare(of(first, second), tmp_path / "out")
    small, free = found.cells
    assert (small.key.budget_tokens, free.key.budget_tokens) == (500, None)
    assert (small.first, small.second) == (0.5, 0.95)
    assert small.difference == pytest.approx(0.45)
    assert (small.gained, small.lost) == (10, 1)
    p_value = 2 * (1 + 11) / 2**11
    assert small.p_value == pytest.approx(p_value)
    assert small.p_holm == pytest.approx(2 * p_value)
    assert free.p_holm == 1.0
    assert holm([p_value, 1.0]) == (small.p_holm, free.p_holm)
    assert (small.beyond_noise, free.beyond_noise) == (True, False)
    (resolution,) = found.resolutions
    assert resolution.conservative == detectable_difference(20, alpha=0.025)
    assert (small.first_tokens, free.second_tokens) == (500, 900)
    written = json.loads((tmp_path / "out" / "compare.json").read_text())
    assert written == json.loads(json.dumps(comparison_json(found)))
    assert written["beyond_noise"] == 1
    page = (tmp_path / "out" / "compare.md").read_text()
    assert page.index("What could be seen") < page.index("What was seen")
    assert "compare.svg" in page
    assert (tmp_path / "out" / "compare.svg").read_text().startswith("<svg")
    assert (tmp_path / "out" / "compare.png").read_bytes().startswith(b"\x89PNG")


def test_the_detectable_difference_stands_before_every_comparison(tmp_path: Path) -> None:
    first = tables(tmp_path / "a", scores(lambda number, _: number % 2 == 0))
    second = tables(tmp_path / "b", scores(lambda number, _: number % 3 == 0))
    found = compare(of(first, second))
    text = comparison_text(found)
    assert text.index("detectable difference") < text.index("truncation, 500 tokens")
    assert "0 of 2 differences are beyond noise after correction" in text
    assert "| aime: truncation, 500 tokens | 50.0% | 35.0% |" in comparison_markdown(found)


def test_other_items_are_refused_by_name_and_the_shared_ones_can_be_taken(tmp_path: Path) -> None:
    first = tables(tmp_path / "a", scores(lambda _, __: True, problems=range(10)))
    second = tables(tmp_path / "b", scores(lambda _, __: False, problems=range(4, 12)))
    with pytest.raises(
        ConfigError, match=r"aime: 4 items \(p000, p001, p002 and 1 more\) of .*a not in every"
    ) as refused:
        compare(of(first, second))
    assert "2 items (p010, p011)" in str(refused.value)
    assert "--shared" in str(refused.value)
    found = compare(of(first, second, shared=True))
    assert [cell.num_problems for cell in found.cells] == [6, 6]
    assert any("On shared items alone (aime: 6)" in note for note in found.notes)


def test_one_id_for_two_questions_is_another_item(tmp_path: Path) -> None:
    rows = scores(lambda _, __: True, problems=range(3))
    first = tables(tmp_path / "a", rows, map(problem, range(3)))
    second = tables(tmp_path / "b", rows, [problem(0), problem(1), problem(2, "Another question?")])
    with pytest.raises(ConfigError, match=r"1 item \(p002\) with one id and another question"):
        compare(of(first, second))
    assert [cell.num_problems for cell in compare(of(first, second, shared=True)).cells] == [2, 2]


def test_two_models_of_one_run(tmp_path: Path) -> None:
    rows = [
        *scores(lambda number, _: number < 5, model="base", budgets=(None,)),
        *scores(lambda number, _: number < 15),
    ]
    run = run_directory(tmp_path / "a", rows)
    found = compare(of(run))
    assert (found.first.model, found.second.model) == ("base", "student")
    assert [(cell.difference, cell.gained) for cell in found.cells] == [(0.5, 10)]
    assert any("0 of the first side, 1 of the second" in note for note in found.notes)
    turned = compare(of(run, models=("student", "base")))
    assert turned.cells[0].difference == -0.5
    with pytest.raises(ConfigError, match="there is no model 'teacher'; there are base, student"):
        compare(of(run, models=("base", "teacher")))


def test_a_comparison_with_itself_is_refused(tmp_path: Path) -> None:
    run = tables(tmp_path / "a", scores(lambda _, __: True))
    with pytest.raises(ConfigError, match="both sides are student"):
        compare(of(run, run))
    with pytest.raises(ConfigError, match="name a second run"):
        compare(of(run))
    with pytest.raises(ConfigError, match="no run is named"):
        compare(of(" , ", run))
    with pytest.raises(ConfigError, match="named twice on one side"):
        compare(of(f"{run},{run}", run))


def test_several_runs_a_side_carry_their_seeds(tmp_path: Path) -> None:
    """Two seeds a side that differ by ten points each: the seeds widen the interval, and the text says how few."""
    sides = [[], []]  # type: list[list[str]]
    for side, shift in ((0, 0), (1, 4)):
        for seed in range(2):
            rows = scores(lambda number, _, most=8 + shift + 2 * seed: number < most, budgets=(None,))  # type: ignore[misc]
            sides[side].append(tables(tmp_path / f"{side}-{seed}", rows))
    found = compare(of(",".join(sides[0]), ",".join(sides[1])))
    (cell,) = found.cells
    assert found.over_seeds
    assert [cell.first, cell.second] == pytest.approx([0.45, 0.65])
    alone = compare(of(sides[0][0], sides[1][0])).cells[0]
    assert cell.low is not None
    assert cell.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert cell.high - cell.low > alone.high - alone.low
    assert any("2 seeds: their variance is estimated from 1 degrees of freedom" in note for note in found.notes)
    assert "at the variance over problems and seeds" in comparison_text(found)


def test_a_single_run_against_several_says_whose_seed_is_left_out(tmp_path: Path) -> None:
    runs = [tables(tmp_path / str(seed), scores(lambda n, _, k=seed: n < 8 + k)) for seed in range(3)]  # type: ignore[misc]
    found = compare(of(f"{runs[0]},{runs[1]}", runs[2]))
    assert any("one side is a single run, whose seed the interval leaves out" in note for note in found.notes)


def test_forcing_without_waits_is_truncation_and_counts_once(tmp_path: Path) -> None:
    def both(right: int) -> list[Score]:
        plain = scores(lambda number, _: number < right)
        return [*plain, *scores(lambda number, _: number < right, method="budget_forcing")]

    found = compare(of(tables(tmp_path / "a", both(5)), tables(tmp_path / "b", both(9))))
    assert [cell.key.method for cell in found.cells] == ["truncation", "truncation"]
    assert any("2 cells count once" in note for note in found.notes)


def test_what_is_asked_for_must_be_there(tmp_path: Path) -> None:
    run = tables(tmp_path / "a", scores(lambda _, __: True))
    other = tables(tmp_path / "b", scores(lambda _, __: True, method="rejection"))
    with pytest.raises(ConfigError, match="no cell in common"):
        compare(of(run, other))
    with pytest.raises(ConfigError, match=r"the benchmarks aime and the methods (truncation|rejection)"):
        compare(of(run, other, methods=("minimum",)))
    with pytest.raises(ConfigError, match="neither a run directory"):
        compare(of(run, str(tmp_path / "nothing")))
    empty = tables(tmp_path / "c", [])
    with pytest.raises(DataError, match="it has no scores"):
        compare(of(run, empty))


def test_samples_of_a_problem_are_one_problem(tmp_path: Path) -> None:
    first = tables(tmp_path / "a", scores(lambda number, _: number < 5, samples=4))
    second = tables(tmp_path / "b", scores(lambda number, _: number < 9, samples=2))
    found = compare(of(first, second))
    assert (found.cells[0].gained, found.cells[0].num_problems) == (4, 20)
    assert found.cells[0].p_value == pytest.approx(2 / 2**4)


def test_votes_are_compared_by_their_exact_expectation(tmp_path: Path) -> None:
    """Four samples: one right and three that agree on another answer, or two and two.

    pass@2 of one right in four is 1 - C(3,2)/C(4,2) = 1/2, of two in four 5/6; the majority of four is never right with
    one, and half the time with two and two.
    """

    def voted(right: int) -> list[Score]:
        rows = scores(lambda _, __: True, problems=range(6), budgets=(None,), samples=4)
        return [
            replace(
                row,
                answer="right" if row.sample < right else "other",
                verdict=Verdict.CORRECT if row.sample < right else Verdict.WRONG,
            )
            for row in rows
        ]

    first, second = tables(tmp_path / "a", voted(1)), tables(tmp_path / "b", voted(2))
    found = compare(of(first, second, methods=("pass", "majority")))
    by_cell = {(cell.key.method, cell.key.k): (cell.first, cell.second) for cell in found.cells}
    assert list(by_cell["pass", 2]) == pytest.approx([1 / 2, 5 / 6])
    assert by_cell[("pass", 4)] == (1.0, 1.0)
    assert by_cell[("majority", 4)] == (0.0, 0.5)
    assert set(by_cell) == {("majority", 2), ("majority", 4), ("pass", 2), ("pass", 4)}
    assert found.cells[0].first_tokens == 2 * 900
    with pytest.raises(ConfigError, match="majority and pass need several samples"):
        compare(
            of(
                tables(tmp_path / "c", scores(lambda _, __: True)),
                tables(tmp_path / "d", scores(lambda _, __: True)),
                methods=("pass",),
            )
        )
    alone = compare(of(first, second))
    assert [(cell.key.method, cell.key.k) for cell in alone.cells] == [("truncation", 1)]
