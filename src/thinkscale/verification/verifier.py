"""The verifier: the verdict on a response by whatever it takes, and the same one at any load.

The ladder, each step asked only where the one before could not decide:

1. rules (grading/): pure, a fraction of a millisecond; also what needs no reading (cut off, no answer).
2. mathematics that the rules leave undecided: symbolic equality in a killable worker (symbolic/).
   Problems with tests: the program in a sandbox (code.py).
3. a judge, where the caller has one (judge.py); it works on many rows at once, so it follows behind.

Limits count CPU time, which does not depend on what else runs. Where something waited too long by the wall clock, the
verdict is not settled: the row is done once more, alone, and that verdict stands. What fails on the grader's side is
`ungradable` with its reason, never `wrong`.

Rejected: handing every row to each tier and voting (thirty times the time, and a vote of wrong graders is no better),
and one pool of threads (the rules share one core, and a signal-based timeout works in no thread).
"""

from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType

from thinkscale.errors import ThinkscaleError
from thinkscale.grading.code.verdict import Unsettled
from thinkscale.grading.execution import Limits
from thinkscale.grading.verdicts import Judgement, grade_of, judge_by_rules, without_reading
from thinkscale.records import Grade, Kind, Problem, Response, Verdict
from thinkscale.sandbox.isolation import find_isolation
from thinkscale.verification.code import CodeGrader
from thinkscale.verification.symbolic.grader import SymbolicGrader

GRADER = "verifier"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifierSettings:
    """What the verifier may use. Only `isolation` says how, and changes no verdict."""

    symbolic: bool = True
    last_number: bool = False
    """Take the last number of a text that gives no answer in any other way."""
    limits: Limits = field(default_factory=Limits)
    """Of one execution of a program."""
    isolation: str | None = None
    """What keeps programs in: the best there is, or the one of this name."""


class Verifier:
    """Judges one response at a time; opens a symbolic worker or a sandbox when the first row needs it."""

    def __init__(self, settings: VerifierSettings) -> None:
        self._settings = settings
        self._opened = ExitStack()
        self._symbolic: SymbolicGrader | None = None
        self._code: CodeGrader | None = None

    def __enter__(self) -> "Verifier":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._opened.close()

    def judge(self, problem: Problem, response: Response, alone: bool = False) -> Judgement:
        """The judgement, which may not be settled unless `alone`.

        Never raises on any text; raises SandboxError where a program cannot be run here.
        """
        try:
            return self._judge(problem, response, alone)
        except ThinkscaleError:
            raise
        except Exception as error:  # noqa: BLE001 (a fault of ours must neither stop a million rows nor be `wrong`)
            evidence = f"the grader failed: {type(error).__name__}: {error}"
            return Judgement(verdict=Verdict.UNGRADABLE, tier="failure", evidence=evidence)

    def grade(self, problem: Problem, response: Response) -> Grade:
        """The grade that stands, for a caller that grades as it goes."""
        judgement = self.judge(problem, response)
        if not judgement.settled:
            judgement = self.judge(problem, response, alone=True)
        return grade_of(response, judgement, GRADER)

    def _judge(self, problem: Problem, response: Response, alone: bool) -> Judgement:
        if problem.kind is Kind.CODE:
            return without_reading(problem, response) or self._run(problem, response, alone)
        judgement = judge_by_rules(problem, response, last_number=self._settings.last_number)
        if judgement.undecided and self._settings.symbolic:
            return self._by_symbols(problem, judgement, alone)
        return judgement

    def _by_symbols(self, problem: Problem, judgement: Judgement, alone: bool) -> Judgement:
        if self._symbolic is None:
            self._symbolic = self._opened.enter_context(SymbolicGrader())
        return self._symbolic.decide(judgement, problem.reference or "", alone)

    def _run(self, problem: Problem, response: Response, alone: bool) -> Judgement:
        if self._code is None:
            isolation = find_isolation(self._settings.isolation)
            self._code = self._opened.enter_context(CodeGrader(isolation, self._settings.limits))
        if alone:
            return self._code.grade_alone(problem, response.answer_text)
        found = self._code.grade(problem, response.answer_text)
        if isinstance(found, Unsettled):
            return Judgement(verdict=Verdict.UNGRADABLE, tier="tests", evidence=found.evidence, settled=False)
        return found
