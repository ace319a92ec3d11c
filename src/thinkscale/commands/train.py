"""train sft: a model fine-tuned on a run's examples or a table of them, without a recipe.

The model folder `--out` is there whole or not at all. While it is made, `OUT.steps.jsonl` beside it grows by a line a
step, and `OUT.checkpoints` holds what a killed training goes on from; the same command continues, to the same weights.
Under torchrun each of its processes runs the same command on the same rows, and the first alone writes and speaks.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Protocol, TypeVar

from rich.console import Console

from thinkscale.commands.example_rows import read_examples, recipe_of_run
from thinkscale.commands.file_run import option, recipe_of
from thinkscale.config import Recipe, TrainingSection, TrainSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.pipeline import stopping_cleanly
from thinkscale.progress import Progress
from thinkscale.records import HeldOut
from thinkscale.stages.train import sft_settings, training_rows
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.batches import BatchPlan
from thinkscale.training.held_out import REASON
from thinkscale.training.launch import trained_on
from thinkscale.training.live import watched
from thinkscale.training.output import MARKER
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.sft import SftResult, train_sft
from thinkscale.training.starting import Checkpoints, check_model, is_first_process, is_rank
from thinkscale.training.tokens import show
from thinkscale.training.trackers import TrackedRun


class Remarked(Protocol):
    """The result of a training."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What is worth knowing and is no error."""
        ...


