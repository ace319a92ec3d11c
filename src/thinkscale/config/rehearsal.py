"""A recipe as its rehearsal: every stage and every setting stays, and what takes a cluster is replaced.

The student and weak models become the lab's model, teachers and labellers its script, sources and benchmarks a few rows
in files, and lengths what the lab's model can hold. A pure function: what it replaces is a list that is printed and
stands at the head of the report, and all else is the recipe's own, so that a misspelt column, an impossible rule or a
budget beyond its limit costs a minute.

Rejected: a small recipe beside each large one. It would be another recipe, and its mistakes other mistakes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel

from thinkscale.config.collect import (
    CatalogueSourceSettings,
    FileSourceSettings,
    HubSourceSettings,
    LabSourceSettings,
    SourceSettings,
)
from thinkscale.config.engines import EndpointSettings, LocalEngineSettings, ScriptedEngineSettings, engine_name
from thinkscale.config.evaluate import EvaluateSettings
from thinkscale.config.label import LabelSettings
from thinkscale.config.recipe import Recipe
from thinkscale.config.report import ReportSettings
from thinkscale.config.select import LastPhaseSettings, SelectSettings
from thinkscale.config.student import TrainSettings
from thinkscale.config.teach import GenerateSettings
from thinkscale.sources.benchmarks import parse_reference
from thinkscale.sources.files import is_table
from thinkscale.store.provenance import without_folders

LAB = "lab"
SUFFIX = "-rehearsal"
"""Ends the name of every rehearsal, so that no real run is taken for one."""
CONTEXT_TOKENS = 1024
"""Of the lab's model."""
THINKING_TOKENS = 128
"""The longest thinking of a rehearsal; budgets and targets keep their proportion to it."""
ANSWER_TOKENS = 24
ROW_TOKENS = 900
"""The longest training row."""
SOURCE_ROWS, BENCHMARK_ROWS = 40, 3
LAB_ROWS = 300
EXAMPLES = 8
SOURCES, BENCHMARKS = "sources", "benchmarks"
"""Folders of the rows."""

