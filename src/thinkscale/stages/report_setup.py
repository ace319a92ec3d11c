"""What the report says of the recipe: the approach in words, what decides the bytes, and where it leaves the paper."""

from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from thinkscale.config import (
    CatalogueSourceSettings,
    EvaluateSettings,
    FileSourceSettings,
    HubSourceSettings,
    LabSourceSettings,
    Recipe,
    SelectSettings,
    SourceSettings,
    TrainSettings,
    engine_name,
    identity_of,
    recipe_source,
    shipped_recipes,
)
from thinkscale.config.label import LabelSettings
from thinkscale.keys import JSON, canonical_json, content_key
from thinkscale.reporting.data import Deviation, Setup
from thinkscale.reporting.wording import count, method_name
from thinkscale.settings import load_settings
from thinkscale.stages.report_samples import named_templates
from thinkscale.store.provenance import without_folders
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.formats import FORCED_ANSWER, FORMATS

PAPER = "s1-32b"
"""The shipped recipe with the paper's settings."""
COMPARED = ("student", "collect", "generate", "label", "select", "train", "evaluate")
NOT_COMPARED = ("evaluate.engine", "evaluate.templates")
"""Where a model runs decides nothing that the paper states."""
HASH = 12
"""Characters of a content key that are shown."""


def setup_of(run: RunDirectory, recipe: Recipe) -> Setup:
    """The whole of it; without deviations where the paper's recipe is not shipped."""
    deviations, agreeing = deviations_of(recipe, paper_recipe()) if PAPER in shipped_recipes() else ((), 0)
    return Setup(
        approach=tuple(approach_of(recipe)),
        environment=tuple(environment_of(run, recipe)),
        compared_with=PAPER if PAPER in shipped_recipes() and recipe.evaluate else "",
        deviations=tuple(deviations),
        agreeing=agreeing,
    )


def paper_recipe() -> Recipe:
    """The recipe with the paper's settings."""
    text, name = recipe_source(PAPER)
    return load_settings(Recipe, text, (), name=name).value


def deviations_of(recipe: Recipe, paper: Recipe) -> tuple[list[Deviation], int]:
    """Settings that differ, in the order of the recipe, and how many are the same. Placement is no setting here.

    A section that one side lacks is one row.
    """
    differing: list[Deviation] = []
    agreeing = 0
    for name in COMPARED:
        ours, theirs = getattr(recipe, name), getattr(paper, name)
        if (ours is None) != (theirs is None):
            here, there = ("not run" if section is None else "run" for section in (ours, theirs))
            differing.append(Deviation(setting=name, here=here, there=there))
        elif ours is not None:
            here_flat, there_flat = _flat(name, ours), _flat(name, theirs)
            for setting in dict.fromkeys((*here_flat, *there_flat)):
                if here_flat.get(setting) == there_flat.get(setting):
                    agreeing += 1
                    continue
                differing.append(
                    Deviation(
                        setting=setting,
                        here=_shown(here_flat.get(setting)),
                        there=_shown(there_flat.get(setting)),
                    )
                )
    return differing, agreeing


def _flat(name: str, section: BaseModel) -> dict[str, JSON]:
    return {
        f"{name}.{key}": value for key, value in identity_of(section).items() if f"{name}.{key}" not in NOT_COMPARED
    }


def _shown(value: JSON) -> str:
    """In a table, without the folders of this machine."""
    if value is None:
        return "none"
    return without_folders(value) if isinstance(value, str) else canonical_json(_without_folders(value))


def _without_folders(value: JSON) -> JSON:
    match value:
        case str():
            return without_folders(value)
        case list():
            return [_without_folders(item) for item in value]
        case dict():
            return {key: _without_folders(item) for key, item in value.items()}
    return value


