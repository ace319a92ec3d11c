"""A recipe as a run: stages in order, each done once under its identity, then the tables and the manifest.

A stage's identity is its section without placement, the version of its rules, the seed, what it reads (the
fingerprints of earlier stages) and the models and files that it takes from outside. Rejected: a graph of
steps with a scheduler. The chain is a line, and a line can be read.
"""

import shutil
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from pydantic import BaseModel

from thinkscale.config import (
    EngineSettings,
    GradeSettings,
    LocalEngineSettings,
    Recipe,
    ScriptedEngineSettings,
    identity_of,
    recipe_source,
)
from thinkscale.config.scorers import RewardScorerSettings
from thinkscale.credentials import export_hub_token
from thinkscale.engines.catalogue import model_identity, model_path, require_local, require_train
from thinkscale.errors import ConfigError, DriftError, StoppedError
from thinkscale.keys import JSON
from thinkscale.progress import Progress
from thinkscale.records import Finish, Kind, Response
from thinkscale.sandbox.isolation import find_isolation
from thinkscale.settings import Loaded, dump_settings, load_settings
from thinkscale.sources.benchmarks import asked_json, benchmark_json
from thinkscale.stages.benchmarks import benchmarks_of, references_of, templates_of
from thinkscale.stages.collect import collect, file_fingerprint, source_fingerprints
from thinkscale.stages.context import StageContext
from thinkscale.stages.evaluate import evaluate
from thinkscale.stages.evaluate_cells import sweep_settings
from thinkscale.stages.evaluate_jobs import check_models
from thinkscale.stages.generate import generate
from thinkscale.stages.grade import grade
from thinkscale.stages.label import check_label, label, label_engines, label_identity, needs_local
from thinkscale.stages.label import forget_failed as forget_failed_labels
from thinkscale.stages.report import report
from thinkscale.stages.scorers import check_scorers
from thinkscale.stages.select import select
from thinkscale.stages.selection_rules import rules_of
from thinkscale.stages.teachers import check_teacher
from thinkscale.stages.train import train
from thinkscale.store.provenance import collect_provenance
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StageState


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: what it does, what it reads, and the version of its rules (raised when its results change)."""

    run: Callable[[StageContext], None]
    needs: tuple[str, ...]
    may_read: tuple[str, ...] = ()
    """Stages that it reads where the recipe has them."""
    version: int = 1

    @property
    def reads(self) -> tuple[str, ...]:
        """Every stage whose rows can enter its own."""
        return self.needs + self.may_read


STAGES: dict[str, Stage] = {
    "collect": Stage(collect, (), version=3),
    "generate": Stage(generate, ("collect",)),
    "grade": Stage(grade, ("collect", "generate"), version=2),
    "label": Stage(label, ("collect",), may_read=("generate", "grade"), version=3),
    "select": Stage(select, ("collect",), may_read=("generate", "grade", "label"), version=3),
    "train": Stage(train, ("select",), version=2),
    "evaluate": Stage(evaluate, (), may_read=("train",), version=3),
}
"""In the order in which they run. The report is not among them: it holds no rows and is made anew each time."""


@dataclass(frozen=True, slots=True)
class LoadedRecipe:
    """A recipe with where each of its settings came from, and the folder where its relative paths start."""

    settings: Loaded[Recipe]
    folder: Path

    @property
    def recipe(self) -> Recipe:
        """The typed recipe."""
        return self.settings.value


def load_recipe(name: str, overrides: tuple[str, ...] = ()) -> LoadedRecipe:
    """A shipped recipe or a YAML file, with `--set` overrides. Raises ConfigError with every fault found."""
    text, label_ = recipe_source(name)
    folder = Path(name).resolve().parent if Path(name).is_file() else Path.cwd()
    return LoadedRecipe(load_settings(Recipe, text, overrides, name=label_), folder)


def section_of(recipe: Recipe, stage: str) -> BaseModel | None:
    """The stage's section, None where the stage does not run."""
    section: BaseModel | None = getattr(recipe, stage)
    return section


def stages_of(recipe: Recipe, until: str | None = None) -> list[str]:
    """The stages that run, in order. Raises ConfigError where one lacks a stage that it reads."""
    if until is not None and until not in (*STAGES, "report"):
        raise ConfigError(f"--until {until}: there is no such stage; there are {', '.join(STAGES)}, report")
    present = [name for name in STAGES if section_of(recipe, name) is not None]
    for name in present:
        missing = [other for other in STAGES[name].needs if other not in present]
        if missing:
            raise ConfigError(f"the recipe has the section `{name}` but not `{missing[0]}`, which it reads")
    if until in STAGES:
        if until not in present:
            raise ConfigError(f"--until {until}: the recipe has no section `{until}`")
        present = present[: present.index(until) + 1]
    return present


ABSENT = "absent"
"""Stands in an identity for a stage that the recipe does not have."""


