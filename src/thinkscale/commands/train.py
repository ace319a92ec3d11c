"""train: a model fine-tuned on a run's examples or a table of them, without a recipe.

The model folder `--out` is there whole or not at all. While it is made, `OUT.steps.jsonl` beside it grows by a line a
step, and `OUT.checkpoints` holds what a killed training goes on from; the same command continues, to the same weights.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from rich.console import Console

from thinkscale.commands.example_rows import read_examples, recipe_of_run
from thinkscale.commands.file_run import option, recipe_of
from thinkscale.config import Recipe, TrainSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.errors import ConfigError, DataError
from thinkscale.keys import JSON
from thinkscale.pipeline import stopping_cleanly
from thinkscale.progress import Progress
from thinkscale.records import Step, to_row
from thinkscale.stages.train import sft_settings, training_rows
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.sft import Checkpoints, SftResult, train_sft
from thinkscale.training.tokens import show


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """What a training needs beside its examples. What is None or left out is the run's, else the paper's."""

    model: str | None = None
    thinking_format: str | None = None
    settings: Mapping[str, JSON] = field(default_factory=dict)
    """Fields of the section `train`."""
    overrides: tuple[str, ...] = ()
    quiet: bool = False


def train(source: Path, out: Path, options: TrainOptions) -> str:
    """Fine-tunes with the loss on thinking and answer alone; returns what was trained, for a person.

    Raises ConfigError, DataError (no examples, or rows too long where that is refused), ModelError, StageError.
    """
    recipe, settings, bound = _prepared(source, options)
    rows = list(training_rows(read_examples(source), bound))
    if not rows:
        raise DataError(f"{source} has no examples; the stage `select` makes them")
    total = -(-len(rows) // settings.effective_batch_size) * settings.epochs
    progress, log = Progress(quiet=options.quiet), out.with_name(out.name + ".steps.jsonl")
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        stopping_cleanly(),
        log.open("w", encoding="utf-8") as lines,
        progress.task("train", total, f"steps of {settings.effective_batch_size} rows") as task,
    ):

        def take(step: Step) -> None:
            lines.write(json.dumps(to_row(step)) + "\n")
            lines.flush()
            task.advance()

        result = train_sft(
            rows,
            sft_settings(settings, model_path(recipe.the_student.model), recipe.seed),
            out,
            take,
            checkpoints=Checkpoints(
                folder=out.with_name(out.name + ".checkpoints"), every_steps=settings.save_every_steps
            ),
        )
    return _said(result, log)


def show_rows(source: Path, count: int, options: TrainOptions) -> None:
    """Prints the first rows as the model will see them: trained tokens green, the others dim, with their counts."""
    _, settings, bound = _prepared(source, options)
    console = Console(highlight=False, soft_wrap=True)
    for row in training_rows(islice(read_examples(source), count), bound):
        over = "" if len(row) <= settings.max_length else f", over the {settings.max_length:,} that fit"
        console.print(f"{row.problem_id}: {len(row):,} tokens, {row.num_trained:,} of them trained{over}", style="bold")
        console.print(show(row, bound.tokenizer))


def _prepared(source: Path, options: TrainOptions) -> tuple[Recipe, TrainSettings, BoundFormat]:
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
    recipe = recipe_of(made, options.overrides, lambda path: option(path.rpartition(".")[2])).value
    assert recipe.train is not None
    bound = BoundFormat(find_format(recipe.the_student.thinking_format), open_tokenizer(recipe.the_student.model))
    return recipe, recipe.train, bound


def _said(result: SftResult, log: Path) -> str:
    first, last = result.steps[0], result.steps[-1]
    resumed = f" ({result.resumed_from_step} of them before this start)" if result.resumed_from_step else ""
    dropped = f"; {len(result.fates)} rows did not fit and were treated as asked" if result.fates else ""
    return (
        f"{result.out}: {len(result.steps):,} steps{resumed} on {result.statistics.num_rows:,} rows, "
        f"{result.statistics.num_trained_tokens:,} of {result.statistics.num_tokens:,} tokens trained, "
        f"{100 * result.padding_fraction:.1f}% padding; loss {first.loss:.3f} -> {last.loss:.3f}{dropped}. "
        f"Each step stands in {log}"
    )
