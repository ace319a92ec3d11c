"""The peak memory of a training on one GPU, part by part, from settings and shape alone.

Memory has no single formula, since its parts are not alive at the same time: logits go before the layers' gradients
come. So the moments that can be the peak are each summed up, and the largest is the estimate. The figures follow the
code that runs: transformers' decoder layers, torch's fused AdamW or our own (training/optimizer.py), FSDP2, the losses
of training/chunked_loss.py. `benchmarks/training_memory.py` runs that code on torch's fake tensors, which have sizes
and no contents, and compares; docs/training-memory.md states the difference.

Chosen: arithmetic, so that a plan takes no torch and no time. Rejected: that simulation itself as the estimate; it is
the measure of this module, but takes seconds for each of the settings that a refusal tries, and torch.

Bytes throughout.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from thinkscale.training.activations import Load, Mode, adapter_inputs, adapter_parameters, layer_bytes, mode_of
from thinkscale.training.logits import chunk_positions
from thinkscale.training.settings import SftSettings, TrainingSettings
from thinkscale.training.shapes import ModelShape

GIB = 2**30
CONTEXT_BYTES = GIB
"""What CUDA, cuBLAS and (with several GPUs) NCCL take beside tensors; assumed."""
FRAGMENTATION = 0.03
"""The share of the tensors' peak that the allocator cannot use; assumed."""
ROUNDED_AT_ONCE = 2**24
ROUNDING_BYTES = 7 * 4
"""Temporaries of our bfloat16 AdamW: seven float32 numbers for each of at most so many elements of a weight."""
TILE = (4096, 32768)
"""Positions and words of the logits that TRL's fused head, which preferences use, holds at once."""
KEPT_ON_GPU = 2
"""Layers whose activations are on the GPU at once where they are offloaded."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """What is alive at one instant of a training step."""

    name: str
    parts: Mapping[str, int]

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return sum(self.parts.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryEstimate:
    """The moments of a step, in their order."""

    moments: tuple[Moment, ...]

    @property
    def peak(self) -> Moment:
        """The moment that takes most."""
        return max(self.moments, key=lambda moment: moment.total)

    @property
    def reserve(self) -> int:
        """What is assumed to be taken beside tensors."""
        return CONTEXT_BYTES + round(FRAGMENTATION * self.peak.total)

    @property
    def total(self) -> int:
        """Bytes that a GPU must have."""
        return self.peak.total + self.reserve


def estimate_memory(
    shape: ModelShape, settings: TrainingSettings, load: Load, *, world_size: int = 1
) -> MemoryEstimate:
    """Peak memory of one of `world_size` GPUs under `settings`, its largest pass being `load`."""
    return MemoryEstimate(moments=tuple(_Step(shape, settings, load, world_size).moments()))


class _Step:
    """The numbers of one optimizer step, and its moments."""

    def __init__(self, shape: ModelShape, settings: TrainingSettings, load: Load, world_size: int) -> None:
        self.shape, self.settings, self.load = shape, settings, load
        self.is_sharded = settings.sharding and world_size > 1
        self.shards = world_size if self.is_sharded else 1
        self.is_copied = world_size > 1 and not self.is_sharded
        self.mode = mode_of(settings, world_size)
        self.stored = 2 if settings.weights == "bfloat16" else 4
        self.width = 4 if self.mode is Mode.FLOAT32 else 2
        """Bytes of an element that products make."""
        self.handed = 2 if self.mode is Mode.BFLOAT16 else 4
        """Bytes of an element that layers hand on."""
        adapters = adapter_parameters(shape, settings.lora.rank, settings.lora.targets) if settings.lora else 0
        self.adapters = adapters
        self.trained = adapters or shape.num_parameters
        self.trained_width = 4 if adapters else self.stored
        self.root = shape.parameters["embedding"] + shape.parameters["head"] + shape.hidden_size
        self.layer = layer_bytes(shape, self.mode, load, settings.attention)
        if adapters:
            self.layer += adapter_inputs(shape, settings, self.mode) * load.tokens

    def moments(self) -> list[Moment]:
        """In the order in which they come."""
        held = self.gradients if self.load.passes > 1 else 0
        base = self.static | self._named("gradients", held) | self._pass_inputs()
        saved = self._saved()
        copies = self._named("autocast copies of weights", self.copies)
        kept = {} if self.settings.activation_checkpointing else copies
        gathered = self._gathered(forward=True)
        final = self._named("last norm", self._final())
        forward, backward = self._loss()
        work = self.load.tokens * 3 * self.width * self.shape.intermediate_size
        return [
            Moment(name="forward pass", parts=base | saved | copies | gathered | self._named("temporaries", work)),
            Moment(name="loss", parts=base | saved | copies | gathered | final | self._named("logits", forward)),
            Moment(name="gradient of the loss", parts=base | saved | kept | gathered | final | {"logits": backward}),
            Moment(name="gradient of the last layer", parts=base | saved | kept | self._layer_gradient(held=held)),
            Moment(name="gradient of the first layer", parts=self._first_layer()),
            Moment(name="gradient of the embedding", parts=self._embedding_gradient()),
            Moment(name="optimizer step", parts=self._optimizer_step()),
        ]

    @property
    def gradients(self) -> int:
        """Of all that is trained; copies in several processes have buckets of the same size to send them in."""
        return self.trained * self.trained_width // self.shards * (2 if self.is_copied else 1)

    @property
    def static(self) -> dict[str, int]:
        """What is always there."""
        parts = {"weights": self.shape.num_parameters * self.stored // self.shards}
        parts |= self._named("adapters", self.adapters * 4 // self.shards)
        state = {"adamw": 2.0 * self.trained_width, "adamw_8bit": 2 + 8 / 256, "paged_adamw_8bit": 0.0}
        return parts | self._named(
            "optimizer state", round(self.trained * state[self.settings.optimizer] / self.shards)
        )

    @property
    def copies(self) -> int:
        """Weights in bfloat16 that autocast keeps until the forward pass is over: of the layers' products."""
        if self.mode is not Mode.AUTOCAST:
            return 0
        if self.adapters:  # weights without a gradient are cast anew each time
            return 2 * self.adapters
        return 2 * self.shape.layers * self.shape.layer_parameters

    def _pass_inputs(self) -> dict[str, int]:
        """Ids, targets and the angles of positions."""
        return {"inputs": self.load.tokens * (3 * 8 + 2 * self.shape.head_dim * self.handed)}

    def _saved(self) -> dict[str, int]:
        """What all layers keep: their inputs, or all that their backward passes need."""
        layers = self.shape.layers
        if self.settings.activation_offload:
            layers = min(layers, KEPT_ON_GPU)
        if self.settings.activation_checkpointing:
            return {"layer inputs": layers * self.load.tokens * self.shape.hidden_size * self.handed}
        return {"activations": layers * self.layer}

    def _final(self) -> int:
        """The last norm keeps what a layer's norms keep, and its output goes to the head."""
        size = {Mode.BFLOAT16: 10, Mode.AUTOCAST: 12, Mode.FLOAT32: 12}[self.mode]
        return self.load.tokens * self.shape.hidden_size * size

    def _loss(self) -> tuple[int, int]:
        """Bytes of logits and what is made of them, forward and backward."""
        scored, v, h = self.load.scored, self.shape.vocabulary_size, self.shape.hidden_size
        head = 0 if self.adapters else v * h
        states = scored * h * (self.handed + self.handed)
        copy = v * h * self.width if self.mode is Mode.AUTOCAST else 0
        if not isinstance(self.settings, SftSettings):
            tile = min(scored, TILE[0]) * TILE[1] * self.width
            return tile + states + 36 * scored, tile + states + 4 * scored * h + 4 * head + TILE[1] * h * self.width
        if self.settings.loss == "full":
            logits = scored * v
            return states + copy + logits * (self.width + 8), states + logits * 12
        chunk = min(scored, chunk_positions(v)) * v
        found = chunk * (4 if self.width == 4 else 6) + 4 * head + states + copy
        return found, 4 * head + head * self.trained_width * (self.trained_width != 4) + states

    def _layer_gradient(self, *, held: int) -> dict[str, int]:
        """Backward through the last layer: its activations, made again or kept, and gradients beside them."""
        h, i, tokens = self.shape.hidden_size, self.shape.intermediate_size, self.load.tokens
        work = tokens * (2 * self.width * i + (self.handed * h if self.mode is Mode.BFLOAT16 else 0))
        if self.adapters:  # a second gradient of each input, on its way through the adapter
            work += tokens * self.width * (i + 2 * h)
        elif not self.is_sharded:
            work += max(0, self.width * i * (h - tokens))  # of a weight's gradient, until it is added
        if self.settings.attention == "eager":
            work += 4 * self.load.longest**2 * self.shape.attention_heads
        parts = self._gathered(forward=False) | {"gradients in the backward pass": work}
        if not self.adapters:
            head = self.shape.head_parameters
            waiting = head * (self.width if self.is_sharded else self.stored)
            parts |= self._named("gradient of the head", waiting if self.shape.is_tied or not held else 0)
        if self.settings.activation_checkpointing:
            copies = 2 * self.shape.layer_parameters if self.mode is Mode.AUTOCAST and not self.adapters else 0
            parts |= {"recomputed layer": self.layer} | self._named("autocast copies of weights", copies)
        return parts

    def _first_layer(self) -> dict[str, int]:
        """All layers' gradients are there, and one layer's activations are left."""
        name, saved = next(iter(self._saved().items()))
        left = {name: saved // self.shape.layers}
        gradients = self._named("gradients", self.gradients)
        return self.static | gradients | self._pass_inputs() | left | self._layer_gradient(held=self.gradients)

    def _embedding_gradient(self) -> dict[str, int]:
        """The end of the backward pass: all gradients, and the embedding's before it is added to them."""
        made = 0
        if not self.adapters:
            table = self.shape.head_parameters * self.stored
            made = self.root * (self.width + 4) if self.is_sharded else table * (2 if self.shape.is_tied else 1)
        last = {"gradient of the hidden states": 2 * self.load.tokens * self.shape.hidden_size * self.handed}
        parts = self.static | {"gradients": self.gradients} | self._pass_inputs() | last
        return parts | self._named("gradient of the embedding", made)

    def _optimizer_step(self) -> dict[str, int]:
        largest = max(self.shape.head_parameters, self.shape.hidden_size * self.shape.intermediate_size) // self.shards
        temporaries = ROUNDING_BYTES * min(ROUNDED_AT_ONCE, largest) if self.settings.pure_bfloat16 else 0
        return self.static | {"gradients": self.gradients} | self._named("temporaries", temporaries)

    def _gathered(self, *, forward: bool) -> dict[str, int]:
        """FSDP2: embedding and head whole, two layers whole, and in the backward pass a layer's gradients on their way.

        The next layer is gathered while one computes; gradients are made in the dtype of the computation and summed
        over processes in float32, while the next are made.
        """
        if not self.is_sharded:
            return {}
        of_layer = 2 * self.width + (0 if forward else 5.5)
        return {"gathered weights": self.root * self.width + round(self.shape.layer_parameters * of_layer)}

    @staticmethod
    def _named(name: str, size: int) -> dict[str, int]:
        """A part, unless there is nothing of it."""
        return {name: size} if size else {}
