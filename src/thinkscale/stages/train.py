"""train: the student is fine-tuned on the selected examples, with the loss on thinking and answer only."""

from collections.abc import Iterator
from typing import Any

from thinkscale.config import TrainingSection, TrainSettings
from thinkscale.engines.catalogue import model_path, open_tokenizer
from thinkscale.records import Example, Record
from thinkscale.stages.checkpoints import student_checkpoint
from thinkscale.stages.context import StageContext
from thinkscale.thinking.formats import BoundFormat, find_format
from thinkscale.training.settings import Batching, Lora, Schedule, SftSettings
from thinkscale.training.sft import Checkpoints, train_sft
from thinkscale.training.tokens import OverLong, TrainingRow, build_row


def train(context: StageContext) -> None:
    """One unit: the model under checkpoints/student, the loss of every step, a fate for every row that did not fit.

    A killed training goes on from its last checkpoint, and ends in the same weights.
    """
    settings = context.section(context.recipe.train)
    student = context.recipe.the_student
    bound = BoundFormat(find_format(student.thinking_format), open_tokenizer(student.model))
    rows = list(training_rows(context.records(Example, "select"), bound))
    total = -(-len(rows) // settings.effective_batch_size) * settings.epochs
    with context.progress.task(context.stage, total, "steps") as task:
        result = train_sft(
            rows,
            sft_settings(settings, model_path(student.model), context.recipe.seed),
            student_checkpoint(context.run.path),
            lambda _step: task.advance(),
            checkpoints=Checkpoints(
                folder=context.run.checkpoints / "unfinished", every_steps=settings.save_every_steps
            ),
        )
        records: list[Record] = [*result.steps, *result.fates]
        task.done = task.total = len(result.steps)
        context.commit("train", 0, records)


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
        *("epochs", "effective_batch_size", "micro_batch_size", "learning_rate", "warmup_ratio", "weight_decay"),
        *("optimizer", "max_length", "dtype", "weights", "held_out_rows", "evaluate_every_steps", "keep", "attention"),
        *("activation_checkpointing", "activation_offload", "sharding"),
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
