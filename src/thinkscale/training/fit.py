"""Whether a training fits a GPU's memory, and which changes would make it fit, cheapest first.

A change is proposed only where the estimate (memory.py) says that it fits; nothing is canned. First come changes after
which the same weights are learnt, at the price of time; then those that change how numbers are kept, how many GPUs
work, what is trained, and last what is trained on.

A training is refused before its model is loaded where even the estimate's tensors, less the estimate's error, exceed
the GPU's memory: such a training ends in an out-of-memory error for certain, so there is no setting to override the
refusal. What lies between that and a comfortable fit is started; `plan` says how close it is.
"""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from thinkscale.errors import ConfigError, ModelError
from thinkscale.training.activations import Load
from thinkscale.training.batches import BatchPlan, plan_batches
from thinkscale.training.free_gpus import VISIBLE, Gpu, read_gpus, visible_gpus
from thinkscale.training.memory import GIB, MemoryEstimate, estimate_memory
from thinkscale.training.packing import computed_positions, epoch_passes
from thinkscale.training.settings import Batching, Lora, SftSettings, TrainingSettings, check_settings
from thinkscale.training.shapes import ModelShape, find_shape

ERROR = 0.05
"""How far tensors may stay below the estimate; measured by benchmarks/training_memory.py."""
MOST_GPUS = 64
SHORTEST = 1024
"""Rows are not proposed to be cut below so many tokens."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """A GPU to plan for."""

    name: str
    memory_gib: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Training:
    """What decides the memory of one training. Without `lengths`, a row may have max_length tokens."""

    shape: ModelShape
    settings: TrainingSettings
    lengths: tuple[int, ...] = ()
    """Tokens of each row; of a pair, both sides."""
    world_size: int = 1

    @property
    def estimate(self) -> MemoryEstimate:
        """The peak of one GPU."""
        load = load_of(self.settings, self.lengths, self.world_size)
        return estimate_memory(self.shape, self.settings, load, world_size=self.world_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class Remedy:
    """Changes with which a training fits, as `--set` takes them, and what they cost."""

    changes: tuple[str, ...]
    costs: tuple[str, ...]
    total: int
    """Bytes with them."""


def batching_of(settings: TrainingSettings) -> Batching:
    """What AUTO comes to with an attention that keeps rows apart."""
    if settings.batching is not Batching.AUTO:
        return settings.batching
    if settings.attention == "eager":
        return Batching.BY_LENGTH
    return Batching.PADDING_FREE if settings.micro_batch_size else Batching.PACKED


def load_of(settings: TrainingSettings, lengths: Sequence[int], world_size: int) -> Load:
    """The largest forward pass of any epoch. Raises ConfigError where the batch cannot be divided."""
    plan = plan_batches(settings.effective_batch_size, settings.micro_batch_size, world_size)
    batching = batching_of(settings)
    sides = 1 if isinstance(settings, SftSettings) else 2
    if not lengths:
        rows = 1 if batching is Batching.PACKED else plan.micro_batch_size
        tokens = rows * sides * settings.max_length
        if settings.micro_batch_tokens:
            tokens = max(min(tokens, settings.micro_batch_tokens), sides * settings.max_length)
        passes = 2 if plan.effective_batch_size > world_size * rows else 1
        return Load(tokens=tokens, scored=tokens, longest=settings.max_length, passes=passes)
    same = replace(settings, lora=None, weights="float32", dtype="float32", optimizer="adamw", attention="auto")
    return _largest_pass(
        replace(same, activation_checkpointing=False, activation_offload=False, batching=batching),
        tuple(lengths),
        plan,
    )


@lru_cache(maxsize=32)
def _largest_pass(settings: TrainingSettings, lengths: tuple[int, ...], plan: BatchPlan) -> Load:
    """Over all epochs. What does not decide how rows are divided is the same in all `settings`."""
    sides = 1 if isinstance(settings, SftSettings) else 2
    tokens, passes = 0, 1
    for epoch in range(settings.epochs):
        for step in epoch_passes(lengths, settings, plan, settings.batching, epoch):
            passes = max(passes, *(len(process) for process in step))
            filled = (computed_positions(rows, lengths, settings.batching) for own in step for rows in own)
            tokens = max(tokens, *filled)
    return Load(tokens=tokens, scored=tokens, longest=max(lengths) // sides, passes=passes)


def fits(estimate: MemoryEstimate, card: Card) -> bool:
    """Whether all, the reserve included, is within the card's memory."""
    return estimate.total <= card.memory_gib * GIB


