"""Runs the trajectories of a sweep on a token engine: every trajectory is a state machine in one queue.

A trajectory that must go on enters at the head of the queue, before trajectories not yet begun: work in hand
is finished first, so that it is durable early and memory stays bounded.
"""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenCompletion, TokenEngine, TokenRequest
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Finish, Sampling
from thinkscale.thinking.formats import BoundFormat, Closing
from thinkscale.thinking.sweep import Prefix, PrefixEnd, Trajectory, TrajectoryPlan

WINDOW = 512
"""Trajectories in hand at once; more would hold memory, fewer could starve a large batch."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepTask:
    """One trajectory to run: `prompt` ends with the thinking opened. `sampling.max_tokens` bounds an answer."""

    key: str
    prompt: tuple[int, ...]
    plan: TrajectoryPlan
    sampling: Sampling


@dataclass(frozen=True, slots=True)
class Answer:
    """What followed a prefix: forced ids and generated ids together, and why they stopped."""

    ids: tuple[int, ...]
    finish: Finish
    error: str | None = None


@dataclass(frozen=True, slots=True)
class SweepResult:
    """A finished trajectory with the answer of each distinct prefix; `error` where the engine failed on the thinking.

    A failed answer concerns its own prefix alone."""

    task: SweepTask
    trajectory: Trajectory
    answers: dict[Prefix, Answer]
    completion_tokens: int
    error: str | None = None


@dataclass(slots=True)
class _Running:
    task: SweepTask
    trajectory: Trajectory
    answers: dict[Prefix, Answer] = field(default_factory=dict)
    open_answers: int = 0
    completion_tokens: int = 0
    error: str | None = None
    last_thinking: str | None = None
    """Key of the request that brought the last of the thinking."""

    @property
    def is_finished(self) -> bool:
        """Whether nothing more is to come. After an error the answers in flight are still waited for."""
        return not self.open_answers and (self.error is not None or not self.trajectory.room)


@dataclass(frozen=True, slots=True)
class _AnswerTo:
    """Which prefix an answer request belongs to, and what it was opened with."""

    prefix: Prefix
    closing: Closing


def run_sweep(
    engine: TokenEngine, bound: BoundFormat, tasks: Iterable[SweepTask], drafts: Drafts = NO_DRAFTS
) -> Iterator[SweepResult]:
    """Results in the order in which trajectories finish. Tasks are drawn from the iterable as there is room.

    Drafts lie under keys that begin with the task's key and a slash.
    """
    waiting = iter(tasks)
    queue: deque[TokenRequest] = deque()
    running: dict[str, _Running] = {}
    answering: dict[str, _AnswerTo] = {}

    def refill() -> None:
        while len(running) < WINDOW and (task := next(waiting, None)):
            wait_ids = bound.encode(task.plan.wait_string) if task.plan.wait_string else ()
            running[task.key] = state = _Running(task, Trajectory(task.plan, wait_ids))
            queue.extend(_next_requests(state, bound, answering))

    refill()
    while queue:
        for completion in engine.complete(queue, drafts):
            name, _, part = completion.request.key.rpartition("/")
            state = running[name]
            state.completion_tokens += len(completion.ids) + (completion.stop_id is not None)
            if part.startswith("thinking"):
                _take_thinking(state, completion)
                if not state.error:
                    queue.extendleft(_next_requests(state, bound, answering))
            else:
                _take_answer(state, completion, answering.pop(completion.request.key))
            if state.is_finished:
                del running[name]
                yield SweepResult(state.task, state.trajectory, state.answers, state.completion_tokens, state.error)
                refill()


def _continuation(state: _Running, bound: BoundFormat) -> TokenRequest:
    """More thinking. Its key tells what it goes on from: a draft that was made behind other ids is not its own."""
    before = state.last_thinking
    state.last_thinking = f"{state.task.key}/thinking-{content_key(state.trajectory.ids)[:12]}"
    return TokenRequest(
        key=state.last_thinking,
        prompt=state.task.prompt + tuple(state.trajectory.ids),
        sampling=replace(state.task.sampling, max_tokens=state.trajectory.room),
        stop_ids=bound.think_stop_ids,
        follows=before,
    )


def _next_requests(state: _Running, bound: BoundFormat, answering: dict[str, _AnswerTo]) -> Iterator[TokenRequest]:
    """What the trajectory needs next: more thinking, or when it is finished an answer for each prefix."""
    if state.trajectory.room:
        yield _continuation(state, bound)
        return
    for index, prefix in enumerate(state.trajectory.prefixes()):
        if prefix.end is PrefixEnd.UNFINISHED:
            state.answers[prefix] = Answer((), Finish.LENGTH)
            continue
        thinking = state.trajectory.ids[: prefix.length]
        closing = _closing(state.task.plan, bound, thinking, prefix)
        request = TokenRequest(
            key=f"{state.task.key}/{index}",
            prompt=(*state.task.prompt, *thinking, *closing.marker, *closing.forced),
            sampling=_answer_sampling(state.task.sampling),
            stop_ids=bound.answer_stop_ids,
            follows=state.last_thinking,
        )
        answering[request.key] = _AnswerTo(prefix, closing)
        state.open_answers += 1
        yield request


def _closing(plan: TrajectoryPlan, bound: BoundFormat, thinking: list[int], prefix: Prefix) -> Closing:
    if not plan.thinks:
        return Closing((), ())
    return bound.closing(thinking, cut=prefix.end is PrefixEnd.CUT)


def _take_thinking(state: _Running, completion: TokenCompletion) -> None:
    if completion.finish is Finish.ERROR:
        state.error = completion.error or "the engine gave no reason"
    else:
        state.trajectory.extend(completion.ids, ended=completion.finish is Finish.END)


def _answer_sampling(sampling: Sampling) -> Sampling:
    """The answers' random numbers are apart from those of the thinking at the same positions."""
    return replace(sampling, seed=seed_from(sampling.seed, "answer"))


def _take_answer(state: _Running, completion: TokenCompletion, answer_to: _AnswerTo) -> None:
    state.open_answers -= 1
    ids = answer_to.closing.forced + completion.ids
    state.answers[answer_to.prefix] = Answer(ids, completion.finish, completion.error)
