"""generate: the teacher answers every problem; each response is stored the moment it is there.

Problems are streamed from the journal and a request is made when the engine has room, so memory holds what is in
flight, whatever the number of rows. A request that fails for good is a response with finish `error`; the stage stops
where the share of those passes the recipe's `max_failures`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import nsmallest

from thinkscale.config import GenerateSettings
from thinkscale.credentials import redact
from thinkscale.engines.chat import ChatCompletion, ChatRequest
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Problem, Response, Role, Sampling
from thinkscale.stages.asking import Manner, asked_model
from thinkscale.stages.context import StageContext
from thinkscale.thinking.prompts import user_turn


@dataclass(frozen=True, slots=True)
class Place:
    """Which response a request will become."""

    position: int
    problem_id: str
    sample: int


def generate(context: StageContext) -> None:
    """One response for each problem and sample, or for those of a pilot. A failed request is one with finish `error`.

    Raises StageError where too many fail, EngineError and SpendCapError where the engine cannot go on; what is
    stored stays, and the next start asks for the rest.
    """
    settings = context.section(context.recipe.generate)
    manner = Manner(
        thinking_format=settings.thinking_format,
        thinks=settings.thinks,
        batch=settings.batch,
        student=context.recipe.student.model if context.recipe.student else None,
    )
    places: dict[str, Place] = {}
    with asked_model(context, settings.engine, settings, manner) as model:
        stage = context.run.journal.stage(context.stage)
        total, pilot = _extent(context, settings, model.engine.name)
        with context.progress.task(
            context.stage, total, "responses", done=stage.num_units if stage else 0, gauges=model.meter
        ) as task:
            for completion in model.answers(_requests(context, settings, model.engine.name, places, pilot), task):
                place = places.pop(completion.request.key)
                response = response_of(completion, place, model.engine.name, Role.TEACHER)
                context.commit(response.key, place.position, [response], seconds=completion.seconds, usd=completion.usd)
                task.advance()


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
