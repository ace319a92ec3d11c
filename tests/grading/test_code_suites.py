"""Every shape of tests becomes a suite, or says why not."""

import ast
import json
from pathlib import Path
from typing import Any

import pytest

from thinkscale.grading.code.leetcode import PREAMBLE
from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import CallTest, CheckTest, StreamTest, Suite, Test, Unreadable

ROWS = [json.loads(line) for line in (Path(__file__).parent / "code_suites.jsonl").read_text().splitlines()]
READABLE = [pytest.param(row, id=row["name"]) for row in ROWS if "reason" not in row]
OTHERS = [pytest.param(row, id=row["name"]) for row in ROWS if "reason" in row]


def stated(row: dict[str, Any]) -> tuple[Test, ...]:
    """The tests that a row of the table expects; arguments are Python literals, since JSON has no integer keys."""
    if "check" in row:
        return (CheckTest(code=row["check"], entry=row["calls"], candidates=tuple(row["candidates"])),)
    return tuple(
        StreamTest(stdin=given, expected=expected[0])
        if kind == "stream"
        else CallTest(arguments=tuple(ast.literal_eval(given)), expected=tuple(expected[0]))
        for kind, given, *expected in row["expect"]
    )


def text_of(tests: object) -> str:
    return tests if isinstance(tests, str) else json.dumps(tests)


@pytest.mark.parametrize("row", READABLE)
def test_a_shape_becomes_a_suite(row: dict[str, Any]) -> None:
    suite = read_suite(text_of(row["tests"]))
    assert isinstance(suite, Suite)
    assert suite.tests == stated(row)
    assert suite.entry == row.get("entry", "")
    if "opening" in row:
        assert (bool(suite.opening), suite.preamble) == (row["opening"], row["preamble"])


@pytest.mark.parametrize("row", OTHERS)
def test_what_is_no_suite_says_why(row: dict[str, Any]) -> None:
    suite = read_suite(text_of(row["tests"]))
    assert isinstance(suite, Unreadable)
    assert row["reason"] in suite.reason
    assert len(suite.reason) <= 400


def test_no_tests_at_all() -> None:
    assert read_suite(None) == Unreadable(reason="the problem has no tests")


def test_what_leetcode_gives_runs_and_builds_lists_and_trees() -> None:
    names: dict[str, Any] = {"__name__": "preamble"}
    exec(compile(PREAMBLE, "preamble.py", "exec"), names)
    assert names["pow"](2, -1, 7) == 4
    assert names["inf"] > 10**400
    items, tree = names["list_node"]([1, 2, 3]), names["tree_node"]([1, None, 2, 3])
    assert (items.val, items.next.next.val, items.next.next.next) == (1, 3, None)
    assert (tree.left, tree.right.val, tree.right.left.val, tree.right.right) == (None, 2, 3, None)
    assert names["is_same_list"](items, names["list_node"]([1, 2, 3]))
    assert not names["is_same_list"](items, names["list_node"]([1, 2]))
    assert names["is_same_tree"](tree, names["tree_node"]([1, None, 2, 3]))
    assert not names["is_same_tree"](tree, names["tree_node"]([1, 2, None, 3]))
    assert names["list_node"]([]) is None
    assert names["tree_node"]([]) is None
