"""Prompt templates: what the model sees, their keys, and that the grader reads what they ask for."""

import json

import pytest

from thinkscale.errors import ConfigError
from thinkscale.records import Kind, Problem
from thinkscale.thinking.prompts import (
    PLAIN,
    TEMPLATES,
    PromptTemplate,
    check_template,
    find_template,
    user_turn,
    wanted_program,
)

MATH = Problem(id="1", source="s", question="How much is {options} + 1?", reference="2")
CHOICE = Problem(id="2", source="s", question="Which?", choices=("x", "y"), reference="B", kind=Kind.CHOICE)


def code(tests: object) -> Problem:
    return Problem(id="3", source="s", question="Do it.", kind=Kind.CODE, tests=json.dumps(tests))


def test_the_plain_template_is_the_bare_question_with_its_options() -> None:
    assert PLAIN.render(MATH) == MATH.question
    assert PLAIN.render(CHOICE) == "Which?\n\nA) x\nB) y"


@pytest.mark.parametrize(
    ("name", "problem", "expected"),
    [
        ("boxed", MATH, "How much is {options} + 1?\n\nPut the final answer within \\boxed{}."),
        ("boxed_first", MATH, "Put the final answer within \\boxed{}. How much is {options} + 1?"),
        ("boxed_letter", CHOICE, "Which?\n\nA) x\nB) y\n\nPut the letter of the right option within \\boxed{}."),
    ],
)
def test_places_are_filled_once_and_braces_stay(name: str, problem: Problem, expected: str) -> None:
    assert TEMPLATES[name].render(problem) == expected


@pytest.mark.parametrize(
    ("tests", "expected"),
    [
        ({"inputs": ["1\n"], "outputs": ["2\n"]}, "reads standard input"),
        ({"inputs": [[1]], "outputs": [2], "fn_name": "add"}, "defines `add`"),
        ({"prompt": 'def f(x):\n    """Add."""\n', "test": "def check(c):\n    assert c(1)", "entry_point": "f"},
         "Complete this function"),
        ({"test_list": ["assert add(1) == 2"]}, "passes these tests. Put all of it in one ```python block.\n\nassert"),
    ],
)  # fmt: skip
def test_a_program_is_asked_for_as_its_tests_use_it(tests: object, expected: str) -> None:
    asked = TEMPLATES["program"].render(code(tests))
    assert asked.startswith("Do it.\n\n")
    assert expected in asked


def test_unreadable_tests_ask_for_nothing() -> None:
    assert wanted_program("{") == ""


@pytest.mark.parametrize(("name", "kind"), [(name, kind) for name, item in TEMPLATES.items() for kind in item.kinds])
def test_the_grader_of_a_kind_reads_what_its_templates_ask_for(name: str, kind: Kind) -> None:
    check_template(TEMPLATES[name], kind)


@pytest.mark.parametrize(
    ("text", "answer", "kind", "message"),
    [
        ("{qestion}", "", Kind.MATH, "must hold {question} once"),
        ("{question}{question}", "", Kind.MATH, "must hold {question} once"),
        ("{question}", "", Kind.CHOICE, "need {options}"),
        ("{question}", "My guess would be {answer}, more or less", Kind.MATH, "cannot read an answer"),
        ("{question}{options}", "[[{answer}]]", Kind.CHOICE, "cannot read an answer"),
        ("{question}", "\\boxed{}", Kind.MATH, "cannot read an answer"),
        ("{question}", "The answer is 42.", Kind.MATH, "cannot read an answer"),
    ],
)
def test_a_template_that_no_grader_reads_is_refused(text: str, answer: str, kind: Kind, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_template(PromptTemplate(name="mine", text=text, answer=answer), kind)


def test_a_template_of_ones_own_may_say_it_in_its_own_way() -> None:
    mine = PromptTemplate(name="mine", text="{question}\nEnd with: The answer is X.", answer="The answer is {answer}.")
    check_template(mine, Kind.MATH)
    assert find_template("mine", {"mine": mine}) is mine
    with pytest.raises(ConfigError, match=r"no prompt template 'theirs'; there are plain, boxed, .*mine"):
        find_template("theirs", {"mine": mine})


def test_a_key_is_of_the_text_and_not_of_the_name() -> None:
    boxed = TEMPLATES["boxed"]
    assert PromptTemplate(name="other", text=boxed.text).key == boxed.key
    assert PromptTemplate(name="boxed", text=boxed.text + " ").key != boxed.key
    assert PromptTemplate(name="boxed", text=boxed.text, system="Hello").key != boxed.key
    assert len({item.key for item in TEMPLATES.values()}) == len(TEMPLATES)


def test_a_user_turn_ends_with_the_suffix_and_begins_with_the_system() -> None:
    (asked,) = user_turn(MATH, suffix="Think briefly.", template=TEMPLATES["boxed_first"])
    assert asked.content.splitlines()[-1] == "Think briefly."
    system, _ = user_turn(MATH, template=PromptTemplate(name="mine", text="{question}", system="You are calm."))
    assert (system.role, system.content) == ("system", "You are calm.")
    told, _ = user_turn(MATH, system_prompt="boxed")
    assert told.content.startswith("Reason step by step")
