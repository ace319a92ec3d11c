"""What to say where a GPU's memory does not suffice.

Imports torch; only modules that are loaded when a training begins import this one.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from thinkscale.errors import StageError
from thinkscale.training.settings import SftSettings, TrainingSettings


@contextmanager
def memory_advice(settings: TrainingSettings) -> Iterator[None]:
    """torch's out-of-memory error becomes a StageError that names the settings that are not used yet."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        said = str(error).split(". ")[0]
        raise StageError(
            f"the GPU's memory did not suffice ({said}). What would help, the cheapest first: "
            f"{'; '.join(remedies(settings))}. `thinkscale plan` says what each takes"
        ) from error


def remedies(settings: TrainingSettings) -> tuple[str, ...]:
    """Settings that take less memory than `settings` do, in the order of what they cost."""
    known = (
        (settings.micro_batch_size != 1, "micro_batch_size 1 (fewer rows at once; the same result)"),
        (
            isinstance(settings, SftSettings) and settings.loss == "full",
            "loss auto (logits in pieces; the same result)",
        ),
        (not settings.activation_checkpointing, "activation_checkpointing true (a fifth slower; the same result)"),
        (not settings.activation_offload, "activation_offload true (the same result)"),
        (settings.weights == "float32", "weights bfloat16 (half the memory of weights, gradients and optimizer)"),
        (not settings.lora, "lora (adapters instead of all weights)"),
        (True, "a shorter max_length with over_length drop"),
        (True, "more GPUs (--gpus), which share weights and optimizer"),
    )
    return tuple(said for helps, said in known if helps)
