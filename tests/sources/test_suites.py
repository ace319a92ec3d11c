"""Columns of foreign rows become the tests of a program problem."""

import base64
import json
import pickle
import zlib
from typing import Any

import pytest

from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import CallTest, StreamTest, Suite
from thinkscale.keys import JSON
from thinkscale.records import Kind, Problem
from thinkscale.sources.problems import Malformed, parse_problem

CASES = [{"input": "3", "output": "4", "testtype": "functional"}]


def packed(value: object) -> str:
    """As LiveCodeBench packs private tests."""
    return base64.b64encode(zlib.compress(pickle.dumps(value))).decode()


@pytest.mark.parametrize(
    ("row", "tests", "extra"),
    [
        ({"question": "q", "tests": {"inputs": ["1"], "outputs": ["2"]}}, '{"inputs":["1"],"outputs":["2"]}', {}),
        ({"question": "q", "tests": ["assert f() == 1"]}, '["assert f() == 1"]', {}),
        ({"question": "q", "tests": '{"outputs": ["2"], "inputs": ["1"]}'}, '{"inputs":["1"],"outputs":["2"]}', {}),
        ({"question": "q", "tests": "assert f() == 1"}, "assert f() == 1", {}),
        ({"question": "q", "tests": '{"inputs": [NaN]}'}, '{"inputs": [NaN]}', {}),
        ({"question": "q", "tests": '["\\ud800"]'}, '["\\ud800"]', {}),
        ({"question": "q", "input_output": '{"inputs": []}', "starter_code": "x"},
         '{"inputs":[]}', {"starter_code": "x"}),
        ({"question": "q", "input_output": {"fn_name": "f"}}, '{"fn_name":"f"}', {}),
        ({"prompt": "q", "test": "t", "entry_point": "f"}, '{"entry_point":"f","prompt":"q","test":"t"}', {}),
        ({"text": "q", "code": "c", "test_list": ["t"]}, '{"test_list":["t"]}', {}),
        (
            {"description": "q", "public_tests": {"input": []}, "generated_tests": {"input": []}, "difficulty": 7},
            '{"generated_tests":{"input":[]},"public_tests":{"input":[]}}',
            {"difficulty": 7},
        ),
    ],
)  # fmt: skip
def test_columns_of_known_data_sets_are_the_tests(row: dict[str, Any], tests: str, extra: dict[str, Any]) -> None:
    problem = parse_problem(row, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.question, problem.kind, problem.tests, problem.extra) == ("q", Kind.CODE, tests, extra)


def test_names_of_code_data_sets_are_read_only_beside_tests() -> None:
    row: dict[str, JSON] = {"text": "q", "code": "c", "task_id": 11, "test_list": ["assert f() == 1"]}
    problem = parse_problem(row, "s", {})
    assert isinstance(problem, Problem)
    assert (problem.id, problem.solution) == ("11", "c")
    without = parse_problem({"question": "q", "code": "c", "task_id": 11}, "s", {})
    assert isinstance(without, Problem)
    assert (without.kind, without.solution, without.extra) == (Kind.MATH, None, {"code": "c", "task_id": 11})


@pytest.mark.parametrize("row", [{"test": "a test of patience"}, {"tests": ""}, {"tests": None}, {"test_list": None}])
def test_other_rows_stay_what_they_were(row: dict[str, Any]) -> None:
    problem = parse_problem({"question": "q", **row}, "s", {})
    assert isinstance(problem, Problem)
    assert problem.kind is Kind.MATH


def test_a_kind_that_is_stated_wins() -> None:
    problem = parse_problem({"question": "q", "kind": "open", "tests": ["assert f() == 1"]}, "s", {})
    assert isinstance(problem, Problem)
    assert problem.kind is Kind.OPEN


@pytest.mark.parametrize("private", [packed(json.dumps(CASES)), packed(CASES), json.dumps(CASES)])
def test_private_tests_of_livecodebench_are_unpacked(private: str) -> None:
    row = {
        "question_content": "q",
        "question_id": "abc_1",
        "public_test_cases": '[{"input": "1\\n[2]", "output": "3", "testtype": "functional"}]',
        "private_test_cases": private,
        "metadata": '{"func_name": "f"}',
        "starter_code": "class Solution:\n    def f(self, a):\n        ",
    }
    problem = parse_problem(row, "lcb", {})
    assert isinstance(problem, Problem)
    assert (problem.id, problem.kind) == ("abc_1", Kind.CODE)
    suite = read_suite(problem.tests)
    assert isinstance(suite, Suite)
    assert suite.entry == "f"
    assert suite.tests == (CallTest(arguments=(1, [2]), expected=(3,)), CallTest(arguments=(3,), expected=(4,)))


def test_tests_of_livecodebench_on_standard_input() -> None:
    cases = [{"input": "1\n", "output": "2\n", "testtype": "stdin"}]
    row: dict[str, Any] = {
        "question": "q",
        "public_test_cases": cases,
        "private_test_cases": packed(json.dumps(cases)),
        "metadata": "{}",
    }
    problem = parse_problem(row, "lcb", {})
    assert isinstance(problem, Problem)
    suite = read_suite(problem.tests)
    assert isinstance(suite, Suite)
    assert suite.tests == (StreamTest(stdin="1\n", expected="2\n"),) * 2


class Attack:
    """Runs a command when a naive unpickler loads it."""

    def __reduce__(self) -> tuple[object, tuple[str]]:
        import os

        return os.system, ("exit 1",)


@pytest.mark.parametrize(
    ("private", "reason"),
    [
        (packed(Attack()), "it asks for posix.system"),
        (packed({1, 2}.__class__), "it asks for builtins.set"),
        (packed("not JSON"), "cannot be unpacked"),
        (packed("{}"), "not a list"),
        ("%%%", "cannot be unpacked"),
        (base64.b64encode(b"no zlib").decode(), "cannot be unpacked"),
        (base64.b64encode(zlib.compress(b"no pickle")).decode(), "cannot be unpacked"),
        (base64.b64encode(zlib.compress(pickle.dumps("x" * 5000))[:-5]).decode(), "cut short"),
    ],
)
def test_private_tests_that_cannot_be_unpacked_are_refused(private: str, reason: str) -> None:
    row = {"question": "q", "public_test_cases": "[]", "private_test_cases": private}
    found = parse_problem(row, "lcb", {})
    assert isinstance(found, Malformed)
    assert found.reason == "unreadable_tests"
    assert reason in found.detail
