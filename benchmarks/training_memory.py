"""`plan`'s estimate of a training's peak memory, against a real training step on tensors without contents.

    python -m benchmarks.training_memory [--quick] [--out benchmarks/training_memory.json]

A step of transformers' model under torch's FakeTensorMode runs every operation of the forward pass, the backward pass
and the optimizer, but tensors have sizes alone: a 3B model at 32,768 tokens takes seconds and no memory. A dispatch
mode counts the bytes of all storages that are alive after each operation. The same code runs as in a training: the
loss of training/chunked_loss.py, torch's AdamW, checkpointing, autocast, peft's adapters, FSDP2 over a group of
processes that is not there. What it cannot see is what kernels take inside (workspaces), and what `plan` adds as a
reserve for CUDA and fragmentation; on a CPU the chunked loss has a temporary more than on a GPU.
"""

import argparse
import gc
import json
import sys
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter
from transformers import AutoModelForCausalLM

from thinkscale.training.activations import Load, mode_of
from thinkscale.training.adapters import adapters_of
from thinkscale.training.chunked_loss import install_loss_head
from thinkscale.training.memory import MemoryEstimate, estimate_memory
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.shapes import ModelShape, shape_of_config

GIB = 2**30
SHARE_TRAINED = 0.9
"""Of a pass's positions; the rest is prompts."""
SIZES: dict[str, dict[str, Any]] = {
    "Qwen2.5-0.5B": {
        **{"model_type": "qwen2", "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24},
        **{"num_attention_heads": 14, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True},
    },
    "Qwen2.5-3B": {
        **{"model_type": "qwen2", "hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36},
        **{"num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936, "tie_word_embeddings": True},
    },
    "Qwen2.5-32B, 12 of its 64 layers": {
        **{"model_type": "qwen2", "hidden_size": 5120, "intermediate_size": 27648, "num_hidden_layers": 12},
        **{"num_attention_heads": 40, "num_key_value_heads": 8, "vocab_size": 152064, "tie_word_embeddings": False},
    },
    "Qwen3-4B": {
        **{"model_type": "qwen3", "hidden_size": 2560, "intermediate_size": 9728, "num_hidden_layers": 36},
        **{"num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128, "vocab_size": 151936},
        "tie_word_embeddings": True,
    },
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One setting that is simulated."""

    model: str
    tokens: int
    weights: str = "float32"
    dtype: str = "bfloat16"
    checkpointing: bool = True
    loss: str = "chunked"
    attention: str = "sdpa"
    lora_rank: int = 0
    passes: int = 2
    gpus: int = 1

    @property
    def settings(self) -> SftSettings:
        """As a training takes them."""
        return SftSettings(
            model=self.model,
            weights=self.weights,
            dtype=self.dtype,
            activation_checkpointing=self.checkpointing,
            loss=self.loss,
            attention=self.attention,
            lora=Lora(rank=self.lora_rank) if self.lora_rank else None,
        )

    @property
    def load(self) -> Load:
        """One row a pass."""
        scored = round(SHARE_TRAINED * self.tokens)
        return Load(tokens=self.tokens, scored=scored, longest=self.tokens, passes=self.passes)


class LiveBytes(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes of the storages that operations made and that are still alive."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.live = 0
        self.peak = 0
        self._sizes: dict[int, int] = {}
        self._resize = torch.UntypedStorage.resize_

    def __enter__(self) -> "LiveBytes":
        def resize_(storage: torch.UntypedStorage, size: int) -> Any:  # noqa: ANN401 - torch's own
            found = self._resize(storage, size)
            if storage._cdata in self._sizes:
                self._now(storage._cdata, size)
            return found

        torch.UntypedStorage.resize_ = resize_  # type: ignore[method-assign, assignment]  # so FSDP2 frees
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:  # noqa: ANN401 - torch's own
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        torch.UntypedStorage.resize_ = self._resize  # type: ignore[method-assign]

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
        made = func(*args, **(kwargs or {}))
        for item in tree_iter(made):
            if isinstance(item, torch.Tensor):
                self.count(item)
        return made

    def count(self, tensor: torch.Tensor) -> None:
        """A tensor that is there; one that shares its storage with another counts once."""
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = 0
            self._now(key, storage.nbytes())
            weakref.finalize(storage, self._forget, key)

    def _now(self, key: int, size: int) -> None:
        self.live += size - self._sizes[key]
        self._sizes[key] = size
        self.peak = max(self.peak, self.live)

    def _forget(self, key: int) -> None:
        self.live -= self._sizes.pop(key, 0)


def shape_of(model: str) -> ModelShape:
    """The shape of one of SIZES."""
    return shape_of_config(SIZES[model], model)


def simulated_peak(case: Case, config: dict[str, Any] | None = None) -> int:
    """Bytes of a whole optimizer step at its peak, weights and optimizer state included."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = _model(case, config or SIZES[case.model])
    with _processes(case.gpus) as mesh, warnings.catch_warnings(), FakeTensorMode(allow_non_fake_inputs=True):
        warnings.simplefilter("ignore")
        _moved(model)
        model.train()
        head = install_loss_head(model.get_base_model() if case.lora_rank else model, case.loss)
        if case.checkpointing:
            model.activation_checkpointing_enable()
            if case.lora_rank:
                model.enable_input_require_grads()
        if mesh is not None:
            _shard(model, case, mesh)
        return _peak(model, head, case)


def _peak(model: Any, head: Any, case: Case) -> int:  # noqa: ANN401 - transformers' models have no common typed base
    live = LiveBytes()
    for weight in model.parameters():
        live.count(getattr(weight, "_local_tensor", weight))
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    with live:
        optimizer = torch.optim.AdamW(trained, fused=case.gpus == 1, foreach=False)
        for weight in trained:
            weight.grad = torch.zeros_like(weight)
        state = 0
        if case.gpus == 1:
            optimizer.step()  # makes the state, as the training's first step does
        else:  # the state of shards has their sizes
            state = 2 * sum(weight._local_tensor.nbytes for weight in trained)
        if case.passes == 1:
            optimizer.zero_grad()
        gc.collect()
        live.peak = live.live
        _pass(model, head, case)  # a second pass of a step finds the gradients of the first, as here
        if case.gpus == 1:
            optimizer.step()
        return live.peak + state


def _pass(model: Any, head: Any, case: Case) -> None:  # noqa: ANN401 - as above
    ids = torch.zeros(1, case.tokens, dtype=torch.long)
    positions = torch.arange(case.load.scored)
    targets = torch.zeros(case.load.scored, dtype=torch.long)
    inputs = {"input_ids": ids, "position_ids": torch.arange(case.tokens)[None]}
    if case.attention != "eager":
        inputs["attention_mask"] = {"full_attention": None}  # type: ignore[assignment]  # as where nothing is padded
    is_cast = case.dtype == "bfloat16" and not case.settings.pure_bfloat16
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=is_cast):
        total, _ = head.losses(model, inputs, positions, targets)
        loss = total / case.load.scored
        del total, _
    loss.backward()


def _model(case: Case, config: dict[str, Any]) -> Any:  # noqa: ANN401 - as above
    """The model, and its adapters, on a device without memory."""
    from transformers import AutoConfig

    made = AutoConfig.for_model(**config)
    made._attn_implementation = case.attention
    with torch.device("meta"):
        build: Any = AutoModelForCausalLM.from_config
        model: Any = build(made, dtype=getattr(torch, case.weights))
        model.tie_weights()
    if not case.lora_rank:
        return model
    import peft

    return peft.get_peft_model(model, adapters_of(Lora(rank=case.lora_rank), model))


def _moved(model: Any) -> None:  # noqa: ANN401 - as above
    """Weights and buffers of the model become tensors of the mode in force; shared ones stay shared."""
    made: dict[int, Any] = {}
    for module in model.modules():
        for name, weight in module._parameters.items():
            if weight is not None:
                fresh = torch.empty(weight.shape, dtype=weight.dtype)
                made.setdefault(id(weight), torch.nn.Parameter(fresh, requires_grad=weight.requires_grad))
                module._parameters[name] = made[id(weight)]
        for name, buffer in module._buffers.items():
            if buffer is not None:
                module._buffers[name] = torch.empty(buffer.shape, dtype=buffer.dtype)


@contextmanager
def _processes(count: int) -> Iterator[Any]:
    """A mesh of processes that torch pretends to have; None for one."""
    if count == 1:
        yield None
        return
    import torch.distributed as dist
    from torch.distributed.device_mesh import init_device_mesh
    from torch.testing._internal.distributed.fake_pg import FakeStore

    dist.init_process_group("fake", rank=0, world_size=count, store=FakeStore())
    try:
        yield init_device_mesh("cpu", (count,))
    finally:
        dist.destroy_process_group()


def _shard(model: Any, case: Case, mesh: Any) -> None:  # noqa: ANN401 - as above
    """FSDP2 as training/sharding.py asks for it."""
    from torch.distributed.fsdp import MixedPrecisionPolicy, fully_shard

    compute = torch.bfloat16 if case.dtype == "bfloat16" else None
    policy = MixedPrecisionPolicy(param_dtype=compute, reduce_dtype=torch.float32)
    for layer in model.model.layers:
        fully_shard(layer, mesh=mesh, mp_policy=policy, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, mp_policy=policy, reshard_after_forward=True)


def estimated(case: Case) -> MemoryEstimate:
    """What `plan` would say."""
    return estimate_memory(shape_of(case.model), case.settings, case.load, world_size=case.gpus)


def cases() -> list[Case]:
    """The table of docs/training-memory.md."""
    three, long = "Qwen2.5-3B", (2048, 8192, 32768)
    both = ("float32", "bfloat16")
    table = [Case(model=three, tokens=tokens, weights=weights) for weights in both for tokens in long]
    table += [Case(model=three, tokens=tokens, checkpointing=False) for tokens in (2048, 8192)]
    table += [Case(model=three, tokens=8192, checkpointing=False, weights="bfloat16")]
    table += [Case(model=three, tokens=tokens, loss="full", weights="bfloat16") for tokens in long]
    table += [Case(model=three, tokens=8192, loss="full")]
    table += [Case(model=three, tokens=8192, passes=1), Case(model=three, tokens=8192, passes=1, weights="bfloat16")]
    table += [Case(model=three, tokens=2048, dtype="float32"), Case(model=three, tokens=2048, attention="eager")]
    table += [Case(model=three, tokens=tokens, lora_rank=16, weights="bfloat16") for tokens in (8192, 32768)]
    table += [Case(model=three, tokens=8192, lora_rank=16), Case(model="Qwen2.5-0.5B", tokens=8192)]
    table += [Case(model="Qwen3-4B", tokens=8192, weights="bfloat16")]
    table += [Case(model="Qwen2.5-0.5B", tokens=4096, checkpointing=False, lora_rank=16, weights="bfloat16")]
    part = "Qwen2.5-32B, 12 of its 64 layers"
    return table + [Case(model=part, tokens=tokens, gpus=16, passes=1) for tokens in (4096, 32768)]


def measured(case: Case) -> dict[str, Any]:
    """One row: the case, both figures in GiB, and their difference."""
    peak, estimate = simulated_peak(case), estimated(case)
    moment = estimate.peak
    return asdict(case) | {
        "mode": mode_of(case.settings, case.gpus).value,
        "simulated_gib": round(peak / GIB, 2),
        "estimated_gib": round(moment.total / GIB, 2),
        "error_percent": round(100 * (moment.total / peak - 1), 1),
        "moment": moment.name,
    }


def main() -> None:
    """Prints a row for each case and writes all of them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--quick", action="store_true", help="the first cases alone")
    options = parser.parse_args()
    rows = []
    for case in cases()[: 2 if options.quick else None]:
        rows.append(measured(case))
        sys.stdout.write(json.dumps(rows[-1]) + "\n")
        sys.stdout.flush()
    errors = [row["error_percent"] for row in rows]
    summary = {"torch": torch.__version__, "lowest_error_percent": min(errors), "highest_error_percent": max(errors)}
    if options.out:
        options.out.write_text(json.dumps({**summary, "cases": rows}, indent=1) + "\n", encoding="utf-8")
    sys.stdout.write(json.dumps(summary) + "\n")


if __name__ == "__main__":
    main()
