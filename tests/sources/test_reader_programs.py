"""Rows of programming sets, and of the pools for reinforcement learning, become problems. The texts are ours."""

import json
from pathlib import Path

import pytest

from tests.sources.test_readers import one, problems
from thinkscale.keys import JSON
from thinkscale.records import Kind


def test_usaco(tmp_path: Path) -> None:
    row = {
        "id": "1_bronze_cows", "question": "Count cows.", "difficulty": "gold",
        "input_output": '{"inputs": ["1\\n"], "outputs": ["2\\n"]}',
    }  # fmt: skip
    found = one(tmp_path, "usaco", row)
    assert (found.question, found.level, found.kind) == ("Count cows.", 3, Kind.CODE)
    assert json.loads(found.tests or "") == {"inputs": ["1\n"], "outputs": ["2\n"]}
    assert found.extra == {"difficulty": "gold"}


def test_livecodebench(tmp_path: Path) -> None:
    row = {
        "question_title": "t", "question_content": "Add two.", "platform": "leetcode", "question_id": "abc",
        "contest_id": "c", "contest_date": "2023", "starter_code": "class Solution:\n    def add(self): ",
        "difficulty": "hard", "public_test_cases": '[{"input": "1", "output": "2", "testtype": "functional"}]',
        "private_test_cases": "[]", "metadata": '{"func_name": "add"}',
    }  # fmt: skip
    rows = [row, {**row, "difficulty": "medium", "question_id": "x"}]
    (found,) = problems(tmp_path, "livecodebench", rows, "test.jsonl")
    assert (found.id, found.kind, found.level) == ("abc", Kind.CODE, 3)
    assert found.question.startswith("Add two.\n\nBegin with this code:\n```python\nclass Solution:")
    assert json.loads(found.tests or "")["func_name"] == "add"


@pytest.mark.parametrize(
    ("name", "difficulty", "level"),
    [("apps", "interview", 2), ("taco", "VERY_HARD", 5), ("taco", "UNKNOWN_DIFFICULTY", None)],
)
def test_apps_and_taco(tmp_path: Path, name: str, difficulty: str, level: int | None) -> None:
    row: dict[str, JSON] = {
        "problem_id": 3, "question": "Double it.", "solutions": '["print(1)", "print(2)"]', "starter_code": "",
        "input_output": '{"inputs": ["1"], "outputs": ["2"]}', "difficulty": difficulty, "source": "codechef",
    }  # fmt: skip
    found = one(tmp_path, name, row)
    assert (found.solution, found.extra["num_solutions"], found.level) == ("print(1)", 2, level)
    assert (found.kind, found.source, found.extra["origin"]) == (Kind.CODE, name, "codechef")
    assert found.extra["difficulty"] == difficulty


def test_gsm8k(tmp_path: Path) -> None:
    found = one(tmp_path, "gsm8k", {"question": "How much?", "answer": "Add <<1000+1=1001>>.\n#### 1,001"})
    assert (found.reference, found.solution) == ("1001", "Add <<1000+1=1001>>.\n#### 1,001")


def test_dapo_takes_the_prompt_off_the_question_and_one_of_each_copy(tmp_path: Path) -> None:
    asked = (
        "Solve the following math problem step by step. The last line of your response should be of the form Answer: "
        "$Answer (without quotes) where $Answer is the answer to the problem.\n\nFind $x$.\n\n"
        'Remember to put your answer on its own line after "Answer:".'
    )
    row = {
        "data_source": "math_dapo", "prompt": [{"content": asked, "role": "user"}], "ability": "MATH",
        "reward_model": {"ground_truth": "34", "style": "rule-lighteval/MATH_v2"}, "extra_info": {"index": "uuid-1"},
    }  # fmt: skip
    (found,) = problems(tmp_path, "dapo", [row, row, row])
    assert (found.id, found.question, found.reference, found.extra) == ("uuid-1", "Find $x$.", "34", {})


def test_deepscaler(tmp_path: Path) -> None:
    found = one(tmp_path, "deepscaler", {"problem": "Find $x$.", "answer": "-1", "solution": "So."})
    assert (found.reference, found.solution, found.kind) == ("-1", "So.", Kind.MATH)
