"""plan: what would run, what is done, and every setting with where it came from."""

from dataclasses import dataclass
from pathlib import Path

from thinkscale.commands.pilot import projected
from thinkscale.commands.plan_sweep import sweep_json, sweep_line, sweep_plan, sweep_text
from thinkscale.commands.plan_training import (
    find_machine,
    plan_training,
    training_json,
    training_line,
    training_text,
)
from thinkscale.config import (
    CatalogueSourceSettings,
    EndpointSettings,
    EvaluateSettings,
    GenerateSettings,
    LabelSettings,
    OpenAIEngineSettings,
    TrainSettings,
    engine_name,
)
from thinkscale.engines.remote.prices import load_prices, price_of
from thinkscale.engines.remote.turns import prompt_estimate
from thinkscale.errors import ConfigError, DriftError, ModelError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, identity, load_recipe, stages_of
from thinkscale.records import Finish, Problem, Response
from thinkscale.settings import settings_table
from thinkscale.stages.benchmarks import expected_problems
from thinkscale.statistics.projection import Projection, projection_json, projection_text
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StoredState
from thinkscale.thinking.prompts import user_turn


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOptions:
    """The machine to plan for. None: this one, and as many GPUs as the recipe says."""

    gpus: int | None = None
    """That serve the teacher, and that train."""
    device: str | None = None
    gpu_memory_gib: float | None = None


def plan(
    recipe: str, out: Path | None, overrides: tuple[str, ...], options: PlanOptions | None = None
) -> dict[str, JSON]:
    """Stages in order with their state and what they would do. Runs nothing, changes nothing.

    Where the run has responses already (a pilot's), `generate` has a `projection` of what all will take, and
    `projection_text`; with GPUs named it has GPU hours too. `train` has `training` and `training_text`: steps, memory,
    time, and what would make it fit. Whether a training fits is told by `is_fitting`; `run` and `train` refuse one that
    cannot.
    """
    options = options or PlanOptions()
    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / loaded.recipe.name
    states = _states(loaded, folder)
    rows: list[JSON] = []
    for name in [*stages_of(loaded.recipe), "report"]:
        row: dict[str, JSON] = {"stage": name, "state": states.get(name, "to do"), "work": _work(loaded, name)}
        if name == "generate" and loaded.recipe.generate:
            work, projection = _generation(loaded, loaded.recipe.generate, folder, states, options.gpus or 0)
            row["work"] = work
            if projection:
                row |= {"projection": projection_json(projection), "projection_text": projection_text(projection)}
        if name == "evaluate" and loaded.recipe.evaluate:
            row |= _sweep(loaded, loaded.recipe.evaluate, folder, states)
        if name == "train" and loaded.recipe.train:
            row |= _training(loaded, loaded.recipe.train, folder, states, options)
        rows.append(row)
    return {"recipe": loaded.recipe.name, "out": str(folder), "stages": rows}


def _training(
    loaded: LoadedRecipe, settings: TrainSettings, folder: Path, states: dict[str, str], options: PlanOptions
) -> dict[str, JSON]:
    """What the training would take, or why that is not known. Raises ConfigError for an unknown device."""
    machine = find_machine(options.device, options.gpu_memory_gib, options.gpus or settings.processes)
    try:
        found = plan_training(loaded, settings, folder, machine, is_selected=states.get("select") == "done")
    except (ModelError, ConfigError) as error:  # the other stages can be planned all the same
        return {"training_text": f"memory and time are not known: {error}"}
    work, lines = training_line(found), training_text(found)
    return {"work": work, "training": training_json(found), "training_text": "\n".join(lines)}


def _states(loaded: LoadedRecipe, folder: Path) -> dict[str, str]:
    """Stage to `done`, `begun` or `changed: fields`; what follows a changed stage is to do again."""
    if not (folder / "journal.db").is_file():
        return {}
    states: dict[str, str] = {}
    with RunDirectory.read(folder) as run:
        for name in stages_of(loaded.recipe):
            try:
                state = run.stage_state(name, identity(loaded, name, run)).value
            except DriftError as error:
                states[name] = f"changed: {', '.join(error.fields)}"
                break
            if state == "new":
                break
            states[name] = {"resumed": "begun", "done": "done"}[state]
    return states


