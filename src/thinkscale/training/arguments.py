"""Our settings in TRL's words, for supervised and preference training alike.

Imports torch; only modules that are loaded when a training begins import this one.
"""

import importlib.util
from pathlib import Path
from typing import Any, TypeVar

import torch

from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.training.batches import BatchPlan
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.sharding import sharding_arguments

Config = TypeVar("Config")

OPTIMIZERS = {
    "adamw": "adamw_torch_fused",
    "adamw_8bit": "adamw_8bit",
    "paged_adamw_8bit": "paged_adamw_8bit",
}
"""Ours, and what transformers calls them."""


def training_arguments(
    settings: TrainingSettings,
    plan: BatchPlan,
    folder: Path,
    save_steps: int | None,
    config_class: type[Config],
    **more: Any,  # noqa: ANN401 - fields of TRL's configurations, which have no common typed base
) -> Config:
    """TRL's `config_class` (SFTConfig, DPOConfig); what TRL turns on by default and we do not want is said explicitly.

    `more` are fields of that class alone, and win over the common ones, as sharding wins over both. Checkpoints go to
    `folder`, every `save_steps` steps. Raises ConfigError where several GPUs are visible to one process, or a setting
    needs one and there is none; MissingExtraError where an 8-bit optimizer is not installed.
    """
    on_cpu = settings.device == "cpu" or not torch.cuda.is_available()
    if not on_cpu and plan.world_size == 1 and torch.cuda.device_count() > 1:
        raise ConfigError(
            f"{torch.cuda.device_count()} GPUs are visible to one process; start it with torchrun "
            f"--nproc_per_node {torch.cuda.device_count()}, or make one visible with CUDA_VISIBLE_DEVICES"
        )
    check_device(settings, on_cpu=on_cpu)
    given = _common(settings, plan, on_cpu) | _saving(folder, save_steps) | more
    return config_class(**(given | sharding_arguments(settings, plan.world_size)))


def check_device(settings: TrainingSettings, *, on_cpu: bool) -> None:
    """Raises ConfigError for what only a GPU has, MissingExtraError for a library that is not installed."""
    if on_cpu and settings.optimizer != "adamw":
        raise ConfigError(f"optimizer {settings.optimizer} needs a GPU, and none is used; choose optimizer adamw")
    if on_cpu and settings.activation_offload:
        raise ConfigError("activation_offload moves activations off a GPU, and none is used; leave it out")
    if on_cpu and settings.attention.startswith(("flash_attention", "flex_attention")):  # flex: no backward pass there
        raise ConfigError(f"attention {settings.attention} needs a GPU, and none is used; choose auto or sdpa")
    if settings.optimizer != "adamw" and importlib.util.find_spec("bitsandbytes") is None:
        raise MissingExtraError(
            f"optimizer {settings.optimizer} needs bitsandbytes, which is not installed; run: pip install bitsandbytes"
        )


def _common(settings: TrainingSettings, plan: BatchPlan, on_cpu: bool) -> dict[str, Any]:
    return {
        "num_train_epochs": settings.epochs,
        "per_device_train_batch_size": plan.micro_batch_size,
        "gradient_accumulation_steps": plan.accumulation_steps,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.lr_scheduler.value,
        "warmup_steps": settings.warmup_ratio,  # below 1 it is a share of all steps
        "weight_decay": settings.weight_decay,
        "adam_beta1": settings.betas[0],
        "adam_beta2": settings.betas[1],
        "max_grad_norm": settings.max_grad_norm,
        "optim": OPTIMIZERS[settings.optimizer],
        "seed": settings.seed,
        "bf16": settings.dtype == "bfloat16" and not settings.pure_bfloat16,  # autocast; pure needs none
        "activation_checkpointing": settings.activation_checkpointing,
        "activation_offloading": settings.activation_offload,
        "use_cpu": on_cpu,
        "dataloader_pin_memory": not on_cpu,
        "ddp_find_unused_parameters": False,
        "max_length": None,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "disable_tqdm": True,
        "report_to": [],
    }


def _saving(folder: Path, save_steps: int | None) -> dict[str, Any]:
    return {
        "output_dir": str(folder),
        "save_strategy": "steps" if save_steps else "no",
        "save_steps": save_steps or 500,
        "save_total_limit": 1,
    }
