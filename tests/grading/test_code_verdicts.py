"""From an execution to a verdict: each ending, for each kind of test. Nothing is run."""

import pytest

from thinkscale.grading.code.programs import Found, Missing
from thinkscale.grading.code.suites import CallTest, CheckTest, StreamTest, Suite, Test, Unreadable
from thinkscale.grading.code.verdict import (
    Ran,
    Unsettled,
    after,
    passed,
    without_program,
    without_running,
    without_tests,
)
from thinkscale.grading.execution import Ending, Execution
from thinkscale.grading.verdicts import Judgement
from thinkscale.records import Verdict

PROGRAM = Found(source="print(3)\n", rule="writes")
TESTS: list[Test] = [
    StreamTest(stdin="", expected="3\n"),
    CallTest(arguments=(), expected=(3,)),
    CheckTest(code="assert f() == 3", entry="", candidates=("f",)),
]
UNDECIDED = (Ending.BROKEN_TEST, Ending.SANDBOX)


def ran(test: Test, ending: Ending, stdout: bytes = b"3\n", value: object = 3, detail: str = "") -> Ran:
    execution = Execution(ending=ending, stdout=stdout, detail=detail, cpu_seconds=0.25)
    return Ran(number=2, test=test, execution=execution, value=value)


def suite_of(test: Test) -> Suite:
    return Suite(tests=(test, test, test))


@pytest.mark.parametrize("test", TESTS)
def test_a_test_that_passes_decides_nothing_yet(test: Test) -> None:
    assert after(ran(test, Ending.FINISHED), suite_of(test), PROGRAM) is None


@pytest.mark.parametrize("test", TESTS)
@pytest.mark.parametrize("ending", [ending for ending in Ending if ending not in (Ending.FINISHED, Ending.WALL_TIME)])
def test_every_other_ending_decides_whatever_was_written(test: Test, ending: Ending) -> None:
    found = after(ran(test, ending, detail="Traceback\n  line\nValueError: no"), suite_of(test), PROGRAM)
    assert isinstance(found, Judgement)
    assert found.verdict is (Verdict.UNGRADABLE if ending in UNDECIDED else Verdict.WRONG)
    assert found.evidence.startswith("writes; test 2 of 3 ")
    assert found.evidence.endswith(": ValueError: no")
    assert found.extracted == PROGRAM.source


@pytest.mark.parametrize("test", TESTS)
def test_wall_time_counts_only_when_alone(test: Test) -> None:
    waited = ran(test, Ending.WALL_TIME)
    assert isinstance(after(waited, suite_of(test), PROGRAM), Unsettled)
    found = after(waited, suite_of(test), PROGRAM, waited_seconds=60.0)
    assert isinstance(found, Judgement)
    assert found.verdict is Verdict.WRONG
    assert found.evidence.endswith("waited 60 s of wall time with 0.25 s of processor time")


@pytest.mark.parametrize(
    ("test", "stdout", "value", "evidence"),
    [
        (TESTS[0], b"4\n", None, "test 2 of 3: line 1: expected '3', got '4'"),
        (TESTS[0], b"\xff\n", None, "expected '3', got '\ufffd'"),
        (TESTS[1], b"3\n", 4, "test 2 of 3: expected 3, got 4"),
        (TESTS[1], b"3\n", None, "expected 3, got None"),
        (TESTS[1], b"3\n", True, "expected 3, got True"),
        (TESTS[1], b"3\n", "3", "expected 3, got '3'"),
    ],
)
def test_a_wrong_result_says_what_was_expected(test: Test, stdout: bytes, value: object, evidence: str) -> None:
    found = after(ran(test, Ending.FINISHED, stdout, value), suite_of(test), PROGRAM)
    assert isinstance(found, Judgement)
    assert found.verdict is Verdict.WRONG
    assert evidence in found.evidence


def test_any_of_the_expected_values_will_do() -> None:
    test = CallTest(arguments=(), expected=([3], 3))
    assert after(ran(test, Ending.FINISHED, value=[3]), suite_of(test), PROGRAM) is None
    assert after(ran(test, Ending.FINISHED, value=3), suite_of(test), PROGRAM) is None
    assert after(ran(test, Ending.FINISHED, value=[[3]]), suite_of(test), PROGRAM) is not None


@pytest.mark.parametrize("ending", [ending for ending in Ending if ending is not Ending.FINISHED])
def test_a_program_that_cannot_be_prepared(ending: Ending) -> None:
    found = without_running(Execution(ending=ending, detail="SyntaxError: no"), PROGRAM)
    if ending is Ending.WALL_TIME:
        assert isinstance(found, Unsettled)
        found = without_running(Execution(ending=ending), PROGRAM, waited_seconds=60.0)
    assert isinstance(found, Judgement)
    assert found.verdict is (Verdict.UNGRADABLE if ending in UNDECIDED else Verdict.WRONG)


def test_what_is_decided_without_an_execution() -> None:
    assert without_program(Missing()).verdict is Verdict.NO_ANSWER
    assert without_program(Missing(language="c++")).verdict is Verdict.UNGRADABLE
    assert without_tests(Unreadable(reason="no tests")).verdict is Verdict.UNGRADABLE
    assert passed(suite_of(TESTS[0]), PROGRAM).evidence == "writes; all 3 tests passed"
    with pytest.raises(ValueError, match="shows nothing"):
        passed(Suite(tests=()), PROGRAM)


def test_evidence_is_short_however_long_the_outputs_are() -> None:
    test = StreamTest(stdin="", expected="x" * 10_000)
    found = after(ran(test, Ending.FINISHED, stdout=b"y" * 10_000), suite_of(test), PROGRAM)
    assert isinstance(found, Judgement)
    assert len(found.evidence) < 300
    long = after(ran(test, Ending.EXCEPTION, detail="E" * 10_000), suite_of(test), PROGRAM)
    assert isinstance(long, Judgement)
    assert len(long.evidence) <= 600
