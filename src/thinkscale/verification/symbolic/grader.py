"""Symbolic equality (tier 2) for what the rules leave undecided, in a killable worker.

The worker reads both sides with our own LaTeX reader, and with math-verify's where ours does not do; it compares values
at points and simplifies (worker.py). What it cannot settle stays undecided: a limit that was met, a failure,
a spelling that it does not read. None of these is ever `different`.
"""

from dataclasses import dataclass, replace
from types import TracebackType

from thinkscale.grading.execution import Limits
from thinkscale.grading.math.values import Outcome
from thinkscale.grading.verdicts import MATH_VERDICTS, Judgement
from thinkscale.sandbox.workers import KillableWorker
from thinkscale.sandbox.workers import Outcome as Ending

MODULE = "thinkscale.verification.symbolic.worker"
TIER = "symbolic"
LIMITS = Limits(cpu_seconds=2.0, wall_seconds=10.0, memory_bytes=1 << 30)
ALONE_WALL_FACTOR = 6.0
MAX_CHARACTERS = 2_000
"""Of one side. What is longer is no closed form, and no reader reads it."""
REASONS = {
    Ending.CPU_TIME: "cpu limit",
    Ending.WALL_TIME: "wall limit",
    Ending.MEMORY: "memory limit",
    Ending.DIED: "worker died",
    Ending.FAILED: "worker failed",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SymbolicComparison:
    """An outcome and what it rests on."""

    outcome: Outcome
    evidence: str
    tier: str = TIER
    needs_retry: bool = False
    """The wall limit was met, which the load of the machine may have caused: to be asked again alone."""
    cpu_seconds: float = 0.0


class SymbolicGrader:
    """Compares one pair at a time; its worker starts with the first."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._alone = replace(limits, wall_seconds=limits.wall_seconds * ALONE_WALL_FACTOR)
        self._worker = KillableWorker(MODULE, limits)
        self.num_asked = 0
        self.cpu_seconds = 0.0
        """Of the worker, over all that it was asked."""

    def __enter__(self) -> "SymbolicGrader":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    def compare(self, answer: str, reference: str, alone: bool = False) -> SymbolicComparison:
        """Whether `answer` equals `reference`. Never raises. `alone`: nothing else runs, and it may wait longer."""
        if max(len(answer), len(reference)) > MAX_CHARACTERS:
            return SymbolicComparison(outcome=Outcome.UNDECIDED, evidence=f"over {MAX_CHARACTERS} characters")
        limits = self._alone if alone else self._limits
        reply = self._worker.ask({"answer": answer, "reference": reference}, limits)
        self.num_asked += 1
        self.cpu_seconds += reply.cpu_seconds
        if reply.outcome is not Ending.ANSWERED:
            return SymbolicComparison(
                outcome=Outcome.UNDECIDED,
                evidence=f"{REASONS[reply.outcome]}: {reply.detail}",
                needs_retry=reply.outcome is Ending.WALL_TIME and not alone,
                cpu_seconds=reply.cpu_seconds,
            )
        assert isinstance(reply.value, dict)
        return SymbolicComparison(
            outcome=Outcome(str(reply.value["outcome"])),
            evidence=str(reply.value["evidence"]),
            cpu_seconds=reply.cpu_seconds,
        )

    def decide(self, judgement: Judgement, reference: str, alone: bool = False) -> Judgement:
        """The judgement that the rules left undecided, decided where symbols can; else it says why they could not.

        It is not settled where the wall limit was met and `alone` was not said.
        """
        found = self.compare(judgement.extracted or "", reference, alone)
        if found.outcome is Outcome.UNDECIDED:
            evidence = f"{judgement.evidence}; {TIER}: {found.evidence}"
            return replace(judgement, evidence=evidence, settled=not found.needs_retry)
        return replace(
            judgement,
            verdict=MATH_VERDICTS[found.outcome],
            tier=TIER,
            evidence=f"{judgement.evidence}; {found.evidence}",
        )
