"""Measuring by hand-made records: facts of questions, traces, labels, and what is alike."""

import weakref
from collections.abc import Iterator

import pytest

from thinkscale.curation.funnel import decide
from thinkscale.curation.likeness import Against, Comparing
from thinkscale.curation.measuring import graded, measure
from thinkscale.curation.rules import Rules
from thinkscale.curation.sampling import SAMPLERS
from thinkscale.errors import DataError
from thinkscale.records import Finish, Grade, Label, Problem, Response, Role, Sampling, Verdict

TRAINS = "A train leaves Rome at noon and travels 240 miles at 60 miles an hour; when does it arrive in Turin?"
APPLES = "Ann has eleven red apples, eats three of them and buys four more; how many apples does she have now?"


def problem(name: str, question: str = TRAINS, **changes: object) -> Problem:
    given: dict[str, object] = {"source": "math", "reference": "7", **changes}
    return Problem(id=name, question=question, **given)  # type: ignore[arg-type]


def response(key: str, name: str, tokens: int = 100, **changes: object) -> Response:
    given: dict[str, object] = {
        "thinking": f"Let me think about {key}.", "answer_text": "7", "finish": Finish.END, "sample": 0, **changes,
    }  # fmt: skip
    return Response(
        key=key, problem_id=name, role=Role.TEACHER, model="teacher", thinking_tokens=tokens, answer_tokens=1,
        sampling=Sampling(max_tokens=0), **given,  # type: ignore[arg-type]
    )  # fmt: skip


def grade(key: str, name: str, verdict: Verdict) -> Grade:
    return Grade(response_key=key, problem_id=name, grader="rules", verdict=verdict, tier="exact", evidence="7 = 7")


def test_rows_stand_in_order_of_collection_with_what_their_sources_say() -> None:
    found = measure([
        problem("b", extra={"domain": "11", "rating": 4.5, "subject": "physics"}),
        problem("a", APPLES, source="aime"),
    ])  # fmt: skip
    assert found.rows.rows() == [
        (0, "b", "math", "math", "11", "physics", 4.5),
        (1, "a", "aime", "math", "", "", None),
    ]


def test_faults_of_questions_are_those_of_all_rules_whether_they_drop_or_not() -> None:
    found = measure([problem("a"), problem("b", f"{TRAINS} [asy] draw((0,0)--(1,1)); [/asy]", reference=None)])
    assert set(found.faults.rows()) >= {(1, -1, "no_reference", "kind math without a reference")}
    reasons = {reason for row, trace, reason, _ in found.faults.rows() if (row, trace) == (1, -1)}
    assert {"asymptote_figure", "s1_asymptote", "no_reference"} <= reasons
    few = measure([problem("b", reference=None)], question_rules=("asymptote_figure",))
    assert few.faults.is_empty()


def test_labels_count_by_name_and_the_later_one_counts() -> None:
    found = measure(
        [problem("a"), problem("b", APPLES)],
        labels=[
            Label(problem_id="a", name="domain", value="11", by="model"),
            Label(problem_id="a", name="domain", value="51", by="model"),
            Label(problem_id="a", name="domain", value="unknown", by="model"),
            Label(problem_id="a", name="rating", value="6.5", by="model"),
            Label(problem_id="b", name="pass_rate", value="1/4", by="small", evidence="small"),
            Label(problem_id="b", name="pass_rate", value="0/1", by="source", evidence="large"),
            Label(problem_id="nobody", name="domain", value="11", by="model"),
        ],
    )
    assert found.rows["domain"].to_list() == ["51", ""]
    assert found.rows["rating"].to_list() == [6.5, None]
    assert found.attempts.rows() == [(1, "large", 0, 1), (1, "small", 1, 4)]


def test_traces_are_numbered_in_their_order_with_verdicts_and_faults() -> None:
    responses = [
        response("k1", "a", finish=Finish.LENGTH),
        response("k2", "b", 3),
        response("k3", "a", 70_000),
        response("k4", "gone"),
    ]
    grades = [grade("k1", "a", Verdict.CUT_OFF), grade("k3", "a", Verdict.WRONG)]
    found = measure([problem("a"), problem("b", APPLES)], graded(responses, grades))
    assert found.traces.rows() == [
        (0, 0, "k1", 100, "cut_off"),
        (0, 1, "k3", 70_000, "wrong"),
        (1, 0, "k2", 3, ""),
    ]
    reasons = [(row, trace, reason) for row, trace, reason, _ in found.faults.rows() if trace >= 0]
    assert reasons == [(0, 0, "cut_off"), (0, 1, "wrong_answer")], "bounds on length are decided, not measured"


