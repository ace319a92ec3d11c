"""Several processes train one model: shards of it (FSDP2) or a copy in each (DDP), and what both need to agree.

FSDP2 comes through accelerate, as transformers' trainers ask for it. Four things are set right here:

- On the CPU accelerate runs data parallelism where FSDP was asked for, without a word. `ManyProcesses` puts the state
  in place that it keeps for GPUs, and `assert_sharded` fails where a trained weight is not a DTensor after all.
- Gradients are summed in float32 where accelerate sums them in the type of the computation.
- Under accumulation each micro-batch's gradients are reduced at once. Otherwise every process keeps the gradients of
  the whole model until the last micro-batch, and sharding saves nothing where it is needed most.
- A checkpoint counts as whole when `trainer_state.json` is there, so that is written when every process is done.

A checkpoint is made of shards, each written by its process; only a published model is gathered, tensor by tensor, into
the host memory of the first process. Rejected: sharding while weights are read (`DistributedConfig` of transformers
5), whose trainer has neither FSDP's activation checkpointing nor its precision policy.

Imports torch: only modules that are loaded when a training begins import this one.
"""

import os
from collections.abc import Callable
from typing import Any, TypeVar

import torch
import transformers
from accelerate import init_empty_weights  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState, PartialState  # type: ignore[import-untyped]
from accelerate.utils import (  # type: ignore[import-untyped]
    DistributedType,
    FullyShardedDataParallelPlugin,
    TorchDynamoPlugin,
    broadcast_object_list,
    wait_for_everyone,
)
from torch.distributed.checkpoint.state_dict import StateDictOptions, get_model_state_dict
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy
from torch.distributed.tensor import DTensor

from thinkscale.errors import ConfigError, StageError
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.starting import world_size

Answer = TypeVar("Answer")

_OFFLOAD = "activation_checkpointing_offload"
_WRAPPED = "_checkpoint_wrapped_module."


def sharding_arguments(settings: TrainingSettings, world_size: int) -> dict[str, Any]:
    """Fields of TRL's configurations that turn FSDP2 on; none for one process or without `settings.sharding`.

    Layers that a model names in its `_no_split_modules` are units of their own; embedding, last norm and head are one
    more. Raises ConfigError for an 8-bit optimizer, which takes no shards.
    """
    if world_size == 1 or not settings.sharding:
        return {}
    if settings.optimizer != "adamw":
        raise ConfigError(
            f"optimizer {settings.optimizer} does not work on the shards of {world_size} processes (bitsandbytes "
            f"takes no DTensor); choose optimizer adamw, whose state is divided by {world_size}, or sharding false"
        )
    recompute = settings.activation_checkpointing
    found: dict[str, Any] = {
        "fsdp": True,
        "fsdp_config": {
            "version": 2,
            "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
            "reshard_after_forward": True,
            "state_dict_type": "SHARDED_STATE_DICT",
            "cpu_ram_efficient_loading": True,
            "activation_checkpointing": recompute,
            _OFFLOAD: recompute and settings.activation_offload,
        },
        "activation_checkpointing": False,  # FSDP does its own, around each layer
        "accelerator_config": {"gradient_accumulation_kwargs": {"sync_each_batch": True}},
    }
    return found | ({"activation_offloading": False} if recompute and settings.activation_offload else {})


