"""Runs the trajectories of a sweep on a token engine: every trajectory is a state machine in one queue.

A trajectory that must go on enters at the head of the queue, before trajectories not yet begun: work in hand
is finished first, so that it is durable early and memory stays bounded. An answer is asked for as soon as its prefix
is known, while other branches still think.
"""

import hashlib
from collections import deque
from collections.abc import Generator, Iterable
from contextlib import closing
from dataclasses import dataclass, field, replace

import numpy as np

from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenEngine, TokenRequest
from thinkscale.keys import seed_from
from thinkscale.records import Finish, Sampling
from thinkscale.thinking.formats import BoundFormat, Closing
from thinkscale.thinking.sweep import Path, Prefix, PrefixEnd, TrajectoryPlan
from thinkscale.thinking.tree import Branch, Trajectory

WINDOW = 512
"""Trajectories in hand at once; more would hold memory, fewer could starve a large batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTask:
    """One trajectory to run: `prompt` ends with the thinking opened. `sampling.max_tokens` bounds an answer."""

    key: str
    prompt: tuple[int, ...]
    plan: TrajectoryPlan
    sampling: Sampling
    logprobs: bool = False
    """Whether the log-probability of each token is wanted."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What followed a prefix: forced ids and generated ids together, and why they stopped."""

    ids: tuple[int, ...]
    finish: Finish
    error: str | None = None
    num_forced: int = 0
    """How many of `ids` were put there."""
    logprobs: tuple[float, ...] = ()
    """Of the generated ids; empty where nobody asked."""


@dataclass(slots=True)
class Cost:
    """What a trajectory took, its answers included."""

    completion_tokens: int = 0
    """Drawn by the engine, stop tokens included."""
    num_requests: int = 0
    num_branches: int = 0
    """Requests of thinking among them."""
    seconds: float = 0.0
    """Of all requests together, where the engine measures."""
    usd: float = 0.0


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished trajectory with the answer of each distinct prefix; `error` where the engine failed on the thinking.

    A failed answer concerns its own prefix alone."""

    task: SweepTask
    trajectory: Trajectory
    answers: dict[Prefix, Answer]
    cost: Cost
    error: str | None = None


@dataclass(slots=True)
class _Running:
    task: SweepTask
    trajectory: Trajectory
    answers: dict[Prefix, Answer] = field(default_factory=dict)
    asked: set[Prefix] = field(default_factory=set)
    in_flight: int = 0
    cost: Cost = field(default_factory=Cost)
    error: str | None = None
    requests: dict[Path, str] = field(default_factory=dict)
    """Key of the request that brought each branch."""
    digests: dict[Path, bytes] = field(default_factory=dict)
    """Of the ids of each closed branch."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to come. After an error what is in flight is still waited for."""
        return not self.in_flight


@dataclass(frozen=True, slots=True)
class _AnswerTo:
    """Which prefix an answer request belongs to, and what it was opened with."""

    prefix: Prefix
    closing: Closing


def run_sweep(
    engine: TokenEngine, bound: BoundFormat, tasks: Iterable[SweepTask], drafts: Drafts = NO_DRAFTS
) -> Generator[SweepResult, None, None]:
    """Results in the order in which trajectories finish. Tasks are drawn from the iterable as there is room.

    Drafts lie under keys that begin with the task's key and a slash. Whoever stops early closes it, so that the engine
    can save them.
    """
    waiting = iter(tasks)
    queue: deque[TokenRequest] = deque()
    running: dict[str, _Running] = {}
    purposes: dict[str, Branch | _AnswerTo] = {}

    def refill() -> None:
        while len(running) < WINDOW and (task := next(waiting, None)):
            running[task.key] = state = _Running(task, Trajectory(task.plan, bound))
            queue.extend(_next_requests(state, bound, purposes))

    refill()
    while queue:
        with closing(engine.complete(queue, drafts)) as completions:  # type: ignore[type-var]  # it is a generator
            for completion in completions:
                state = running[completion.request.key.rpartition("/")[0]]
                _count(state, completion)
                purpose = purposes.pop(completion.request.key)
                if isinstance(purpose, _AnswerTo):
                    _take_answer(state, completion, purpose)
                elif _take_thinking(state, completion, purpose):
                    queue.extendleft(reversed(_next_requests(state, bound, purposes)))
                if state.is_finished:
                    del running[state.task.key]
                    yield SweepResult(state.task, state.trajectory, state.answers, state.cost, state.error)
                    refill()


def _count(state: _Running, completion: TokenCompletion) -> None:
    state.in_flight -= 1
    cost = state.cost
    cost.completion_tokens += len(completion.ids) + (completion.stop_id is not None)
    cost.num_requests += 1
    cost.seconds += completion.seconds
    cost.usd += completion.usd