def identity(loaded: LoadedRecipe, stage: str, run: RunDirectory) -> dict[str, JSON]:
    """What the rows of `stage` depend on, as the journal keeps it."""
    recipe = loaded.recipe
    section = section_of(recipe, stage)
    assert section is not None
    stored = {item.name: item.fingerprint for item in run.journal.stages()}
    inputs: dict[str, JSON] = {
        name: stored.get(name, ABSENT) if section_of(recipe, name) is not None else ABSENT
        for name in STAGES[stage].reads
    }
    made: dict[str, JSON] = {"rules": STAGES[stage].version, "seed": recipe.seed, stage: identity_of(section)}
    return {**made, "inputs": inputs, **_outside(loaded, stage)}


def _outside(loaded: LoadedRecipe, stage: str) -> dict[str, JSON]:
    """What a stage takes from outside its section: files, models, benchmarks, and settings of other sections."""
    recipe = loaded.recipe
    found: dict[str, JSON] = {}
    if stage == "collect" and recipe.collect:
        found["files"] = source_fingerprints(recipe.collect.sources, loaded.folder)
    if stage == "generate" and recipe.generate:
        found.update(_engine(recipe.generate.engine, recipe, loaded.folder))
    if stage == "label" and recipe.label:
        found.update(label_identity(recipe.label, recipe, loaded.folder))
        found["engines"] = [_engine(engine, recipe, loaded.folder) for engine in label_engines(recipe.label)]
    if stage in ("label", "evaluate"):
        found["grading"] = identity_of(recipe.grade or GradeSettings())
    if stage in ("train", "evaluate"):
        student = recipe.the_student
        found["student"] = {"format": student.thinking_format, "model": model_identity(student.model)}
    if stage == "evaluate":
        found["resamples"] = recipe.report.resamples
        scorers = recipe.evaluate.scorers if recipe.evaluate else ()
        models = [item.reward for item in scorers if isinstance(item, RewardScorerSettings)]
        found["scorers"] = [model_identity(name) for name in models]
    if stage == "select":
        found["benchmarks"] = [benchmark_json(item) for item in references_of(recipe, loaded.folder)]
    if stage == "evaluate" and recipe.evaluate:
        benchmarks = benchmarks_of(recipe.evaluate, recipe.seed, loaded.folder)
        found["benchmarks"] = [asked_json(item) for item in benchmarks]
    return found


def _engine(engine: EngineSettings, recipe: Recipe, folder: Path) -> dict[str, JSON]:
    """What decides an engine's answers beside its settings: a model's files, a script's records and tokenizer.

    Of a model behind HTTP only its name is known, and that stands in the section.
    """
    if isinstance(engine, LocalEngineSettings):
        return {"teacher": model_identity(engine.model)}
    if isinstance(engine, ScriptedEngineSettings):
        # A script's tokens are counted with the student's tokenizer.
        made: dict[str, JSON] = {"tokenizer": model_identity(recipe.student.model) if recipe.student else "words"}
        return {**made, "replay": file_fingerprint(folder / engine.replay, "engine.replay")} if engine.replay else made
    return {}


def run_recipe(
    loaded: LoadedRecipe,
    out: Path,
    *,
    until: str | None = None,
    fresh: bool = False,
    retry_failed: bool = False,
    pilot: int | None = None,
    quiet: bool = False,
) -> Path:
    """Runs what is not done yet, and ends in tables, report and manifest. Returns the run directory.

    With `until` the run ends behind that stage, without a manifest: it is not done. What can be known to be wrong is
    refused before anything is written. Raises DriftError where a stored stage was made under another identity,
    unless `fresh`, which discards that stage and those after it. With `retry_failed` the teacher's failed responses are
    forgotten, and what was made of them. With `pilot` the run ends behind so many of the teacher's responses.
    """
    recipe = loaded.recipe
    export_hub_token()
    wanted = stages_of(recipe, "generate" if pilot else until)
    preflight(loaded, wanted)
    with RunDirectory.create_or_open(out, dump_settings(recipe)) as run, stopping_cleanly():
        progress = Progress(run.journal, quiet=quiet)
        _settle_drift(loaded, run, fresh)
        if retry_failed:
            _forget_failed(run)
        asked = {name: f"{item.name} {item.key}" for name, item in templates_of(recipe.evaluate, loaded.folder).items()}
        run.write_provenance(
            {**collect_provenance(sys.argv[1:], recipe.seed, _determinism(recipe)), "prompt_templates": {**asked}}
        )
        for name in wanted:
            context = StageContext(name, recipe, loaded.folder, run, progress, pilot if name == "generate" else None)
            _run_stage(context, identity(loaded, name, run))
        run.export_tables(list(STAGES))
        if not pilot and until in (None, "report"):
            report(StageContext("report", recipe, loaded.folder, run, progress))
            run.write_manifest()
    return out


def check_recipe(loaded: LoadedRecipe) -> None:
    """What can be said against a recipe without its files, models or servers. Raises ConfigError."""
    recipe = loaded.recipe
    stages_of(recipe)
    if recipe.evaluate:
        sweep_settings(recipe.evaluate)
        check_models(recipe)
    if recipe.select:
        rules_of(recipe.select)


