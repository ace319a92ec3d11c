"""What the report says beside scores, worked out of the journal: savings, costs, loops, and checks of the grader."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from thinkscale.config import Recipe
from thinkscale.curation.quality.loops import repetition_loop
from thinkscale.energy import KIND, consumption
from thinkscale.grading.verdicts import UNDECIDED, judge_by_rules
from thinkscale.keys import seed_from
from thinkscale.records import (
    Finish,
    Grade,
    Kind,
    Problem,
    Response,
    Role,
    Sampling,
    Score,
    Trajectory,
    Verdict,
)
from thinkscale.reporting.data import Decided, Loop, ReferenceCheck, SweepCost, SweepSaving
from thinkscale.reporting.published import PublishedPoint, published
from thinkscale.reporting.regraded import GraderRange, grader_range
from thinkscale.reporting.wording import shortened
from thinkscale.stages.evaluate_jobs import STUDENT
from thinkscale.store.run import RunDirectory
from thinkscale.verification.conventions import CONVENTIONS, judge_by_convention

RULES = "rules"
MOST_EXAMPLES = 3
MOST_CHECKED = 500
"""References of one benchmark that are checked, drawn by the run's seed; the rest would be more of the same."""


def savings(run: RunDirectory, scores: Iterable[Score]) -> Iterator[SweepSaving]:
    """What sharing prefixes saved: tokens that were generated, against those of a run of its own for each cell.

    Budget forcing without a wait is truncation, and counts once: nobody would run it twice.
    """
    made: dict[tuple[str, str], list[Trajectory]] = defaultdict(list)
    for item in run.rows(Trajectory, "evaluate"):
        made[item.benchmark, item.model].append(item)
    separate: dict[tuple[str, str], int] = defaultdict(int)
    settings: dict[tuple[str, str], set[tuple[object, ...]]] = defaultdict(set)
    for score in scores:
        if score.method != "budget_forcing" or score.waits:
            group = (score.benchmark, score.model)
            separate[group] += score.generated_tokens - score.answer_tokens
            settings[group].add((score.method, score.budget_tokens, score.waits, score.variant))
    for group, trajectories in made.items():
        if len(settings[group]) > 1:
            yield SweepSaving(
                benchmark=group[0],
                model=group[1],
                thinking_tokens_separate=separate[group],
                thinking_tokens_generated=sum(item.thinking_tokens for item in trajectories),
                answer_tokens_generated=sum(item.answer_tokens for item in trajectories),
                trajectories=len(trajectories),
                answers=sum(item.num_answers for item in trajectories),
            )


def sweep_cost(run: RunDirectory, recipe: Recipe) -> SweepCost | None:
    """What the evaluation took, None where there was none."""
    stage = run.journal.stage("evaluate")
    tokens = sum(item.thinking_tokens + item.answer_tokens for item in run.rows(Trajectory, "evaluate"))
    if stage is None or not tokens:
        return None
    measured = consumption([event.text for event in run.journal.events("evaluate") if event.kind == KIND])
    return SweepCost(
        seconds=measured.seconds if measured else None,
        joules=measured.joules if measured else {},
        usd=stage.usd,
        usd_per_hour=recipe.report.usd_per_hour,
        generated_tokens=tokens,
    )


def loops_of(run: RunDirectory) -> Iterator[Loop]:
    """Responses of the evaluation whose thinking ends in a loop, by the rule that curation uses."""
    for response in run.rows(Response, "evaluate"):
        if found := repetition_loop(response.thinking):
            unit, repeats = found
            yield Loop(response_key=response.key, unit=shortened(unit, 400), repeats=repeats)


def decided_of(run: RunDirectory) -> list[Decided]:
    """Verdicts of the evaluation by grader and tier, the most frequent first."""
    counts = Counter((grade.grader, grade.tier, grade.verdict.value) for grade in run.rows(Grade, "evaluate"))
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [
        Decided(grader=grader, tier=tier, verdict=verdict, responses=number)
        for (grader, tier, verdict), number in ordered
    ]


def published_points(recipe: Recipe, benchmarks: Sequence[str]) -> tuple[PublishedPoint, ...]:
    """What the recipe's studies published on these benchmarks; a part of a benchmark is compared with the whole."""
    if not recipe.report.published:
        return ()
    names = {name: name.split(":")[0].split("~")[0].split("+")[0] for name in benchmarks}
    points = published(tuple(names.values()), recipe.report.published)
    return tuple(
        replace(point, benchmark=name) for name, whole in names.items() for point in points if point.benchmark == whole
    )