def remedies(training: Training, card: Card) -> list[Remedy]:
    """What would make `training` fit `card`, cheapest first; none where nothing known does."""
    found: dict[str, Remedy] = {}
    for proposal in _proposals(training):
        kind = proposal[1][0][0].partition("=")[0] if proposal[1] else "same result"
        if kind in found:  # fewer GPUs do, or longer rows fit
            continue
        made = next((each for each in _with_same_result(proposal) if _fits(each[0], card)), None)
        needed = _needed(training, made[1] + proposal[1], card) if made else None
        if needed is not None and needed not in found.values():
            found[kind] = needed
    return list(found.values())


_Change = tuple[str, str, Callable[[Training], Training]]
"""As `--set` takes it, what it costs, and what it does."""
_Proposal = tuple[Training, tuple[_Change, ...]]


def _setting(said: str, cost: str, **changes: object) -> _Change:
    return (
        said,
        cost,
        lambda training: replace(training, settings=replace(training.settings, **changes)),
    )


SAME_RESULT: tuple[_Change, ...] = (
    _setting("train.micro_batch_size=1", "the same result, a little slower", micro_batch_size=1),
    _setting("train.loss=auto", "the same result", loss="chunked"),
    _setting(
        "train.activation_checkpointing=true", "the same result, a third more arithmetic", activation_checkpointing=True
    ),
    _setting(
        "train.activation_offload=true",
        "the same result, slower; the host's memory holds the activations",
        activation_offload=True,
    ),
)
OTHER_NUMBERS: tuple[_Change, ...] = (
    _setting("train.weights=bfloat16", "weights and optimizer in half the bits, rounded at random", weights="bfloat16"),
    _setting(
        "train.optimizer=adamw_8bit", "the optimizer's state in 8 bits; needs bitsandbytes", optimizer="adamw_8bit"
    ),
)
ADAPTERS = _setting(
    "train.lora.rank=16 train.weights=bfloat16",
    "adapters instead of all weights",
    lora=Lora(),
    weights="bfloat16",
    optimizer="adamw",
)
SHARDED_ADAPTERS = _setting("train.lora.rank=16", "adapters instead of all weights", lora=Lora(), optimizer="adamw")
"""A unit of FSDP2 has one dtype, and adapters are in float32."""


def _proposals(training: Training) -> Iterator[_Proposal]:
    """No dear change; then each dear change alone; then those that change numbers or what is trained, on more GPUs."""
    yield training, ()
    is_sharded = training.settings.sharding and training.world_size > 1
    adapters = SHARDED_ADAPTERS if is_sharded else ADAPTERS
    more = tuple(_more_gpus(training))
    alone = [(change,) for change in (*OTHER_NUMBERS, *more, adapters, *_shorter(training))]
    both = [(change, gpus) for change in (OTHER_NUMBERS[0], SHARDED_ADAPTERS) for gpus in more]
    for changes in (*alone, *both):
        changed = _applied(training, changes)
        if changed is not None:
            yield changed, changes


def _more_gpus(training: Training) -> Iterator[_Change]:
    count = training.world_size * 2
    while count <= MOST_GPUS:
        yield (
            f"train.processes={count}",
            f"{count} GPUs for {training.world_size}",
            lambda made, count=count: replace(made, world_size=count),  # type: ignore[misc]
        )
        count *= 2


