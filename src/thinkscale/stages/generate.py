"""generate: the teacher answers every problem; each response is stored the moment it is there.

Problems are streamed from the journal and a request is made when the engine has room, so memory holds what is in
flight, whatever the number of rows. A request that fails for good is a response with finish `error`; the stage stops
where the share of those passes the recipe's `max_failures`.
"""

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from heapq import nsmallest

from thinkscale.config import EndpointSettings, GenerateSettings
from thinkscale.credentials import redact
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.engines.meter import Meter
from thinkscale.errors import StageError
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Problem, Response, Role, Sampling
from thinkscale.stages.context import StageContext
from thinkscale.stages.teachers import Asking, open_cache, open_engine
from thinkscale.store.notes import JournalDrafts
from thinkscale.thinking.prompts import user_turn

LEAST_JUDGED = 20
"""Responses before which the share of failures says nothing."""


@dataclass(frozen=True, slots=True)
class Place:
    """Which response a request will become."""

    position: int
    problem_id: str
    sample: int


@dataclass(slots=True)
class _Failures:
    """Counts failed requests of this invocation, and stops the stage where they are too many."""

    most: float
    finished: int = 0
    failed: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    def count(self, error: str | None) -> None:
        """One more response. Raises StageError."""
        self.finished += 1
        if error is None:
            return
        self.failed += 1
        kind = error.split(":", 1)[0]
        self.reasons[kind] = self.reasons.get(kind, 0) + 1
        if self.finished >= LEAST_JUDGED and self.failed > self.most * self.finished:
            counts = ", ".join(f"{number} {kind}" for kind, number in sorted(self.reasons.items()))
            raise StageError(
                f"generate: {self.failed} of {self.finished} requests failed ({counts}), the last with: {error}. What "
                "was answered is stored. Mend the cause and run again with --retry-failed, or raise "
                "generate.max_failures"
            )


def generate(context: StageContext) -> None:
    """One response for each problem and sample, or for those of a pilot. A failed request is one with finish `error`.

    Raises StageError where too many fail, EngineError and SpendCapError where the engine cannot go on; what is
    stored stays, and the next start asks for the rest.
    """
    settings = context.section(context.recipe.generate)
    meter = Meter()
    cache = open_cache(settings, context.folder)
    asking = Asking(
        thinking_format=settings.thinking_format,
        thinks=settings.thinks,
        student=context.recipe.student.model if context.recipe.student else None,
        folder=context.folder,
        max_spend=settings.max_spend,
        spent_before=context.spent_usd(),
        prices=context.folder / settings.prices if settings.prices else None,
        cache=cache,
        batch=settings.batch,
        batch_poll_seconds=settings.batch_poll_seconds,
        notes=context.notes,
        drafts=JournalDrafts(context.notes),
        meter=meter,
        notice=context.notice,
    )
    failures = _Failures(settings.max_failures)
    places: dict[str, Place] = {}
    try:
        engine = open_engine(settings.engine, asking)
        stage = context.run.journal.stage(context.stage)
        total, pilot = _extent(context, settings, engine.name)
        with context.progress.task(
            context.stage, total, "responses", done=stage.num_units if stage else 0, gauges=meter
        ) as task:
            meter.tick = task.look
            requests = _requests(context, settings, engine.name, places, pilot)
            with closing(engine.answer(requests)) as completions:  # type: ignore[type-var]  # engines are generators
                for completion in completions:
                    place = places.pop(completion.request.key)
                    response = response_of(completion, place, engine.name, Role.TEACHER)
                    context.commit(
                        response.key, place.position, [response], seconds=completion.seconds, usd=completion.usd
                    )
                    if not isinstance(settings.engine, EndpointSettings):  # those behind HTTP count as tokens arrive
                        meter.completion_tokens += completion.usage.completion_tokens
                    task.advance()
                    if response.error:
                        context.run.journal.add_event(context.stage, "failure", response.error)
                    failures.count(response.error)
    finally:
        if cache:
            cache.close()


def _extent(context: StageContext, settings: GenerateSettings, model: str) -> tuple[int, set[str] | None]:
    """How many responses are wanted, and the keys of a pilot: those whose hashes are the smallest, so a random choice
    that stays the same and grows with its number."""
    if context.pilot is None:
        return context.run.journal.num_rows("problems", ["collect"]) * settings.samples, None
    keys = (request.key for request, _ in _all_requests(context, settings, model))
    chosen = set(nsmallest(context.pilot, keys, key=lambda key: content_key("pilot", key)))
    return len(chosen), chosen


def _requests(
    context: StageContext, settings: GenerateSettings, model: str, places: dict[str, Place], pilot: set[str] | None
) -> Iterator[ChatRequest]:
    """Requests that are not answered yet, drawn as the engine has room; each enters `places`."""
    for request, place in _all_requests(context, settings, model):
        if (pilot is None or request.key in pilot) and not context.is_stored(request.key):
            places[request.key] = place
            yield request


def _all_requests(context: StageContext, settings: GenerateSettings, model: str) -> Iterator[tuple[ChatRequest, Place]]:
    position = 0
    for problem in context.records(Problem, "collect"):
        for sample in range(settings.samples):
            sampling = Sampling(
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                seed=seed_from(context.recipe.seed, problem.id, sample),
            )
            request = make_request(problem, model, sampling, sample, settings.system_prompt)
            yield request, Place(position, problem.id, sample)
            position += 1


def make_request(
    problem: Problem, model: str, sampling: Sampling, sample: int, system_prompt: str = "none"
) -> ChatRequest:
    """The request for one sample, under the content key of all that decides its answer."""
    messages = user_turn(problem, system_prompt=system_prompt)
    key = content_key("chat", model, problem.id, messages, sampling, sample)
    return ChatRequest(key=key, messages=messages, sampling=sampling)


def response_of(completion: ChatCompletion, place: Place, model: str, role: Role) -> Response:
    """The record of a completion."""
    return Response(
        key=completion.request.key,
        role=role,
        problem_id=place.problem_id,
        model=model,
        sample=place.sample,
        thinking=completion.thinking,
        answer_text=completion.answer_text,
        thinking_tokens=completion.thinking_tokens,
        answer_tokens=completion.answer_tokens,
        finish=completion.finish,
        error=None if completion.error is None else redact(completion.error),
        sampling=completion.request.sampling,
        usage=completion.usage,
        attempts=completion.attempts,
    )
