"""evaluate: the sweep of every method, budget and wait over every benchmark, for the student and its base.

A unit is one trajectory with all that is read of it: responses and grades. Its scores are notes of the stage until all
trajectories are there, since an answer's class (what a vote counts) is known only beside the other samples; then they
are stored by benchmark, and the cells follow.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing

from thinkscale.config import EvaluateSettings
from thinkscale.energy import metered
from thinkscale.engines.sweep import SweepResult
from thinkscale.engines.tokens import TokenEngine
from thinkscale.errors import EngineError
from thinkscale.keys import content_key
from thinkscale.records import Score, from_row, to_row
from thinkscale.stages.benchmarks import benchmarks_of
from thinkscale.stages.certificate import certify, replays_missing
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate_jobs import (
    EvaluatedModel,
    Job,
    bound_format,
    jobs_of,
    models_of,
    open_engine_of,
    run_jobs,
)
from thinkscale.stages.evaluate_parallel import evaluate_parallel, wants_logprobs
from thinkscale.stages.evaluate_records import Outcome, failure_of, outcome_of
from thinkscale.stages.grade import verifier_settings
from thinkscale.statistics.cells import cells_from_scores
from thinkscale.store.notes import JournalDrafts
from thinkscale.thinking.formats import BoundFormat
from thinkscale.verification.verifier import Verifier

SCORES_POSITION = 1 << 37
"""Units behind all trajectories: the scores, then what judges them, replays, and the cells."""
CELLS_POSITION = 1 << 40


def evaluate(context: StageContext) -> None:
    """Runs what is not stored yet, then makes scores and cells."""
    settings = context.section(context.recipe.evaluate)
    benchmarks = benchmarks_of(settings, context.recipe.seed, context.folder)
    for position, benchmark in enumerate(benchmarks):
        context.commit(f"problems-{benchmark.name}", position, benchmark.problems)
    models = models_of(context, settings)
    jobs = list(jobs_of(models, benchmarks, settings, context.recipe.seed, logprobs=wants_logprobs(settings)))
    with metered(context.run.journal, context.stage):
        _run_all(context, settings, models, jobs)
        parallel = evaluate_parallel(context, settings, list(_noted_scores(context, jobs)))
    _commit_scores(context, parallel.scores)
    cells = cells_from_scores(parallel.scores, resamples=context.recipe.report.resamples, seed=context.recipe.seed)
    context.commit("cells", CELLS_POSITION, [*cells, *parallel.cells])


def _run_all(
    context: StageContext, settings: EvaluateSettings, models: Sequence[EvaluatedModel], jobs: Sequence[Job]
) -> None:
    stored = context.stored()
    num_done = sum(job.key in stored for job in jobs)
    with context.progress.task(context.stage, len(jobs), "trajectories", done=num_done) as task:
        for model in models:
            members = [job for job in jobs if job.model == model.name]
            waiting = [job for job in members if job.key not in stored]
            if waiting or replays_missing(context, settings, members):
                engine = open_engine_of(context, settings, model.path)
                bound = bound_format(context, engine)
                for _ in _run(context, engine, bound, waiting):
                    task.advance()
                certify(context, settings, engine, bound, members)


def _run(context: StageContext, engine: TokenEngine, bound: BoundFormat, waiting: Sequence[Job]) -> Iterator[None]:
    """Runs and stores; what failed for good is stored last, and not at all where nothing else came."""
    failed: list[tuple[Job, SweepResult]] = []
    num_sound = 0
    with (
        Verifier(verifier_settings(context.recipe.grade)) as verifier,
        closing(run_jobs(engine, bound, waiting, JournalDrafts(context.notes), context.notice)) as results,
    ):
        for job, result in results:
            if result.error:
                context.run.journal.add_event(context.stage, "failure", result.error)
                failed.append((job, result))
                continue
            num_sound += 1
            _commit(context, job, result, outcome_of(job, result, bound, verifier))
            yield
        if failed and not num_sound:
            raise EngineError(f"{waiting[0].model}: every trajectory failed, the first with: {failed[0][1].error}")
        for job, result in failed:
            _commit(context, job, result, failure_of(job, result, verifier))
            yield


def _commit(context: StageContext, job: Job, result: SweepResult, outcome: Outcome) -> None:
    """The scores go first: a unit that is stored has them."""
    context.notes.save(_note(job), [to_row(score) for score in outcome.scores])
    context.commit(job.key, job.position, outcome.records, seconds=result.cost.seconds, usd=result.cost.usd)


def _note(job: Job) -> str:
    return f"scores:{job.key}"


def _noted_scores(context: StageContext, jobs: Iterable[Job]) -> Iterator[Score]:
    for job in jobs:
        rows = context.notes.load(_note(job))
        assert isinstance(rows, list)
        for row in rows:
            assert isinstance(row, dict)
            yield from_row(Score, row)


def _commit_scores(context: StageContext, scores: Iterable[Score]) -> None:
    """A unit for each model and benchmark, in the order of the trajectories."""
    groups: dict[tuple[str, str], list[Score]] = {}
    for score in scores:
        groups.setdefault((score.model, score.benchmark), []).append(score)
    for index, (name, members) in enumerate(groups.items()):
        context.commit(f"scores-{content_key(*name)}", SCORES_POSITION + index, members)