def approach_of(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Each stage that runs with what it does, from its settings."""
    if recipe.collect:
        yield "collect", f"problems from {', '.join(map(_source, recipe.collect.sources))}"
    if recipe.generate:
        teacher = recipe.generate
        heat = "greedy" if teacher.temperature == 0 else f"temperature {teacher.temperature:g}"
        yield (
            "generate",
            f"{_number(teacher.samples, 'trace')} for each problem by {engine_name(teacher.engine)}, {heat}, at most "
            f"{count(teacher.max_tokens)} tokens",
        )
    if recipe.generate and recipe.grade:
        symbolic = " and by symbolic equality" if recipe.grade.symbolic else ""
        yield "grade", f"the traces' answers by rules{symbolic}"
    if recipe.label:
        yield "label", "; ".join(_labels(recipe.label))
    if recipe.select:
        yield "select", _selection(recipe.select)
    if recipe.train and recipe.student:
        form = recipe.student.thinking_format
        yield "train", _training(recipe.train, without_folders(recipe.student.model), form)
    if recipe.evaluate:
        yield from _evaluation(recipe.evaluate)
    yield (
        "report",
        f"95% bootstrap intervals over problems ({count(recipe.report.resamples)} resamples), paired comparisons with "
        "correction for their number",
    )


def _source(source: SourceSettings) -> str:
    match source:
        case LabSourceSettings():
            return f"the lab's world ({count(source.size)} rows, faulty ones included)"
        case FileSourceSettings():
            return source.name or source.path.rsplit("/", 1)[-1]
        case CatalogueSourceSettings():
            return source.name
        case HubSourceSettings():
            return source.name or source.repository


def _labels(settings: LabelSettings) -> Iterator[str]:
    if settings.domain:
        yield f"domain by {engine_name(settings.domain.engine)}"
    if settings.rating:
        yield f"difficulty as rated by {engine_name(settings.rating.engine)}"
    if settings.weak_models:
        names = ", ".join(engine_name(item) for item in settings.weak_models)
        yield f"attempts of {names} ({count(settings.weak_samples)} each)"
    yield "the length of each trace"


def _selection(settings: SelectSettings) -> str:
    against = f", compared with {', '.join(settings.against)} too" if settings.against else ""
    return (
        f"{count(settings.count)} rows by the sampler {settings.sampler}; traces of {count(settings.min_trace_tokens)} "
        f"to {count(settings.max_trace_tokens)} tokens; overlaps of {settings.ngram_words} words with the benchmarks "
        f"by the rule {settings.overlap_rule}{against}; solved by weak models: {settings.drop_solved} dropped"
    )


def _training(settings: TrainSettings, model: str, form: str) -> str:
    return (
        f"full fine-tuning of {model} in the thinking format {form}: {_number(settings.epochs, 'epoch')}, "
        f"{settings.effective_batch_size} rows a step, learning rate {settings.learning_rate:g} with warmup over "
        f"{100 * settings.warmup_ratio:g}% of the steps, rows of at most {count(settings.max_length)} tokens "
        f"({settings.over_length.replace('_', ' ')} beyond), {settings.dtype}"
    )


def _evaluation(settings: EvaluateSettings) -> Iterator[tuple[str, str]]:
    methods = ", ".join(method_name(method) for method in settings.methods)
    heat = "greedy" if settings.temperature == 0 else f"temperature {settings.temperature:g}, top-p {settings.top_p:g}"
    yield (
        "evaluate",
        f"{', '.join(map(without_folders, settings.benchmarks))}; {methods}; "
        f"{_number(settings.samples, 'trajectory')} for each problem, "
        f"{heat}; thinking up to {count(settings.max_thinking_tokens)} tokens, answers up to "
        f"{count(settings.max_answer_tokens)}",
    )
    grid = [f"budgets {', '.join(map(count, settings.budgets))}" + (" and none" if settings.untruncated else "")]
    if "budget_forcing" in settings.methods:
        strings = ", ".join(settings.wait_strings)
        grid.append(f"waits {', '.join(map(str, settings.waits))} ({strings})")
    if any(name.startswith("token_conditional") for name in settings.methods):
        grid.append(f"told tokens {', '.join(map(count, settings.token_targets))}")
    if any(name.startswith("step_conditional") for name in settings.methods):
        grid.append(f"told steps {', '.join(map(count, settings.step_targets))}")
    if "minimum" in settings.methods:
        grid.append(f"minimum thinking {', '.join(map(count, settings.minimum_thinking_tokens))}")
    if "rejection" in settings.methods:
        grid.append(f"rejection with at most {_number(settings.rejection_attempts, 'attempt')}")
    yield "grid", "; ".join(grid)


def _number(number: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{count(number)} {noun if number == 1 else plural}"


def environment_of(run: RunDirectory, recipe: Recipe) -> Iterator[tuple[str, str]]:
    """What decides the bytes of the evaluation, from the stage's stored identity, hashes cut short."""
    stage = run.journal.stage("evaluate")
    if stage is None or recipe.evaluate is None:
        return
    settings, identity = recipe.evaluate, stage.identity
    student = identity.get("student")
    if isinstance(student, dict):
        yield "student before training" if recipe.train else "student", _model(student.get("model"))
        yield "thinking format", _format(str(student.get("format")))
    engine = f"{engine_name(settings.engine)} behind HTTP" if settings.engine else "in this process"
    yield "engine of the evaluation", engine
    if settings.engine is None:
        yield "dtype of the evaluation", settings.dtype
    listed = identity.get("benchmarks")
    for item in listed if isinstance(listed, list) else []:
        if isinstance(item, dict):
            yield f"problems of {item.get('name')}", f"hash {str(item.get('problems'))[:HASH]}"
    for benchmark, template, key in named_templates(listed):
        yield f"prompt template of {benchmark}", f"{template}, hash {key[:HASH]}"
    yield "rules of the stages", ", ".join(_rules(run))


def _model(model: JSON) -> str:
    if not isinstance(model, Mapping):
        return _shown(model)
    parts = [str(model.get("name", ""))]
    parts += [f"{key} {str(value)[:HASH]}" for key, value in model.items() if key != "name" and value]
    return ", ".join(part for part in parts if part)


def _format(name: str) -> str:
    form = FORMATS.get(name)
    if form is None:
        return name
    return f"{name}, ends at {form.think_end}, hash {content_key('format', form, FORCED_ANSWER)[:HASH]}"


def _rules(run: RunDirectory) -> Iterator[str]:
    """Versions of the stages' rules."""
    for stage in run.journal.stages():
        yield f"{stage.name} {stage.identity.get('rules')}"
