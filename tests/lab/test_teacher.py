import random

from thinkscale.lab.chain import option_search, parse_question, results, with_choices
from thinkscale.lab.teacher import final_answer, reply, work
from thinkscale.records import Finish

PROMPT = "Compute 7 a+5 b*3 c-4 modulo 10."
CHOICES = ("5", "2", "0", "8")


def test_without_a_slip_the_work_is_right() -> None:
    question = parse_question(PROMPT)
    assert question is not None
    assert work(random.Random(0), question, (), 0.0) == ("7 a+5=2 b*3=6 c-4=2", 2, False)
    assert final_answer(question, (), 2) == r"Final Answer: \boxed{2}"


def test_a_choice_is_searched_for_and_answered_by_its_letter() -> None:
    question = parse_question("Which is 7 a+5 b*3 c-4 modulo 10?")
    assert question is not None
    assert work(random.Random(0), question, CHOICES, 0.0)[0] == "7 a+5=2 b*3=6 c-4=2 A:5 B:2"
    assert final_answer(question, CHOICES, 2) == r"Final Answer: \boxed{B}"


def test_a_slip_at_every_step_is_carried_forward() -> None:
    question = parse_question(PROMPT)
    assert question is not None
    text, value, slipped = work(random.Random(0), question, (), 1.0)
    assert slipped
    first = int(text.split("=")[1][0])
    assert first in (1, 3)
    assert int(text.split("=")[2][0]) in ((first * 3 - 1) % 10, (first * 3 + 1) % 10)
    assert text.endswith(f"={value}")


def test_the_same_prompt_and_seed_have_the_same_reply() -> None:
    assert reply(PROMPT, 3) == reply(PROMPT, 3)
    assert len({reply(PROMPT, seed).thinking for seed in range(50)}) > 1


def test_faults_come_at_about_their_stated_rates() -> None:
    replies = [reply(PROMPT, seed) for seed in range(2000)]
    errors = [each for each in replies if each.finish is Finish.ERROR]
    cut = [each for each in replies if each.finish is Finish.LENGTH]
    silent = [each for each in replies if each.finish is Finish.END and "boxed" not in each.answer_text]
    assert 8 <= len(errors) <= 35
    assert 20 <= len(cut) <= 65
    assert 8 <= len(silent) <= 35
    assert all(each.error and not each.thinking for each in errors)
    assert all(each.thinking and not each.answer_text for each in cut)


def test_a_checked_answer_is_right_and_an_unchecked_slip_is_wrong() -> None:
    answered = [each for each in (reply(PROMPT, seed) for seed in range(2000)) if "boxed" in each.answer_text]
    checked = [each for each in answered if "\nWait\n" in each.thinking]
    wrong = [each for each in answered if each.answer_text != r"Final Answer: \boxed{2}"]
    assert 0.2 < len(checked) / len(answered) < 0.5
    assert 0.03 < len(wrong) / len(answered) < 0.15
    assert not set(checked) & set(wrong)


def test_a_value_that_no_option_has_is_always_checked() -> None:
    prompt = with_choices("Which is 7 a+5 b*3 c-4 modulo 10?", CHOICES)
    answered = [each for each in (reply(prompt, seed) for seed in range(500)) if "boxed" in each.answer_text]
    assert any("none" in each.thinking for each in answered)
    assert not any(each.thinking.endswith("none") or "none" in each.answer_text for each in answered)


def test_a_prompt_that_holds_no_question_gets_a_refusal() -> None:
    for prompt in ("", "Tell me a story.", "Which is 7 a+5 modulo 10?", "<|im_start|>", "Compute 7 a+5 modulo"):
        replies = [reply(prompt, seed) for seed in range(5)]
        assert all("boxed" not in each.answer_text for each in replies)


def test_the_search_agrees_with_the_result() -> None:
    question = parse_question("Which is 7 a+5 b*3 c-4 modulo 10?")
    assert question is not None
    assert option_search(CHOICES, results(question)[-1])[-1] == "B:2"
