"""What a training would take: steps, tokens, arithmetic, memory of each GPU by part, time, and what would make it fit.

Rows are those that the run has selected, tokenized where the student's tokenizer is on this machine and else counted by
characters. Before there are any, the lengths of s1K's rows are assumed, and the largest pass is as long as max_length
allows, so that what is said to fit does so with any rows. Nothing is fetched, and no model is loaded.
"""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist, fmean

from thinkscale.config import TrainSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.errors import ConfigError
from thinkscale.keys import JSON
from thinkscale.pipeline import LoadedRecipe
from thinkscale.records import Example
from thinkscale.stages.train import sft_settings, training_rows
from thinkscale.store.run import RunDirectory
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.activations import mode_of
from thinkscale.training.batches import plan_batches
from thinkscale.training.fit import Card, Remedy, Training, batching_of, card_here, fits, load_of, remedies, remedy_text
from thinkscale.training.flops import find_device, known_devices, peak_flops, token_weighted_length
from thinkscale.training.flops import training_flops_per_token as flops_of
from thinkscale.training.memory import GIB, MemoryEstimate
from thinkscale.training.packing import epoch_passes, padding_fraction
from thinkscale.training.settings import SftSettings
from thinkscale.training.shapes import ModelShape, find_shape

ASSUMED_UTILIZATION = 0.4
"""Of the peak: what full-parameter training of models of 1B to 30B reaches on good networks; measure yours."""
CHARACTERS_PER_TOKEN = 3.0
"""Of mathematical text in LaTeX under the Qwen and Llama tokenizers; plain English has more."""
S1K_MEAN_TOKENS, S1K_SPREAD = 5200, 0.35
"""4.7 million tokens of thinking in 1,000 rows, and 500 of question and answer taken; with 0.35 as the standard
deviation of the logarithm, 71% of rows are over 4,096 tokens (arXiv 2501.19393 cut 74% there)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RowLengths:
    """Tokens of each row, and where they are from. Without `are_rows` they say what is usual, not what is longest."""

    lengths: tuple[int, ...]
    source: str
    are_rows: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """GPUs to plan for; None: not known."""

    card: Card | None
    gpus: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """A training before it runs. Memory in bytes of one GPU."""

    settings: SftSettings
    shape: ModelShape
    rows: RowLengths
    machine: Machine
    steps: int
    epoch_tokens: int
    padding: float
    largest_pass_tokens: int
    passes: int
    """Of one process in one step, at most."""
    flops: float
    """Of the whole training, recomputation not counted."""
    seconds: float | None
    """At ASSUMED_UTILIZATION of the device's peak; None where that is not known."""
    memory: MemoryEstimate
    remedies: tuple[Remedy, ...]

    @property
    def is_fitting(self) -> bool | None:
        """None where no GPU is known."""
        return fits(self.memory, self.machine.card) if self.machine.card else None


def find_machine(device: str | None, gpu_memory_gib: float | None, gpus: int | None) -> Machine:
    """The GPUs that were named, else those of this machine. Raises ConfigError for an unknown device without memory."""
    count = gpus or 1
    if device is None and gpu_memory_gib is None:
        return Machine(card=card_here(), gpus=count)
    known = find_device(device) if device else None
    if gpu_memory_gib is None and known is None:
        raise ConfigError(
            f"--device {device} is not known ({', '.join(known_devices())}); say its memory with --gpu-memory-gib"
        )
    memory = gpu_memory_gib or (known.memory_gib if known else 0.0)
    return Machine(card=Card(name=device or "a GPU", memory_gib=memory), gpus=count)


def plan_training(
    loaded: LoadedRecipe, section: TrainSettings, folder: Path, machine: Machine, *, is_selected: bool
) -> TrainingPlan:
    """The plan of the recipe's stage `train`; `is_selected`: the run in `folder` has its examples.

    Raises ModelError where the student's size is not known, ConfigError where the batch cannot be divided.
    """
    student = loaded.recipe.the_student
    settings = sft_settings(section, model_path(student.model), loaded.recipe.seed)
    shape = find_shape(settings.model)
    count = loaded.recipe.select.count if loaded.recipe.select else 1000
    rows = _selected_rows(loaded, folder) if is_selected else _assumed_rows(settings, count)
    rows = _fitted(rows, section, settings)
    return _plan(settings, shape, rows, machine)


