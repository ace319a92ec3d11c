"""report: everything stored becomes report.md, report.html and figures. It computes no result of its own."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from importlib.util import find_spec

from thinkscale.config import Recipe
from thinkscale.engines.catalogue import open_tokenizer
from thinkscale.errors import ThinkscaleError
from thinkscale.keys import JSON
from thinkscale.records import (
    Cell,
    Decision,
    Fate,
    Grade,
    Label,
    Problem,
    Response,
    Score,
    Step,
    Verdict,
)
from thinkscale.reporting.data import Piece, ReportData, Sample, StageFlow, SweepSaving
from thinkscale.reporting.writing import write_report
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate import BASE, STUDENT
from thinkscale.stages.selection_report import selection_facts
from thinkscale.stages.teacher_traces import teacher_traces
from thinkscale.store.atomic import read_json
from thinkscale.store.run import PROVENANCE_NAME, RunDirectory
from thinkscale.store.tables import TABLES
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.thinking.prompts import user_turn


def report(context: StageContext) -> None:
    """Gathers what the run holds and writes the report into its folder."""
    context.progress.say("report: drawing")
    write_report(gather(context.run, context.recipe), context.run.path)


def gather(run: RunDirectory, recipe: Recipe) -> ReportData:
    """The report's whole input, from the journal alone."""
    cells = tuple(run.rows(Cell))
    scores = tuple(run.rows(Score))
    names = list(dict.fromkeys(cell.model for cell in cells))
    models = tuple(name for name in (BASE, STUDENT) if name in names)
    benchmarks = Counter({cell.benchmark: cell.num_problems for cell in cells})
    return ReportData(
        title=recipe.report.title,
        recipe=recipe.name,
        models=models,
        base_model=BASE if len(models) > 1 else None,
        problems_by_benchmark={name: benchmarks[name] for name in dict.fromkeys(cell.benchmark for cell in cells)},
        stages=tuple(stage_flows(run, recipe)),
        teachers=tuple(teacher_traces(run)),
        fates=tuple(run.rows(Fate)),
        labels=tuple(_selected_labels(run)),
        selection=selection_facts(run, recipe, scores),
        cells=cells,
        scores=scores,
        steps=tuple(run.rows(Step)),
        samples=tuple(_samples(run, recipe, scores)),
        savings=tuple(savings(run, scores)),
        targets_tokens=recipe.evaluate.budgets if recipe.evaluate else (),
        resamples=recipe.report.resamples,
        seed=recipe.seed,
        provenance=_provenance(run),
        files={
            f"{name} ({run.journal.num_rows(name, list_stages(run)):,} rows)": f"{name}.parquet"
            for name in TABLES
            if (run.path / f"{name}.parquet").is_file()
        },
    )


def list_stages(run: RunDirectory) -> list[str]:
    """Names of the stages that were begun."""
    return [stage.name for stage in run.journal.stages()]


def _provenance(run: RunDirectory) -> dict[str, JSON]:
    facts = read_json(run.path / PROVENANCE_NAME)
    assert isinstance(facts, dict)
    return facts


def stage_flows(run: RunDirectory, recipe: Recipe) -> Iterator[StageFlow]:
    """Rows in and out of each stage of the selection."""
    problems = run.journal.num_rows("problems", ["collect"])
    if not problems:
        return
    rejected = sum(fate.stage == "collect" for fate in run.rows(Fate, "collect"))
    yield StageFlow(stage="collect", rows_in=problems + rejected, rows_out=problems)
    if recipe.select and any(True for _ in run.rows(Fate, "select")):
        kept = sum(fate.decision is Decision.KEPT for fate in run.rows(Fate, "select"))
        yield StageFlow(stage="select", rows_in=problems, rows_out=kept)


def _selected_labels(run: RunDirectory) -> Iterator[Label]:
    kept = {fate.problem_id for fate in run.rows(Fate, "select") if fate.decision is Decision.KEPT}
    return (item for item in run.rows(Label, "label") if item.problem_id in kept)


def savings(run: RunDirectory, scores: Iterable[Score]) -> Iterator[SweepSaving]:
    """What sharing prefixes saved, from the scores: a trajectory is as long as the longest prefix read of it.

    A prefix that two methods read under one budget and number of waits counts once: nobody would run it twice.
    """
    answer_tokens = {item.key: item.answer_tokens for item in run.rows(Response, "evaluate")}
    groups: dict[tuple[str, str], list[Score]] = defaultdict(list)
    for score in scores:
        if score.method != "direct":
            groups[score.benchmark, score.model].append(score)
    for (benchmark, model), members in groups.items():
        if len({(item.method, item.budget_tokens, item.waits, item.variant) for item in members}) == 1:
            continue
        read: dict[tuple[str, str, int], dict[tuple[int | None, int], int]] = defaultdict(dict)
        for score in members:
            prompt_class = score.variant if score.method == "class_conditional" else ""
            trajectory = read[prompt_class, score.problem_id, score.sample]
            trajectory[score.budget_tokens, score.waits] = score.thinking_tokens
        responses = {score.response_key for score in members}
        yield SweepSaving(
            benchmark=benchmark,
            model=model,
            thinking_tokens_separate=sum(sum(lengths.values()) for lengths in read.values()),
            thinking_tokens_generated=sum(max(lengths.values()) for lengths in read.values()),
            answer_tokens_generated=sum(answer_tokens[key] for key in responses),
            trajectories=len(read),
            answers=len(responses),
        )


