import pytest

from thinkscale.lab.chain import (
    Question,
    Step,
    answer_of,
    option_search,
    parse_choices,
    parse_question,
    results,
    text_of,
    with_choices,
)


def step(text: str) -> Step:
    return Step(label=text[0], operation=text[1], operand=int(text[2]))


def question(family: str, chain: str, radicand: int | None = None) -> Question:
    start, *steps = chain.split()
    return Question(family=family, start=int(start), steps=tuple(map(step, steps)), radicand=radicand)


@pytest.mark.parametrize(
    ("chain", "values"),
    [
        ("7 a+5 b*3 c-4", (2, 6, 2)),
        ("0 a-1 b*9 c+9", (9, 1, 0)),
        ("5 a*7 b*7", (5, 5)),
    ],
)
def test_values_worked_by_hand(chain: str, values: tuple[int, ...]) -> None:
    assert results(question("numeric", chain)) == values


def test_a_question_reads_as_documented() -> None:
    assert text_of(question("numeric", "7 a+5 b*3")) == "Compute 7 a+5 b*3 modulo 10."
    assert text_of(question("closed", "7 a+5 b*3", 3)) == r"Times \sqrt{3}: compute 7 a+5 b*3 modulo 10."
    assert text_of(question("choice", "7 a+5 b*3")) == "Which is 7 a+5 b*3 modulo 10?"


@pytest.mark.parametrize(("family", "radicand"), [("numeric", None), ("closed", 6), ("choice", None)])
def test_a_question_is_read_back_from_its_text_in_any_case_and_spacing(family: str, radicand: int | None) -> None:
    asked = question(family, "7 a+5 b*3 c-4", radicand)
    assert parse_question(text_of(asked)) == asked
    assert parse_question(f"Exercise. {text_of(asked).upper().replace(' ', '  ')}") == asked


@pytest.mark.parametrize("text", ["", "How are you?", "Compute 7 modulo 10.", "Compute 7 a+5 b*3 modulo 11."])
def test_what_is_no_question_of_ours_is_not_read(text: str) -> None:
    assert parse_question(text) is None


def test_options_are_read_back_and_searched_in_order() -> None:
    choices = ("5", "2", "0", "8")
    assert parse_choices(with_choices("Which is 7 a+5 modulo 10?", choices)) == choices
    assert option_search(choices, 2) == ("A:5", "B:2")
    assert option_search(choices, 1) == ("A:5", "B:2", "C:0", "D:8", "none")


def test_a_closed_form_keeps_its_root() -> None:
    assert answer_of(question("closed", "7 a+9", 3), 6) == r"6\sqrt{3}"
