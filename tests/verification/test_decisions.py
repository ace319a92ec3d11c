"""A person's decisions: strict reading, keyed by content, never overwritten."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import DataError
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.records import Finish, Grade, Kind, Problem, Response, Role, Sampling, Verdict
from thinkscale.verification.decisions import (
    Case,
    case_of,
    case_row,
    load_decisions,
    overridden,
    overridden_judgement,
    write_cases,
)

JUDGEMENTS = {
    "rules": Judgement(verdict=Verdict.UNGRADABLE, extracted="2k", tier="undecided", evidence="free variables"),
    "judge": Judgement(verdict=Verdict.CORRECT, extracted="2k", tier="judge", evidence="m"),
}

RESPONSE = Response(
    key="k",
    role=Role.EVALUATION,
    problem_id="p",
    model="m",
    sample=0,
    thinking="hm",
    answer_text="b",
    thinking_tokens=1,
    answer_tokens=1,
    finish=Finish.END,
    sampling=Sampling(max_tokens=1),
)


def case(answer: str, choices: tuple[str, ...] = ()) -> Case:
    return Case(question="Which even numbers?", reference="2n", answer=answer, choices=choices)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def fill(path: Path, number: int, **values: object) -> None:
    rows = lines(path)
    rows[number] |= values
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def written(path: Path, *answers: str) -> Path:
    write_cases(path, (case_row(str(number), case(answer), JUDGEMENTS) for number, answer in enumerate(answers)))
    return path


def test_a_line_shows_all_that_a_person_needs(tmp_path: Path) -> None:
    (row,) = lines(written(tmp_path / "cases.jsonl", r"It is \boxed{2k}."))
    assert row == {
        "id": "0",
        "question": "Which even numbers?",
        "choices": [],
        "reference": "2n",
        "answer": r"It is \boxed{2k}.",
        "tests_key": None,
        "grades": {
            "rules": {"verdict": "ungradable", "extracted": "2k", "tier": "undecided", "evidence": "free variables"},
            "judge": {"verdict": "correct", "extracted": "2k", "tier": "judge", "evidence": "m"},
        },
        "decision": None,
        "note": "",
    }


def test_a_decision_is_found_by_content_wherever_its_line_moved(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a", "b", "c")
    fill(path, 1, decision="wrong", note=" not even ", id="another")
    path.write_text("".join(reversed(path.read_text(encoding="utf-8").splitlines(keepends=True))), encoding="utf-8")
    decisions = load_decisions(path)
    found = decisions.find(case("b"))
    assert found is not None
    assert (found.verdict, found.note) == (Verdict.WRONG, "not even")
    assert decisions.num_open == 2
    assert decisions.find(case("a")) is None


@pytest.mark.parametrize(
    "other",
    [
        {"answer": "b "},
        {"reference": "2m"},
        {"reference": None},
        {"question": "Which odd numbers?"},
        {"choices": ("x", "y")},
        {"tests_key": "t"},
    ],
)
def test_another_content_is_another_case(tmp_path: Path, other: dict[str, Any]) -> None:
    path = written(tmp_path / "cases.jsonl", "b")
    fill(path, 0, decision="correct")
    decisions = load_decisions(path)
    assert decisions.find(case("b")) is not None
    assert decisions.find(replace(case("b"), **other)) is None


def test_shuffled_options_are_another_case() -> None:
    assert case("B", choices=("x", "y")).key != case("B", choices=("y", "x")).key


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"decision": "Correct"}, "`decision` is 'Correct'; it must be null or one of correct, wrong, no_answer, ungr"),
        ({"decision": "cut_off"}, "`decision` is 'cut_off'"),
        ({"decision": True}, "`decision` is True"),
        ({"decision": ""}, "`decision` is ''"),
        ({"decission": "correct"}, "no column `decission`"),
        ({"note": 5}, "`note` must be a text"),
        ({"question": None}, "`question` must be a text"),
        ({"answer": 4}, "`answer` must be a text"),
        ({"reference": 4}, "`reference` must be a text or null"),
        ({"choices": "A"}, "`choices` must be a list"),
    ],
)
def test_a_line_that_cannot_be_read_is_named(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    path = written(tmp_path / "cases.jsonl", "a", "b")
    fill(path, 1, **change)
    with pytest.raises(DataError, match=r"cases\.jsonl:2: ") as caught:
        load_decisions(path)
    assert message in str(caught.value)


def test_a_line_without_a_decision_column_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a")
    row = lines(path)[0]
    del row["decision"]
    path.write_text(json.dumps(row), encoding="utf-8")
    with pytest.raises(DataError, match="there is no `decision`"):
        load_decisions(path)


def test_two_decisions_on_one_case_must_agree(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a", "b")
    fill(path, 0, decision="correct")
    fill(path, 1, decision="correct", answer="a")
    assert load_decisions(path).find(case("a")) is not None
    fill(path, 1, decision="wrong")
    with pytest.raises(DataError, match=r"cases\.jsonl:2: `decision` is wrong, but .*cases\.jsonl:1 decides"):
        load_decisions(path)


def test_what_a_person_wrote_survives_every_rerun(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a", "b", "c", "d")
    fill(path, 1, decision="wrong", note="no")
    fill(path, 2, note="ask Ada")
    kept = lines(path)[1:3]
    assert [row["answer"] for row in lines(written(path, "e", "b", "a"))] == ["b", "c", "e", "a"]
    assert lines(path)[:2] == kept
    assert [row["answer"] for row in lines(written(path))] == ["b", "c"]


def test_the_same_case_stands_in_the_file_once(tmp_path: Path) -> None:
    assert len(lines(written(tmp_path / "cases.jsonl", "a", "a", "b"))) == 2


def test_a_failure_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a")
    fill(path, 0, decision="correct")
    before = path.read_bytes()

    def failing() -> Iterator[Mapping[str, JSON]]:
        yield case_row("1", case("b"), JUDGEMENTS)
        raise RuntimeError("stopped")

    with pytest.raises(RuntimeError):
        write_cases(path, failing())
    assert path.read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == ["cases.jsonl"]


def test_a_file_with_a_typing_error_is_not_overwritten(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "a", "b")
    fill(path, 0, decision="corect")
    before = path.read_bytes()
    with pytest.raises(DataError, match="corect"):
        written(path, "c")
    assert path.read_bytes() == before


def test_a_person_cannot_fill_in_a_parquet_file(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="must be JSONL"):
        written(tmp_path / "cases.parquet", "a")


def test_broken_unicode_is_a_case_like_any_other(tmp_path: Path) -> None:
    path = written(tmp_path / "cases.jsonl", "\ud800", "\ud801")
    fill(path, 0, decision="no_answer")
    decisions = load_decisions(path)
    found = decisions.find(case("\ud800"))
    assert found is not None
    assert found.verdict is Verdict.NO_ANSWER
    assert decisions.find(case("\ud801")) is None


def test_a_decision_overrides_a_grade_and_says_what_it_replaced(tmp_path: Path) -> None:
    problem = Problem(id="p", source="s", question="Which even numbers?", reference="2n", kind=Kind.MATH)
    grade = Grade(
        response_key="k",
        problem_id="p",
        grader="verifier",
        verdict=Verdict.UNGRADABLE,
        extracted="2k",
        tier="undecided",
    )
    path = written(tmp_path / "cases.jsonl", "b")
    fill(path, 0, decision="correct", note="n is free")
    decided = load_decisions(path).find(case_of(problem, replace(RESPONSE, thinking="other", model="x")))
    assert overridden(grade, decided) == replace(
        grade,
        grader="person",
        tier="person",
        verdict=Verdict.CORRECT,
        evidence="decided by a person: n is free; verifier said ungradable (undecided)",
    )
    assert overridden(grade, None) is grade
    judgement = overridden_judgement(JUDGEMENTS["rules"], decided)
    assert (judgement.verdict, judgement.tier, judgement.extracted) == (Verdict.CORRECT, "person", "2k")
    assert overridden_judgement(JUDGEMENTS["rules"], None) is JUDGEMENTS["rules"]


def test_other_tests_are_another_case() -> None:
    problem = Problem(id="p", source="s", question="q", kind=Kind.CODE, tests='{"inputs": ["1"]}')
    assert case_of(problem, RESPONSE).key != case_of(replace(problem, tests='{"inputs": ["2"]}'), RESPONSE).key
