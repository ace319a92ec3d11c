"""Programs are found, suites read, and outputs compared as the tables say."""

import json
import math
import random
import time
from pathlib import Path
from typing import Any

import pytest

from thinkscale.grading.code.fences import MAX_CHARACTERS, blocks, parse
from thinkscale.grading.code.outputs import first_difference, same_value
from thinkscale.grading.code.programs import Found, Missing, Wanted, assembled, call_path, find_program
from thinkscale.keys import JSON

FOLDER = Path(__file__).parent


def table(name: str) -> list[Any]:
    """The cases of a table, each with its name as the test's id."""
    rows = [json.loads(line) for line in (FOLDER / name).read_text(encoding="utf-8").splitlines()]
    return [pytest.param(row, id=row["name"]) for row in rows]


@pytest.mark.parametrize("case", table("code_programs.jsonl"))
def test_the_program_is_found_by_its_rule(case: dict[str, str]) -> None:
    found = find_program(case["text"], Wanted(entry=case.get("entry", ""), opening=case.get("opening", "")))
    if "missing" in case:
        assert found == Missing(language=case["missing"])
    else:
        assert found == Found(source=case["source"], rule=case["rule"])


@pytest.mark.parametrize("case", table("code_outputs.jsonl"))
def test_outputs_are_compared_line_by_line(case: dict[str, Any]) -> None:
    assert (first_difference(case["expected"], case["got"]) is None) is case["same"]


@pytest.mark.parametrize("case", table("code_values.jsonl"))
def test_values_are_compared_by_pythons_equality(case: dict[str, Any]) -> None:
    got = eval(case["got"])
    assert same_value(case["expected"], got) is case["same"]


def test_a_difference_names_the_first_line_that_departs() -> None:
    assert first_difference("1\n2\n3", "1\n5\n") == "line 2: expected '2', got '5'"
    assert first_difference("1\n2", "1") == "1 lines, expected 2; the next would be '2'"
    assert first_difference("1", "1\n\n7") == "3 lines, expected 1; the first too many is ''"
    assert len(str(first_difference("x" * 1000, "y" * 1000))) < 250


def test_an_object_that_claims_to_equal_everything_equals_nothing() -> None:
    class Liar:
        def __eq__(self, other: object) -> bool:
            return True

        __hash__ = None  # type: ignore[assignment]

    expected: list[JSON] = [1, "1", None, [1], {"a": 1}, True, math.nan]
    assert not any(same_value(value, Liar()) for value in expected)


@pytest.mark.parametrize(
    "text",
    [
        "```python\n" + "(" * 100_000 + "\n```",
        "```python\n" + "x = " + "-" * 100_000 + "1\n```",
        "```python\n" + "if a: pass\n" + "elif a: pass\n" * 5_000 + "```",
        "```python\na" + ".b" * 50_000 + "\n```",
        "```" * 50_000,
        "```python\n" * 20_000,
        "```\n" * 40_000,
        '```python\n"""\n' * 5_000,
        "def f():\n" * 20_000,
        "`" * 400_000,
        "\n" * 300_000 + "```python\nprint(1)\n```",
        " " * 300_000,
        "x" * 1_000_000,
        "\x00\ud800" * 10_000,
        "```\nx" + "\n" * 100_000 + "(\n```",
        "```\n" + "\n#\n \n" * 50_000 + "(\n```",
        "\n" * 100_000 + "(",
        "```\n" + "f(" * 50_000 + "\n```",
        "```\n" + "a, " * 50_000 + "\n```",
    ],
)
@pytest.mark.timeout(20)
def test_hostile_text_is_searched_in_bounded_time(text: str) -> None:
    for wanted in (Wanted(), Wanted(entry="f"), Wanted(entry="f", opening="def f():\n")):
        assert isinstance(find_program(text, wanted), Found | Missing)


def test_mutated_responses_are_searched_in_bounded_time() -> None:
    pieces = [
        "```",
        "```python\n",
        "~~~",
        "\n" * 60,
        "'''",
        '"""',
        "def f(",
        "(",
        "[",
        "\\",
        "\x00",
        "\ud800",
        "    ",
        "\t",
    ]
    pieces += [
        "if x:\n",
        "match x:\n case",
        "f'{",
        "lambda:",
        "class Solution:",
        "@" * 40,
        "#",
        "*" * 30,
        "async ",
        "->",
        "\r",
    ]
    texts = [param.values[0]["text"] for param in table("code_programs.jsonl")]
    choose = random.Random(3)
    for _ in range(1_000):
        text = choose.choice(texts)
        for _ in range(choose.randint(1, 12)):
            start = choose.randint(0, len(text))
            text = text[:start] + choose.choice(pieces) + text[start + choose.randint(0, 8) :]
        began = time.process_time()
        for wanted in (Wanted(), Wanted(entry="solve", opening="def solve(a):\n")):
            found = find_program(text, wanted)
            if isinstance(found, Found):
                assembled("import math\n", found)
                call_path(found.source, "solve")
        assert time.process_time() - began < 1, text


def test_only_the_end_of_a_text_is_searched() -> None:
    assert blocks("```python\nprint(1)\n```\n" + "x\n" * MAX_CHARACTERS) == []


def test_what_a_program_may_rely_on_comes_first_but_after_future_imports() -> None:
    program = Found(source="'''Doc.'''\nfrom __future__ import annotations\nprint(List)\n", rule="reads")
    source = assembled("from typing import List\n", program)
    assert parse(source) is not None
    compile(source, "main.py", "exec")
    assert source.startswith("from __future__ import annotations\nfrom typing import List")
    completion = Found(source="def f():\n    return 1\n", rule="completion")
    assert assembled("from typing import List\n", completion) == completion.source


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("def f(): pass", "f"),
        ("class Solution:\n    def f(self): pass", "Solution().f"),
        ("class Base:\n    def f(self): pass\nclass Solution(Base): pass", "Solution().f"),
        ("class Solution:\n    def g(self): pass\ndef f(): pass", "f"),
        ("class Solution:\n    def f(self): pass\ndef f(): pass", "Solution().f"),
        ("class Other:\n    def f(self): pass", "f"),
        ("syntax error", "f"),
    ],
)
def test_an_entry_is_a_function_or_a_method_of_solution(source: str, path: str) -> None:
    assert call_path(source, "f") == path