M = TypeVar("M", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Replacement:
    """A setting that a rehearsal changes."""

    setting: str
    planned: str
    rehearsed: str

    def __str__(self) -> str:
        return f"{self.setting}: {self.rehearsed} in place of {self.planned}"


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """A recipe for this machine, and what in it is not the recipe's own."""

    recipe: Recipe
    replacements: tuple[Replacement, ...]


def rehearsed(recipe: Recipe, rows: str) -> Rehearsal:
    """The rehearsal of `recipe`, whose sources and benchmarks lie in the folder `rows` (`source_rows`,
    `benchmark_rows` say where in it)."""
    changes: dict[str, object] = {"name": f"{recipe.name}{SUFFIX}"}
    if recipe.student is not None:
        changes["student"] = recipe.student.model_copy(update={"model": LAB})
    if recipe.collect is not None:
        sources = tuple(_source(source, rows, number) for number, source in enumerate(recipe.collect.sources))
        changes["collect"] = recipe.collect.model_copy(update={"sources": sources})
    if recipe.generate is not None:
        changes["generate"] = _generate(recipe.generate)
    if recipe.label is not None:
        changes["label"] = _label(recipe.label)
    if recipe.select is not None:
        changes["select"] = _select(recipe.select, rows)
    if recipe.train is not None:
        changes["train"] = _train(recipe.train)
    if recipe.evaluate is not None:
        changes["evaluate"] = _evaluate(recipe.evaluate, rows)
    made = recipe.model_copy(update=changes)
    beside = f"{Path(rows).parent}/"  # a report names no folder of this machine
    replaced = tuple(
        replace(item, planned=_without_folders(item.planned), rehearsed=item.rehearsed.replace(beside, ""))
        for item in _differences("", recipe, made)
    )
    return Rehearsal(made.model_copy(update={"report": _report(recipe.report, replaced)}), replaced)


def source_rows(rows: str, source: SourceSettings, number: int) -> Path:
    """Where the rows of a source lie: a file, in a folder of its own since others may have to lie beside it."""
    return Path(rows) / SOURCES / str(number) / f"{source_name(source)}.jsonl"


def source_name(source: SourceSettings) -> str:
    """The name of a source in records."""
    if isinstance(source, LabSourceSettings):
        return LAB
    if isinstance(source, CatalogueSourceSettings):
        return source.name
    if isinstance(source, FileSourceSettings):
        return source.name or Path(source.path).name.split(".")[0]
    return source.name or source.repository.split("/")[1]


def benchmark_rows(rows: str, reference: str) -> Path:
    """Where the rows of a benchmark lie, in the shape of its set."""
    return Path(rows) / BENCHMARKS / f"{benchmark_name(reference)}.jsonl"


def benchmark_name(reference: str) -> str:
    """The name of a benchmark in records."""
    name = parse_reference(reference)[0]
    return Path(name).name.split(".")[0] if is_table(name) else name


def is_of_lab(name: str) -> bool:
    """Whether a benchmark is made from the seed, so that it needs no rows."""
    return name.startswith("lab_")


def _source(source: SourceSettings, rows: str, number: int) -> SourceSettings:
    place = source_rows(rows, source, number)
    if isinstance(source, LabSourceSettings):
        return source.model_copy(update={"size": min(source.size, LAB_ROWS)})
    if isinstance(source, CatalogueSourceSettings):
        limit = None if source.limit is None else min(source.limit, SOURCE_ROWS)
        return source.model_copy(update={"local": str(place.parent), "revision": None, "limit": limit})
    columns = dict(source.columns)
    if isinstance(source, HubSourceSettings):
        return FileSourceSettings(type="file", path=str(place), name=source_name(source), columns=columns)
    return source.model_copy(update={"path": str(place)})


def _generate(settings: GenerateSettings) -> GenerateSettings:
    """The lab's teacher in place of a teacher: it answers the lab's problems, of which the sources are made."""
    engine = ScriptedEngineSettings(type="scripted")
    changes = {"engine": engine, "samples": min(settings.samples, 2), "max_failures": 1.0, "batch": False}
    return settings.model_copy(update={**changes, "cache": "none"})


def _label(settings: LabelSettings) -> LabelSettings:
    """The lab's model cannot read a questionnaire, so a script takes it: its answers are none, which is a path too."""
    changes: dict[str, object] = {"max_failures": 1.0, "cache": "none"}
    for name in ("domain", "rating"):
        section = getattr(settings, name)
        if section is not None:
            script = ScriptedEngineSettings(type="scripted")
            changes[name] = section.model_copy(update={"engine": script, "batch": False})
    if settings.weak_models:
        scripts = tuple(weak for weak in settings.weak_models if isinstance(weak, ScriptedEngineSettings))
        models = len(scripts) < len(settings.weak_models)  # two of one name would be one
        changes["weak_models"] = (*scripts, *((LocalEngineSettings(type="local", model=LAB),) if models else ()))
    changes["weak_max_tokens"] = min(settings.weak_max_tokens, ANSWER_TOKENS)
    changes["weak_samples"] = min(settings.weak_samples, 2)
    if settings.tokenizer is not None:
        changes["tokenizer"] = LAB
    return settings.model_copy(update=changes)


def _select(settings: SelectSettings, rows: str) -> SelectSettings:
    count = min(settings.count, EXAMPLES)
    changes: dict[str, object] = {
        "count": count,
        "min_trace_tokens": min(settings.min_trace_tokens, 1),
        "against": tuple(_against(reference, rows) for reference in settings.against),
        "workers": "local:1",
        "mix": None,  # how long the traces of a few rows are is not known beforehand
    }
    if settings.last_phase is not None:
        last = max(1, round(count * settings.last_phase.count / settings.count))
        changes["last_phase"] = LastPhaseSettings(count=last, shares=settings.last_phase.shares)
    return settings.model_copy(update=changes)


def _against(reference: str, rows: str) -> str:
    """A benchmark that is only compared with: its rows in our own words, which need no catalogue."""
    name = benchmark_name(reference)
    return reference if is_of_lab(name) else str(plain_benchmark_rows(rows, name))


def plain_benchmark_rows(rows: str, name: str) -> Path:
    """Where the rows of a benchmark lie in our own words."""
    return Path(rows) / "against" / f"{name}.jsonl"


def _train(settings: TrainSettings) -> TrainSettings:
    changes = {
        "effective_batch_size": min(settings.effective_batch_size, 4),
        "max_length": min(settings.max_length, ROW_TOKENS),
        "over_length": "truncate_middle",
        "save_every_steps": min(settings.save_every_steps, 2),
    }
    micro = settings.micro_batch_size
    return settings.model_copy(update={**changes, "micro_batch_size": micro and min(micro, 4)})


def _evaluate(settings: EvaluateSettings, rows: str) -> EvaluateSettings:
    limit = min(settings.max_thinking_tokens, THINKING_TOKENS)
    share = limit / settings.max_thinking_tokens

    def scaled(numbers: Sequence[int]) -> tuple[int, ...]:
        return tuple(dict.fromkeys(max(1, round(number * share)) for number in numbers))

    names = {benchmark_name(reference) for reference in settings.benchmarks}
    local = {name: str(benchmark_rows(rows, name)) for name in sorted(names) if not is_of_lab(name)}
    changes: dict[str, object] = {
        "benchmarks": tuple(_few(reference, rows) for reference in settings.benchmarks),
        "local": local,
        "budgets": scaled(settings.budgets),
        "minimum_thinking_tokens": scaled(settings.minimum_thinking_tokens),
        "token_targets": scaled(settings.token_targets),
        "step_targets": scaled(settings.step_targets),
        "grace_tokens": round(settings.grace_tokens * share),
        "rejection_attempts": min(settings.rejection_attempts, 2),
        "max_thinking_tokens": limit,
        "max_answer_tokens": min(settings.max_answer_tokens, ANSWER_TOKENS),
        "samples": min(settings.samples, 2),
        "replays": min(settings.replays, 2),
        "engine": None,
        "device": "auto",
    }
    changes.update(_scorers(settings))
    return settings.model_copy(update=changes)


def _scorers(settings: EvaluateSettings) -> dict[str, object]:
    """Scorers that need a model of their own are left out: the lab's model is neither a judge nor a reward model."""
    scorers: tuple[object, ...] = getattr(settings, "scorers", ())
    kept = tuple(scorer for scorer in scorers if isinstance(scorer, str) and ":" not in scorer)
    return {"scorers": kept or ("logprob",)} if scorers and kept != scorers else {}


def _few(reference: str, rows: str) -> str:
    """The same reference to a few problems: first ones stay first ones, drawn ones are drawn."""
    name, is_shuffled, subset = parse_reference(reference)
    path = benchmark_rows(rows, reference)
    named = f"{path if is_table(name) else name}{'+shuffled' if is_shuffled else ''}"
    size = BENCHMARK_ROWS if subset.size is None else min(subset.size, BENCHMARK_ROWS)
    if not subset.is_drawn:
        return f"{named}:{size}"
    return f"{named}~{size}{'' if subset.seed is None else f'@{subset.seed}'}"


def _report(settings: ReportSettings, replaced: Sequence[Replacement]) -> ReportSettings:
    changes: dict[str, object] = {"title": f"REHEARSAL: {settings.title}", "resamples": min(settings.resamples, 200)}
    if "notice" in type(settings).model_fields:
        changes["notice"] = (NOTICE, *map(str, replaced))
    return settings.model_copy(update=changes)


NOTICE = (
    "This is a rehearsal: it shows that the recipe runs from its first stage to its report, and no figure in it says "
    "anything about the models and data that the recipe names. What was replaced:"
)


def _differences(path: str, planned: object, made: object) -> Iterator[Replacement]:
    """The settings that differ, each at its place; a section of another kind is one difference."""
    if planned == made:
        return
    if isinstance(planned, BaseModel) and type(planned) is type(made):
        for name in type(planned).model_fields:
            yield from _differences(f"{path}.{name}".lstrip("."), getattr(planned, name), getattr(made, name))
    elif isinstance(planned, tuple) and isinstance(made, tuple) and len(planned) == len(made) and _are_sections(made):
        for number, (before, after) in enumerate(zip(planned, made, strict=True)):
            yield from _differences(f"{path}.{number}", before, after)
    else:
        yield Replacement(path, _shown(planned), _shown(made))


def _without_folders(text: str) -> str:
    return " ".join(map(without_folders, text.split(" ")))


def _are_sections(values: tuple[object, ...]) -> bool:
    return any(isinstance(value, BaseModel) for value in values)


def _shown(value: object) -> str:
    if isinstance(value, (EndpointSettings, LocalEngineSettings, ScriptedEngineSettings)):
        return f"{value.type} {engine_name(value)}"  # type: ignore[arg-type, union-attr]  # every kind of engine
    if isinstance(value, HubSourceSettings):
        return f"{value.repository} of the Hub"
    if isinstance(value, FileSourceSettings):
        return value.path
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) or "nothing"
    if isinstance(value, tuple):
        return ", ".join(map(_shown, value)) or "nothing"
    return "nothing" if value is None else str(value)
