"""Decisions on measures made by hand: every step, every fate, the rules that keep, and what is decided again."""

from dataclasses import replace

import pytest

from tests.curation.measured import EVERY, OVERLAPS, THREE, fate_of, measures
from thinkscale.curation.funnel import PAPER_LEFT, STEPS, decide, fates
from thinkscale.curation.measures import Measures, of_rows, table
from thinkscale.curation.rules import KeepRule, Rules
from thinkscale.curation.sampling import SAMPLERS
from thinkscale.errors import StageError
from thinkscale.records import Decision


def test_a_row_without_objection_is_selected() -> None:
    assert fate_of(measures(THREE)) == dict.fromkeys("abc", ("selected", "every row that passes the filters is taken"))


def test_every_row_has_one_fate_and_the_counts_of_the_steps_add_up() -> None:
    given = measures(
        [(name, "math") for name in "abcdefgh"],
        {
            "faults": [(1, -1, "asymptote_figure", "[asy]"), (2, 0, "cut_off", "stopped")],
            "overlaps": [(3, "", "aime24", "7", "ngram_overlap", 0.6, "the span")],
            "edges": [(4, 5, 0.8, "ngram_overlap", "many shared words")],
            "attempts": [(6, "small", 1, 1), (7, "small", 0, 1)],
            "traces": [(place, 0, f"{place}", 50 + place, "correct") for place in range(1, 8)],
        },
    )
    rules = Rules(count=1, min_trace_tokens=1)
    decisions = decide(given, rules, 42)
    assert [(step.name, step.rows_in, step.rows_out, dict(step.reasons)) for step in decisions.steps] == [
        ("missing", 8, 7, {"no_trace": 1}),
        ("question", 7, 6, {"asymptote_figure": 1}),
        ("trace", 6, 5, {"cut_off": 1}),
        ("contaminated", 5, 4, {"contaminated": 1}),
        ("duplicate", 4, 3, {"duplicate": 1}),
        ("difficulty", 3, 2, {"weak_model_solves_it": 1}),
        ("draw", 2, 1, {"not_drawn": 1}),
    ]
    made = list(fates(given, decisions))
    assert [fate.problem_id for fate in made] == list("abcdefgh")
    assert sum(fate.decision is Decision.KEPT for fate in made) == 1
    evidence = {fate.problem_id: fate.evidence for fate in made}
    assert evidence["a"] == "the teacher was not asked"
    assert evidence["d"] == "aime24 7 (ngram_overlap, 60%): the span"
    assert evidence["e"] == "f (ngram_overlap, 80%): many shared words"
    assert evidence["g"] == "small 1/1"
    assert tuple(step.name for step in decisions.steps) == STEPS
    assert set(PAPER_LEFT) < set(STEPS)


def test_the_first_step_that_objects_is_the_fate_and_the_rest_is_known_all_the_same() -> None:
    given = measures(
        THREE,
        {
            "faults": [(0, -1, "asymptote_figure", "[asy]")],
            "overlaps": [(0, "", "aime24", "7", "whole_question", 1.0, "all of it")],
            "attempts": [(0, "small", 1, 1)],
        },
    )
    assert fate_of(given)["a"] == ("asymptote_figure", "[asy]")
    tolerant = replace(EVERY, tolerated_faults={"math": ("asymptote_figure",)})
    assert fate_of(given, tolerant)["a"][0] == "contaminated"
    assert fate_of(given, replace(tolerant, overlap_share=1.1))["a"] == ("weak_model_solves_it", "small 1/1")


KEEPS = (KeepRule(source="aime", correct=True), KeepRule(source="math", min_trace_tokens=5_600))


def s1_like() -> Measures:
    """aime: one correct, one wrong trace; math: 5,600 and 5,599 tokens."""
    return measures(
        [("a", "aime"), ("b", "aime"), ("c", "math"), ("d", "math")],
        {
            "traces": [
                (0, 0, "a0", 20, "correct"), (1, 0, "b0", 20, "wrong"),
                (2, 0, "c0", 5_600, "correct"), (3, 0, "d0", 5_599, "correct"),
            ]
        },
    )  # fmt: skip


def test_rows_that_a_rule_keeps_are_picked_first() -> None:
    rules = Rules(count=2, keep_all=KEEPS, need_correct=False, min_trace_tokens=1)
    decisions = decide(s1_like(), rules, 1)
    assert [(pick.problem_id, pick.reason) for pick in decisions.selection.picks] == [
        ("a", "keep_all"), ("c", "keep_all"),
    ]  # fmt: skip
    assert decisions.notices == ()


def test_a_rule_whose_source_is_nowhere_is_an_error_that_names_the_sources() -> None:
    """s1 renamed a source and its rule for it kept nothing from then on, unnoticed."""
    rules = Rules(count=1, keep_all=(KeepRule(source="openaimath"),), need_correct=False, min_trace_tokens=1)
    with pytest.raises(StageError, match="no row is of the source 'openaimath'; the sources are aime, math"):
        decide(s1_like(), rules, 1)


def test_a_rule_that_keeps_nothing_of_its_source_is_told() -> None:
    rules = Rules(count=1, keep_all=(KeepRule(source="math", min_trace_tokens=9_999),), min_trace_tokens=1)
    assert decide(s1_like(), rules, 1).notices == (
        "select.keep_all (source math, at least 9,999 trace tokens) keeps nothing: of the 2 rows of that source none "
        "passes the filters and fits",
    )


def test_too_few_rows_are_an_error_that_names_the_worst_filters() -> None:
    with pytest.raises(StageError, match=r"asks for 4 examples, but only 3 of 4 problems pass .*wrong_answer 1"):
        decide(s1_like(), Rules(count=4, min_trace_tokens=1), 1)


def test_a_row_that_was_not_drawn_is_ranked_among_the_candidates_of_its_domain() -> None:
    found = fate_of(s1_like(), Rules(count=1, sampler=SAMPLERS["longest"], min_trace_tokens=1))
    assert found["c"][0] == "selected"
    assert found["d"] == ("not_drawn", "a candidate, rank 2 of 3 by length in d; 1 others were drawn")


def test_the_same_measures_and_seed_decide_the_same_and_another_seed_otherwise() -> None:
    given = measures([(f"p{place:03d}", "math") for place in range(200)])
    rules = Rules(count=20, sampler=SAMPLERS["random"])
    assert decide(given, rules, 1).selection == decide(given, rules, 1).selection
    assert decide(given, rules, 1).selection.picks != decide(given, rules, 2).selection.picks


def test_measures_of_some_rows_are_all_that_is_known_of_them() -> None:
    given = measures(THREE, {"overlaps": OVERLAPS, "edges": [(0, 1, 0.5, "r", "s"), (1, 2, 0.5, "r", "s")]})
    alone = of_rows(given, [0])
    assert alone.rows["problem_id"].to_list() == ["a"]
    assert len(alone.overlaps) == 2
    assert alone.edges.select("a", "b").rows() == [(0, 1)]


def test_a_table_of_other_columns_is_refused() -> None:
    with pytest.raises(ValueError, match="the columns of edges are a, b, share, reason, span; given were a"):
        table("edges", {"a": [1]})
