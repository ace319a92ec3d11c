"""Questions with numbers, answers by number, and the second try."""

from thinkscale.curation.questionnaire import Faulty, Unreadable, answers, excerpt, line_value, user_text


def test_questions_stand_in_the_users_turn_with_their_numbers() -> None:
    assert user_text(["What is 1 + 1?", "Why?"]) == (
        '<question id="1">\nWhat is 1 + 1?\n</question>\n<question id="2">\nWhy?\n</question>'
    )


def test_a_second_try_repeats_the_question_and_shows_the_answer_with_its_error() -> None:
    text = user_text(["Why?"], Faulty("It is 11.", "there is no line `Domain: ...`"))
    assert text.startswith(user_text(["Why?"]))
    assert "You said:\n<answer>\nIt is 11.\n</answer>\nThis could not be read: there is no line `Domain: ...`." in text
    assert "You said nothing." in user_text(["Why?"], Faulty("", "there is no line"))
    assert len(user_text(["Why?"], Faulty("x" * 100_000, "too long"))) < 1_000


def test_the_answer_to_one_question_is_the_whole_text_with_or_without_its_header() -> None:
    assert answers("Domain: 11", 1) == ["Domain: 11"]
    assert answers("Question 1\nDomain: 11", 1) == ["Domain: 11"]


def test_answers_to_several_are_told_apart_by_their_numbers_in_any_order() -> None:
    text = "Here they are.\n**Question 2**\nB\nQuestion 1:\nA\nstill A\n## question 3\nC"
    assert answers(text, 3) == ["A\nstill A", "B", "C"]


def test_an_answer_that_is_missing_or_twice_there_is_unreadable() -> None:
    found = answers("Question 1\nA\nQuestion 3\nC\nQuestion 3\nD\nQuestion 9\nZ", 3)
    assert found == [
        "A",
        Unreadable("question 2 is not answered"),
        Unreadable("question 3 is answered twice"),
    ]


def test_a_line_is_found_under_marks_and_two_that_differ_are_not_guessed_between() -> None:
    assert line_value("> **Level:** 3 ", "Level") == "3"
    assert line_value("Level: 3\nlevel : 3", "Level") == "3"
    assert line_value("Level: 3\nLevel: 4", "Level") == Unreadable("there are 2 different lines `Level: ...`")
    assert line_value("The Level: 3", "Level") == Unreadable("there is no line `Level: ...`")


def test_evidence_is_short_and_on_one_line() -> None:
    assert Faulty("no\n  idea", "no line").evidence == "no line; it said: no idea"
    assert Faulty("", "no line").evidence == "no line; it said: (nothing)"
    assert excerpt("a " * 500) == "a " * 100 + "..."
