"""plan: what would run, what is done, and every setting with where it came from."""

from pathlib import Path

from thinkscale.config import EvaluateSettings
from thinkscale.errors import DriftError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe, identity, load_recipe, stages_of
from thinkscale.settings import settings_table
from thinkscale.stages.evaluate import load_benchmarks, sweep_settings
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.sweep import plan_trajectories


def plan(recipe: str, out: Path | None, overrides: tuple[str, ...]) -> dict[str, JSON]:
    """Stages in order with their state and what they would do. Runs nothing, changes nothing."""
    loaded = load_recipe(recipe, overrides)
    folder = out or Path("runs") / loaded.recipe.name
    states = _states(loaded, folder)
    rows: list[JSON] = [
        {"stage": name, "state": states.get(name, "to do"), "work": _work(loaded, name)}
        for name in [*stages_of(loaded.recipe), "report"]
    ]
    return {"recipe": loaded.recipe.name, "out": str(folder), "stages": rows}


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
        return f"{known:,} rows" + (" and those of the files" if None in sizes else "")
    if stage == "generate" and recipe.generate:
        return f"{recipe.generate.samples} response(s) a problem, at most {recipe.generate.max_tokens:,} tokens each"
    if stage == "label" and recipe.label:
        models = len(recipe.label.weak_models)
        return f"{models * recipe.label.weak_samples} attempt(s) a problem with a correct trace"
    if stage == "select" and recipe.select:
        return f"{recipe.select.count:,} examples"
    if stage == "train" and recipe.train and recipe.select:
        steps = -(-recipe.select.count // recipe.train.effective_batch_size) * recipe.train.epochs
        return f"{steps:,} steps of {recipe.train.effective_batch_size} rows"
    if stage == "evaluate" and recipe.evaluate:
        return _sweep(recipe.evaluate, loaded)
    return "what the stages before it made"


def _sweep(settings: EvaluateSettings, loaded: LoadedRecipe) -> str:
    """Trajectories, cells, and the bound on tokens, with and without shared prefixes."""
    benchmarks = load_benchmarks(settings, loaded.recipe.seed, loaded.folder)
    problems = sum(len(benchmark.problems) for benchmark in benchmarks) * settings.samples
    cells = sweep_settings(settings)
    plans = plan_trajectories(cells, settings.max_thinking_tokens)
    shared = problems * sum(item.reach(0) for item in plans)
    separate = problems * sum(item.bound(setting) for item in plans for setting in item.settings)
    return (
        f"{problems:,} problems x {len(cells)} cells from {problems * len(plans):,} trajectories; at most "
        f"{shared:,} thinking tokens, where separate runs may take {separate:,}"
    )


def plan_text(found: dict[str, JSON]) -> str:
    """The plan as lines."""
    stages = found["stages"]
    assert isinstance(stages, list)
    lines = [f"{found['recipe']} in {found['out']}"]
    for row in stages:
        assert isinstance(row, dict)
        lines.append(f"  {row['stage']!s:<10} {row['state']!s:<8} {row['work']}")
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