def _plan(settings: SftSettings, shape: ModelShape, rows: RowLengths, machine: Machine) -> TrainingPlan:
    lengths, plan = rows.lengths, plan_batches(settings.effective_batch_size, settings.micro_batch_size, machine.gpus)
    passes = epoch_passes(lengths, settings, plan, batching_of(settings), 0)
    training = Training(
        shape=shape, settings=settings, lengths=lengths if rows.are_rows else (), world_size=machine.gpus
    )
    load, memory = load_of(settings, training.lengths, machine.gpus), training.estimate
    per_token = flops_of(shape, token_weighted_length(lengths), is_adapter=settings.lora is not None)
    flops = per_token * sum(lengths) * settings.epochs
    card = machine.card
    peak = peak_flops(card.name, settings.dtype) if card else None
    return TrainingPlan(
        settings=settings,
        shape=shape,
        rows=rows,
        machine=machine,
        steps=len(passes) * settings.epochs,
        epoch_tokens=sum(lengths),
        padding=padding_fraction(lengths, passes, batching_of(settings)),
        largest_pass_tokens=load.tokens,
        passes=max(len(own) for step in passes for own in step),
        flops=flops,
        seconds=flops / (peak * machine.gpus * ASSUMED_UTILIZATION) if peak else None,
        memory=memory,
        remedies=tuple(remedies(training, card)) if card and not fits(memory, card) else (),
    )


def _selected_rows(loaded: LoadedRecipe, folder: Path) -> RowLengths:
    """The run's examples, by the student's tokenizer where it is here."""
    student = loaded.recipe.the_student
    with RunDirectory.read(folder) as run:
        examples = list(run.rows(Example, "select"))
    if _has_tokenizer(student.model):
        bound = BoundFormat(find_format(student.thinking_format), open_tokenizer(student.model))
        lengths = tuple(len(row) for row in training_rows(iter(examples), bound))
        return RowLengths(lengths=lengths, source="this run's rows, tokenized as they will be", are_rows=True)
    counts = (sum(len(turn.content) + len(turn.thinking or "") for turn in item.messages) for item in examples)
    return RowLengths(
        lengths=tuple(max(2, round(count / CHARACTERS_PER_TOKEN)) for count in counts),
        source=f"this run's rows, a token taken to be {CHARACTERS_PER_TOKEN:g} characters, since the tokenizer of "
        f"{student.model} is not on this machine",
        are_rows=False,
    )


def _has_tokenizer(model: str) -> bool:
    """Whether the tokenizer can be opened without the network."""
    if Path(model_path(model)).is_dir():
        return True
    home = Path(os.environ.get("HF_HOME", "~/.cache/huggingface")).expanduser()
    hub = Path(os.environ.get("HF_HUB_CACHE", home / "hub"))
    return any(hub.glob(f"models--{model.replace('/', '--')}/snapshots/*/tokenizer_config.json"))


def _assumed_rows(settings: SftSettings, count: int) -> RowLengths:
    """Quantiles of a log-normal distribution about s1K's lengths."""
    spread = NormalDist(0, S1K_SPREAD)
    scale = S1K_MEAN_TOKENS / fmean(_exponentials(spread, 1000))
    lengths = tuple(min(settings.max_length, max(2, round(scale * each))) for each in _exponentials(spread, count))
    return RowLengths(
        lengths=lengths,
        source=f"assumed to be as long as s1K's (mean {S1K_MEAN_TOKENS:,} tokens) within max_length, since none are "
        f"selected yet",
        are_rows=False,
    )


def _exponentials(spread: NormalDist, count: int) -> Iterator[float]:
    return (2.718281828459045 ** spread.inv_cdf((index + 0.5) / count) for index in range(count))


def _fitted(rows: RowLengths, section: TrainSettings, settings: SftSettings) -> RowLengths:
    """Rows as `over_length` leaves them, less those that are held out."""
    limit = settings.max_length
    over = sum(length > limit for length in rows.lengths)
    kept = [length for length in rows.lengths if length <= limit or section.over_length != "drop"]
    kept = [min(length, limit) for length in kept][: max(1, len(kept) - settings.held_out_rows)]
    if not kept:
        raise ConfigError(f"no row has at most {limit} tokens (train.max_length), so nothing is left to train on")
    what = {"refuse": "the training refuses them", "drop": "they are dropped"}.get(section.over_length, "they are cut")
    said = f"; {over:,} are over the {limit:,} of max_length: {what}" if over else ""
    return RowLengths(lengths=tuple(kept), source=rows.source + said, are_rows=rows.are_rows)