def _next_requests(
    state: _Running, bound: BoundFormat, purposes: dict[str, "Branch | _AnswerTo"]
) -> list[TokenRequest]:
    """What can be asked for now: more thinking first, then the answers of the prefixes that have become known."""
    requests = []
    for branch in state.trajectory.begin():
        request = _thinking(state, branch, bound)
        purposes[request.key] = branch
        requests.append(request)
    state.cost.num_branches += len(requests)
    for reading in state.trajectory.known().values():
        prefix = reading.prefix
        if prefix in state.asked:
            continue
        state.asked.add(prefix)
        if prefix.end is PrefixEnd.UNFINISHED:
            state.answers[prefix] = Answer((), Finish.LENGTH)
            continue
        request, answer_to = _answer(state, prefix, bound)
        purposes[request.key] = answer_to
        requests.append(request)
    state.in_flight += len(requests)
    return requests


def _thinking(state: _Running, branch: Branch, bound: BoundFormat) -> TokenRequest:
    """The tokens of a branch."""
    task = state.task
    key = state.requests[branch.path] = f"{task.key}/thinking-{_branch_key(state, branch.path)}"
    return TokenRequest(
        key=key,
        prompt=(*task.prompt, *branch.ids),
        sampling=replace(task.sampling, max_tokens=branch.room, seed=_seed(task.sampling.seed, branch.path)),
        stop_ids=bound.think_stop_ids,
        min_tokens=branch.min_tokens,
        logprobs=task.logprobs,
        follows=state.requests.get(branch.path[:-1]) if branch.path else None,
    )


def _branch_key(state: _Running, path: Path) -> str:
    """What a branch goes on from: a draft that was made behind other ids is not its own."""
    is_first = not path or bool(path[-1].attempt or path[-1].minimum)
    return _key_of(path, b"" if is_first else _digest(state, path[:-1]))


def _key_of(path: Path, digest: bytes) -> str:
    """Two branches may hold the same ids, so the path is part of the name."""
    names = repr([(move.attempt, move.minimum, move.until, move.text) for move in path])
    return hashlib.blake2b(names.encode() + digest, digest_size=6).hexdigest()


def _digest(state: _Running, path: Path) -> bytes:
    """Stands for all ids of a branch that is closed."""
    if path not in state.digests:
        branch = state.trajectory.branches[path]
        assert branch.is_closed, path
        ids = np.asarray(branch.ids, dtype="<i8")
        state.digests[path] = hashlib.blake2b(ids.tobytes(), digest_size=16).digest()
    return state.digests[path]


def _seed(seed: int, path: Path) -> int:
    """A thinking that is tried again has random numbers of its own; those of the first are everybody's."""
    attempt = path[0].attempt if path else 0
    return seed_from(seed, "attempt", attempt) if attempt else seed


def _answer(state: _Running, prefix: Prefix, bound: BoundFormat) -> tuple[TokenRequest, _AnswerTo]:
    """The request for what follows a prefix. Its random numbers are apart from those of thinking at the same place."""
    task = state.task
    thinking = state.trajectory.thinking(prefix)
    closing = bound.closing(thinking, cut=prefix.end is PrefixEnd.CUT) if task.plan.thinks else Closing((), ())
    request = TokenRequest(
        key=f"{task.key}/answer-{prefix.end}-{prefix.length}-{_answer_key(state, prefix)}",
        prompt=(*task.prompt, *thinking, *closing.marker, *closing.forced),
        sampling=replace(task.sampling, seed=seed_from(task.sampling.seed, "answer")),
        stop_ids=bound.answer_stop_ids,
        logprobs=task.logprobs,
        follows=state.requests.get(prefix.path),
    )
    return request, _AnswerTo(prefix, closing)


def _answer_key(state: _Running, prefix: Prefix) -> str:
    return _key_of(prefix.path, _digest(state, prefix.path) if prefix.path in state.trajectory.branches else b"")


def _take_thinking(state: _Running, completion: TokenCompletion, branch: Branch) -> bool:
    """Whether the trajectory goes on."""
    if completion.finish is Finish.ERROR:
        state.error = state.error or completion.error or "the engine gave no reason"
    else:
        branch.extend(completion.ids, ended=completion.finish is Finish.END, logprobs=completion.logprobs)
    return state.error is None


def _take_answer(state: _Running, completion: TokenCompletion, answer_to: _AnswerTo) -> None:
    forced = answer_to.closing.forced
    state.answers[answer_to.prefix] = Answer(
        forced + completion.ids, completion.finish, completion.error, len(forced), completion.logprobs
    )
