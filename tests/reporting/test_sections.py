"""What the sections say is what the data holds: costs, evidence, expectations, failures, deviations."""

from dataclasses import replace

import pytest

from tests.reporting.test_analysis import data_of, scores_of
from thinkscale.records import Cell
from thinkscale.reporting import ReportData
from thinkscale.reporting.analysis import Analysis, analyse
from thinkscale.reporting.composition import compose
from thinkscale.reporting.costs import cell_costs, frontier, rates
from thinkscale.reporting.data import Loop, SweepCost
from thinkscale.reporting.document import Alarm, Bullets, Section, Table
from thinkscale.reporting.figures.cost_chart import _round_values
from thinkscale.reporting.figures.frame import Frame
from thinkscale.reporting.figures.marks import MARKS, legend_of
from thinkscale.reporting.figures.scaling_chart import conditional_figure
from thinkscale.reporting.pairs import series_of
from thinkscale.reporting.published import published
from thinkscale.reporting.sections.accounting_sections import cells_section
from thinkscale.reporting.sections.cost_section import costs_section
from thinkscale.reporting.sections.evidence_sections import evidence_section, expectations_section
from thinkscale.reporting.sections.failure_sections import failures_section
from thinkscale.reporting.sections.findings import warnings
from thinkscale.reporting.wording import METHOD_ORDER, setting
from thinkscale.statistics import cells_from_scores


@pytest.fixture(scope="module")
def analysis(data: ReportData) -> Analysis:
    return analyse(data)


def cell(accuracy: float, tokens: float, method: str = "truncation", k: int = 1) -> Cell:
    (made,) = cells_from_scores(scores_of(method, None, 0, 20, 10), 10)
    return replace(made, accuracy=accuracy, mean_generated_tokens=tokens, k=k)


def table_of(section: Section | None, title: str) -> Table:
    assert section is not None
    return next(block for block in section.blocks if isinstance(block, Table) and block.title.startswith(title))


def test_the_frontier_holds_what_nothing_beats_with_fewer_tokens() -> None:
    low, worse, equal, best = cell(0.3, 100), cell(0.2, 150), cell(0.3, 120), cell(0.6, 400)
    assert frontier([best, worse, equal, low]) == [low, best]


def test_of_cells_that_are_alike_the_frontier_names_the_plainest() -> None:
    plain, forced = cell(0.3, 100), cell(0.3, 100, "budget_forcing")
    waited = replace(forced, waits=2)
    assert frontier([waited, forced, plain]) == [plain]
    assert frontier([waited, forced]) == [forced]


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (0.03, 0.099, [0.03, 0.05, 0.07]),
        (0.06, 0.7, [0.1, 0.2, 0.5]),
        (0.5, 120, [1.0, 10.0, 100.0]),
        (0.2, 0.35, [0.2, 0.3]),
    ],
)
def test_an_axis_of_costs_always_has_ticks(low: float, high: float, ticks: list[float]) -> None:
    assert _round_values(low, high) == ticks


def test_a_figure_names_published_methods_that_its_legend_has_not() -> None:
    told = replace(data_of(scores_of("token_conditional", 2000, 0, 20, 900)), problems_by_benchmark={"aime24": 40})
    cells = tuple(replace(item, benchmark="aime24") for item in told.cells)
    data = replace(told, cells=cells, published=published(["aime24"], ["s1"]))
    figure = conditional_figure(data)
    assert figure is not None
    told_last = figure.caption.rsplit(": ", 1)[1]
    assert told_last == "token-conditional, forced; step-conditional; step-conditional, forced; rejection sampling."


def test_pass_at_k_is_no_way_to_answer() -> None:
    assert frontier([cell(0.3, 100), cell(0.9, 200, "pass", 2)]) == [cell(0.3, 100)]


def test_a_cells_costs_are_its_tokens_at_the_rate_of_the_sweep() -> None:
    cost = SweepCost(
        seconds=3600.0, joules={"nvml": 5000.0, "rapl": 1000.0}, usd=0.5, usd_per_hour=2.0, generated_tokens=10_000
    )
    each = rates(cost)
    assert (each.seconds, each.joules, each.usd) == (0.36, 0.6, 0.00025)
    data = replace(data_of([]), cells=(cell(0.5, 200),), cost=cost)
    (found,) = cell_costs(data)
    assert found.seconds == 72.0
    assert found.joules == pytest.approx(120.0)
    assert found.usd == pytest.approx(0.05)
    assert found.on_frontier


def test_what_nobody_measured_is_said_and_not_shown_as_zero() -> None:
    cost = SweepCost(seconds=None, joules={}, usd=0.0, usd_per_hour=None, generated_tokens=500)
    data = replace(data_of([]), cells=(cell(0.5, 200),), cost=cost)
    section = costs_section(data, {})
    assert section is not None
    (told,) = [block for block in section.blocks if isinstance(block, Bullets)]
    assert told.items == (
        "The evaluation generated 500 tokens, each shared prefix once.",
        "How long that took was not measured.",
        "Energy: this machine shows no counter of it (no readable RAPL, no NVML).",
        "Engines charged nothing.",
    )
    assert table_of(section, "Every cell").headers[-1] == "generated tokens (mean)"


def test_kilowatt_hours_and_the_machines_price_are_worked_out(data: ReportData) -> None:
    section = costs_section(data, {})
    assert section is not None
    (told,) = [block for block in section.blocks if isinstance(block, Bullets)]
    assert "Energy of the GPUs, by NVML: 252,000 joules (0.0700 kWh)." in told.items
    assert "The machine, at $3.60 an hour: $0.8400." in told.items


