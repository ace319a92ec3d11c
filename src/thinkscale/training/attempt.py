"""One training from loaded model to published folder: the seam between our records and TRL's trainer.

Imports torch and trl; only `train_sft` imports this module, when a training begins.
"""

import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
import transformers
from datasets import Dataset
from transformers.trainer import TRAINER_STATE_NAME
from transformers.trainer_callback import PrinterCallback
from trl.trainer.sft_config import SFTConfig

from thinkscale.errors import ConfigError, ModelError
from thinkscale.keys import JSON
from thinkscale.records import Step
from thinkscale.training.batches import BatchPlan
from thinkscale.training.output import MARKER, publishing
from thinkscale.training.settings import SftSettings
from thinkscale.training.tokens import TrainingRow
from thinkscale.training.trainer import IGNORED, CompletionTrainer, EpochSampler, StepRecorder, step_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of the trainer: checked rows and settings, and where its files go."""

    rows: tuple[TrainingRow, ...]
    settings: SftSettings
    plan: BatchPlan
    out: Path
    checkpoint_folder: Path | None
    save_steps: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """What only the trainer knows."""

    hyperparameters: dict[str, JSON]
    resumed_from_step: int
    seconds: float


def run_attempt(attempt: Attempt, on_step: Callable[[Step], None]) -> Finished:
    """Trains, from the last whole checkpoint if there is one, and publishes the model. See `train_sft`."""
    with _quiet(), _threads(attempt.settings.cpu_threads), tempfile.TemporaryDirectory() as scratch:
        trainer = build_trainer(attempt, attempt.checkpoint_folder or Path(scratch), on_step)
        checkpoint = _last_checkpoint(attempt.checkpoint_folder)
        resumed = _replay(checkpoint, on_step) if checkpoint else 0
        started = time.perf_counter()
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
        seconds = time.perf_counter() - started
        hyperparameters = in_force(trainer, attempt.plan)
        if trainer.is_world_process_zero():
            _publish(trainer, attempt, hyperparameters)
        return Finished(hyperparameters=hyperparameters, resumed_from_step=resumed, seconds=seconds)


def build_trainer(attempt: Attempt, folder: Path, on_step: Callable[[Step], None]) -> CompletionTrainer:
    """The trainer over loaded model, tokenizer and rows; it writes checkpoints, if any, to `folder`."""
    tokenizer, model = _load(attempt.settings.model)
    _check_fit(attempt, model)
    lengths = [len(row) for row in attempt.rows]
    trainer = CompletionTrainer(
        EpochSampler(lengths, attempt.settings, attempt.plan),
        model=model,
        args=training_arguments(attempt, folder),
        train_dataset=dataset(attempt.rows),
        processing_class=tokenizer,
        callbacks=[StepRecorder(on_step)],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def dataset(rows: tuple[TrainingRow, ...]) -> Dataset:
    """TRL's prepared form: labels are the ids where they are trained, else IGNORED."""
    return Dataset.from_dict(
        {
            "input_ids": [list(row.input_ids) for row in rows],
            "labels": [
                [token if trained else IGNORED for token, trained in zip(row.input_ids, row.trained, strict=True)]
                for row in rows
            ],
        }
    )


def training_arguments(attempt: Attempt, folder: Path) -> SFTConfig:
    """Our settings in TRL's words. What TRL turns on by default and we do not want is said explicitly."""
    settings, plan = attempt.settings, attempt.plan
    on_cpu = settings.device == "cpu" or not torch.cuda.is_available()
    if not on_cpu and plan.world_size == 1 and torch.cuda.device_count() > 1:
        raise ConfigError(
            f"{torch.cuda.device_count()} GPUs are visible to one process; start it with torchrun "
            f"--nproc_per_node {torch.cuda.device_count()}, or make one visible with CUDA_VISIBLE_DEVICES"
        )
    return SFTConfig(
        output_dir=str(folder),
        num_train_epochs=settings.epochs,
        per_device_train_batch_size=plan.micro_batch_size,
        gradient_accumulation_steps=plan.accumulation_steps,
        learning_rate=settings.learning_rate,
        lr_scheduler_type=settings.lr_scheduler.value,
        warmup_steps=settings.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=settings.weight_decay,
        adam_beta1=settings.betas[0],
        adam_beta2=settings.betas[1],
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        bf16=settings.dtype == "bfloat16",
        activation_checkpointing=settings.activation_checkpointing,
        use_cpu=on_cpu,
        dataloader_pin_memory=not on_cpu,
        ddp_find_unused_parameters=False,
        max_length=None,
        dataset_kwargs={"skip_prepare_dataset": True},
        logging_steps=1,
        logging_nan_inf_filter=False,
        disable_tqdm=True,
        report_to=[],
        save_strategy="steps" if attempt.save_steps else "no",
        save_steps=attempt.save_steps or 500,
        save_total_limit=1,
    )


