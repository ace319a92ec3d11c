"""generate: the teacher answers every problem; each response is stored the moment it is there."""

from collections.abc import Iterator
from dataclasses import dataclass

from thinkscale.config import GenerateSettings, ScriptedEngineSettings
from thinkscale.engines.catalogue import open_local, open_scripted, open_tokenizer
from thinkscale.engines.chat import ChatCompletion, ChatEngine, ChatRequest
from thinkscale.engines.conversation import Conversation
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Problem, Response, Role, Sampling
from thinkscale.stages.context import StageContext
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.prompts import user_turn


@dataclass(frozen=True, slots=True)
class Place:
    """Which response a request will become."""

    position: int
    problem_id: str
    sample: int


def generate(context: StageContext) -> None:
    """One response for each problem and sample. A failed request is a response with finish `error`."""
    settings = context.section(context.recipe.generate)
    engine = open_teacher(settings, context.recipe.student.model)
    stored = context.stored()
    total = context.run.journal.num_rows("problems", ["collect"]) * settings.samples
    places: dict[str, Place] = {}
    problems = context.records(Problem, "collect")
    requests = _requests(problems, settings, engine.name, context.recipe.seed, stored, places)
    with context.progress.task(context.stage, total, "responses", done=len(stored)) as task:
        for completion in engine.answer(requests):
            place = places.pop(completion.request.key)
            response = response_of(completion, place, engine.name, Role.TEACHER)
            if response.error:
                context.run.journal.add_event(context.stage, "failure", response.error)
            context.commit(response.key, place.position, [response])
            task.advance()


def open_teacher(settings: GenerateSettings, student: str) -> ChatEngine:
    """The engine of the recipe as a chat engine. A script's tokens are counted with the student's tokenizer."""
    chosen = settings.engine
    if isinstance(chosen, ScriptedEngineSettings):
        tokenizer = open_tokenizer(student)
        return open_scripted(chosen.script, lambda text: len(tokenizer.encode(text, add_special_tokens=False)))
    engine = open_local(chosen.model, dtype=chosen.dtype, device=chosen.device, batch_size=chosen.batch_size)
    bound = BoundFormat(find_format(settings.thinking_format), engine.tokenizer)
    return Conversation(engine, bound, thinks=True)


def _requests(
    problems: Iterator[Problem],
    settings: GenerateSettings,
    model: str,
    seed: int,
    stored: set[str],
    places: dict[str, Place],
) -> Iterator[ChatRequest]:
    """Requests that are not answered yet, drawn as the engine has room; each enters `places`."""
    position = 0
    for problem in problems:
        for sample in range(settings.samples):
            sampling = Sampling(
                max_tokens=settings.max_tokens,
                temperature=settings.temperature,
                top_p=settings.top_p,
                seed=seed_from(seed, problem.id, sample),
            )
            request = make_request(problem, model, sampling, sample)
            if request.key not in stored:
                places[request.key] = Place(position, problem.id, sample)
                yield request
            position += 1


def make_request(problem: Problem, model: str, sampling: Sampling, sample: int) -> ChatRequest:
    """The request for one sample, under the content key of all that decides its answer."""
    messages = user_turn(problem)
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
        error=completion.error,
        sampling=completion.request.sampling,
        usage=completion.usage,
    )