def _work(loaded: LoadedRecipe, stage: str) -> str:
    recipe = loaded.recipe
    if stage == "collect" and recipe.collect:
        sizes = [getattr(source, "size", None) for source in recipe.collect.sources]
        known = sum(size for size in sizes if size)
        named = [source.name for source in recipe.collect.sources if isinstance(source, CatalogueSourceSettings)]
        of_files = "the rows of the files" if sizes.count(None) > len(named) else ""
        return " and ".join(part for part in (f"{known:,} rows" if known else "", ", ".join(named), of_files) if part)
    if stage == "label" and recipe.label:
        return _labelling(recipe.label)
    if stage == "select" and recipe.select:
        return "every row that passes" if recipe.select.sampler == "all" else f"{recipe.select.count:,} examples"
    if stage == "train" and recipe.train and recipe.select:
        steps = -(-recipe.select.count // recipe.train.effective_batch_size) * recipe.train.epochs
        return f"{steps:,} steps of {recipe.train.effective_batch_size} rows"
    return "what the stages before it made"


def _labelling(settings: LabelSettings) -> str:
    """What is asked of each problem."""
    asked = [name for name, section in (("domain", settings.domain), ("rating", settings.rating)) if section]
    attempts = len(settings.weak_models) * settings.weak_samples
    parts = [*asked, *([f"{attempts} attempt(s)"] if attempts else []), "the length of the trace"]
    return f"{', '.join(parts)} for each problem{'' if settings.problems == 'all' else ' with a correct trace'}"


def _generation(
    loaded: LoadedRecipe, settings: GenerateSettings, folder: Path, states: dict[str, str], num_gpus: int
) -> tuple[str, Projection | None]:
    """Who answers, how much at most, the price of that, and what the stored responses let expect."""
    engine = settings.engine
    parts = [f"{engine.type} {engine_name(engine)}"]
    if isinstance(engine, OpenAIEngineSettings) and len(engine.endpoints) > 1:
        parts[0] += f" at {len(engine.endpoints)} endpoints"
    parts.append(f"{settings.samples} response(s) a problem, at most {settings.max_tokens:,} tokens each")
    if states.get("collect") != "done":
        return ", ".join(parts), None
    with RunDirectory.read(folder) as run:
        stage = run.journal.stage("collect")
        if stage is None or stage.state is not StoredState.DONE:
            return ", ".join(parts), None
        num_rows = run.journal.num_rows("problems", ["collect"])
        responses = num_rows * settings.samples
        parts.append(f"{num_rows:,} problems, so {responses:,} responses, {responses * settings.max_tokens:,} tokens")
        if isinstance(engine, EndpointSettings):
            parts.append(_worst_case(loaded, settings, run))
        is_same = states.get("generate") in ("begun", "done")
        return ", ".join(parts), projected(loaded.recipe, run, num_gpus) if is_same else None


def _worst_case(loaded: LoadedRecipe, settings: GenerateSettings, run: RunDirectory) -> str:
    """The price if every response were as long as it may be; prompts are estimated from above."""
    name = engine_name(settings.engine)
    price = price_of(name, load_prices(loaded.folder / settings.prices) if settings.prices else None)
    if price is None:
        return "of unknown price"
    prompts = (
        prompt_estimate(user_turn(problem, system_prompt=settings.system_prompt))
        for problem in run.rows(Problem, "collect")
    )
    usd = sum(price.usd(tokens, 0, settings.max_tokens, batch=settings.batch) for tokens in prompts) * settings.samples
    cap = "" if settings.max_spend is None else f", and never over ${settings.max_spend:,.2f}"
    return f"${usd:,.2f} at worst{cap}"


def _sweep(loaded: LoadedRecipe, settings: EvaluateSettings, folder: Path, states: dict[str, str]) -> dict[str, JSON]:
    """What the sweep would take, from the lengths of the run's own traces where it has any. Reads no benchmark."""
    sizes = expected_problems(settings, loaded.folder)
    known = [size for size in sizes.values() if size is not None]
    traces: list[int] = []
    if states.get("generate") in ("begun", "done"):
        with RunDirectory.read(folder) as run:
            traces = [item.thinking_tokens for item in run.rows(Response, "generate") if item.finish is Finish.END]
    found = sweep_plan(
        settings,
        sum(known) if len(known) == len(sizes) else None,
        traces,
        base=bool(loaded.recipe.train) and settings.baseline,
    )
    return {"work": sweep_line(found), "sweep": sweep_json(found), "sweep_text": "\n".join(sweep_text(found))}


def is_fitting(found: dict[str, JSON]) -> bool:
    """Whether no training of a plan needs more memory than its GPU has. True where that is not known."""
    stages = found["stages"]
    assert isinstance(stages, list)
    trainings = [row.get("training") for row in stages if isinstance(row, dict)]
    return all(item.get("fits") is not False for item in trainings if isinstance(item, dict))


def plan_text(found: dict[str, JSON]) -> str:
    """The plan as lines."""
    stages = found["stages"]
    assert isinstance(stages, list)
    lines = [f"{found['recipe']} in {found['out']}"]
    for row in stages:
        assert isinstance(row, dict)
        lines.append(f"  {row['stage']!s:<10} {row['state']!s:<8} {row['work']}")
        for more in ("projection_text", "training_text", "sweep_text"):
            lines += [f"{'':22}{line}" for line in str(row.get(more, "")).splitlines()]
    return "\n".join(lines)


def settings_rows(recipe: str, overrides: tuple[str, ...]) -> list[dict[str, JSON]]:
    """Every setting: path, value, default, origin, description."""
    from thinkscale.keys import plain

    loaded = load_recipe(recipe, overrides)
    return [
        {name: plain(getattr(row, name)) for name in ("path", "value", "default", "origin", "description")}
        for row in settings_table(loaded.settings)
    ]


def settings_text(rows: list[dict[str, JSON]]) -> str:
    """The settings as aligned lines: path, value, origin."""
    width = max(len(str(row["path"])) for row in rows)
    values = max(min(len(str(row["value"])), 40) for row in rows)
    return "\n".join(f"{row['path']!s:<{width}}  {row['value']!s:<{values}}  {row['origin']}" for row in rows)