def in_force(trainer: Any, plan: BatchPlan) -> dict[str, JSON]:  # noqa: ANN401 - TRL types its parts as optional
    """The hyperparameters as the trainer and its optimiser hold them after the training."""
    arguments, optimiser = trainer.args, trainer.optimizer.param_groups[0]
    return {
        "epochs": arguments.num_train_epochs,
        "num_steps": trainer.state.max_steps,
        "effective_batch_size": (
            arguments.per_device_train_batch_size * arguments.gradient_accumulation_steps * plan.world_size
        ),
        "micro_batch_size": arguments.per_device_train_batch_size,
        "accumulation_steps": arguments.gradient_accumulation_steps,
        "world_size": plan.world_size,
        "optimiser": type(getattr(trainer.optimizer, "optimizer", trainer.optimizer)).__name__,
        "learning_rate": optimiser["initial_lr"],
        "lr_scheduler": str(arguments.lr_scheduler_type.value),
        "warmup_steps": arguments.get_warmup_steps(trainer.state.max_steps),
        "weight_decay": optimiser["weight_decay"],
        "betas": list(optimiser["betas"]),
        "max_grad_norm": arguments.max_grad_norm,
        "seed": arguments.seed,
        "dtype": "bfloat16" if arguments.bf16 else "float32",
        "activation_checkpointing": bool(arguments.activation_checkpointing),
        "attention": str(trainer.model.config._attn_implementation),
        "device": str(arguments.device.type),
    }


def _load(model: str) -> tuple[Any, Any]:
    """Tokenizer and float32 model of a folder or Hub id. Raises ModelError."""
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        loaded = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.float32)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load the base model {model}: {error}") from error
    if tokenizer.pad_token is None and tokenizer.eos_token is None:
        raise ModelError(f"the tokenizer of {model} has neither a pad nor an eos token, so rows cannot be padded")
    return tokenizer, loaded


def _check_fit(attempt: Attempt, model: Any) -> None:  # noqa: ANN401 - transformers' models have no common typed base
    """Raises ConfigError where rows hold ids or lengths that the model does not know."""
    vocabulary = int(model.get_input_embeddings().num_embeddings)
    context = int(getattr(model.config, "max_position_embeddings", 0)) or max(len(row) for row in attempt.rows)
    for row in attempt.rows:
        if max(row.input_ids) >= vocabulary or min(row.input_ids) < 0:
            raise ConfigError(
                f"training row {row.problem_id} holds token {max(row.input_ids)}, but {attempt.settings.model} has "
                f"{vocabulary} tokens; the rows were made with another tokenizer"
            )
        if len(row) > context:
            raise ConfigError(
                f"training row {row.problem_id} has {len(row)} tokens, but {attempt.settings.model} has a context of "
                f"{context}; set max_length to {context} and choose over_long"
            )


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


def _replay(checkpoint: Path, on_step: Callable[[Step], None]) -> int:
    """Reports the steps that `checkpoint` already holds; returns how many."""
    state = json.loads((checkpoint / TRAINER_STATE_NAME).read_text(encoding="utf-8"))
    for logs in state["log_history"]:
        on_step(step_of(logs))
    return int(state["global_step"])


def _publish(trainer: Any, attempt: Attempt, hyperparameters: dict[str, JSON]) -> None:  # noqa: ANN401
    account = {
        "base_model": attempt.settings.model,
        "hyperparameters": hyperparameters,
        "num_rows": len(attempt.rows),
        "num_tokens": sum(len(row) for row in attempt.rows),
        "num_trained_tokens": sum(row.num_trained for row in attempt.rows),
    }
    with publishing(attempt.out) as folder:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(folder)
        trainer.processing_class.save_pretrained(folder)
        (folder / MARKER).write_text(json.dumps(account, indent=2, sort_keys=True) + "\n", encoding="utf-8")


@contextmanager
def _quiet() -> Iterator[None]:
    """Transformers says only errors and draws no bars; both are as before afterwards."""
    logging: Any = transformers.utils.logging
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
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
