"""Graders of other tools, for audits and benchmarks: each reads the whole text of a response, as it does at home.

`math_verify` and `sympy` run in a killable worker (peer_worker.py), since neither bounds itself and math-verify hands
parts of a text to eval(). They know equal and not equal only: what they cannot read is `wrong` with them. Where one
meets a limit here, the verdict is `ungradable`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import TracebackType

from thinkscale.grading.execution import Limits
from thinkscale.grading.verdicts import Judgement
from thinkscale.keys import JSON
from thinkscale.records import Verdict
from thinkscale.sandbox.workers import KillableWorker, Outcome, Reply

MODULE = "thinkscale.verification.peer_worker"
LIMITS = Limits(cpu_seconds=20.0, wall_seconds=60.0, memory_bytes=2 << 30)
"""Above math-verify's own timeouts, 5 s for each of three steps, so that those act as they do at home."""
ALONE_WALL_FACTOR = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """A grader of another tool. `in_worker` says whether it needs a worker."""

    description: str
    in_worker: bool = True


PEERS: Mapping[str, Peer] = {
    "math_verify": Peer(description="math-verify as its README uses it: parse both with the defaults, then verify"),
    "sympy": Peer(description="a plain sympy grader: the last box, latex2sympy, simplify(a - b) == 0"),
    "string": Peer(
        description="the last box, or else the text, is the reference character by character", in_worker=False
    ),
}


def last_box(text: str) -> str | None:
    r"""The content of the last \boxed{}, as the graders of MATH find it (hendrycks/math, math_equivalence)."""
    start = text.rfind("\\boxed{")
    depth = 0
    for position in range(start + len("\\boxed"), len(text)) if start >= 0 else ():
        depth += (text[position] == "{") - (text[position] == "}")
        if depth == 0:
            return text[start + len("\\boxed{") : position]
    return None


class PeerGraders:
    """Asks peers, one response at a time; the worker starts with the first that needs it."""

    def __init__(self, limits: Limits = LIMITS) -> None:
        self._alone = replace(limits, wall_seconds=limits.wall_seconds * ALONE_WALL_FACTOR)
        self._limits = limits
        self._worker = KillableWorker(MODULE, limits)

    def __enter__(self) -> "PeerGraders":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._worker.close()

    def judge(self, name: str, text: str, reference: str, alone: bool = False) -> Judgement:
        """The peer's judgement of the response `text`. Raises KeyError on a name that is not in PEERS."""
        if not PEERS[name].in_worker:
            box = last_box(text)
            return _judgement(name, (text if box is None else box).strip() == reference.strip())
        reply = self._worker.ask({"peer": name, "rows": [[text, reference]]}, self._alone if alone else self._limits)
        if reply.outcome is Outcome.ANSWERED:
            (row,) = _rows(reply)
            return _judgement(name, bool(row[0]))
        return Judgement(
            verdict=Verdict.UNGRADABLE,
            tier=name,
            evidence=f"{reply.outcome}: {reply.detail}",
            settled=alone or reply.outcome is not Outcome.WALL_TIME,
        )

    def judge_many(self, name: str, rows: list[tuple[str, str]], limits: Limits) -> list[tuple[bool, float]] | None:
        """Equal or not and the CPU seconds of each (text, reference), made in one process after another as at home.

        None where the process met a limit. For benchmarks.
        """
        body: JSON = {"peer": name, "rows": [[text, reference] for text, reference in rows]}
        reply = self._worker.ask(body, limits)
        if reply.outcome is not Outcome.ANSWERED:
            return None
        return [(bool(row[0]), float(row[1])) for row in _rows(reply)]


def _rows(reply: Reply) -> list[tuple[bool, float]]:
    assert isinstance(reply.value, list)
    return [(bool(row[0]), float(str(row[1]))) for row in reply.value if isinstance(row, list)]


def _judgement(name: str, equal: bool) -> Judgement:
    return Judgement(verdict=Verdict.CORRECT if equal else Verdict.WRONG, tier=name)
