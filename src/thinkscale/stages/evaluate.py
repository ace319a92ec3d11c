"""evaluate: the sweep of every method, budget and wait over every benchmark, for the student and its base.

A unit is one trajectory with all that is read of it: responses, grades and scores. The cells follow at the end.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinkscale.config import EvaluateSettings
from thinkscale.engines.catalogue import open_local, open_tokenizer
from thinkscale.engines.remote.opening import open_tokens
from thinkscale.engines.sweep import SweepResult, SweepTask, run_sweep
from thinkscale.engines.tokens import TokenEngine
from thinkscale.errors import ConfigError, EngineError, StageError
from thinkscale.keys import content_key, seed_from
from thinkscale.records import (
    Finish,
    Grade,
    Problem,
    Record,
    Response,
    Role,
    Sampling,
    Score,
    Usage,
)
from thinkscale.sources.benchmarks import Benchmark, load_benchmark
from thinkscale.stages.context import StageContext
from thinkscale.stages.grade import verifier_settings
from thinkscale.stages.teachers import Asking, pool_of
from thinkscale.statistics.cells import cells_from_scores
from thinkscale.store.notes import JournalDrafts
from thinkscale.thinking.budgets import Setting, budget_forcing, class_conditional, direct, truncation
from thinkscale.thinking.formats import FORCED_ANSWER, BoundFormat, find_format
from thinkscale.thinking.prompts import user_turn
from thinkscale.thinking.sweep import Prefix, PrefixEnd, TrajectoryPlan, plan_trajectories
from thinkscale.verification.verifier import Verifier

STUDENT, BASE = "student", "base"
CELLS_POSITION = 1 << 40


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A model with the trajectories that are run on it."""

    name: str
    path: str
    plans: tuple[TrajectoryPlan, ...]


def evaluate(context: StageContext) -> None:
    """Runs what is not stored yet, then makes the cells."""
    settings = context.section(context.recipe.evaluate)
    benchmarks = load_benchmarks(settings, context.recipe.seed, context.folder)
    for position, benchmark in enumerate(benchmarks):
        context.commit(f"problems-{benchmark.name}", position, benchmark.problems)
    models = _models(context, settings)
    jobs = list(_jobs(models, benchmarks, settings, context.recipe.seed))
    stored = context.stored()
    with context.progress.task(
        context.stage, len(jobs), "trajectories", done=sum(job.key in stored for job in jobs)
    ) as task:
        for model in models:
            waiting = {job.key: job for job in jobs if job.model is model and job.key not in stored}
            if waiting:
                for _ in _run(context, settings, model, waiting):
                    task.advance()
    scores = list(context.records(Score, context.stage))
    cells = cells_from_scores(scores, resamples=context.recipe.report.resamples, seed=context.recipe.seed)
    context.commit("cells", CELLS_POSITION, cells)


def load_benchmarks(settings: EvaluateSettings, seed: int, folder: Path) -> list[Benchmark]:
    """The recipe's benchmarks; ConfigError where two have one name."""
    benchmarks = [load_benchmark(reference, seed, folder) for reference in settings.benchmarks]
    names = [benchmark.name for benchmark in benchmarks]
    if len(set(names)) < len(names):
        raise ConfigError(f"evaluate.benchmarks names one twice: {', '.join(names)}")
    return benchmarks


def sweep_settings(settings: EvaluateSettings) -> list[Setting]:
    """Every cell of the recipe for one benchmark. Raises ConfigError on a budget beyond the limit."""
    beyond = [budget for budget in settings.budgets if budget > settings.max_thinking_tokens]
    if beyond:
        raise ConfigError(
            f"evaluate.budgets: {beyond[0]} is more than evaluate.max_thinking_tokens, {settings.max_thinking_tokens}"
        )
    budgets = (*settings.budgets, *((None,) if settings.untruncated else ()))
    by_method = {
        "truncation": lambda: truncation(budgets),
        "budget_forcing": lambda: budget_forcing(budgets, settings.waits, settings.wait_string),
        "class_conditional": class_conditional,
    }
    made = [setting for method in settings.methods for setting in by_method[method]()]
    if not made:
        raise ConfigError("evaluate: without budgets and with untruncated: false there is nothing to evaluate")
    return made


