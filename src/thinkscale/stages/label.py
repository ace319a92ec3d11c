"""label: the domain of each problem, the length of its trace, and whether a weak model solves it.

Only problems with a correct trace are labelled: the others cannot be selected, and attempts cost tokens.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import count

from thinkscale.config import EngineSettings, LabelSettings, engine_name
from thinkscale.curation.difficulty import difficulty_label
from thinkscale.curation.taxonomy import domain_of
from thinkscale.engines.chat import ChatRequest
from thinkscale.keys import seed_from
from thinkscale.records import Grade, Label, Problem, Response, Role, Sampling
from thinkscale.stages.context import StageContext
from thinkscale.stages.generate import Place, make_request, response_of
from thinkscale.stages.grade import verifier_settings
from thinkscale.stages.teachers import Asking, open_engine
from thinkscale.store.notes import JournalDrafts
from thinkscale.verification.verifier import Verifier

LAST = 1 << 40
"""Position of the labels, behind every attempt."""


def label(context: StageContext) -> None:
    """Attempts of the weak models, graded; then the labels."""
    settings = context.section(context.recipe.label)
    traces = context.correct_traces()
    problems = {name: problem for name, problem in context.problems().items() if name in traces}
    total = len(problems) * settings.weak_samples * len(settings.weak_models)
    with context.progress.task(context.stage, total, "attempts", done=len(context.stored())) as task:
        positions = count()
        for weak in settings.weak_models:
            for _ in _attempts(context, settings, weak, problems, positions):
                task.advance()
    context.commit("labels", LAST, _labels(context, problems, traces))


def _attempts(
    context: StageContext,
    settings: LabelSettings,
    weak: EngineSettings,
    problems: dict[str, Problem],
    positions: Iterator[int],
) -> Iterator[None]:
    """Lets one weak model answer every problem at once, without thinking; yields after each stored attempt."""
    model = engine_name(weak)
    stored = context.stored()
    places: dict[str, Place] = {}
    waiting: list[ChatRequest] = []
    for problem in problems.values():
        for sample in range(settings.weak_samples):
            position = next(positions)
            sampling = Sampling(
                max_tokens=settings.weak_max_tokens,
                temperature=settings.weak_temperature,
                seed=seed_from(context.recipe.seed, "weak", model, problem.id, sample),
            )
            request = make_request(problem, model, sampling, sample)
            if request.key not in stored:
                places[request.key] = Place(position, problem.id, sample)
                waiting.append(request)
    if not waiting:
        return
    asking = Asking(
        thinking_format=context.recipe.the_student.thinking_format,
        thinks=False,
        student=context.recipe.the_student.model,
        folder=context.folder,
        drafts=JournalDrafts(context.notes),
        notice=context.notice,
    )
    engine = open_engine(weak, asking)
    with (
        Verifier(verifier_settings(context.recipe.grade)) as verifier,
        closing(engine.answer(waiting)) as completions,  # type: ignore[type-var]  # engines are generators
    ):
        for completion in completions:
            place = places.pop(completion.request.key)
            response = response_of(completion, place, model, Role.WEAK)
            grade = verifier.grade(problems[place.problem_id], response)
            context.commit(
                response.key, place.position, [response, grade], seconds=completion.seconds, usd=completion.usd
            )
            yield


def _labels(context: StageContext, problems: dict[str, Problem], traces: dict[str, Response]) -> Iterator[Label]:
    models = {item.key: item.model for item in context.records(Response, context.stage)}
    attempts: dict[str, dict[str, list[Grade]]] = {}
    for grade in context.records(Grade, context.stage):
        attempts.setdefault(grade.problem_id, {}).setdefault(models[grade.response_key], []).append(grade)
    for name, problem in problems.items():
        trace = traces[name]
        yield domain_of(problem)
        yield Label(problem_id=name, name="trace_tokens", value=str(trace.thinking_tokens), by=trace.model)
        if name in attempts:
            yield difficulty_label(name, attempts[name])