def _samples(run: RunDirectory, recipe: Recipe, scores: Iterable[Score]) -> Iterator[Sample]:
    """Traces to read: a teacher's, then for each benchmark one right, one wrong and one that Waits changed."""
    if not recipe.report.samples:
        return
    chosen = list(_chosen(scores))[: recipe.report.samples]
    wanted = {score.response_key: score for score in chosen}
    teacher = _first_with_wait(run)
    keys = {*wanted, *([teacher.key] if teacher else ())}
    if not keys:
        return
    bound = _bound(recipe)
    grades = {grade.response_key: grade for grade in run.rows(Grade) if grade.response_key in keys}
    shown = {grade.problem_id for grade in grades.values()}
    problems = {problem.id: problem for problem in run.rows(Problem) if problem.id in shown}
    if teacher:
        yield Sample(
            problem=problems[teacher.problem_id],
            prompt=_prompt(bound, problems[teacher.problem_id], ""),
            response=teacher,
            grade=grades[teacher.key],
        )
    responses = {item.key: item for item in run.rows(Response, "evaluate") if item.key in wanted}
    for key, score in wanted.items():
        problem = problems[score.problem_id]
        yield Sample(
            problem=problem,
            prompt=_prompt(bound, problem, score.variant if score.method == "class_conditional" else ""),
            response=responses[key],
            grade=grades[key],
            pieces=_pieces(responses[key], bound),
            benchmark=score.benchmark,
            method=score.method,
            budget_tokens=score.budget_tokens,
            waits=score.waits,
            variant=score.variant,
        )


def _first_with_wait(run: RunDirectory) -> Response | None:
    correct = {grade.response_key for grade in run.rows(Grade, "grade") if grade.verdict is Verdict.CORRECT}
    traces = (item for item in run.rows(Response, "generate") if item.key in correct)
    return next((item for item in traces if "Wait" in item.thinking), None)


def _chosen(scores: Iterable[Score]) -> Iterator[Score]:
    """For each benchmark, if there are any: a flip by Wait each way, a right natural end, a wrong cut."""
    student = [score for score in scores if score.model == STUDENT]
    for benchmark in dict.fromkeys(score.benchmark for score in student):
        members = [score for score in student if score.benchmark == benchmark]
        yield from _flips(members)
        for budget_known, verdict in ((False, Verdict.CORRECT), (True, Verdict.WRONG)):
            found = (
                score
                for score in members
                if score.method == "truncation"
                and (score.budget_tokens is not None) == budget_known
                and score.verdict is verdict
            )
            yield from list(found)[:1]


def _flips(members: list[Score]) -> Iterator[Score]:
    """The first score that one Wait turned from wrong to right, and the first that it turned from right to wrong."""
    free = [item for item in members if item.method == "budget_forcing" and item.budget_tokens is None]
    before = {(item.problem_id, item.sample): item.verdict for item in free if item.waits == 0}
    after = [item for item in free if item.waits == 1]
    for first, second in ((Verdict.WRONG, Verdict.CORRECT), (Verdict.CORRECT, Verdict.WRONG)):
        found = (item for item in after if before[item.problem_id, item.sample] is first and item.verdict is second)
        yield from list(found)[:1]


def _bound(recipe: Recipe) -> BoundFormat | None:
    """The student's format, where its tokenizer can be had: a report can be made without it, less detailed."""
    if find_spec("transformers") is None:
        return None
    try:
        return BoundFormat(find_format(recipe.the_student.thinking_format), open_tokenizer(recipe.the_student.model))
    except ThinkscaleError:
        return None


def _prompt(bound: BoundFormat | None, problem: Problem, prompt_class: str) -> str:
    messages = user_turn(problem, prompt_class)
    return bound.decode(bound.thinking_prompt(messages)) if bound else messages[-1].content


def _pieces(response: Response, bound: BoundFormat | None) -> tuple[Piece, ...]:
    """The thinking cut at its forced spans; empty where the text does not give the same tokens again."""
    if bound is None or not response.forced:
        return ()
    ids = bound.encode(response.thinking)
    if len(ids) != response.thinking_tokens:
        return ()
    pieces: list[Piece] = []
    position = 0
    for start, end in response.forced:
        pieces.append(Piece(text=bound.decode(ids[position:start])))
        pieces.append(Piece(text=bound.decode(ids[start:end]), forced=True))
        position = end
    return (*pieces, Piece(text=bound.decode(ids[position:])))