class ManyProcesses(transformers.Trainer):
    """A trainer that shards where its arguments ask for it; stands before TRL's trainer among the bases."""

    def create_accelerator_and_postprocess(self) -> None:
        prepare_sharding(self.args)
        super().create_accelerator_and_postprocess()

    def _prepare_for_training(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - transformers' own signature
        prepared = super()._prepare_for_training(*arguments, **named)  # type: ignore[no-untyped-call]
        if self.args.fsdp_plugin_args is not None:
            assert_sharded(prepared[0])
        return prepared

    def _save_rng_state(self, output_dir: str) -> None:
        super()._save_rng_state(output_dir)
        wait_for_everyone()  # the state that marks a whole checkpoint is written next


def prepare_sharding(arguments: transformers.TrainingArguments) -> None:
    """Sets the precision of shards, and on the CPU the state without which accelerate does not shard."""
    plugin_arguments = arguments.fsdp_plugin_args
    if plugin_arguments is None:
        os.environ.pop("ACCELERATE_USE_FSDP", None)  # left by another training of this process, or by a launcher
        return
    compute = torch.bfloat16 if arguments.bf16 else None  # None: that of the weights
    plugin_arguments["mixed_precision_policy"] = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    fsdp_config: Any = arguments.fsdp_config
    plugin_arguments[_OFFLOAD] = bool(fsdp_config.get(_OFFLOAD))
    if arguments.device.type != "cpu":
        return
    plugin = FullyShardedDataParallelPlugin(**plugin_arguments)
    state = AcceleratorState(
        mixed_precision=arguments.mixed_precision, dynamo_plugin=TorchDynamoPlugin(), _from_accelerator=True
    )
    state.distributed_type = DistributedType.FSDP
    state.fsdp_plugin = plugin
    PartialState._shared_state["distributed_type"] = DistributedType.FSDP


def assert_sharded(model: torch.nn.Module) -> None:
    """Raises StageError where a trained weight is whole in each process, or all layers are one unit."""
    whole = [
        name for name, weight in model.named_parameters() if weight.requires_grad and not isinstance(weight, DTensor)
    ]
    if whole:
        raise StageError(
            f"sharding was asked for, but {len(whole)} trained weights are not sharded, {whole[0]} among them; every "
            f"process would hold the whole model. Train with sharding false if that is wanted"
        )
    if not any(_is_layer(module, model) for module in model.modules() if isinstance(module, FSDPModule)):
        raise StageError(
            f"{type(model).__name__} does not say which of its layers can be sharded one by one (_no_split_modules): "
            f"every process would gather the whole model at once. Train with sharding false"
        )


def _is_layer(module: torch.nn.Module, model: torch.nn.Module) -> bool:
    inner = getattr(module, _WRAPPED.rstrip("."), module)
    return any(kind.__name__ in (getattr(model, "_no_split_modules", None) or ()) for kind in type(inner).__mro__)


def read_model(settings: TrainingSettings, **named: Any) -> Any:  # noqa: ANN401 - transformers' own arguments
    """`AutoModelForCausalLM.from_pretrained(settings.model, ...)`, its weights read once on each machine.

    Where weights are sharded, only the first process of a machine reads them; the others get theirs from the first of
    all when the model is divided. Eight processes that each read 32 billion float32 weights would need a tebibyte of
    host memory.
    """
    kind: Any = transformers.AutoModelForCausalLM
    if not sharding_arguments(settings, world_size()) or int(os.environ.get("LOCAL_RANK", "0")) == 0:
        return kind.from_pretrained(settings.model, **named)
    config: Any = transformers.AutoConfig.from_pretrained(settings.model)
    with init_empty_weights(include_buffers=False):
        model = kind.from_config(config, **named)
    for module in model.modules():
        for name, weight in module.named_parameters(recurse=False):
            # Untouched memory is not there yet; and accelerate tells weights apart by where they lie.
            blank = torch.empty(weight.shape, dtype=weight.dtype)
            setattr(module, name, torch.nn.Parameter(blank, requires_grad=weight.requires_grad))
    model.tie_weights()
    return model


def whole_state(trainer: Any, *, trained_only: bool = False) -> dict[str, torch.Tensor]:  # noqa: ANN401
    """The weights by name, whole and in host memory; on every process but the first, none. All processes call it.

    Never more than one copy: tensors are gathered one after the other. `trained_only` leaves out frozen ones.
    """
    model, is_first = trainer.model, trainer.is_world_process_zero()
    if trainer.is_fsdp_enabled:
        options = StateDictOptions(full_state_dict=True, cpu_offload=True, ignore_frozen_params=trained_only)
        state: Any = get_model_state_dict(model, options=options)
    else:
        model = trainer.accelerator.unwrap_model(model)
        state = model.state_dict() if is_first else {}
    # Of weights that are one under several names, the model's own first name: gathered ones are several.
    kept = {name.replace(_WRAPPED, ""): weight.requires_grad for name, weight in model.named_parameters()}
    kept |= {name.replace(_WRAPPED, ""): False for name, _ in model.named_buffers()}
    wanted = {name for name, is_trained in kept.items() if is_trained or not trained_only}
    return {name: weight for name, weight in state.items() if name in wanted}


def from_first(compute: Callable[[], Answer]) -> Answer:
    """What `compute` returns or raises on the first process, for all of them: each may see a file system otherwise.

    To be called after the training's arguments are made, which start the group of processes.
    """
    if not torch.distributed.is_initialized():
        return compute()
    box: list[Any] = [None, None]
    if torch.distributed.get_rank() == 0:
        try:
            box[0] = compute()
        except Exception as error:  # noqa: BLE001 - raised again, on every process
            box[1] = error
    broadcast_object_list(box, from_process=0)
    if box[1] is not None:
        raise box[1]
    answer: Answer = box[0]
    return answer


def wait_for_all() -> None:
    """Returns when every process has come here; at once where there is one."""
    if torch.distributed.is_initialized():
        wait_for_everyone()
