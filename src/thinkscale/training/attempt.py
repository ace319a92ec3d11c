"""One training from built trainer to published folder, for supervised and preference training alike.

Imports torch and transformers; only modules that are loaded when a training begins import this one.
"""

import json
import shutil
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback

from thinkscale.keys import JSON, plain
from thinkscale.records import HeldOut, Step
from thinkscale.training.batches import BatchPlan
from thinkscale.training.evaluation import EvaluationSchedule
from thinkscale.training.log import TrainingLog
from thinkscale.training.optimizer import StochasticAdamW
from thinkscale.training.output import MARKER, publishing
from thinkscale.training.recording import Recorder, records_of
from thinkscale.training.remarks import of_end
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.sharding import from_first, wait_for_all
from thinkscale.training.shortage import memory_advice
from thinkscale.training.starting import OTHER_OF, other_output, remove_other
from thinkscale.training.weights import (
    BEST,
    BestWeights,
    best_of,
    count_parameters,
    held_out_account,
    step_folder,
    whole_weights,
    write_weights,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of a trainer: checked settings, what the rows are, and where files go."""

    settings: TrainingSettings
    plan: BatchPlan
    out: Path
    lengths: tuple[int, ...]
    """Tokens of each sequence that is trained on; of a pair, of both sides."""
    data: Mapping[str, JSON] = field(default_factory=dict)
    """What `training.json` says of the rows."""
    num_held_out: int = 0
    checkpoint_folder: Path | None = None
    save_steps: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What only the trainer knows."""

    hyperparameters: dict[str, JSON]
    parameters: dict[str, JSON]
    """See `count_parameters`."""
    remarks: tuple[str, ...]
    """What a user should know of rows, model and outcome, and is no error."""
    resumed_from_step: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears of each step and evaluation, in order, once in each call."""

    on_step: Callable[[Step], None]
    on_held_out: Callable[[HeldOut], None] | None = None
    log: TrainingLog | None = None
    on_remark: Callable[[str], None] | None = None
    """Told before the first step what the training's builder remarked."""

    def replay(self, record: Step | HeldOut) -> None:
        """Tells of what a checkpoint already holds; the log reads it by itself."""
        if isinstance(record, Step):
            self.on_step(record)
        elif self.on_held_out:
            self.on_held_out(record)


def run_attempt(attempt: Attempt, build_trainer: Callable[[Path], Any], listeners: Listeners) -> Finished:
    """Trains, from the last whole checkpoint if there is one, and publishes the model.

    `build_trainer` makes the trainer (a HeldOutTrainer over one of TRL's), whose checkpoints, if any, go to the folder
    that it is given. Under torchrun every process calls this; the first alone reports and writes. Raises StageError
    where a GPU's memory does not suffice, or a loss is not finite.
    """
    with _quiet(), _threads(attempt.settings.cpu_threads), tempfile.TemporaryDirectory() as scratch:
        folder = attempt.checkpoint_folder or Path(scratch)
        advice = partial(memory_advice, attempt.settings, attempt.lengths, attempt.plan.world_size)
        with advice():
            trainer = build_trainer(folder)
        _prepare(trainer, attempt, folder, listeners)
        if listeners.on_remark and trainer.is_world_process_zero():
            for remark in trainer.remarks:
                listeners.on_remark(remark)
        checkpoint = from_first(lambda: _last_checkpoint(attempt.checkpoint_folder))
        resumed = _replay(checkpoint, attempt, trainer, listeners) if checkpoint else 0
        started = time.perf_counter()
        with advice():
            trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.perf_counter() - started
        finished = Finished(
            hyperparameters=in_force(trainer, attempt),
            parameters=count_parameters(trainer.model),
            remarks=_remarks(trainer, attempt),
            resumed_from_step=resumed,
            seconds=seconds,
        )
        _publish(trainer, attempt, folder, finished)
        return finished


def _prepare(trainer: Any, attempt: Attempt, folder: Path, listeners: Listeners) -> None:  # noqa: ANN401 - TRL's, untyped
    settings = attempt.settings
    if settings.pure_bfloat16:
        trainer.optimizer_cls_and_kwargs = (
            StochasticAdamW,
            {"lr": settings.learning_rate, "betas": settings.betas, "eps": 1e-8, "seed": settings.seed},
        )
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(
        Recorder(
            listeners.on_step,
            listeners.on_held_out,
            listeners.log,
            num_held_out=attempt.num_held_out,
            lengths=attempt.lengths,
        )
    )
    if attempt.num_held_out:
        rest = listeners.log.rest if listeners.log and trainer.is_world_process_zero() else lambda: None
        trainer.add_callback(BestWeights(trainer, folder, rest))
        trainer.add_callback(EvaluationSchedule(trainer, settings.evaluate_every_steps))


def _remarks(trainer: Any, attempt: Attempt) -> tuple[str, ...]:  # noqa: ANN401 - as above
    if not attempt.num_held_out:
        return tuple(trainer.remarks)
    account = held_out_account(trainer.state.log_history, attempt.num_held_out)
    keep = attempt.settings.keep
    return (*trainer.remarks, *of_end(account, keep, other_output(attempt.out, keep).name))


def in_force(trainer: Any, attempt: Attempt) -> dict[str, JSON]:  # noqa: ANN401 - as above
    """The hyperparameters as the trainer and its optimiser hold them after the training."""
    arguments, optimiser, plan = trainer.args, trainer.optimizer.param_groups[0], attempt.plan
    lora, sharded = attempt.settings.lora, arguments.fsdp_config or {}
    return {
        "epochs": arguments.num_train_epochs,
        "num_steps": trainer.state.max_steps,
        "effective_batch_size": (
            arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * plan.world_size
        ),
        "micro_batch_size": plan.micro_batch_size,
        "accumulation_steps": plan.accumulation_steps,
        "world_size": plan.world_size,
        "sharded": bool(trainer.is_fsdp_enabled),
        "optimiser": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__,
        "learning_rate": optimiser["initial_lr"],
        "lr_scheduler": str(arguments.lr_scheduler_type.value),
        "warmup_steps": arguments.get_warmup_steps(trainer.state.max_steps),
        "weight_decay": optimiser["weight_decay"],
        "betas": list(optimiser["betas"]),
        "max_grad_norm": arguments.max_grad_norm,
        "seed": arguments.seed,
        "dtype": "bfloat16" if arguments.bf16 else _dtype_of(trainer),
        "weights": _dtype_of(trainer),
        "lora": plain(lora) if lora else None,
        "batching": str(trainer.steps.batching.value),
        "loss": getattr(trainer, "loss_kind", None),
        "activation_checkpointing": bool(
            arguments.activation_checkpointing or sharded.get("activation_checkpointing")  # FSDP does its own
        ),
        "activation_offload": bool(arguments.activation_offloading),
        "attention": str(trainer.model.config._attn_implementation),
        "device": str(arguments.device.type),
    }


def _dtype_of(trainer: Any) -> str:  # noqa: ANN401 - as above
    return str(trainer.accelerator.unwrap_model(trainer.model).dtype).removeprefix("torch.")


def _last_checkpoint(folder: Path | None) -> Path | None:
    """The newest checkpoint that was written whole: transformers writes its trainer state last."""
    if folder is None or not folder.is_dir():
        return None
    found = sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.rpartition("-")[2]), reverse=True)
    for path in found:
        try:
            json.loads((path / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
        except (OSError, ValueError):  # a kill came in between
            shutil.rmtree(path)
            continue
        return path
    return None


def _replay(checkpoint: Path, attempt: Attempt, trainer: Any, listeners: Listeners) -> int:  # noqa: ANN401 - as above
    """Reports what `checkpoint` already holds; returns its step."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    if trainer.is_world_process_zero():
        for record in records_of(state["log_history"], num_held_out=attempt.num_held_out):
            listeners.replay(record)
    return int(state["global_step"])


def _publish(trainer: Any, attempt: Attempt, folder: Path, finished: Finished) -> None:  # noqa: ANN401 - as above
    """`out` and, where they are of another step, the weights beside it that `keep` does not name."""
    weights, history, last = whole_weights(trainer), trainer.state.log_history, int(trainer.state.global_step)
    if trainer.is_world_process_zero():
        account: dict[str, JSON] = {
            "base_model": attempt.settings.model,
            "hyperparameters": finished.hyperparameters,
            "parameters": finished.parameters,
            "remarks": list(finished.remarks),
            **attempt.data,
        }
        best = last
        if attempt.num_held_out:
            best = best_of(history)[0]
            account["held_out"] = held_out_account(history, attempt.num_held_out)
        keep = attempt.settings.keep
        kept, other = (best, last) if keep == BEST else (last, best)
        beside = other_output(attempt.out, keep)
        for out, step in ((beside, other), (attempt.out, kept)):
            if out == beside and other == kept:
                remove_other(attempt.out, keep)
                continue
            with publishing(out) as partial:
                if step == last:
                    write_weights(trainer, weights, partial)
                else:
                    shutil.copytree(step_folder(folder / BEST, step), partial, dirs_exist_ok=True)
                trainer.processing_class.save_pretrained(partial)
                whose: dict[str, JSON] = {OTHER_OF: attempt.out.name} if out == beside else {}
                text = json.dumps({**account, **whose, "step": step}, indent=2, sort_keys=True)
                (partial / MARKER).write_text(text + "\n", encoding="utf-8")
    wait_for_all()


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers says only errors and draws no bars; both are as before afterwards."""
    logging: Any = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)  # peft asks by the old name
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """torch computes on `count` threads; as before afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
