"""Faults of responses as training traces, and loops."""

import gzip
import json
from pathlib import Path

import pytest

from thinkscale.curation.quality import (
    DEFAULT_TRACE_RULES,
    TraceLimits,
    repetition_loop,
    response_faults,
    trace_rule_names,
)
from thinkscale.curation.quality.loops import stated_twice
from thinkscale.errors import ConfigError
from thinkscale.records import Finish, Grade, Response, Role, Sampling, Verdict

CHINESE = "我们先看这个问题, 设函数的值为所求, 然后我们计算它的和, 所以答案是二."
LANGUAGE = ("thinking_in_other_language",)
ANSWER = ("answer_only_in_thinking",)


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


def grade(verdict: Verdict, extracted: str | None = None) -> Grade:
    return Grade(
        response_key="k",
        problem_id="p",
        grader="rules",
        verdict=verdict,
        extracted=extracted,
        tier="numeric",
        evidence="3 against 2",
    )


def test_a_good_response_has_no_fault() -> None:
    assert response_faults(response(), grade(Verdict.CORRECT)) == []
    assert response_faults(response(), None) == []
    assert response_faults(response(), grade(Verdict.CORRECT, "2"), rules=trace_rule_names()) == []


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


def test_only_the_rules_that_are_asked_for_speak() -> None:
    short = response(thinking_tokens=1, finish=Finish.LENGTH)
    assert [fault.reason for fault in response_faults(short, None, rules=("too_short",))] == ["too_short"]
    assert response_faults(response(finish=Finish.ERROR), None, rules=("too_short",)) == []
    with pytest.raises(ConfigError, match="no trace rule is called too_small"):
        response_faults(short, None, rules=("too_small",))


def test_two_rules_are_options() -> None:
    assert set(trace_rule_names()) - DEFAULT_TRACE_RULES == {*LANGUAGE, *ANSWER}


def test_thinking_in_another_language_than_the_question_is_shown_with_its_share() -> None:
    question = "Find the value of the sum."
    (fault,) = response_faults(response(CHINESE), None, rules=LANGUAGE, question=question)
    assert fault == (LANGUAGE[0], "thinks in zh (15.5 of 15.5 words), asked in en")
    assert response_faults(response(CHINESE), None, rules=LANGUAGE, question=CHINESE) == []
    assert response_faults(response(), None, rules=LANGUAGE, question=question) == []
    assert response_faults(response("$x=2$"), None, rules=LANGUAGE, question=question) == []
    assert response_faults(response(CHINESE), None, rules=LANGUAGE) == []


def test_an_answer_that_stands_in_the_thinking_only_is_a_fault() -> None:
    silent = response(thinking=r"So x is 12, that is \boxed{12}.", answer="As shown above.")
    (fault,) = response_faults(silent, grade(Verdict.CORRECT, "12"), rules=ANSWER)
    assert fault == (ANSWER[0], "12: in the thinking only; the final text ends 'As shown above.'")
    spaced = response(answer=r"The set is \{1, 2\}.")
    assert response_faults(spaced, grade(Verdict.CORRECT, r"\{1,2\}"), rules=ANSWER) == []
    assert response_faults(silent, None, rules=ANSWER) == []
    joined = response(answer=r"So \boxed{1} and \boxed{2}")
    assert response_faults(joined, grade(Verdict.CORRECT, "1, 2"), rules=ANSWER) == []


def test_a_loop_at_the_end_is_found_with_its_unit_and_count() -> None:
    unit = "Wait, let me check the sum again. "
    loop = repetition_loop("Some honest work first. " * 2 + "It is 12. " + unit * 20 + "Wait, let me")
    assert loop is not None
    assert loop[1] >= 20
    assert sorted(loop[0]) == sorted(unit)
    faults = response_faults(response(thinking="It is 12. " + unit * 20), None)
    assert [fault.reason for fault in faults] == ["repetition_loop"]


@pytest.mark.parametrize("length", [300, 301, 400, 7_999, 20_000])
def test_a_single_letter_repeated_is_a_loop(length: int) -> None:
    assert repetition_loop("The value is 1." + "0" * length + "\n") == ("0", min(length, 8_000))


@pytest.mark.parametrize(("unit_length", "repeats"), [(60, 5), (61, 5), (75, 4), (1_600, 5), (1_599, 5)])
def test_a_loop_has_300_characters_and_five_repeats(unit_length: int, repeats: int) -> None:
    unit = "".join(chr(0x4E00 + number) for number in range(unit_length))
    loop = repetition_loop("Before. " + unit * repeats)
    assert (loop is not None) == (repeats >= 5)
    assert loop is None or loop == (unit, 5)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "aaaa",
        "0" * 299,
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


def test_a_question_that_begins_anew_states_itself_twice() -> None:
    question = "How many ordered pairs (x, y) of positive integers have the sum 7? "
    assert len(question) == 67
    assert stated_twice(question * 2) == question
    assert stated_twice(f"{question * 2}Answer with a number.") == question
    assert stated_twice(question + question[:45]) == question[:45]
    assert stated_twice(question + question[:44] + "!") is None
    assert stated_twice(question + question[:39]) is None
    assert stated_twice(question) is None


def test_real_traces_that_loop_are_found(data_folder: Path) -> None:
    def loops(file: str, column: str) -> list[str]:
        with gzip.open(data_folder / "traces" / file, "rt", encoding="utf-8") as lines:
            found = [repetition_loop(json.loads(line).get(column) or "") for line in lines]
        return [loop[0] for loop in found if loop]

    assert loops("limo_r1_distill_qwen32b.jsonl.gz", "solution") == []
    assert set(loops("lrm_token_economy_traces.jsonl.gz", "thinking")) == {" Thinking..."}
    assert len(loops("math500_pilot_r1_and_distills.jsonl.gz", "full_response")) == 1
