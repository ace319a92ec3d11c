"""Weights, tokenizer and device of a local model, each with an error that names what is missing."""

from pathlib import Path
from typing import Any, cast

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils.logging import disable_progress_bar

from thinkscale.engines.local.attention import ATTENTION, register_attention
from thinkscale.errors import ModelError
from thinkscale.thinking.formats import Tokenizer

DTYPES = {"float32": torch.float32, "float64": torch.float64, "bfloat16": torch.bfloat16}


def find_device(name: str) -> torch.device:
    """The device called `name`; `auto` is the first GPU, else the CPU. Raises ModelError where there is none."""
    has_gpu = torch.cuda.is_available()
    try:
        device = torch.device(("cuda" if has_gpu else "cpu") if name == "auto" else name)
    except RuntimeError as error:
        raise ModelError(f"device {name!r} is none that torch knows; use cpu, cuda, cuda:1 or auto") from error
    if device.type == "cuda" and (not has_gpu or (device.index or 0) >= torch.cuda.device_count()):
        raise ModelError(f"device {name!r}: torch sees {torch.cuda.device_count()} GPUs; use cpu or auto")
    return device


def load_tokenizer(model: str) -> Tokenizer:
    """The tokenizer of a model folder or Hub id. Raises ModelError that says what a folder lacks."""
    folder = Path(model)
    if folder.is_dir():
        missing = [name for name in ("config.json", "tokenizer_config.json") if not (folder / name).is_file()]
        if missing:
            raise ModelError(f"{folder} is not a whole model folder: {', '.join(missing)} is missing there")
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a tokenizer from {model}: {error}") from error
    if tokenizer.chat_template is None:
        raise ModelError(f"the tokenizer of {model} has no chat template, so a conversation cannot be rendered")
    return cast(Tokenizer, tokenizer)


def load_model(model: str, dtype: str) -> Any:  # noqa: ANN401 - transformers' models have no common typed base
    """The causal model of a folder or Hub id in `dtype`, with our attention.

    Raises ModelError where it cannot be loaded, or has layers other than full attention: their results would be wrong.
    """
    if dtype not in DTYPES:
        raise ModelError(f"dtype {dtype!r} is none of {', '.join(DTYPES)}")
    disable_progress_bar()  # type: ignore[no-untyped-call]  # ours shows what a user waits for
    register_attention()
    try:
        loaded = AutoModelForCausalLM.from_pretrained(model, dtype=DTYPES[dtype], attn_implementation=ATTENTION)
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot load a model from {model}: {error}") from error
    problem = _unsuited(loaded)
    if problem:
        raise ModelError(f"the local engine cannot run {model}: {problem}; serve it with vLLM and use that endpoint")
    return loaded


def _unsuited(model: Any) -> str | None:  # noqa: ANN401
    """Why the slot cache does not suit a model; None where it does."""
    config = model.config
    kinds = getattr(config, "layer_types", None)
    if kinds is None and getattr(config, "sliding_window", None) is not None:
        kinds = ["sliding_attention"]
    others = sorted(set(kinds or ()) - {"full_attention"})
    if others:
        return f"it has layers of {', '.join(others)}"
    if not getattr(model, "_supports_attention_backend", False):
        return "its attention is built in and takes no other"
    return None