def _models(context: StageContext, settings: EvaluateSettings) -> list[EvaluatedModel]:
    """The student with the whole sweep; where it was trained and the recipe asks for it, its base without budgets."""
    recipe = context.recipe
    limit = settings.max_thinking_tokens
    plans = plan_trajectories(sweep_settings(settings), limit)
    if recipe.train and settings.engine:
        raise ConfigError("evaluate.engine: servers do not have the model that this recipe trains; leave one out")
    if not recipe.train:
        return [EvaluatedModel(STUDENT, recipe.the_student.model, plans)]
    checkpoint = student_checkpoint(context.run.path).resolve()
    if not checkpoint.is_dir():
        raise StageError(f"the trained model is missing: {checkpoint}; train again with --fresh, or put it back")
    student = EvaluatedModel(STUDENT, str(checkpoint), plans)
    if not settings.baseline:
        return [student]
    base_plans = plan_trajectories([direct(), *truncation((None,))], limit)
    return [EvaluatedModel(BASE, recipe.the_student.model, base_plans), student]


def student_checkpoint(run: Path) -> Path:
    """Where the trained student lies."""
    return run / "checkpoints" / "student"


@dataclass(frozen=True, slots=True)
class Job:
    """One trajectory to run, and where its unit stands."""

    key: str
    position: int
    model: EvaluatedModel
    plan: TrajectoryPlan
    benchmark: str
    problem: Problem
    sample: int
    sampling: Sampling


def _jobs(
    models: Iterable[EvaluatedModel], benchmarks: Sequence[Benchmark], settings: EvaluateSettings, seed: int
) -> Iterator[Job]:
    """Positions follow those of the units that hold the benchmarks' problems."""
    position = len(benchmarks)
    for model in models:
        for benchmark in benchmarks:
            for problem in benchmark.problems:
                for sample in range(settings.samples):
                    sampling = Sampling(
                        max_tokens=settings.max_answer_tokens,
                        temperature=settings.temperature,
                        top_p=settings.top_p,
                        # Not the model's name: base and student draw the same numbers, so they are paired.
                        seed=seed_from(seed, sample, benchmark.name, problem.id),
                    )
                    for plan in model.plans:
                        key = content_key("trajectory", model.name, plan, benchmark.name, problem, sample, sampling)
                        yield Job(key, position, model, plan, benchmark.name, problem, sample, sampling)
                        position += 1


def _run(
    context: StageContext, settings: EvaluateSettings, model: EvaluatedModel, waiting: dict[str, Job]
) -> Iterator[None]:
    engine = _engine(context, settings, model)
    bound = BoundFormat(find_format(context.recipe.the_student.thinking_format), engine.tokenizer)
    tasks = [
        SweepTask(key=job.key, prompt=_prompt(bound, job), plan=job.plan, sampling=job.sampling)
        for job in waiting.values()
    ]
    _check_context(engine, bound, tasks)
    failed: list[SweepResult] = []
    num_sound = 0
    with Verifier(verifier_settings(context.recipe.grade)) as verifier:
        for result in run_sweep(engine, bound, tasks, JournalDrafts(context.notes)):
            if result.error:
                context.run.journal.add_event(context.stage, "failure", result.error)
                failed.append(result)
                continue
            num_sound += 1
            job = waiting[result.task.key]
            context.commit(job.key, job.position, records_of(job, result, bound, verifier))
            yield
        if failed and not num_sound:
            raise EngineError(f"{model.name}: every trajectory failed, the first with: {failed[0].error}")
        for result in failed:
            job = waiting[result.task.key]
            context.commit(job.key, job.position, _failed(job, result, verifier))
            yield