def _shorter(training: Training) -> Iterator[_Change]:
    length = training.settings.max_length // 2
    while length >= SHORTEST:
        yield (
            f"train.max_length={length}",
            "longer rows are dropped or cut (train.over_length); s1 lost 20 points on AIME24 by cutting at 4,096",
            lambda made, length=length: replace(  # type: ignore[misc]
                made,
                settings=replace(made.settings, max_length=length),
                lengths=tuple(min(length, each) for each in made.lengths),
            ),
        )
        length //= 2


def _with_same_result(proposal: _Proposal) -> Iterator[tuple[Training, tuple[_Change, ...]]]:
    """The proposal, and with ever more of the changes that keep the result."""
    training, _ = proposal
    for count in range(len(SAME_RESULT) + 1):
        changed = _applied(training, SAME_RESULT[:count])
        if changed is not None:
            yield changed, SAME_RESULT[:count]


def _applied(training: Training, changes: Sequence[_Change]) -> Training | None:
    """`training` with the changes; None where the settings do not go together."""
    for said, _, change in changes:
        if said.startswith("train.loss") and not isinstance(training.settings, SftSettings):
            continue
        training = change(training)
    try:
        check_settings(training.settings)
        load_of(training.settings, (), training.world_size)
    except ConfigError:
        return None
    in_8_bits = training.settings.optimizer != "adamw"
    return None if in_8_bits and training.settings.sharding and training.world_size > 1 else training


def _fits(training: Training, card: Card) -> bool:
    return fits(training.estimate, card)


def _needed(training: Training, changes: tuple[_Change, ...], card: Card) -> Remedy | None:
    """Those of `changes` without which it does not fit, the dearest tried first; None where none is."""
    kept = list(changes)
    for change in reversed(changes):
        others = [each for each in kept if each is not change]
        made = _applied(training, others)
        if made is not None and _fits(made, card):
            kept = others
    made = _applied(training, kept)
    if not kept or made is None:
        return None
    return Remedy(
        changes=tuple(said for said, _, _ in kept),
        costs=tuple(cost for _, cost, _ in kept),
        total=made.estimate.total,
    )


def remedy_text(remedy: Remedy, settings: TrainingSettings) -> str:
    """One line: what to set in the section of such settings, what it costs, what it takes."""
    changed = " ".join(f"--set {part}" for said in remedy.changes for part in said.split())
    said = f"{changed} ({'; '.join(remedy.costs)}): {remedy.total / GIB:.1f} GiB"
    return said if isinstance(settings, SftSettings) else said.replace("train.", "prefer.")


def card_here() -> Card | None:
    """The smallest of the GPUs that this process may use; None where there is none."""
    found = visible_gpus(read_gpus() or [], os.environ.get(VISIBLE))
    sized = [(gpu.total_mib, gpu.name) for gpu in found if isinstance(gpu, Gpu) and gpu.total_mib]
    return Card(name=min(sized)[1], memory_gib=min(sized)[0] / 1024) if sized else None


def refuse_what_cannot_fit(
    settings: TrainingSettings, lengths: Sequence[int], world_size: int, *, card: Card | None = None
) -> None:
    """Raises ConfigError where the training cannot fit `card` (None: this machine's GPU), naming what would.

    Does nothing on a CPU, or where the model's size is not known. `lengths` as Training has them.
    """
    card = card or (card_here() if settings.device != "cpu" else None)
    if card is None:
        return
    try:
        shape = find_shape(settings.model)
    except ModelError:
        return
    training = Training(shape=shape, settings=settings, lengths=tuple(lengths), world_size=world_size)
    estimate = training.estimate
    if estimate.peak.total * (1 - ERROR) <= card.memory_gib * GIB:
        return
    ways = (
        "; or ".join(remedy_text(remedy, settings) for remedy in remedies(training, card))
        or "nothing that is known here"
    )
    raise ConfigError(
        f"training {settings.model} takes {estimate.total / GIB:.1f} GiB of a GPU, and {card.name} has "
        f"{card.memory_gib:.1f}; `thinkscale plan` shows each part. What would fit: {ways}"
    )
