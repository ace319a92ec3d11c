"""What each filter says of a row, with its evidence."""

from dataclasses import replace
from fractions import Fraction

import pytest

from tests.curation.measured import EVERY, OVERLAPS, THREE, fate_of, measures
from thinkscale.curation.filters import choose_traces
from thinkscale.curation.funnel import decide
from thinkscale.curation.rules import Need, Preference, Solved


def test_faults_are_tolerated_in_rows_of_their_source_only() -> None:
    given = measures(THREE, {"faults": [(0, -1, "asymptote_figure", "x"), (2, -1, "asymptote_figure", "y")]})
    found = fate_of(given, replace(EVERY, tolerated_faults={"ai*": ("asymptote_figure",)}))
    assert (found["a"][0], found["c"][0]) == ("asymptote_figure", "selected")


def test_only_faults_of_the_rules_that_drop_count() -> None:
    given = measures(THREE, {"faults": [(0, -1, "asymptote_figure", "x"), (1, 0, "repetition_loop", "y")]})
    found = fate_of(given, replace(EVERY, question_rules=frozenset({"web_link"}), trace_rules=frozenset()))
    assert {reason for reason, _ in found.values()} == {"selected"}


TWO_TRACES = [(0, 0, "first", 100, "wrong"), (0, 1, "second", 120, "correct"), (0, 2, "third", 140, "correct")]
WRONG = [(0, 0, "wrong_answer", "exact: 3 is not 4")]


def test_the_first_sound_trace_of_a_row_is_chosen() -> None:
    given = measures([("a", "math")], {"traces": TWO_TRACES, "faults": WRONG})
    assert choose_traces(given, EVERY).key == {0: "second"}
    assert choose_traces(given, replace(EVERY, min_trace_tokens=130)).key == {0: "third"}
    assert fate_of(given)["a"][0] == "selected"


def test_a_row_without_a_sound_trace_is_dropped_for_its_first() -> None:
    given = measures([("a", "math")], {"traces": TWO_TRACES[:1], "faults": WRONG})
    assert fate_of(given)["a"] == ("wrong_answer", "exact: 3 is not 4")
    assert fate_of(given, replace(EVERY, need_correct=False))["a"][0] == "selected"


def test_a_correct_trace_comes_before_an_earlier_wrong_one_where_either_would_do() -> None:
    given = measures([("a", "math")], {"traces": TWO_TRACES, "faults": WRONG})
    assert choose_traces(given, replace(EVERY, need_correct=False)).key == {0: "second"}


@pytest.mark.parametrize(
    ("tokens", "reason", "evidence"),
    [
        (9, "too_short", "9 < 10 thinking tokens"),
        (10, "selected", "every row that passes the filters is taken"),
        (1_000, "selected", "every row that passes the filters is taken"),
        (1_001, "too_long", "1001 > 1000 thinking tokens"),
    ],
)
def test_bounds_on_the_length_of_traces_belong_to_the_range(tokens: int, reason: str, evidence: str) -> None:
    assert fate_of(measures([("a", "math")], tokens=tokens))["a"] == (reason, evidence)


def test_an_ungraded_trace_is_not_known_to_be_correct() -> None:
    given = measures([("a", "math")], {"traces": [(0, 0, "key", 100, "")]})
    assert fate_of(given)["a"] == ("not_graded", "key is not known to be correct")
    graded = replace(EVERY, need_correct=False, need=frozenset({Need.GRADE}))
    assert fate_of(given, graded)["a"] == ("not_graded", "no verdict on key")


def test_what_is_needed_and_missing_is_named() -> None:
    given = measures(
        [("a", "math"), ("b", "math")],
        {
            "rows": [(0, "a", "math", "math", "", "", 5.0), (1, "b", "math", "math", "11", "", None)],
            "attempts": [(0, "small", 0, 1), (0, "large", 0, 0), (1, "small", 0, 1), (1, "large", 0, 1)],
        },
    )
    for need, expected in (
        (Need.DOMAIN, {"a": "no_domain"}),
        (Need.RATING, {"b": "no_rating"}),
        (Need.ATTEMPTS, {"a": "no_attempts"}),
    ):
        found = fate_of(given, replace(EVERY, need=frozenset({need})))
        assert {name: reason for name, (reason, _) in found.items() if reason != "selected"} == expected
    assert fate_of(given, replace(EVERY, need=frozenset({Need.ATTEMPTS})))["a"][1] == "no gradable attempt of large"


def test_an_engine_failure_is_a_missing_trace() -> None:
    given = measures([("a", "math")], {"faults": [(0, 0, "engine_error", "quota")]})
    decisions = decide(given, EVERY, 42)
    assert decisions.dropped[0][0] == "missing"
    assert decisions.dropped[0][1] == ("engine_error", "quota")


def test_contamination_names_the_item_that_is_shared_most() -> None:
    found = fate_of(measures(THREE, {"overlaps": OVERLAPS}))
    assert found["a"] == ("contaminated", "math500 2 (ngram_overlap, 90%): long (and 1 more)")
    assert found["b"] == ("contaminated", "the trace and aime24 3 (ngram_overlap, 50%): in the trace")
    assert found["c"][0] == "selected", "the trace that overlaps is not the one that would be trained on"


def test_overlaps_below_the_share_that_is_asked_for_do_not_count() -> None:
    found = fate_of(measures(THREE, {"overlaps": OVERLAPS}), replace(EVERY, overlap_share=0.6))
    assert (found["a"][1], found["b"][0]) == ("math500 2 (ngram_overlap, 90%): long", "selected")


