"""train: the student is fine-tuned on the selected examples, with the loss on thinking and answer only."""

from collections.abc import Iterator
from typing import Any

from thinkscale.config import TrainingSection, TrainSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.keys import JSON, plain
from thinkscale.records import Example, Record
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.stages.context import StageContext
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.launch import trained_on
from thinkscale.training.live import watched
from thinkscale.training.settings import Batching, Lora, Schedule, SftSettings, TrainingSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import OverLong, TrainingRow, build_row
from thinkscale.training.trackers import TrackedRun


def train(context: StageContext) -> None:
    """One unit: the model under checkpoints/student, every step, every measurement of the held-out rows, and a fate for
    every row that did not fit or was held out.

    A killed training goes on from its last checkpoint, and ends in the same weights. Clock readings stand in
    logs/train.jsonl, what is worth knowing in the diary.
    """
    settings = context.section(context.recipe.train)
    student, run = context.recipe.the_student, context.run
    bound = BoundFormat(find_format(student.thinking_format), open_tokenizer(student.model))
    rows = list(training_rows(context.records(Example, "select"), bound))
    asked = sft_settings(settings, model_path(student.model), context.recipe.seed)
    total = num_steps(len(rows), settings)
    log, tracked = run.path / "logs" / "train.jsonl", TrackedRun(name=run.path.name, config=to_config(asked))
    noticed: set[str] = set()

    def notice(remark: str) -> None:
        noticed.add(remark)
        context.notice(remark)

    with watched(context.progress, context.stage, total, "steps", log, settings.log_to, tracked) as watch:
        result = trained_on(settings.processes, train_sft, context.notice)(
            rows,
            asked,
            student_checkpoint(run.path),
            watch.on_step,
            checkpoints=Checkpoints(folder=run.checkpoints / "unfinished", every_steps=settings.save_every_steps),
            log=watch.log,
            on_remark=notice,
        )
        for remark in result.remarks:
            if remark not in noticed:
                context.notice(remark)
        records: list[Record] = [*result.steps, *result.held_out, *result.fates]
        watch.task.done = watch.task.total = len(result.steps)
        context.commit("train", 0, records)


def num_steps(num_rows: int, settings: TrainingSection) -> int:
    """Optimizer steps over so many rows, those that are held out among them."""
    trained = max(num_rows - settings.held_out_rows, 0)
    return -(-trained // settings.effective_batch_size) * settings.epochs


def to_config(settings: TrainingSettings) -> dict[str, JSON]:
    """Settings as a tracker shows them."""
    found = plain(settings)
    assert isinstance(found, dict)
    return found


def training_rows(examples: Iterator[Example], bound: BoundFormat) -> Iterator[TrainingRow]:
    """Examples as ids, with the mask of what is trained: all that the assistant's last turn holds."""
    for example in examples:
        *before, reply = example.messages
        ids = bound.training_ids(before, reply.thinking or "", reply.content)
        yield build_row(example.problem_id, ids.prompt, ids.completion, thinking_tokens=ids.thinking_tokens)


def sft_settings(settings: TrainSettings, model: str, seed: int) -> SftSettings:
    """The section of the recipe as the trainer takes it."""
    return SftSettings(
        **common_settings(settings, model, seed), over_long=OverLong(settings.over_length), loss=settings.loss
    )


def common_settings(settings: TrainingSection, model: str, seed: int) -> dict[str, Any]:
    """What supervised and preference training share, by the names of TrainingSettings."""
    same = (
        *("epochs", "effective_batch_size", "micro_batch_size", "micro_batch_tokens", "learning_rate", "warmup_ratio"),
        *("weight_decay", "optimizer", "max_length", "dtype", "weights", "held_out_rows", "evaluate_every_steps"),
        *("keep", "device", "attention", "activation_checkpointing", "activation_offload", "sharding"),
    )
    return {name: getattr(settings, name) for name in same} | {
        "model": model,
        "seed": seed,
        "lr_scheduler": Schedule(settings.lr_scheduler),
        "betas": settings.adam_betas,
        "max_grad_norm": settings.max_gradient_norm,
        "lora": Lora(**settings.lora.model_dump()) if settings.lora else None,
        "batching": Batching(settings.batching),
    }