class Marked(str):
    """A text that can be watched."""

    __slots__ = ("__weakref__",)


def test_traces_stream_one_batch_at_a_time() -> None:
    """No more than a batch of responses is alive at once: each is gone before the next batch is made."""
    alive: list[int] = []
    made: list[weakref.ref[Marked]] = []

    def many() -> Iterator[tuple[Response, Grade | None]]:
        for place in range(2_000):
            thinking = Marked(f"Let me think about {place}.")
            made.append(weakref.ref(thinking))
            answer = response(f"k{place}", "a", thinking=thinking)
            del thinking
            if place % 500 == 0:
                alive.append(sum(item() is not None for item in made))
            yield answer, None
            del answer

    assert len(measure([problem("a")], many()).traces) == 2_000
    assert max(alive) <= 501


def test_overlaps_name_the_item_and_what_is_shared_in_questions_and_in_traces() -> None:
    bench = Against(name="bench", ids=("x", "y"), questions=(TRAINS, APPLES), answers=("16:00", "12"))
    quoting = response("k1", "b", thinking=f"A similar question: {APPLES} There the answer was twelve.")
    plain = [
        problem("a", f"Solve this. {TRAINS}"),
        problem("b", "How many primes are there between 10 and 30, both left out?"),
    ]
    found = measure(plain, [(quoting, None)], against=[bench], comparing=Comparing(traces=True))
    assert [row[:5] for row in found.overlaps.rows()] == [
        (0, "", "bench", "x", "contained"),
        (1, "k1", "bench", "y", "quoted_in_trace"),
    ]
    assert "travels 240 miles" in found.overlaps["span"][0]
    without = measure(plain, [(quoting, None)], against=[bench])
    assert without.overlaps["row"].to_list() == [0]


def test_edges_join_copies_and_near_copies_with_what_they_share() -> None:
    found = measure([
        problem("a", TRAINS),
        problem("b", APPLES),
        problem("c", TRAINS.upper()),
        problem("d", TRAINS.replace("Turin", "Milan at last")),
    ])  # fmt: skip
    assert [(a, b, reason) for a, b, _, reason, _ in found.edges.rows()] == [
        (0, 2, "whole_question"),
        (0, 3, "ngram_overlap"),
    ]
    assert found.edges["span"][1] == TRAINS.removesuffix(" Turin?")


def test_edges_say_where_answers_are_the_same_and_tell_something() -> None:
    other = TRAINS.replace("Turin", "Milan at last")
    cases = {("16", "16.0"): "answer_aware", ("7", "7"): "ngram_overlap", ("16", "17"): "ngram_overlap"}
    for answers, reason in cases.items():
        found = measure([problem("a", reference=answers[0]), problem("b", other, reference=answers[1])])
        assert found.edges["reason"].to_list() == [reason], answers


def test_what_is_measured_is_decided_without_a_text() -> None:
    found = measure([problem("a", TRAINS), problem("b", TRAINS), problem("c", APPLES)])
    rules = Rules(sampler=SAMPLERS["all"], need=frozenset(), need_correct=False)
    decisions = decide(found, rules, 1)
    assert sorted(decisions.picks) == [0, 2]


def test_no_problems_make_empty_measures() -> None:
    found = measure([])
    assert all(table.is_empty() for table in found.tables().values())


def test_lengths_that_a_tokenizer_counted_go_before_those_of_the_responses() -> None:
    counted = Label(problem_id="a", name="trace_tokens", value="70", by="Qwen", evidence="response r1")
    found = measure([problem("a")], [(response("r1", "a", 100), None), (response("r2", "a", 90), None)], [counted])
    assert found.traces["tokens"].to_list() == [70, 90]


@pytest.mark.parametrize(("name", "value"), [("pass_rate", "1"), ("pass_rate", "3/2"), ("trace_tokens", "long")])
def test_a_label_that_cannot_be_read_is_named(name: str, value: str) -> None:
    label = Label(problem_id="a", name=name, value=value, by="somebody", evidence="response r1")
    with pytest.raises(DataError, match=f"label {name} of a by somebody"):
        measure([problem("a")], labels=[label])