def test_of_duplicates_the_one_that_is_preferred_stays() -> None:
    edges = {"edges": [(0, 1, 0.7, "ngram_overlap", "words")]}
    wrong = {"traces": [(0, 0, "x", 900, "wrong"), (1, 0, "y", 20, "correct")]}
    loose = replace(EVERY, need_correct=False)
    assert fate_of(measures(THREE[:2], {**edges, **wrong}), loose)["a"][1] == "b (ngram_overlap, 70%): words"
    by_length = replace(loose, prefer=(Preference.LONGER,))
    assert fate_of(measures(THREE[:2], {**edges, **wrong}), by_length)["b"][0] == "duplicate"
    by_source = measures([("b", "first"), ("a", "second")], edges)
    assert fate_of(by_source)["a"][0] == "duplicate"
    by_id = replace(EVERY, prefer=())
    assert fate_of(by_source, by_id)["b"][0] == "duplicate"


def test_a_duplicate_of_a_row_that_another_filter_drops_stays() -> None:
    given = measures(THREE[:2], {"edges": [(0, 1, 0.7, "", "w")], "faults": [(0, -1, "asymptote_figure", "x")]})
    assert fate_of(given)["b"][0] == "selected"


def test_a_row_is_never_dropped_for_one_that_is_dropped_itself() -> None:
    """a - b - c: b repeats a, c is like b alone."""
    given = measures(
        [("a", "s"), ("b", "s"), ("c", "s")],
        {"edges": [(0, 1, 0.7, "ngram_overlap", "w"), (1, 2, 0.7, "ngram_overlap", "w")]},
    )
    assert {name: reason for name, (reason, _) in fate_of(given).items()} == {
        "a": "selected", "b": "duplicate", "c": "selected",
    }  # fmt: skip


def test_copies_of_one_text_are_known_by_the_edge_to_their_first() -> None:
    """b and c are copies of a; c has the longest trace and stays; d is like a, and so like c."""
    given = measures(
        [(name, "s") for name in "abcd"],
        {
            "edges": [
                (0, 1, 1.0, "whole_question", "the text"),
                (0, 2, 1.0, "whole_question", "the text"),
                (0, 3, 0.6, "ngram_overlap", "some words"),
            ],
            "traces": [(place, 0, f"{place}", tokens, "correct") for place, tokens in enumerate([50, 60, 90, 70])],
        },
    )
    assert fate_of(given) == {
        "a": ("duplicate", "c (whole_question, 100%): the text"),
        "b": ("duplicate", "c (whole_question, 100%): the text"),
        "c": ("selected", "every row that passes the filters is taken"),
        "d": ("duplicate", "c (ngram_overlap, 60%): some words"),
    }


def test_the_share_that_makes_a_duplicate_is_decided() -> None:
    given = measures(THREE[:2], {"edges": [(0, 1, 0.4, "ngram_overlap", "w")]})
    assert fate_of(given)["b"][0] == "selected"
    assert fate_of(given, replace(EVERY, duplicate_share=0.4))["b"][0] == "duplicate"
    assert fate_of(given, replace(EVERY, duplicate_share=None))["b"][0] == "selected"


def test_rows_with_the_same_answer_are_duplicates_at_a_lower_share() -> None:
    given = measures(THREE, {"edges": [(0, 1, 0.35, "answer_aware", "w"), (1, 2, 0.35, "ngram_overlap", "w")]})
    assert fate_of(given)["b"] == ("duplicate", "a (answer_aware, 35%): w")
    assert fate_of(given)["c"][0] == "selected"
    assert fate_of(given, replace(EVERY, same_answer_share=0.4))["b"][0] == "selected"
    assert fate_of(given, replace(EVERY, same_answer_share=None))["b"][0] == "selected"
    assert fate_of(given, replace(EVERY, duplicate_share=None))["b"][0] == "selected"


RATES = [(0, "large", 0, 4), (0, "small", 1, 4), (1, "large", 2, 4), (1, "small", 3, 4), (2, "small", 0, 0)]


@pytest.mark.parametrize(
    ("solved", "above", "dropped"),
    [
        (Solved.ANY, "0", ["a", "b"]),
        (Solved.ANY, "0.25", ["b"]),
        (Solved.ALL, "0", ["b"]),
        (Solved.ALL, "0.5", []),
        (Solved.NONE, "0", []),
    ],
)
def test_what_weak_models_solve_is_dropped_by_any_or_all_above_a_share(
    solved: Solved, above: str, dropped: list[str]
) -> None:
    found = fate_of(measures(THREE, {"attempts": RATES}), replace(EVERY, solved=solved, solved_above=Fraction(above)))
    assert [name for name, (reason, _) in found.items() if reason == "weak_model_solves_it"] == dropped


def test_ratings_are_bounded_source_by_source() -> None:
    rows = [(place, f"p{place}", source, "math", "d", "", rating) for place, (source, rating) in enumerate(
        [("math", 3.5), ("math", 4.0), ("math", 9.5), ("math", None), ("aime", 1.0)]
    )]  # fmt: skip
    given = measures([(f"p{place}", "") for place in range(5)], {"rows": rows})
    assert fate_of(given, replace(EVERY, ratings={"math": (4, 9), "*": (0, 10)})) == {
        "p0": ("too_easy", "rating 3.5 < 4"),
        "p1": ("selected", "every row that passes the filters is taken"),
        "p2": ("too_hard", "rating 9.5 > 9"),
        "p3": ("no_rating", "its source is bounded to 4 to 9"),
        "p4": ("selected", "every row that passes the filters is taken"),
    }
