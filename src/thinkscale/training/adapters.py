"""Low-rank adapters (LoRA, arXiv 2106.09685) by peft, and how they become part of the weights again.

A published model is always whole: adapters are added to the weights they belong to, so that whatever reads a model
reads a tuned one too. They are added to a copy, tensor by tensor; peft's own merging changes the model in place and
taking it back is not exact, so a training that goes on after its best weights were saved would depend on that.

Imports torch; only modules that are loaded when a training begins import this one.
"""

from collections.abc import Mapping
from typing import Any

import torch

from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.training.settings import Lora

_PREFIX = "base_model.model."
_NAME = "default"
"""peft's, of the only adapter there is."""


def adapters_of(lora: Lora, model: Any) -> Any:  # noqa: ANN401 - peft's and transformers' classes are untyped
    """peft's configuration of `lora` for `model`. Raises MissingExtraError, and ConfigError for targets it lacks."""
    try:
        import peft
    except ImportError as error:
        raise MissingExtraError(
            'adapters need peft, which is not installed; run: pip install "thinkscale[lora]"'
        ) from (error)
    _check_targets(lora, model)
    return peft.LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,  # type: ignore[arg-type]  # peft multiplies by it, whole or not
        lora_dropout=lora.dropout,
        target_modules=sorted(lora.targets) if lora.targets else "all-linear",
        bias="none",
        task_type="CAUSAL_LM",
    )


def _check_targets(lora: Lora, model: Any) -> None:  # noqa: ANN401 - as above
    """peft passes over a name that nothing matches as long as another matches."""
    head = model.get_output_embeddings()
    linear = {name: module for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)}
    known = sorted({name.rpartition(".")[2] for name, module in linear.items() if module is not head})
    for target in lora.targets:
        found = [module for name, module in linear.items() if name == target or name.endswith(f".{target}")]
        if not found:
            raise ConfigError(
                f"lora.targets names {target}, but the model has no such layer; it has {', '.join(known)}"
            )
        if any(module is head for module in found):
            raise ConfigError(
                f"lora.targets names {target}, the head, which can have no adapter: losses are computed from its "
                f"weights, so the adapter would never be trained. Leave it out of lora.targets"
            )


def is_adapted(model: Any) -> bool:  # noqa: ANN401 - as above
    """Whether `model` is peft's wrapper of a model."""
    return hasattr(model, "peft_config")


def merged_state(model: Any, state: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:  # noqa: ANN401 - as above
    """The base model's weights by its own names, adapters added in float32, from the wrapper's whole `state`."""
    merged = {
        name.removeprefix(_PREFIX).replace(".base_layer.", "."): weight
        for name, weight in state.items()
        if ".lora_" not in name
    }
    for name, layer in model.named_modules():
        if not (hasattr(layer, "lora_A") and _NAME in layer.lora_A):
            continue
        path = name.replace("_checkpoint_wrapped_module.", "")
        down, up = (state[f"{path}.{part}.{_NAME}.weight"] for part in ("lora_A", "lora_B"))
        change = (up.float() @ down.float()) * layer.scaling[_NAME]
        target = f"{path.removeprefix(_PREFIX)}.weight"
        base = merged[target]
        merged[target] = (base.float() + (change.T if layer.fan_in_fan_out else change)).to(base.dtype)
    return merged
