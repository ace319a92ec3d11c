"""The section on a selection: every count in its place, the chi-square with its degrees of freedom, both figures."""

from dataclasses import replace

import pytest

from tests.reporting.chosen import selection_facts
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Bullets, Section, Table
from thinkscale.reporting.selection_charts import domains_figure, lengths_figure
from thinkscale.reporting.selection_section import choice_section


@pytest.fixture
def section(data: ReportData) -> Section:
    made = choice_section(data, {})
    assert made is not None
    return made


def table(section: Section, title: str) -> Table:
    (found,) = [block for block in section.blocks if isinstance(block, Table) and block.title.startswith(title)]
    return found


def test_the_sentences_state_sampler_chi_square_and_the_other_seed(section: Section) -> None:
    """Counts 300, 320, 330 against 316.67 each: (277.8 + 11.1 + 177.8) / 316.67 = 1.47, 2 degrees of freedom."""
    (bullets,) = [block for block in section.blocks if isinstance(block, Bullets)]
    assert bullets.items == (
        "Sampler s1, seed 42: 1,000 rows of 3 domains, 50 of them kept by rule before the draw.",
        "Drawn rows against equal shares of the domains: chi-square 1.5 with 2 degrees of freedom, p = 0.479.",
        "With seed 43 in the place of 42, the overlap of the two selections (Jaccard) is 0.812.",
    )


def test_the_funnel_stands_beside_the_papers(section: Section) -> None:
    rows = table(section, "The funnel").rows
    assert rows[0] == ("collected", "–", "4,000", "59,029")
    assert rows[1] == ("missing", "missing reason 20", "3,980", "54,116")
    assert rows[4] == ("contaminated", "contaminated reason 60", "3,440", "–")
    assert rows[-1] == ("draw", "draw reason 1,500", "1,000", "1,000")


def test_domains_and_sources_are_counted_before_and_after(section: Section) -> None:
    assert table(section, "By domain").rows[1] == ("51 Geometry", "1,500", "900", "330", "33.0%")
    assert table(section, "By source").rows == (("math", "4,000", "2,500", "1,000", "100.0%"),)
    assert table(section, "By trace length").rows[1] == ("selected", "120", "400", "800", "1,600", "3,199")


def test_contamination_names_row_item_and_span(section: Section) -> None:
    found = table(section, "Rows dropped for what they share with benchmarks (60)")
    assert found.rows[0][:4] == ("math-17", "aime24", "7", "contained")
    assert found.rows[0][5] == "75.0%"
    assert "59 more rows are in fates.parquet" in found.note


def test_accuracy_is_given_on_touched_items_and_on_the_others_with_intervals(section: Section) -> None:
    rows = table(section, "Items that the pool touches").rows
    aime, gpqa = rows
    assert (aime[0], aime[1], aime[2], aime[4]) == ("aime24", "student", "2", "28")
    assert aime[3].startswith("75.0% [")
    assert aime[5].startswith("25.0% [")
    assert aime[6].startswith("+50.0 points [")
    assert gpqa == ("gpqa", "student", "0", "– (no item is touched)", "1", gpqa[5], "–")
    assert gpqa[5].startswith("50.0% [")


def test_the_figures_hold_the_counts_before_and_after(data: ReportData) -> None:
    domains, lengths = domains_figure(data), lengths_figure(data)
    assert domains is not None
    assert lengths is not None
    before, after = ([row["rows"] for row in panel["data"]["values"]] for panel in domains.spec["hconcat"])
    assert (before, after) == ([1_000, 900, 600], [320, 330, 350])
    rows = lengths.spec["data"]["values"]
    assert [row["share"] for row in rows if row["which"] == "selected"] == [0.1, 0.15, 0.2, 0.25, 0.3]
    assert {row["share"] for row in rows if row["which"] == "pass the filters"} == {0.2}
    assert rows[0]["rows"] == "500 rows, 20.0%"


def test_a_report_without_a_selection_has_no_such_section(data: ReportData) -> None:
    bare = replace(data, selection=None)
    assert choice_section(bare, {}) is None
    assert domains_figure(bare) is None
    assert lengths_figure(bare) is None


def test_a_single_domain_needs_no_figure(data: ReportData) -> None:
    facts = selection_facts("")
    one = replace(data, selection=replace(facts, domains=facts.domains[:1], uniformity=None))
    assert domains_figure(one) is None
    made = choice_section(one, {})
    assert made is not None
    (bullets,) = [block for block in made.blocks if isinstance(block, Bullets)]
    assert not any("chi-square" in item for item in bullets.items)