def training_json(plan: TrainingPlan) -> dict[str, JSON]:
    """The plan for a program; sizes in bytes."""
    card, peak = plan.machine.card, plan.memory.peak
    return {
        "parameters": plan.shape.num_parameters,
        "rows": len(plan.rows.lengths),
        "rows_are": plan.rows.source,
        "steps": plan.steps,
        "epoch_tokens": plan.epoch_tokens,
        "padding": round(plan.padding, 4),
        "largest_pass_tokens": plan.largest_pass_tokens,
        "passes_a_step": plan.passes,
        "flops": plan.flops,
        "assumed_utilization": ASSUMED_UTILIZATION,
        "seconds": plan.seconds,
        "tokens_per_second": plan.epoch_tokens * plan.settings.epochs / plan.seconds if plan.seconds else None,
        "gpus": plan.machine.gpus,
        "gpu": None if card is None else {"name": card.name, "memory_bytes": round(card.memory_gib * GIB)},
        "peak_moment": peak.name,
        "peak_parts": dict(peak.parts),
        "reserve": plan.memory.reserve,
        "peak_bytes": plan.memory.total,
        "moments": {moment.name: moment.total for moment in plan.memory.moments},
        "fits": plan.is_fitting,
        "remedies": [asdict(remedy) | {"text": remedy_text(remedy, plan.settings)} for remedy in plan.remedies],
    }


def training_line(plan: TrainingPlan) -> str:
    """The plan in one line."""
    total = plan.epoch_tokens * plan.settings.epochs
    return f"{plan.steps:,} steps of {plan.settings.effective_batch_size} rows, {total:,} tokens"


def training_text(plan: TrainingPlan) -> Iterator[str]:
    """The plan as lines."""
    settings, machine, load = plan.settings, plan.machine, plan.largest_pass_tokens
    passes = "1 pass" if plan.passes == 1 else f"{plan.passes} passes"
    yield (
        f"{len(plan.rows.lengths):,} rows of {plan.epoch_tokens:,} tokens, {100 * plan.padding:.1f}% padding, at most "
        f"{load:,} tokens a pass and {passes} a step; rows are {plan.rows.source}"
    )
    yield (
        f"{plan.shape.num_parameters:,} parameters, computed in {_mode_text(settings, machine.gpus)}; "
        f"{plan.flops:.2e} operations, recomputation not counted"
    )
    yield from _memory_text(plan)
    if plan.seconds is not None:
        speed = plan.epoch_tokens * settings.epochs / plan.seconds
        yield (
            f"about {_duration(plan.seconds)} on {_gpus(machine)}, {speed:,.0f} tokens a second, if "
            f"{100 * ASSUMED_UTILIZATION:.0f}% of the peak is reached (assumed)"
        )


def _memory_text(plan: TrainingPlan) -> Iterator[str]:
    memory, card = plan.memory, plan.machine.card
    yield f"memory of each GPU at its peak ({memory.peak.name}):"
    parts = [*memory.peak.parts.items(), ("CUDA and fragmentation (assumed)", memory.reserve)]
    yield from (f"  {size / GIB:8.2f} GiB  {name}" for name, size in parts)
    if card is None:
        yield f"  {memory.total / GIB:8.2f} GiB  in all; no GPU here to hold it against: name one with --device"
        return
    verdict = "fits" if plan.is_fitting else "DOES NOT FIT"
    yield f"  {memory.total / GIB:8.2f} GiB  in all, of the {card.memory_gib:.1f} of {card.name}: {verdict}"
    if plan.remedies:
        yield "what would fit, the cheapest first:"
        yield from (f"  {remedy_text(remedy, plan.settings)}" for remedy in plan.remedies)
    elif not plan.is_fitting:
        yield "no change that is known here would make it fit"


def _mode_text(settings: SftSettings, gpus: int) -> str:
    mode = mode_of(settings, gpus)
    sharing = " (shared by FSDP2)" if settings.sharding and gpus > 1 else ""
    return f"{mode.value}, weights in {settings.weights}{sharing}"


def _gpus(machine: Machine) -> str:
    name = machine.card.name if machine.card else "GPU"
    return f"{machine.gpus} x {name}" if machine.gpus > 1 else name


def _duration(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min" if hours else f"{max(1, minutes)} min"
