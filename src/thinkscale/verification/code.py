"""Grading programs: finds the program, runs the tests in a sandbox one by one, stops at the first that fails.

A grader holds one warm sandbox. Expected outputs stay in this process, and test code runs in a sandbox that the
program never sees. Limits count processor time, so verdicts do not depend on how busy the machine is; a test that
waited too long is `Unsettled` and is graded again with `grade_alone`, when nothing else runs beside it.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from types import TracebackType
from typing import Self, cast

from thinkscale.grading.code.programs import Found, assembled, call_path, find_program
from thinkscale.grading.code.shapes import read_suite
from thinkscale.grading.code.suites import CallTest, CheckTest, StreamTest, Test, Unreadable
from thinkscale.grading.code.verdict import (
    Ran,
    Unsettled,
    after,
    passed,
    without_program,
    without_running,
    without_tests,
)
from thinkscale.grading.execution import Ending, Execution, Limits
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.records import Problem
from thinkscale.sandbox.inside.wire import WireError
from thinkscale.sandbox.isolation import Isolation
from thinkscale.sandbox.programs import Program, Sandbox, from_wire

ALONE = 3.0
"""Wall time of a test that has the machine to itself, as a multiple of the usual limit."""

suite_of = lru_cache(maxsize=8)(read_suite)
"""Many responses to one problem come one after the other, and its tests can be megabytes of JSON."""


class CodeGrader:
    """Grades programs one after the other; one for each worker process. A context manager: it ends its sandbox."""

    def __init__(self, isolation: Isolation, limits: Limits | None = None) -> None:
        self.limits = limits or Limits()
        self._sandbox = Sandbox(isolation, self.limits)

    def __enter__(self) -> Self:
        self._sandbox.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sandbox.__exit__(kind, error, trace)

    def grade(self, problem: Problem, answer_text: str) -> Judgement | Unsettled:
        """The verdict on the program in `answer_text`, or Unsettled where a test met its limit of wall time."""
        return self._grade(problem, answer_text, self.limits, None)

    def grade_alone(self, problem: Problem, answer_text: str) -> Judgement:
        """As `grade`, when nothing else runs: three times the wall time, and who waits longer than that is wrong."""
        limits = replace(self.limits, wall_seconds=ALONE * self.limits.wall_seconds)
        judgement = self._grade(problem, answer_text, limits, limits.wall_seconds)
        assert isinstance(judgement, Judgement)
        return judgement

    def _grade(self, problem: Problem, answer_text: str, limits: Limits, waited: float | None) -> Judgement | Unsettled:
        suite = suite_of(problem.tests)
        if isinstance(suite, Unreadable):
            return without_tests(suite)
        found = find_program(answer_text, suite.wanted)
        if not isinstance(found, Found):
            return without_program(found)
        with self._sandbox.open(assembled(suite.preamble, found)) as program:
            if program.error is not None:
                return without_running(program.error, found, waited)
            target = call_path(found.source, suite.entry)
            for number, test in enumerate(suite.tests, 1):
                verdict = after(_run(program, number, test, target, suite.context, limits), suite, found, waited)
                if verdict is not None:
                    return verdict
        return passed(suite, found)


def _run(program: Program, number: int, test: Test, target: str, context: str, limits: Limits) -> Ran:
    match test:
        case StreamTest(stdin=stdin):
            return Ran(number=number, test=test, execution=program.run(stdin.encode("utf-8", "surrogatepass"), limits))
        case CallTest(arguments=arguments):
            execution = program.call(target, cast("Sequence[JSON]", arguments), limits=limits)
            return Ran(number=number, test=test, execution=execution, value=_value(execution))
        case CheckTest(code=code, entry=entry, candidates=candidates):
            names = (target,) if entry else candidates
            execution = program.check(code, entry=entry, candidates=names, context=context, limits=limits)
            return Ran(number=number, test=test, execution=execution)


def _value(execution: Execution) -> object:
    """What a call returned. What cannot be read equals nothing: the program made it so."""
    if execution.ending is not Ending.FINISHED:
        return None
    try:
        return from_wire(execution.value)
    except WireError:
        return object()
