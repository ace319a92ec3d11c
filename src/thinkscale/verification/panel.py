"""Many responses, one or several graders, any number of processes: a stream of judgements in order.

The first grader's verdict is the headline; the others are there to be compared with it (audit.py).
"""

import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial

from thinkscale.cluster import Job, Work, ordered_map
from thinkscale.errors import ConfigError
from thinkscale.grading.verdicts import Judgement, grade_of, judge_by_rules
from thinkscale.records import Grade, Problem, Response, Verdict
from thinkscale.verification.conventions import CONVENTIONS, judge_by_convention
from thinkscale.verification.peers import PEERS, PeerGraders
from thinkscale.verification.verifier import GRADER, Verifier, VerifierSettings

RECORDED, JUDGE = "recorded", "judge"

GRADERS: Mapping[str, str] = {
    GRADER: "everything below that it takes: rules, then symbols or a sandbox, then a judge where one is given",
    "rules": "tier 1 alone: maths by exact arithmetic, choices by their letter",
    "last_number": "the rules, and where they find no answer the last number of the text, as many harnesses do",
    JUDGE: "a model that decides equivalence (--judge)",
    RECORDED: "the verdict that the file itself states, such as SkyThought's or lm-eval's",
    "s1": "s1's extraction and comparison, without the model that it asks",
    "lm_eval": "lm-evaluation-harness by kind of answer: the last number, the last (X), the spelling of a box",
    **{name: peer.description for name, peer in PEERS.items()},
}
"""Name to what it is; `thinkscale list graders` shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """A response to be judged; `text` is the whole of it, which is what other tools' graders read."""

    problem: Problem
    response: Response
    text: str = ""
    recorded: Verdict | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Opinions:
    """What each grader of a panel says of one submission, in the panel's order. `seconds` is the first one's time."""

    judgements: tuple[Judgement, ...]
    seconds: float

    @property
    def settled(self) -> bool:
        """Whether all of it stands."""
        return all(judgement.settled for judgement in self.judgements)


def check_graders(names: tuple[str, ...]) -> None:
    """Raises ConfigError on a name that is no grader, or one that is there twice."""
    unknown = [name for name in names if name not in GRADERS]
    if unknown:
        raise ConfigError(f"there is no grader {unknown[0]!r}; there are {', '.join(GRADERS)}")
    if len(set(names)) < len(names):
        raise ConfigError(f"a grader is named twice: {', '.join(names)}")


def opinions(
    submissions: Iterable[Submission], names: tuple[str, ...], settings: VerifierSettings, workers: int = 1
) -> Iterator[Opinions]:
    """The judgements of the graders `names` on each submission, streamed in order; the same for any `workers`."""
    job = Job(open_work=partial(_panel, names, settings), settled=_settled, lost=partial(_lost, len(names)))
    return ordered_map(job, submissions, workers)


def verify(items: Iterable[tuple[Problem, Response]], settings: VerifierSettings, workers: int = 1) -> Iterator[Grade]:
    """The verifier's grades of `items`, streamed in order; the same for any number of `workers`."""
    held: deque[Response] = deque()

    def submissions() -> Iterator[Submission]:
        for problem, response in items:
            held.append(response)
            yield Submission(problem=problem, response=response)

    for found in opinions(submissions(), (GRADER,), settings, workers):
        yield grade_of(held.popleft(), found.judgements[0], GRADER)


@contextmanager
def _panel(names: tuple[str, ...], settings: VerifierSettings) -> Iterator[Work[Submission, Opinions]]:
    with ExitStack() as opened:
        verifier = opened.enter_context(Verifier(settings))
        peers = opened.enter_context(PeerGraders())

        def judgement(name: str, item: Submission, alone: bool) -> Judgement:
            if name in PEERS:
                return peers.judge(name, item.text, item.problem.reference or "", alone)
            if name in CONVENTIONS:
                return judge_by_convention(name, item.problem, item.response)
            if name == RECORDED:
                return Judgement(verdict=item.recorded or Verdict.UNGRADABLE, tier=RECORDED)
            if name in ("rules", "last_number", JUDGE):  # a judge follows behind, many rows at once
                return judge_by_rules(item.problem, item.response, last_number=name == "last_number")
            return verifier.judge(item.problem, item.response, alone)

        def work(item: Submission, alone: bool) -> Opinions:
            started = time.perf_counter()
            first = judgement(names[0], item, alone)
            seconds = time.perf_counter() - started
            others = (judgement(name, item, alone) for name in names[1:])
            return Opinions(judgements=(first, *others), seconds=seconds)

        yield work


def _settled(found: Opinions) -> bool:
    return found.settled


def _lost(num_graders: int, _item: Submission, how: str) -> Opinions:
    judgement = Judgement(verdict=Verdict.UNGRADABLE, tier="failure", evidence=how)
    return Opinions(judgements=(judgement,) * num_graders, seconds=0.0)
