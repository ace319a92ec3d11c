"""The work of a sweep: which models, which trajectories, and running them on an engine. Nothing is stored here."""

from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from thinkscale.config import EvaluateSettings, Recipe
from thinkscale.engines.catalogue import open_local, open_tokenizer
from thinkscale.engines.remote.opening import open_tokens
from thinkscale.engines.sweep import SweepResult, SweepTask, run_sweep
from thinkscale.engines.tokens import NO_DRAFTS, Drafts, TokenEngine
from thinkscale.errors import ConfigError, StageError
from thinkscale.keys import content_key, seed_from
from thinkscale.records import Problem, Sampling
from thinkscale.sources.benchmarks import Benchmark
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate_cells import sweep_plans
from thinkscale.stages.teachers import Asking, pool_of
from thinkscale.thinking.budgets import direct, truncation
from thinkscale.thinking.conditioning import instruction
from thinkscale.thinking.formats import FORCED_ANSWER, BoundFormat, find_format
from thinkscale.thinking.prompts import PLAIN, PromptTemplate, user_turn
from thinkscale.thinking.sweep import TrajectoryPlan, plan_trajectories

STUDENT, BASE = "student", "base"


@dataclass(frozen=True, slots=True)
class EvaluatedModel:
    """A model with the trajectories that are run on it."""

    name: str
    path: str
    plans: tuple[TrajectoryPlan, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One trajectory to run, and where its unit stands."""

    key: str
    position: int
    model: str
    plan: TrajectoryPlan
    benchmark: str
    problem: Problem
    sample: int
    sampling: Sampling
    template: PromptTemplate = PLAIN
    logprobs: bool = False
    """Whether the log-probability of each token is wanted."""


def check_models(recipe: Recipe) -> None:
    """Refuses what no engine could do for the models of a recipe. Raises ConfigError."""
    settings = recipe.evaluate
    if settings is None or settings.engine is None:
        return
    if recipe.train and settings.baseline:
        raise ConfigError(
            "evaluate.engine: the servers have one model, the student that this recipe trains, and not its base: set "
            "evaluate.baseline: false, or leave evaluate.engine out"
        )
    if not settings.engine.sends_ids:
        raise ConfigError(
            "evaluate.engine: budgets are counted on token ids, so it needs `tokenizer`, and a server that takes and "
            "returns them, as vLLM does"
        )


def models_of(context: StageContext, settings: EvaluateSettings) -> list[EvaluatedModel]:
    """The student with the whole sweep; where it was trained and the recipe asks for it, its base without budgets."""
    recipe = context.recipe
    check_models(recipe)
    plans = sweep_plans(settings)
    if not recipe.train:
        return [EvaluatedModel(STUDENT, recipe.the_student.model, plans)]
    checkpoint = student_checkpoint(context.run.path).resolve()
    if not checkpoint.is_dir():
        raise StageError(f"the trained model is missing: {checkpoint}; train again with --fresh, or put it back")
    student = EvaluatedModel(STUDENT, str(checkpoint), plans)
    if not settings.baseline:
        return [student]
    base_plans = plan_trajectories(
        [direct(), *truncation((None,))], settings.max_thinking_tokens, is_greedy=settings.temperature == 0
    )
    return [EvaluatedModel(BASE, recipe.the_student.model, base_plans), student]


def jobs_of(
    models: Iterable[EvaluatedModel],
    benchmarks: Sequence[Benchmark],
    settings: EvaluateSettings,
    seed: int,
    *,
    logprobs: bool = False,
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
                    asked = (benchmark.name, benchmark.template.key, problem, sample, sampling)
                    for plan in model.plans:
                        yield Job(
                            key=content_key("trajectory", model.name, plan, *asked),
                            position=position,
                            model=model.name,
                            plan=plan,
                            benchmark=benchmark.name,
                            problem=problem,
                            sample=sample,
                            sampling=sampling,
                            template=benchmark.template,
                            logprobs=logprobs,
                        )
                        position += 1


def open_engine_of(context: StageContext, settings: EvaluateSettings, path: str) -> TokenEngine:
    """The model in this process, or the servers that the recipe names for it. No reply comes out of a cache."""
    if settings.engine is None:
        return open_local(path, dtype=settings.dtype, device=settings.device, batch_size=settings.batch_size)
    asking = Asking(thinking_format="", folder=context.folder, notice=context.notice)
    tokenizer = open_tokenizer(settings.engine.tokenizer or settings.engine.model)
    return open_tokens(pool_of(settings.engine, asking), tokenizer)


def bound_format(context: StageContext, engine: TokenEngine) -> BoundFormat:
    """The student's thinking format under the engine's tokenizer."""
    return BoundFormat(find_format(context.recipe.the_student.thinking_format), engine.tokenizer)


def run_jobs(
    engine: TokenEngine,
    bound: BoundFormat,
    jobs: Sequence[Job],
    drafts: Drafts = NO_DRAFTS,
    notice: Callable[[str], None] = lambda _: None,
) -> Generator[tuple[Job, SweepResult], None, None]:
    """Runs trajectories, in the order in which they finish. Raises ConfigError where a budget does not fit the model.

    Commits nothing: whoever runs the same jobs again gets what the engine gives the second time."""
    by_key = {job.key: job for job in jobs}
    with closing(run_sweep(engine, bound, _tasks(engine, bound, jobs, notice), drafts)) as results:
        for result in results:
            yield by_key[result.task.key], result


def _tasks(
    engine: TokenEngine, bound: BoundFormat, jobs: Sequence[Job], notice: Callable[[str], None]
) -> list[SweepTask]:
    _check_strings(bound, {job.plan for job in jobs})
    tasks = [
        SweepTask(key=job.key, prompt=_prompt(bound, job), plan=job.plan, sampling=job.sampling, logprobs=job.logprobs)
        for job in jobs
    ]
    return _within_context(engine, bound, tasks, notice)


def _check_strings(bound: BoundFormat, plans: Collection[TrajectoryPlan]) -> None:
    """Raises ConfigError on a wait string that ends the thinking itself."""
    texts = {move.text for plan in plans for setting in plan.settings for move in plan.moves(setting) if move.text}
    for text in sorted(texts):
        if set(bound.encode(text)) & set(bound.think_stop_ids):
            raise ConfigError(
                f"evaluate.wait_strings: {text!r} holds what ends a thinking in the format {bound.format.name}; "
                "it stands where an end was suppressed, so leave the mark out"
            )


def _prompt(bound: BoundFormat, job: Job) -> tuple[int, ...]:
    messages = user_turn(job.problem, suffix=instruction(job.plan.condition), template=job.template)
    return bound.thinking_prompt(messages) if job.plan.thinks else bound.direct_prompt(messages)


def _within_context(
    engine: TokenEngine, bound: BoundFormat, tasks: Sequence[SweepTask], notice: Callable[[str], None]
) -> list[SweepTask]:
    """Tasks whose thinking without a budget ends where the model's context does.

    Budgets are never made smaller: a cell of 8,000 tokens that had 7,000 for some problems would say what is not so.
    Raises ConfigError where one does not fit, before anything is generated."""
    num_closing = len(bound.encode(bound.format.answer_open)) + len(bound.encode(FORCED_ANSWER)) + 1
    found, shortened = [], []
    for task in tasks:
        room = engine.context_tokens - len(task.prompt) - num_closing - task.sampling.max_tokens
        least = task.plan.capped_reach if task.plan.thinks else 0
        if room < max(least, int(task.plan.thinks)):
            _refuse(engine, tasks, num_closing)
        limit = min(task.plan.limit_tokens, room) if task.plan.thinks else task.plan.limit_tokens
        is_shorter = limit < task.plan.reach
        shortened += [limit] if is_shorter else []
        found.append(replace(task, plan=replace(task.plan, limit_tokens=limit)) if is_shorter else task)
    if shortened:
        notice(
            f"{engine.name} holds {engine.context_tokens:,} tokens: {len(shortened):,} of {len(tasks):,} trajectories "
            f"have room for {min(shortened):,} tokens of thinking or more, not for {tasks[0].plan.limit_tokens:,}. "
            "What reaches the end of the context without a budget counts as cut off, and its grade says so"
        )
    return found


def _refuse(engine: TokenEngine, tasks: Sequence[SweepTask], num_closing: int) -> None:
    """Says what the worst of the trajectories needs, and what would fit it."""
    worst = max(tasks, key=lambda task: len(task.prompt) + task.plan.capped_reach)
    others = len(worst.prompt) + num_closing + worst.sampling.max_tokens
    raise ConfigError(
        f"{engine.name} holds {engine.context_tokens:,} tokens, but prompt, thinking and answer may take "
        f"{others + max(worst.plan.capped_reach, 1):,}: set the budgets, targets and minimums of `evaluate` to at most "
        f"{max(engine.context_tokens - others, 0):,}, or lower evaluate.max_answer_tokens"
    )
