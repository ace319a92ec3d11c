"""report: everything stored becomes report.md, report.html, figures and tables. It computes no result of its own."""

from collections.abc import Iterator

from thinkscale.config import Recipe
from thinkscale.keys import JSON
from thinkscale.records import Cell, Decision, Fate, Label, Replay, Reward, Score
from thinkscale.reporting.data import ReportData, StageFlow
from thinkscale.reporting.writing import write_report
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate_jobs import BASE, STUDENT
from thinkscale.stages.report_facts import (
    decided_of,
    grader_ranges,
    loops_of,
    published_points,
    reference_checks,
    savings,
    sweep_cost,
)
from thinkscale.stages.report_samples import chosen_samples
from thinkscale.stages.report_setup import setup_of
from thinkscale.stages.selection_report import selection_facts
from thinkscale.stages.teacher_traces import teacher_traces
from thinkscale.stages.trace_rows import report_traces
from thinkscale.stages.training_facts import trainings_of
from thinkscale.store.atomic import read_json
from thinkscale.store.run import PROVENANCE_NAME, RunDirectory
from thinkscale.store.tables import TABLES


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
    sizes: dict[str, int] = {}
    for cell in cells:
        sizes[cell.benchmark] = max(sizes.get(cell.benchmark, 0), cell.num_problems)
    samples, left_out = chosen_samples(run, recipe, scores)
    return ReportData(
        title=recipe.report.title,
        recipe=recipe.name,
        models=models,
        base_model=BASE if len(models) > 1 else None,
        problems_by_benchmark=sizes,
        stages=tuple(stage_flows(run, recipe)),
        teachers=tuple(teacher_traces(run)),
        fates=tuple(run.rows(Fate)),
        labels=tuple(_selected_labels(run)),
        selection=selection_facts(run, recipe, scores),
        cells=cells,
        scores=scores,
        rewards=tuple(run.rows(Reward)),
        trainings=tuple(trainings_of(run)),
        samples=tuple(samples),
        samples_left_out=left_out,
        savings=tuple(savings(run, scores)),
        loops=tuple(loops_of(run)),
        cost=sweep_cost(run, recipe),
        published=published_points(recipe, tuple(sizes)),
        replays=tuple(run.rows(Replay)),
        references=tuple(reference_checks(run, scores, recipe.seed)),
        decided=tuple(decided_of(run)),
        graders=grader_ranges(run, scores, recipe),
        setup=setup_of(run, recipe),
        targets_tokens=recipe.evaluate.budgets if recipe.evaluate else (),
        grace_tokens=recipe.evaluate.grace_tokens if recipe.evaluate else 0,
        resamples=recipe.report.resamples,
        seed=recipe.seed,
        notice=recipe.report.notice,
        traces=report_traces(run, recipe),
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
