"""evaluate, behind its scores: classes of equal answers, rewards, and the cells of votes and choices.

Votes are held over samples that are there anyway, so this generates nothing: majority and pass@k come wherever there
are several samples, best-of-N for each scorer. The classes are made of the grades' extracted answers, without the
reference, by rules alone (docs/parallel.md has what the symbolic tier would add).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from thinkscale.config import EvaluateSettings
from thinkscale.config.scorers import LOGPROB, scorer_name
from thinkscale.errors import ConfigError
from thinkscale.grading.classes import answer_classes
from thinkscale.records import Cell, Grade, Kind, Problem, Response, Score, Verdict
from thinkscale.stages.context import StageContext
from thinkscale.stages.scorers import Answered, give_rewards, rewards_by_scorer
from thinkscale.statistics.parallel import BEST_OF_N, PARALLEL_METHODS, parallel_cells, sampled_scores


@dataclass(frozen=True, slots=True)
class Parallel:
    """The scores with their classes, and the cells of k samples."""

    scores: list[Score]
    cells: list[Cell]


def check_parallel(settings: EvaluateSettings) -> None:
    """Raises ConfigError on samples and scorers that do not fit together."""
    wanted = [method for method in settings.methods if method in PARALLEL_METHODS]
    names = [scorer_name(scorer) for scorer in settings.scorers]
    if (wanted or names) and settings.samples < 2:
        what = f"the method {wanted[0]}" if wanted else f"the scorer {names[0]}"
        raise ConfigError(f"evaluate: {what} needs several samples; set evaluate.samples to 2 or more")
    if settings.samples > 1 and settings.temperature == 0:
        raise ConfigError(
            f"evaluate.samples is {settings.samples}, but at temperature 0 they are all the same; set "
            "evaluate.temperature"
        )
    if BEST_OF_N in wanted and not names:
        raise ConfigError("evaluate: the method best_of_n needs evaluate.scorers, such as [logprob]")
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ConfigError(f"evaluate.scorers names {twice[0]} twice; records tell scorers by this name")


def wants_logprobs(settings: EvaluateSettings) -> bool:
    """Whether the engine is to be asked for log-probabilities."""
    return LOGPROB in settings.scorers


def evaluate_parallel(context: StageContext, settings: EvaluateSettings, scores: Sequence[Score]) -> Parallel:
    """Classes, rewards and cells. Rewards are units of their own; what is stored is not asked again."""
    problems = {problem.id: problem for problem in context.records(Problem, context.stage)}
    classed = list(_classed(context, scores, problems))
    give_rewards(context, settings.scorers, _answered(context, settings, classed, problems))
    rewards = rewards_by_scorer(context, settings.scorers, classed)
    cells = parallel_cells(classed, rewards, resamples=context.recipe.report.resamples, seed=context.recipe.seed)
    return Parallel(classed, cells)


def _classed(context: StageContext, scores: Sequence[Score], problems: dict[str, Problem]) -> Iterator[Score]:
    """Scores with the class of their answer among all answers of the same model to the same problem."""
    extracted = {
        grade.response_key: _answer(grade, problems[grade.problem_id])
        for grade in context.records(Grade, context.stage)
    }
    groups: dict[tuple[str, str, str], dict[str, None]] = {}
    for score in scores:
        groups.setdefault((score.benchmark, score.model, score.problem_id), {})[score.response_key] = None
    classes: dict[str, str | None] = {}
    for (_, _, problem_id), keys in groups.items():
        names = answer_classes([extracted.get(key) for key in keys], problems[problem_id].kind)
        classes.update(zip(keys, names, strict=True))
    for score in scores:
        yield replace(score, answer=classes[score.response_key])


def _answer(grade: Grade, problem: Problem) -> str | None:
    """What a response votes with: nothing where it did not end, even where something stands in a box."""
    if grade.verdict in (Verdict.CUT_OFF, Verdict.NO_ANSWER):
        return None
    if problem.kind is Kind.CHOICE and grade.extracted is not None and len(grade.extracted.strip()) != 1:
        return None
    return grade.extracted


def _answered(
    context: StageContext, settings: EvaluateSettings, scores: Sequence[Score], problems: dict[str, Problem]
) -> list[Answered]:
    """The responses that scorers choose among, each once, in the order of their scores."""
    if all(scorer == LOGPROB for scorer in settings.scorers):
        return []
    wanted = dict.fromkeys(score.response_key for score in sampled_scores(scores) if score.answer is not None)
    texts = {
        response.key: (response.problem_id, response.answer_text)
        for response in context.records(Response, context.stage)
        if response.key in wanted
    }
    return [Answered(response_key=key, problem=problems[texts[key][0]], answer_text=texts[key][1]) for key in wanted]