def test_the_certificate_tells_each_batch_apart(data: ReportData, analysis: Analysis) -> None:
    table = table_of(evidence_section(data, analysis), "Determinism certificate")
    alone, shuffled = table.rows
    assert (alone[3], alone[4], alone[6]) == ("alone", "20 of 20", "–")
    assert (shuffled[3], shuffled[4], shuffled[6]) == ("shuffled", "19 of 20", "37")


def test_a_run_without_replays_says_so(data: ReportData) -> None:
    few = replace(data, replays=())
    section = evidence_section(few, analyse(data_of([])))
    assert section is not None
    last = section.blocks[-1]
    assert isinstance(last, Bullets)
    assert "no trajectory was generated a second time" in last.items[0]


def test_expectations_are_counted_with_their_worst_case() -> None:
    data = data_of(
        scores_of("truncation", 100, 0, 30, 100)
        + scores_of("truncation", 200, 0, 28, 190)
        + scores_of("truncation", None, 0, 10, 300)
    )
    section = expectations_section(analyse(data))
    assert section is not None
    (table,) = section.blocks
    assert isinstance(table, Table)
    rows = {row[0]: row[1:] for row in table.rows}
    assert rows["a step to longer thinking does not lower the accuracy"] == (
        "b, m, truncation: 200 tokens → no budget: −45.0 points, beyond noise", "2", "0", "2", "1",
    )  # fmt: skip
    assert rows["the largest budget beats the smallest"][1:] == ("1", "0", "1", "1")


def test_failures_are_told_with_their_counts() -> None:
    scores = (
        scores_of("truncation", None, 0, 20, 100)
        + scores_of("budget_forcing", None, 1, 14, 150, "Wait")
        + scores_of("budget_forcing", None, 2, 16, 200, "Wait")
    )
    looping = Loop(response_key="budget_forcing-None-2-39", unit="wait, ", repeats=60)
    data = replace(data_of(scores), loops=(looping,))
    section = failures_section(data, analyse(data), {})
    assert section is not None
    told = section.blocks[0]
    assert isinstance(told, Bullets)
    assert (
        "On b, without a budget, forced waits turned 2 answers from wrong to right and 6 from right to wrong, of 80 "
        "that were continued."
    ) in told.items
    assert "1 of 120 responses (0.8%) end in a loop of their own thinking." in told.items
    first, second = table_of(section, "What each wait turned").rows
    assert first[2:8] == ("0 → 1 × Wait", "no budget", "40", "6", "0", "−15.0")
    assert second[2:8] == ("1 → 2 × Wait", "no budget", "40", "0", "2", "+5.0")
    assert table_of(section, "What is repeated").rows == (("wait,", "1", "60"),)


def test_deviations_and_published_numbers_stand_in_the_report(data: ReportData, analysis: Analysis) -> None:
    sections = {section.anchor: section for section in compose(data, analysis, {}).sections}
    assert table_of(sections["deviations"], "Settings").rows == (("train.learning_rate", "0.002", "1e-05"),)
    metrics = table_of(sections["metrics"], "Published points")
    assert ("s1-32B", "budget forcing") in {(row[2], row[3]) for row in metrics.rows}
    assert metrics.folded


def test_samples_of_one_pool_are_a_curve_and_votes_are_no_verdicts(data: ReportData) -> None:
    two, one = cell(0.6, 20, "majority", 2), cell(0.5, 10, "majority", 1)
    of_budget = replace(two, budget_tokens=64)
    curves = series_of([two, of_budget, one])
    assert list(curves.values()) == [[one, two], [of_budget]]
    assert setting(of_budget) == "k = 2, 64 tokens"
    voted = replace(data, cells=tuple(cell for cell in data.cells if cell.method == "majority"))
    assert warnings(replace(voted, warnings=(), stages=())) == []
    section = cells_section(voted)
    assert section is not None
    assert all(row[9:] == ("–",) * 6 for block in section.blocks if isinstance(block, Table) for row in block.rows)


def test_what_the_recipe_says_first_is_read_first(data: ReportData, analysis: Analysis) -> None:
    first = compose(replace(data, notice=("A rehearsal.",)), analysis, {}).sections[0]
    assert first.blocks[0] == Alarm(items=("A rehearsal.",), title="Read this first")


def test_every_method_has_a_name_and_a_mark_of_its_own() -> None:
    assert len(set(MARKS.values())) == len(MARKS)
    assert set(MARKS) <= set(METHOD_ORDER)


def test_wait_strings_get_marks_of_their_own_where_there_are_several() -> None:
    one = cells_from_scores(scores_of("budget_forcing", None, 1, 5, 10, "Wait"), 10)
    two = [*one, *cells_from_scores(scores_of("budget_forcing", None, 1, 5, 10, "none"), 10)]
    assert legend_of(one).names == ["budget forcing"]
    assert legend_of(two).names == ["budget forcing, Wait", "budget forcing, no string"]
    assert len(set(legend_of(two).marks.values())) == 2


def test_methods_are_listed_in_one_order_however_they_ran() -> None:
    made = [*cells_from_scores(scores_of("budget_forcing", None, 1, 5, 10, "Wait"), 10), cell(0.5, 1)]
    assert legend_of(made).names == ["truncation", "budget forcing"]


@pytest.mark.parametrize(
    ("least", "most", "ticks"),
    [
        (6, 130, [8, 16, 32, 64, 128]),
        (20, 1500, [32, 64, 125, 250, 500, 1000]),
        (370, 12000, [500, 1000, 2000, 4000, 8000]),
        (5, 6, [5, 6]),
    ],
)
def test_token_axes_have_round_ticks(least: float, most: float, ticks: list[float]) -> None:
    assert Frame(least, most, [0, 100]).token_ticks == ticks