def preflight(loaded: LoadedRecipe, wanted: list[str]) -> None:
    """Refuses what can be known to be wrong before the first stage: files, benchmarks, models, extras, budgets.

    Raises SandboxError where a benchmark has programs and nothing here can keep them in.
    """
    check_recipe(loaded)
    recipe = loaded.recipe
    if {"train", "evaluate"} & set(wanted) or recipe.student:
        model_path(recipe.the_student.model)
    if recipe.collect:
        source_fingerprints(recipe.collect.sources, loaded.folder)
    if recipe.evaluate:
        check_scorers(recipe.evaluate.scorers)
        benchmarks = benchmarks_of(recipe.evaluate, recipe.seed, loaded.folder)
        if any(problem.kind is Kind.CODE for benchmark in benchmarks for problem in benchmark.problems):
            find_isolation(recipe.grade.isolation if recipe.grade else None)
    check_label(recipe, loaded.folder)
    if recipe.select:
        references_of(recipe, loaded.folder)
    if recipe.generate:
        check_teacher(recipe.generate, loaded.folder)
    labellers = label_engines(recipe.label) if recipe.label else ()
    for engine in (*labellers, *([recipe.generate.engine] if recipe.generate else ())):
        if isinstance(engine, LocalEngineSettings):
            model_path(engine.model)
        elif isinstance(engine, ScriptedEngineSettings) and engine.replay:
            file_fingerprint(loaded.folder / engine.replay, "engine.replay")
    is_local = recipe.generate is not None and isinstance(recipe.generate.engine, LocalEngineSettings)
    if "evaluate" in wanted or ("generate" in wanted and is_local) or ("label" in wanted and needs_local(recipe.label)):
        require_local()
    if "train" in wanted:
        require_train()


def _settle_drift(loaded: LoadedRecipe, run: RunDirectory, fresh: bool) -> None:
    """Before anything is written: finds the first stored stage that this recipe would make otherwise.

    Raises DriftError, or with `fresh` discards it and all that follows from it.
    """
    present = stages_of(loaded.recipe)
    for name in STAGES:
        stored = run.journal.stage(name)
        if stored is None:
            continue
        try:
            if name not in present:
                raise DriftError(
                    f"{run.path}: this run has the stage `{name}`, the recipe has no section for it. Give it back, "
                    "choose another --out, or discard the stage and those after it with --fresh",
                    (name,),
                )
            if run.stage_state(name, identity(loaded, name, run)) is not StageState.DONE:
                return
        except DriftError:
            if not fresh:
                raise
            _discard_from(name, run)
            return


def _forget_failed(run: RunDirectory) -> None:
    """Forgets the responses and labels that failed, so that they are asked for again, and all that was made of them."""
    failed = [item.key for item in run.rows(Response, "generate") if item.finish is Finish.ERROR]
    order = list(STAGES)
    if not failed and forget_failed_labels(run):
        _discard_from(order[order.index("label") + 1], run)
    if failed:
        _discard_from(order[order.index("generate") + 1], run)
        run.forget_units("generate", failed)
        run.journal.add_event("generate", "retry", f"{len(failed)} failed responses are asked for again")


def _discard_from(stage: str, run: RunDirectory) -> None:
    """Forgets a stage and those after it, with the files that were made of them."""
    order = list(STAGES)
    stages = order[order.index(stage) :]
    run.discard_stages(stages)
    for path in (*run.path.glob("report.*"), *run.figures.glob("*")):
        path.unlink()
    if "train" in stages:
        shutil.rmtree(run.checkpoints / "student", ignore_errors=True)


def rebuild_report(folder: Path) -> None:
    """Makes the report of a run again from what is stored. An unfinished run stays unfinished."""
    with RunDirectory.open_existing(folder) as run:
        was_done = run.is_done
        recipe = load_settings(Recipe, run.recipe_yaml, name=str(folder / "recipe.yaml")).value
        report(StageContext("report", recipe, folder, run, Progress()))
        if was_done:
            run.write_manifest()


def _run_stage(context: StageContext, wanted: dict[str, JSON]) -> None:
    name, run = context.stage, context.run
    if run.begin_stage(name, wanted) is StageState.DONE:
        context.progress.say(f"{name}: done before")
        return
    STAGES[name].run(context)
    if context.pilot is None:
        run.finish_stage(name)


def _determinism(recipe: Recipe) -> dict[str, JSON]:
    """What decides whether the same recipe gives the same bytes again."""
    evaluate_settings = recipe.evaluate
    return {
        "random_numbers": "drawn from a counter by (seed, position); no shared generator",
        "torch_threads_on_cpu": 1,
        "evaluation_dtype": evaluate_settings.dtype if evaluate_settings else None,
        "batch_invariant": bool(evaluate_settings and evaluate_settings.dtype == "float64"),
    }


@contextmanager
def stopping_cleanly() -> Iterator[None]:
    """SIGTERM becomes KeyboardInterrupt, and that a StoppedError: both ways of stopping unwind and release the run."""

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, stop)
    except ValueError:  # not the main thread: whoever started it decides about signals
        yield
        return
    try:
        yield
    except KeyboardInterrupt as error:
        raise StoppedError("stopped; what was finished is stored, and the same command goes on from there") from error
    finally:
        signal.signal(signal.SIGTERM, before)