def _engine(context: StageContext, settings: EvaluateSettings, model: EvaluatedModel) -> TokenEngine:
    """The model in this process, or the servers that the recipe names for it."""
    if settings.engine is None:
        return open_local(model.path, dtype=settings.dtype, device=settings.device, batch_size=settings.batch_size)
    if not settings.engine.sends_ids:
        raise ConfigError(
            "evaluate.engine: budgets are counted on token ids, so it needs `tokenizer`, and a server that takes and "
            "returns them, as vLLM does"
        )
    asking = Asking(thinking_format="", folder=context.folder, notice=context.notice)
    tokenizer = open_tokenizer(settings.engine.tokenizer or settings.engine.model)
    return open_tokens(pool_of(settings.engine, asking), tokenizer)


def _check_context(engine: TokenEngine, bound: BoundFormat, tasks: Iterable[SweepTask]) -> None:
    """Refuses a sweep whose longest sequence the model cannot hold, before anything is generated."""
    closing = len(bound.encode(bound.format.answer_open)) + len(bound.encode(FORCED_ANSWER)) + 1
    longest = max(tasks, key=lambda task: len(task.prompt) + task.plan.reach(0))
    needed = len(longest.prompt) + longest.plan.reach(0) + closing + longest.sampling.max_tokens
    if needed > engine.context_tokens:
        room = engine.context_tokens - (needed - longest.plan.reach(0))
        raise ConfigError(
            f"{engine.name} holds {engine.context_tokens:,} tokens, but prompt, thinking and answer may take "
            f"{needed:,}: set evaluate.max_thinking_tokens (and the budgets) to at most {max(room, 0):,}, or lower "
            "evaluate.max_answer_tokens"
        )


def _prompt(bound: BoundFormat, job: Job) -> tuple[int, ...]:
    messages = user_turn(job.problem, job.plan.prompt_class)
    return bound.thinking_prompt(messages) if job.plan.thinks else bound.direct_prompt(messages)


def records_of(job: Job, result: SweepResult, bound: BoundFormat, verifier: Verifier) -> Iterator[Record]:
    """A response and a grade for each distinct prefix, and a score for each setting that reads it."""
    for prefix, settings in result.trajectory.prefixes().items():
        response = _response(job, result, prefix, bound)
        grade = verifier.grade(job.problem, response)
        yield response
        yield grade
        yield from (_score(job, setting, response, grade) for setting in settings)


def _response(job: Job, result: SweepResult, prefix: Prefix, bound: BoundFormat) -> Response:
    answer = result.answers[prefix]
    finish = answer.finish
    if finish is Finish.END and prefix.end is PrefixEnd.CUT:
        finish = Finish.BUDGET
    return Response(
        key=content_key(job.key, prefix),
        role=Role.EVALUATION,
        problem_id=job.problem.id,
        model=job.model.name,
        sample=job.sample,
        thinking=bound.decode(result.trajectory.ids[: prefix.length]),
        answer_text=bound.decode(answer.ids).strip(),
        thinking_tokens=prefix.length,
        answer_tokens=len(answer.ids),
        finish=finish,
        error=answer.error,
        forced=result.trajectory.forced_within(prefix.length),
        sampling=job.sampling,
        usage=Usage(prompt_tokens=len(result.task.prompt), completion_tokens=prefix.length + len(answer.ids)),
    )


def _failed(job: Job, result: SweepResult, verifier: Verifier) -> Iterator[Record]:
    """An engine's failure on one trajectory: one response that says so, and a score for every setting."""
    response = Response(
        key=content_key(job.key, "failed"),
        role=Role.EVALUATION,
        problem_id=job.problem.id,
        model=job.model.name,
        sample=job.sample,
        thinking="",
        answer_text="",
        thinking_tokens=0,
        answer_tokens=0,
        finish=Finish.ERROR,
        error=result.error,
        sampling=job.sampling,
    )
    grade = verifier.grade(job.problem, response)
    yield response
    yield grade
    yield from (_score(job, setting, response, grade) for setting in job.plan.settings)


def _score(job: Job, setting: Setting, response: Response, grade: Grade) -> Score:
    return Score(
        benchmark=job.benchmark,
        model=job.model.name,
        method=setting.method,
        budget_tokens=setting.budget_tokens,
        waits=setting.waits,
        variant=setting.variant,
        problem_id=job.problem.id,
        sample=job.sample,
        response_key=response.key,
        verdict=grade.verdict,
        thinking_tokens=response.thinking_tokens,
    )
