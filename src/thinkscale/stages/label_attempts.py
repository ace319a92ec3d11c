"""Attempts of weak models at each problem, graded as they come: what shows how difficult the problem is.

An attempt is a response, one grade beside it. A weak model that the source speaks of is not asked again.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from thinkscale.config import EngineSettings, engine_name
from thinkscale.curation.difficulty import NONE_YET, PassRate, difficulty_label, pass_rate_label
from thinkscale.engines.chat import ChatRequest
from thinkscale.keys import seed_from
from thinkscale.records import Grade, Label, Problem, Response, Role, Sampling
from thinkscale.stages.asking import asked_model
from thinkscale.stages.generate import Place, make_request, response_of
from thinkscale.stages.grade import verifier_settings
from thinkscale.stages.label_work import FAILED, Work
from thinkscale.verification.verifier import Verifier


@dataclass(frozen=True, slots=True)
class _Attempt:
    request: ChatRequest
    place: Place
    problem: Problem


def label_attempts(work: Work) -> None:
    """Lets each weak model answer every problem at once, without thinking. Raises what engines raise, StageError."""
    for number, weak in enumerate(work.settings.weak_models):
        _attempt_all(work, weak, number)


def _attempt_all(work: Work, weak: EngineSettings, number: int) -> None:
    context, model = work.context, engine_name(weak)
    settled = [work.is_settled(item.request.key) for item in _attempts(work, model, number)]
    if all(settled):
        return
    running: dict[str, _Attempt] = {}
    with (
        asked_model(context, weak, work.settings, work.manner()) as asked,
        Verifier(verifier_settings(context.recipe.grade)) as verifier,
        context.progress.task(
            context.stage, len(settled), f"attempts of {model}", done=sum(settled), gauges=asked.meter
        ) as task,
    ):
        for completion in asked.answers(_waiting(work, model, number, running), task):
            item = running.pop(completion.request.key)
            response = response_of(completion, item.place, model, Role.WEAK)
            grade = verifier.grade(item.problem, response)
            unit = response.key + (FAILED if response.error else "")
            context.commit(unit, item.place.position, [response, grade], seconds=completion.seconds, usd=completion.usd)
            task.advance()


def _waiting(work: Work, model: str, number: int, running: dict[str, _Attempt]) -> Iterator[ChatRequest]:
    """Requests that are not answered yet, drawn as the engine has room; each enters `running`."""
    for item in _attempts(work, model, number):
        if not work.is_settled(item.request.key):
            running[item.request.key] = item
            yield item.request


def _attempts(work: Work, model: str, number: int) -> Iterator[_Attempt]:
    """Every attempt of the weak model with this number. Positions leave room for those that are not asked for."""
    settings = work.settings
    for index, problem in work.problems():
        if is_given(work.given_rates(problem), model):
            continue
        for sample in range(settings.weak_samples):
            sampling = Sampling(
                max_tokens=settings.weak_max_tokens,
                temperature=settings.weak_temperature,
                seed=seed_from(work.context.recipe.seed, "weak", model, problem.id, sample),
            )
            position = (index * len(settings.weak_models) + number) * settings.weak_samples + sample
            request = make_request(problem, model, sampling, sample)
            yield _Attempt(request, Place(position, problem.id, sample), problem)


def is_given(given: Iterable[str], model: str) -> bool:
    """Whether `given` names the model, by its whole name or the last part of it."""
    return any(name.rsplit("/", 1)[-1] == model.rsplit("/", 1)[-1] for name in given)


def attempted_rates(work: Work) -> dict[str, dict[str, PassRate]]:
    """Pass rates by problem and model, of the attempts that the stage has stored."""
    context = work.context
    rates: dict[str, dict[str, PassRate]] = {}
    if not work.settings.weak_models:
        return rates
    models = {item.key: item.model for item in context.records(Response, context.stage)}
    for grade in context.records(Grade, context.stage):
        of_problem = rates.setdefault(grade.problem_id, {})
        model = models[grade.response_key]
        of_problem[model] = of_problem.get(model, NONE_YET).with_verdict(grade.verdict)
    return rates


def difficulty_labels(work: Work, problem: Problem, attempted: dict[str, PassRate]) -> Iterator[Label]:
    """The pass rate of each weak model, and the difficulty that follows from all; nothing where none was measured.

    A difficulty that a file states stands in place of ours.
    """
    given = work.given_rates(problem)
    for model, rate in sorted(attempted.items()):
        yield pass_rate_label(problem.id, model, rate)
    for _, (_, label) in sorted(given.items(), key=lambda item: item[0]):
        if work.is_new(label):
            yield label
    stated = work.given(problem, "difficulty")
    if stated is not None:
        if work.is_new(stated):
            yield stated
    elif attempted or given:
        rates = {**{model: rate for model, (rate, _) in given.items()}, **attempted}
        yield difficulty_label(problem.id, rates)