Result = TypeVar("Result", bound=Remarked)


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What a training needs beside its rows. What is None or left out is the run's, else the paper's."""

    model: str | None = None
    thinking_format: str | None = None
    settings: Mapping[str, JSON] = field(default_factory=dict)
    """Fields of the section `train`, or `prefer`."""
    overrides: tuple[str, ...] = ()
    fresh: bool = False
    """Train anew where a training has made the model folder already."""
    quiet: bool = False


def train(source: Path, out: Path, options: TrainOptions) -> str:
    """Fine-tunes with the loss on thinking and answer alone; returns what was trained, for a person.

    Raises ConfigError, DataError (no examples, or rows too long where that is refused), ModelError, StageError.
    """
    check_not_made(out, options)
    recipe, section, bound = _prepared(source, options)
    rows = list(training_rows(read_examples(source), bound))
    if not rows:
        raise DataError(f"{source} has no examples; the stage `select` makes them")
    settings = sft_settings(section, model_path(recipe.the_student.model), recipe.seed)
    watching = Watching(name="train", unit="rows", section=section, model=recipe.the_student.model, quiet=options.quiet)
    result = run_training(train_sft, rows, settings, out, watching)
    return _said(result, log_of(out)) if result else ""


def check_not_made(out: Path, options: TrainOptions) -> None:
    """Raises ConfigError where a finished training would be replaced unasked: it may have taken hours."""
    if (out / MARKER).is_file() and not options.fresh:
        raise ConfigError(
            f"{out} holds a model that a training made (`thinkscale report {out}` shows it); --fresh trains anew and "
            f"replaces it, another --out keeps both"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Watching:
    """How a training is shown and tracked."""

    name: str
    unit: str
    """What a step is made of: rows, pairs."""
    section: TrainingSection
    model: str
    quiet: bool


def run_training(
    train: Callable[..., Result], rows: Sequence[Any], settings: TrainingSettings, out: Path, watching: Watching
) -> Result | None:
    """`train` (`train_sft` or another of its form) with progress, log and checkpoints beside `out`, in as many
    processes as the section says. None in a process of torchrun's that is not the first.

    Raises what `train` and `trained_on` do, and StoppedError.
    """
    section = watching.section
    total = -(-(len(rows) - settings.held_out_rows) // settings.effective_batch_size) * settings.epochs
    unit = f"steps of {settings.effective_batch_size} {watching.unit}"
    config = {**section.model_dump(mode="json"), "model": watching.model, "seed": settings.seed}
    tracked = TrackedRun(name=out.name, config=config)
    progress = Progress(quiet=watching.quiet or not is_first_process())
    told: set[str] = set()

    def tell(remark: str) -> None:
        if remark not in told:
            told.add(remark)
            progress.say(remark)

    with (
        nullcontext() if is_rank() else stopping_cleanly(),  # torchrun's signals end a process in the midst of a step
        watched(progress, watching.name, total, unit, log_of(out), section.log_to, tracked) as watch,
    ):
        result = trained_on(section.processes, train, progress.say)(
            rows,
            settings,
            out,
            watch.on_step,
            checkpoints=Checkpoints(
                folder=out.with_name(out.name + ".checkpoints"), every_steps=section.save_every_steps
            ),
            log=watch.log,
            on_remark=tell,
        )
        watch.task.total = watch.task.done
    for remark in result.remarks:
        tell(remark)
    return result if is_first_process() else None


def log_of(out: Path) -> Path:
    """The log of the training that makes the model folder `out`."""
    return out.with_name(out.name + ".steps.jsonl")


def show_rows(source: Path, count: int, options: TrainOptions) -> None:
    """Prints the first rows as the model will see them: trained tokens green, the others dim, with their counts."""
    _, section, bound = _prepared(source, options)
    console = Console(highlight=False, soft_wrap=True)
    for row in training_rows(islice(read_examples(source), count), bound):
        over = "" if len(row) <= section.max_length else f", over the {section.max_length:,} that fit"
        console.print(f"{row.problem_id}: {len(row):,} tokens, {row.num_trained:,} of them trained{over}", style="bold")
        console.print(show(row, bound.tokenizer))


def _prepared(source: Path, options: TrainOptions) -> tuple[Recipe, TrainSettings, BoundFormat]:
    recipe, section = asked(source, options)
    check_model(model_path(recipe.the_student.model))
    bound = BoundFormat(find_format(recipe.the_student.thinking_format), open_tokenizer(recipe.the_student.model))
    return recipe, section, bound


def asked(source: Path, options: TrainOptions) -> tuple[Recipe, TrainSettings]:
    """The recipe that the options say, and its section `train`. Raises ConfigError."""
    of_run = recipe_of_run(source)
    student = of_run.student if of_run else None
    model = options.model or (student.model if student else None)
    if model is None:
        raise ConfigError("which model is to be trained is not known; name it with --model")
    written = of_run.train.model_dump(mode="json") if of_run and of_run.train else {}
    section: dict[str, JSON] = {**written, **options.settings}
    named = options.thinking_format or (student.thinking_format if student else "s1")
    made: dict[str, JSON] = {
        "name": "train",
        "seed": of_run.seed if of_run else 42,
        "student": {"model": model, "thinking_format": named},
        "train": section,
    }
    recipe = recipe_of(made, options.overrides, option_of).value
    assert recipe.train is not None
    return recipe, recipe.train


def option_of(path: str) -> str:
    """The option that a setting came from: `--gpus` is `train.processes`."""
    name = path.rpartition(".")[2]
    return "--gpus" if name == "processes" else option(name)


def processes_said(plan: BatchPlan) -> str:
    """How a step's rows are divided, where several processes or passes do it: ` in 2 processes of 4 x 2 rows`."""
    passes = f"{plan.accumulation_steps} x " if plan.accumulation_steps > 1 else ""
    share = f"{passes}{plan.micro_batch_size} rows"
    return f" in {plan.world_size} processes of {share} a step" if plan.world_size > 1 else ""


def _said(result: SftResult, log: Path) -> str:
    first, last = result.steps[0], result.steps[-1]
    resumed = f" ({result.resumed_from_step} of them before this start)" if result.resumed_from_step else ""
    unfit = sum(fate.reason != REASON for fate in result.fates)
    left_out = f"; {unfit} rows did not fit and were treated as asked" if unfit else ""
    return (
        f"{result.out}: {len(result.steps):,} steps{resumed} on {result.statistics.num_rows:,} rows"
        f"{processes_said(result.plan)}, "
        f"{result.statistics.num_trained_tokens:,} of {result.statistics.num_tokens:,} tokens trained, "
        f"{100 * result.padding_fraction:.1f}% padding; loss {first.loss:.3f} -> {last.loss:.3f}"
        f"{_measured(result.held_out)}{left_out}. Each step stands in {log}"
    )


def _measured(held_out: Sequence[HeldOut]) -> str:
    if not held_out:
        return ""
    first, last = held_out[0], held_out[-1]
    best = min(held_out, key=lambda found: found.loss)
    lowest = f", {best.loss:.3f} after step {best.step}" if best.loss < last.loss else ""
    return f"; on {first.num_rows:,} held-out rows {first.loss:.3f} -> {last.loss:.3f}{lowest}"