def grader_ranges(run: RunDirectory, scores: Iterable[Score], recipe: Recipe) -> GraderRange | None:
    """The student's truncation under the run's own grades and under conventions that need no process.

    Truncation alone, since `thinkscale regrade` says the rest. Benchmarks with programs or open questions are left
    out: rules cannot grade them.
    """
    problems = {problem.id: problem for problem in run.rows(Problem, "evaluate")}
    chosen = [item for item in scores if item.model == STUDENT and item.method == "truncation" and not item.waits]
    beyond = {item.benchmark for item in chosen if problems[item.problem_id].kind not in (Kind.MATH, Kind.CHOICE)}
    chosen = [item for item in chosen if item.benchmark not in beyond]
    wanted = {item.response_key for item in chosen}
    if not wanted:
        return None
    own = {item.response_key: item.verdict for item in run.rows(Grade, "evaluate") if item.response_key in wanted}
    verdicts: dict[str, dict[str, Verdict]] = {"this run": own, **{name: {} for name in (RULES, *CONVENTIONS)}}
    for response in run.rows(Response, "evaluate"):
        if response.key in wanted:
            problem = problems[response.problem_id]
            verdicts[RULES][response.key] = judge_by_rules(problem, response).verdict
            for name in CONVENTIONS:
                verdicts[name][response.key] = judge_by_convention(name, problem, response).verdict
    return grader_range(chosen, verdicts, recipe.report.resamples, recipe.seed)


def reference_checks(run: RunDirectory, scores: Iterable[Score], seed: int) -> list[ReferenceCheck]:
    """The rules held against the benchmarks' own references. Programs and open questions have none to hold."""
    asked: dict[str, dict[str, None]] = {}
    for score in scores:
        asked.setdefault(score.benchmark, {})[score.problem_id] = None
    problems = {problem.id: problem for problem in run.rows(Problem, "evaluate")}
    checks = []
    for benchmark, ids in asked.items():
        members = [problems[name] for name in ids if name in problems and _has_reference(problems[name])]
        if members:
            drawn = random.Random(seed_from(seed, "references", benchmark)).sample(
                members, min(MOST_CHECKED, len(members))
            )
            checks.append(check_references(benchmark, drawn))
    return checks


def _has_reference(problem: Problem) -> bool:
    return problem.kind in (Kind.MATH, Kind.CHOICE) and bool((problem.reference or "").strip())


def check_references(benchmark: str, problems: Sequence[Problem]) -> ReferenceCheck:
    """Each reference as the answer to its own problem, and to the problem before it."""
    own = [_verdict(problem, problem) for problem in problems]
    pairs = [
        (problem, other)
        for problem, other in zip(problems, [*problems[1:], *problems[:1]], strict=True)
        if _plain(problem) != _plain(other) and problem.kind is other.kind
    ]
    others = [_verdict(problem, other) for problem, other in pairs]
    faults = [
        f"{problem.id}: its own reference {shortened(problem.reference or '', 60)!r} is {verdict[0].value}"
        for problem, verdict in zip(problems, own, strict=True)
        if verdict[0] is not Verdict.CORRECT
    ]
    faults += [
        f"{problem.id}: {shortened(other.reference or '', 60)!r} counts as {shortened(problem.reference or '', 60)!r}"
        for (problem, other), verdict in zip(pairs, others, strict=True)
        if verdict[0] is Verdict.CORRECT
    ]
    return ReferenceCheck(
        benchmark=benchmark,
        problems=len(problems),
        accepted=sum(verdict is Verdict.CORRECT for verdict, _ in own),
        tried_others=len(others),
        accepted_others=sum(verdict is Verdict.CORRECT for verdict, _ in others),
        undecided=sum(undecided for _, undecided in (*own, *others)),
        examples=tuple(faults[:MOST_EXAMPLES]),
    )


def _plain(problem: Problem) -> str:
    return "".join((problem.reference or "").split()).lower()


def _verdict(problem: Problem, answered: Problem) -> tuple[Verdict, bool]:
    """The rules' verdict on the reference of `answered`, given as the answer to `problem`."""
    written = f"Answer: {answered.reference}" if problem.kind is Kind.CHOICE else f"\\boxed{{{answered.reference}}}"
    response = Response(
        key="reference",
        role=Role.EVALUATION,
        problem_id=problem.id,
        model="reference",
        sample=0,
        thinking="",
        answer_text=written,
        thinking_tokens=0,
        answer_tokens=1,
        finish=Finish.END,
        sampling=Sampling(max_tokens=1),
    )
    judged = judge_by_rules(problem, response)
    return judged.verdict, judged.tier == UNDECIDED
