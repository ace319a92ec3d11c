"""The verdict on a program, from executions that are handed in. Nothing is run here.

- All tests passed: `correct`.
- The program failed a test in whatever way (wrong output, exception, exit status, compile error, a limit): `wrong`.
  The evidence names the first test that failed, how it ended, and what was expected.
- The test itself is broken, the sandbox failed, or the tests cannot be read: `ungradable`.
- A test that met its limit of wall time decides nothing yet (`Unsettled`): the machine may have been busy. Tried again
  alone, it is `wrong`.
- No program in the response: `no_answer`; a program in another language: `ungradable`, for it may be right.

A result is one of these by its `Ending`, which is an enum: there is no number or list whose truth could be mistaken.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.grading.code.outputs import first_difference, same_value, shown
from thinkscale.grading.code.programs import Found, Missing
from thinkscale.grading.code.suites import CallTest, CheckTest, StreamTest, Suite, Test, Unreadable
from thinkscale.grading.execution import Ending, Execution
from thinkscale.grading.verdicts import Judgement
from thinkscale.records import Verdict

TIER = "tests"
MAX_EVIDENCE_CHARACTERS = 600

ENDINGS: Mapping[Ending, str] = {
    Ending.COMPILE_ERROR: "does not compile",
    Ending.EXCEPTION: "raised",
    Ending.EXIT: "left early",
    Ending.FAILED_CHECK: "failed the check",
    Ending.CPU_TIME: "met the limit of processor time",
    Ending.WALL_TIME: "met the limit of wall time",
    Ending.MEMORY: "met the limit of memory",
    Ending.OUTPUT: "met the limit of output",
    Ending.SIGNAL: "was killed by a signal",
    Ending.BROKEN_TEST: "the test itself is broken",
    Ending.SANDBOX: "the sandbox failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsettled:
    """A test met its limit of wall time: to be graded again alone. Then, and only then, it counts."""

    evidence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """One test with what came of it. `value` is what a call returned, as plain Python data."""

    number: int
    test: Test
    execution: Execution
    value: object = None


def without_program(missing: Missing) -> Judgement:
    """The verdict on a response in which no program was found."""
    if missing.language:
        evidence = f"the program is in {missing.language!r:.40}, only Python is run"
        return Judgement(verdict=Verdict.UNGRADABLE, tier="extraction", evidence=evidence)
    return Judgement(verdict=Verdict.NO_ANSWER, tier="extraction", evidence="no code block, and the text is no program")


def without_tests(unreadable: Unreadable) -> Judgement:
    """The verdict where a problem's tests cannot be used."""
    return Judgement(verdict=Verdict.UNGRADABLE, tier=TIER, evidence=unreadable.reason[:MAX_EVIDENCE_CHARACTERS])


def after(ran: Ran, suite: Suite, program: Found, waited_seconds: float | None = None) -> Judgement | Unsettled | None:
    """What one execution decides; None where the test passed and the next is to be run.

    `waited_seconds` is the limit of wall time of an execution that had the machine to itself: its end is final.
    """
    execution = ran.execution
    where = f"test {ran.number} of {len(suite.tests)}"
    if execution.ending is Ending.FINISHED:
        fault = _fault(ran)
        return None if fault is None else _judgement(Verdict.WRONG, program, f"{where}: {fault}")
    evidence = f"{where} {ENDINGS[execution.ending]}{_detail(execution)}"
    if execution.ending is Ending.WALL_TIME:
        if waited_seconds is None:
            return Unsettled(evidence=evidence)
        waited = f"waited {waited_seconds:g} s of wall time with {execution.cpu_seconds:.2f} s of processor time"
        return _judgement(Verdict.WRONG, program, f"{where}: {waited}")
    failed = execution.ending in (Ending.BROKEN_TEST, Ending.SANDBOX)
    return _judgement(Verdict.UNGRADABLE if failed else Verdict.WRONG, program, evidence)


def without_running(error: Execution, program: Found, waited_seconds: float | None = None) -> Judgement | Unsettled:
    """The verdict on a program that could not be prepared: `error` is an execution that did not finish."""
    evidence = f"the program {ENDINGS[error.ending]}{_detail(error)}"
    if error.ending is Ending.WALL_TIME and waited_seconds is None:
        return Unsettled(evidence=evidence)
    failed = error.ending in (Ending.BROKEN_TEST, Ending.SANDBOX)
    return _judgement(Verdict.UNGRADABLE if failed else Verdict.WRONG, program, evidence)


def passed(suite: Suite, program: Found) -> Judgement:
    """The verdict after every test of `suite` passed. Raises ValueError where there is none."""
    if not suite.tests:
        raise ValueError("a suite without tests shows nothing")
    return _judgement(Verdict.CORRECT, program, f"all {len(suite.tests)} tests passed")


def _judgement(verdict: Verdict, program: Found, evidence: str) -> Judgement:
    text = f"{program.rule}; {evidence}"[:MAX_EVIDENCE_CHARACTERS]
    return Judgement(verdict=verdict, extracted=program.source, tier=TIER, evidence=text)


def _fault(ran: Ran) -> str | None:
    """Why a test that ran to its end is not passed."""
    match ran.test:
        case StreamTest(expected=expected):
            return first_difference(expected, ran.execution.stdout.decode(errors="replace"))
        case CallTest(expected=expected):
            if any(same_value(wanted, ran.value) for wanted in expected):
                return None
            return f"expected {shown(expected[0])}, got {shown(ran.value)}"
        case CheckTest():
            return None


def _detail(execution: Execution) -> str:
    """The last line of a traceback says what it was."""
    lines = execution.detail.strip().splitlines()
    return f": {lines[-1].strip()}" if lines else ""
