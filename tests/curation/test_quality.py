"""Faults of questions and of responses."""

import pytest

from thinkscale.curation.quality import QUESTION_RULES, TraceLimits, question_faults, repetition_loop, response_faults
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Role, Sampling, Verdict

POSITIVES = [(rule.reason, text) for rule in QUESTION_RULES for text in rule.positives]
NEGATIVES = [text for rule in QUESTION_RULES for text in rule.negatives]


def problem(question: str = "What is 1+1?", reference: str | None = "2", kind: Kind = Kind.MATH) -> Problem:
    return Problem(id="p", source="test", question=question, reference=reference, kind=kind)


def response(
    thinking: str = "Let me add them. " * 3,
    answer: str = r"\boxed{2}",
    finish: Finish = Finish.END,
    thinking_tokens: int = 100,
) -> Response:
    return Response(
        key="k",
        role=Role.TEACHER,
        problem_id="p",
        model="m",
        sample=0,
        thinking=thinking,
        answer_text=answer,
        thinking_tokens=thinking_tokens,
        answer_tokens=5,
        finish=finish,
        error="503" if finish is Finish.ERROR else None,
        sampling=Sampling(max_tokens=10),
    )


def grade(verdict: Verdict) -> Grade:
    return Grade(
        response_key="k", problem_id="p", grader="rules", verdict=verdict, tier="numeric", evidence="3 against 2"
    )


@pytest.mark.parametrize(("reason", "text"), POSITIVES)
def test_each_rule_finds_its_positive_examples(reason: str, text: str) -> None:
    faults = question_faults(problem(text))
    assert reason in [fault.reason for fault in faults]
    assert all(fault.evidence for fault in faults)


@pytest.mark.parametrize("text", NEGATIVES)
def test_no_rule_finds_a_negative_example(text: str) -> None:
    assert question_faults(problem(text)) == []


def test_a_missing_reference_is_a_fault_where_one_is_needed() -> None:
    assert [fault.reason for fault in question_faults(problem(reference=" "))] == ["no_reference"]
    assert [fault.reason for fault in question_faults(problem(reference=None, kind=Kind.CODE))] == ["no_reference"]
    assert question_faults(problem(reference=None, kind=Kind.OPEN)) == []


def test_a_good_response_has_no_fault() -> None:
    assert response_faults(response(), grade(Verdict.CORRECT)) == []
    assert response_faults(response(), None) == []


@pytest.mark.parametrize(
    ("verdict", "reason"),
    [(Verdict.WRONG, "wrong_answer"), (Verdict.NO_ANSWER, "no_answer"), (Verdict.UNGRADABLE, "ungradable")],
)
def test_a_verdict_other_than_correct_is_a_fault(verdict: Verdict, reason: str) -> None:
    (fault,) = response_faults(response(), grade(verdict))
    assert fault == (reason, "numeric: 3 against 2")


def test_a_cut_response_is_one_fault() -> None:
    faults = response_faults(response(finish=Finish.LENGTH), grade(Verdict.CUT_OFF))
    assert [fault.reason for fault in faults] == ["cut_off"]


def test_an_engine_error_is_the_only_fault_of_its_response() -> None:
    faults = response_faults(response(thinking="", finish=Finish.ERROR), grade(Verdict.UNGRADABLE))
    assert faults == [("engine_error", "503")]


def test_the_length_of_the_thinking_is_bounded_on_both_sides() -> None:
    limits = TraceLimits(min_tokens=10, max_tokens=20)
    reasons = {
        tokens: [fault.reason for fault in response_faults(response(thinking_tokens=tokens), None, limits)]
        for tokens in (9, 10, 20, 21)
    }
    assert reasons == {9: ["too_short"], 10: [], 20: [], 21: ["too_long"]}


def test_empty_thinking_is_not_also_too_short() -> None:
    faults = response_faults(response(thinking=" \n", thinking_tokens=0), None)
    assert [fault.reason for fault in faults] == ["empty_thinking"]


def test_a_loop_at_the_end_is_found_with_its_unit_and_count() -> None:
    unit = "Wait, let me check the sum again. "
    loop = repetition_loop("Some honest work first. " * 2 + "It is 12. " + unit * 20 + "Wait, let me")
    assert loop is not None
    assert loop[1] >= 20
    assert sorted(loop[0]) == sorted(unit)
    faults = response_faults(response(thinking="It is 12. " + unit * 20), None)
    assert [fault.reason for fault in faults] == ["repetition_loop"]


def test_a_single_letter_repeated_is_a_loop() -> None:
    assert repetition_loop("The value is 0." + "0" * 400) == ("0", 400)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aaaa",
        "Wait, let me check. " * 4,
        " ".join(f"Step {i}: add {i} to get {i * (i + 1) // 2}." for i in range(200)),
        "0" * 400 + " was a long run of zeros, and now the trace goes on to its end.",
    ],
)
def test_a_trace_that_does_not_end_in_a_loop_is_left_alone(text: str) -> None:
    assert repetition_loop(text) is None


def test_a_long_loop_is_found_in_linear_time() -> None:
    unit = "".join(f"Line {i} of a long unit. " for i in range(60))
    loop = repetition_loop(unit * 1_000)
    assert loop is not None
    assert len(loop[0]) == len(unit)
