"""Checks: the test's code in one sandbox, the program in another."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from tests.sandbox.tables import cases, name
from thinkscale.grading.execution import Ending, Execution
from thinkscale.sandbox import checks
from thinkscale.sandbox.programs import Sandbox


def check(
    sandbox: Sandbox, program: str, test: str, candidates: Sequence[str] = ("f",), entry: str = "", context: str = ""
) -> Execution:
    with sandbox.open(program) as opened:
        limits = replace(sandbox.limits, cpu_seconds=0.3, wall_seconds=10.0)
        return opened.check(test, entry=entry, candidates=candidates, context=context, limits=limits)


@pytest.mark.parametrize("case", cases("checks.jsonl"), ids=name)
def test_tests_of_every_shape_judge_the_program(sandbox: Sandbox, case: dict[str, Any]) -> None:
    ran = check(sandbox, case["program"], case["test"], case["candidates"], case["entry"], case["context"])
    assert ran.ending == case["ending"], ran


def test_a_failed_check_says_where_and_what_it_was_given(sandbox: Sandbox) -> None:
    failed = check(sandbox, "def f(x): return x ** 3", "x = 1\nassert f(2) == 4")
    assert failed.detail == "line 2 of the test, assert f(2) == 4: AssertionError: ; the last call gave 8"
    assert "ZeroDivisionError" in check(sandbox, "def f(x): return x / 0", "f(1)").detail


def test_a_generator_without_end_is_not_waited_for(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MAX_ASKS", 200)
    assert check(sandbox, "def f():\n    while True: yield 1", "list(f())").ending is Ending.OUTPUT


@pytest.mark.parametrize("case", cases("lies.jsonl"), ids=name)
@pytest.mark.parametrize("test", ["assert f(1) == 7", "assert not f(1) != 7", "assert f(1) in [7]", "assert 7 == f(1)"])
def test_what_claims_to_be_equal_is_not(sandbox: Sandbox, case: dict[str, str], test: str) -> None:
    assert check(sandbox, case["program"], test).ending is Ending.FAILED_CHECK


@pytest.mark.parametrize("test", ["assert f()", "assert f() is True", "assert not not f()", "assert bool(f())"])
def test_an_object_of_the_program_is_not_true(sandbox: Sandbox, test: str) -> None:
    program = "class L:\n    def __bool__(self): return True\ndef f(): return L()"
    assert check(sandbox, program, test).ending is Ending.FAILED_CHECK


SEARCH = """
import gc, os, sys
def everything():
    frame = sys._getframe()
    while frame:
        yield frame.f_locals
        yield frame.f_globals
        yield frame.f_code.co_consts
        frame = frame.f_back
    yield gc.get_objects()
    yield list(sys.modules.values())
    yield [getattr(m, '__dict__', None) for m in sys.modules.values()]
def f(x):
    found = [text for part in everything() for text in [repr(part)] if '235791468'[::-1] in text]
    for fd in range(3, 64):
        try:
            found += [1 for data in [os.pread(fd, 1 << 16, 0)] if b'235791468'[::-1] in data]
        except OSError:
            pass
    return len(found)
"""


def test_a_program_cannot_find_what_is_expected(sandbox: Sandbox) -> None:
    test = "expected = 864197532\ndef check(candidate):\n    assert candidate(1) == 0, 864197532"
    ran = check(sandbox, SEARCH, test, entry="check", context="answer = 864197532")
    assert ran.ending is Ending.FINISHED, ran
    where_it_is = check(sandbox, SEARCH + "secret = 864197532", test, entry="check")
    assert where_it_is.ending is Ending.FAILED_CHECK


@pytest.mark.parametrize("case", cases("dying_in_checks.jsonl"), ids=lambda case: case["program"])
def test_a_program_that_dies_in_a_check_fails_by_its_own_ending(sandbox: Sandbox, case: dict[str, str]) -> None:
    ran = check(sandbox, case["program"], "try:\n    assert f(1) == 1\nexcept KeyError:\n    pass")
    assert ran.ending == case["ending"], ran
