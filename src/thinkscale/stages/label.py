"""label: domain and subject, difficulty by rating and by weak models, and the length of the trace of each problem.

By default only problems with a correct trace are labelled: the others cannot be selected, and every label that a model
gives costs tokens. What costs is stored as it comes, each answer under a key of its own; what follows from it is
computed at the end, in units of many problems. No stage behind this one asks where a label came from: a model's, a
source's and a file's are the same record.
"""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from thinkscale.config import EndpointSettings, EngineSettings, LabelSettings, LocalEngineSettings, Recipe, engine_name
from thinkscale.config.label import QuestionnaireSettings
from thinkscale.curation.difficulty import PassRate
from thinkscale.curation.difficulty_rating import rating_system
from thinkscale.curation.taxonomy import domain_of
from thinkscale.curation.taxonomy_prompt import domain_system
from thinkscale.engines.catalogue import model_identity, model_path
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON, content_key
from thinkscale.records import Label, Problem
from thinkscale.stages.collect import file_fingerprint
from thinkscale.stages.context import StageContext
from thinkscale.stages.label_attempts import attempted_rates, difficulty_labels, label_attempts
from thinkscale.stages.label_domain import domain_is_asked, label_domains
from thinkscale.stages.label_length import label_lengths, stated_length
from thinkscale.stages.label_rating import label_ratings, rating_is_asked, rating_of, votes
from thinkscale.stages.label_work import FAILED, GIVEN, Work, prepare, thinking_format
from thinkscale.stages.teachers import Asking, pool_of
from thinkscale.store.run import RunDirectory

LAST = 1 << 40
"""Position of the labels that follow from all the others."""
PROBLEMS_PER_UNIT = 1000
OWN_PLACE = GIVEN | {"trace_tokens"}
"""Labels of which each has its rule; others of a file are taken as they are."""


def label(context: StageContext) -> None:
    """Asks what is to be asked, then stores what follows. Raises what engines raise, StageError at many failures."""
    work = prepare(context, context.section(context.recipe.label))
    label_domains(work)
    label_ratings(work)
    label_attempts(work)
    label_lengths(work)
    _store_rest(work)


def _store_rest(work: Work) -> None:
    """The labels that nobody is asked for, and those that follow from several answers."""
    context, stored = work.context, work.context.stored()
    rated, attempted = votes(work), attempted_rates(work)
    problems = work.problems()
    number = num_met = 0
    with context.progress.task(context.stage, None, "problems labelled") as task:
        while unit := [problem for _, problem in islice(problems, PROBLEMS_PER_UNIT)]:
            num_met += sum(problem.id in work.stated for problem in unit)
            if (key := f"labels:{number}") not in stored:
                labels = (
                    found
                    for problem in unit
                    for found in _labels(work, problem, rated.get(problem.id, []), attempted.get(problem.id, {}))
                )
                context.commit(key, LAST + number, labels)
            number += 1
            task.advance(len(unit))
    if strangers := len(work.stated) - num_met:
        context.notice(f"{strangers:,} problems of label.labels are not among those that are labelled")


def _labels(work: Work, problem: Problem, rated: list[str], attempted: dict[str, PassRate]) -> Iterator[Label]:
    settings = work.settings
    if not domain_is_asked(work, settings.domain, problem):
        found = (work.given(problem, "domain") or domain_of(problem), work.given(problem, "subject"))
        yield from (item for item in found if item and work.is_new(item))
    chosen = work.traces.get(problem.id)
    if length := work.given(problem, "trace_tokens"):
        yield length
    elif chosen and settings.tokenizer is None:
        yield stated_length(work, problem.id, chosen)
    if given := work.given(problem, "rating"):
        yield from [given] if work.is_new(given) else []
    elif rated and settings.rating and rating_is_asked(work, problem):
        yield rating_of(problem.id, rated, engine_name(settings.rating.engine))
    yield from difficulty_labels(work, problem, attempted)
    yield from (item for item in work.stated.get(problem.id, ()) if item.name not in OWN_PLACE)


def label_engines(settings: LabelSettings) -> tuple[EngineSettings, ...]:
    """Every engine that the stage asks."""
    asked = (item.engine for item in questionnaires(settings).values())
    return (*asked, *settings.weak_models)


def needs_local(settings: LabelSettings | None) -> bool:
    """Whether the stage takes a model or a tokenizer into this process."""
    if settings is None:
        return False
    return settings.tokenizer is not None or any(
        isinstance(engine, LocalEngineSettings) for engine in label_engines(settings)
    )


def questionnaires(settings: LabelSettings) -> dict[str, QuestionnaireSettings]:
    """The questionnaires that the stage has, by name."""
    found = {"domain": settings.domain, "rating": settings.rating}
    return {name: item for name, item in found.items() if item is not None}


def label_identity(settings: LabelSettings, recipe: Recipe, folder: Path) -> dict[str, JSON]:
    """What the labels depend on beside the section and the engines: prompts, files, tokenizer, thinking format.

    Raises DataError where a file is missing, ModelError where a folder is.
    """
    prompts = {"domain": domain_system, "rating": rating_system}
    made: dict[str, JSON] = {
        "thinking_format": thinking_format(settings, recipe.student.thinking_format if recipe.student else None),
        "prompts": {name: content_key(prompts[name]()) for name in questionnaires(settings)},
        "files": {str(path): file_fingerprint(folder / path, name) for name, path in _files(settings)},
    }
    return {**made, "tokenizer": model_identity(settings.tokenizer)} if settings.tokenizer else made


def _files(settings: LabelSettings) -> Iterator[tuple[str, str]]:
    for name, path in (("label.responses", settings.responses), ("label.grades", settings.grades)):
        if path is not None:
            yield name, path
    yield from (("label.labels", path) for path in settings.labels)


def check_label(recipe: Recipe, folder: Path) -> None:
    """Refuses what can be known to be wrong before a run begins. Raises ConfigError, DataError, ModelError."""
    settings = recipe.label
    if settings is None:
        return
    names = [engine_name(weak) for weak in settings.weak_models]
    if len(set(names)) < len(names):
        raise ConfigError(f"label.weak_models names a model twice: {', '.join(names)}")
    if settings.grades and not settings.responses:
        raise ConfigError("label.grades is a file of grades, but label.responses names no file that they belong to")
    if settings.responses and recipe.generate:
        raise ConfigError("the recipe has both `generate` and label.responses; leave one of them out")
    for name, path in _files(settings):
        file_fingerprint(folder / path, name)
    if settings.tokenizer:
        model_path(settings.tokenizer)
    prices = folder / settings.prices if settings.prices else None
    for engine in label_engines(settings):
        if isinstance(engine, EndpointSettings):
            is_asked = Asking(thinking_format="", folder=folder, max_spend=settings.max_spend, prices=prices)
            pool_of(engine, is_asked)


def forget_failed(run: RunDirectory) -> int:
    """Forgets the labels and attempts whose request failed, and what followed from them, so that they are asked again.

    Returns how many. What later stages made of the labels is the caller's to discard.
    """
    units = run.journal.done_units("label")
    failed = [unit for unit in units if unit.endswith(FAILED)]
    if failed:
        run.forget_units("label", [*failed, *(unit for unit in units if unit.startswith("labels:"))])
        run.journal.add_event("label", "retry", f"{len(failed)} failed requests are asked for again")
    return len(failed)
