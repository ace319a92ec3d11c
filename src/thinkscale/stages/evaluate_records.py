"""What is stored of a trajectory: a response and a grade for each distinct prefix, and a score for each cell."""

from dataclasses import dataclass, replace

from thinkscale.engines.sweep import Answer, SweepResult
from thinkscale.keys import content_key
from thinkscale.records import (
    Cut,
    Finish,
    Grade,
    Record,
    Response,
    Role,
    Score,
    Trajectory,
    Usage,
    Verdict,
)
from thinkscale.stages.evaluate_jobs import Job
from thinkscale.thinking.budgets import Setting
from thinkscale.thinking.formats import BoundFormat
from thinkscale.thinking.sweep import Prefix, PrefixEnd
from thinkscale.thinking.tree import Reading
from thinkscale.verification.verifier import Verifier


@dataclass(frozen=True, slots=True)
class Outcome:
    """The rows of one trajectory; the scores are stored when those of all samples are known."""

    records: list[Record]
    scores: list[Score]


def outcome_of(job: Job, result: SweepResult, bound: BoundFormat, verifier: Verifier) -> Outcome:
    """The rows of a trajectory that the engine could run."""
    records: list[Record] = [_trajectory(job, result)]
    scores: list[Score] = []
    for (prefix, settings), response in zip(
        result.trajectory.prefixes().items(), responses_of(job, result, bound), strict=True
    ):
        grade = _explained(verifier.grade(job.problem, response), job, result, prefix)
        records += [response, grade]
        logprob = _mean_logprob(result, prefix)
        for setting in settings:
            reading = result.trajectory.reading(setting)
            scores.append(_score(job, setting, response, grade, reading, logprob))
    return Outcome(records, scores)


def failure_of(job: Job, result: SweepResult, verifier: Verifier) -> Outcome:
    """An engine's failure on one trajectory: one response that says so, and a score for every setting."""
    response = Response(
        key=content_key(job.key, "failed"),
        role=Role.EVALUATION,
        problem_id=job.problem.id,
        model=job.model,
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
    nothing = Reading(Prefix(0, PrefixEnd.NATURAL))
    scores = [_score(job, setting, response, grade, nothing, None) for setting in job.plan.settings]
    return Outcome([_trajectory(job, result), response, grade], scores)


def responses_of(job: Job, result: SweepResult, bound: BoundFormat) -> list[Response]:
    """A response for each distinct prefix, in the order of `prefixes`."""
    return [_response(job, result, prefix, bound) for prefix in result.trajectory.prefixes()]


def _response(job: Job, result: SweepResult, prefix: Prefix, bound: BoundFormat) -> Response:
    answer = result.answers[prefix]
    finish = answer.finish
    if finish is Finish.END and prefix.end is PrefixEnd.CUT:
        finish = Finish.BUDGET
    return Response(
        key=content_key(job.key, prefix),
        role=Role.EVALUATION,
        problem_id=job.problem.id,
        model=job.model,
        sample=job.sample,
        thinking=bound.decode(result.trajectory.thinking(prefix)),
        answer_text=bound.decode(answer.ids).strip(),
        thinking_tokens=prefix.length,
        answer_tokens=len(answer.ids),
        finish=finish,
        error=answer.error,
        forced=result.trajectory.forced_within(prefix),
        sampling=job.sampling,
        usage=Usage(prompt_tokens=len(result.task.prompt), completion_tokens=prefix.length + len(answer.ids)),
    )


def _explained(grade: Grade, job: Job, result: SweepResult, prefix: Prefix) -> Grade:
    """Says what cut the thinking off where that is neither the recipe's limit nor a budget."""
    limit = result.task.plan.limit_tokens
    if prefix.end is not PrefixEnd.UNFINISHED:
        return grade
    if prefix.length == limit < job.plan.limit_tokens:
        return replace(grade, evidence=f"the model's context has room for {limit:,} tokens of thinking here")
    tries = max(result.trajectory.reading(setting).tries for setting in result.trajectory.prefixes()[prefix])
    return replace(grade, evidence=f"none of {tries} attempts ended within the budget") if tries > 1 else grade


def _mean_logprob(result: SweepResult, prefix: Prefix) -> float | None:
    """Of the tokens that the model drew for a response: thinking and answer."""
    drawn = [*result.trajectory.logprobs(prefix), *result.answers[prefix].logprobs]
    known = [value for value in drawn if value is not None]
    return sum(known) / len(known) if known else None


def _score(
    job: Job, setting: Setting, response: Response, grade: Grade, reading: Reading, logprob: float | None
) -> Score:
    return Score(
        benchmark=job.benchmark,
        model=job.model,
        method=setting.method,
        budget_tokens=setting.budget_tokens,
        waits=setting.waits,
        variant=setting.variant,
        problem_id=job.problem.id,
        sample=job.sample,
        response_key=response.key,
        verdict=grade.verdict,
        thinking_tokens=response.thinking_tokens,
        answer_tokens=response.answer_tokens,
        generated_tokens=response.thinking_tokens + response.answer_tokens + reading.thrown_tokens,
        cut=_cut(response, reading.prefix, grade),
        logprob=logprob,
        tries=reading.tries,
    )


def _cut(response: Response, prefix: Prefix, grade: Grade) -> Cut:
    if grade.verdict is not Verdict.CUT_OFF:
        return Cut.NONE
    return Cut.THINKING if prefix.end is PrefixEnd.UNFINISHED else Cut.ANSWER


def _trajectory(job: Job, result: SweepResult) -> Trajectory:
    def drawn(answer: Answer) -> int:
        return len(answer.ids) - answer.num_forced

    return Trajectory(
        key=job.key,
        benchmark=job.benchmark,
        model=job.model,
        problem_id=job.problem.id,
        sample=job.sample,
        condition=job.plan.condition,
        thinks=job.plan.thinks,
        limit_tokens=result.task.plan.limit_tokens,
        num_cells=len(job.plan.settings),
        num_branches=result.cost.num_branches,
        num_answers=sum(prefix.end is not PrefixEnd.UNFINISHED for prefix in result.answers),
        thinking_tokens=result.trajectory.generated_tokens,
        answer_tokens=sum(map(drawn, result.answers.values())),
    )
