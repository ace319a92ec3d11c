"""What to say where a GPU's memory did not suffice after all.

Imports torch; only modules that are loaded when a training begins import this one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch

from thinkscale.errors import ModelError, StageError
from thinkscale.training.fit import Card, Training, card_here, remedies, remedy_text
from thinkscale.training.memory import GIB
from thinkscale.training.settings import SftSettings, TrainingSettings
from thinkscale.training.shapes import find_shape

LESS = 0.1
"""What is proposed takes so much less than what ran out, and than the GPU has: the estimate was wrong by something."""


@contextmanager
def memory_advice(settings: TrainingSettings, sequences: Sequence[int], world_size: int) -> Iterator[None]:
    """torch's out-of-memory error becomes a StageError that names what would take less.

    `sequences`: tokens of each row that is trained on; of a pair, of one side after the other.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        said = str(error).split(". ")[0]
        raise StageError(
            f"the GPU's memory did not suffice ({said}). {ways_out(settings, sequences, world_size)}"
        ) from error


def ways_out(settings: TrainingSettings, sequences: Sequence[int], world_size: int) -> str:
    """Changes after which the estimate is well below that of the training as it is."""
    sides = 1 if isinstance(settings, SftSettings) else 2
    lengths = tuple(sum(sequences[start : start + sides]) for start in range(0, len(sequences), sides))
    try:
        shape = find_shape(settings.model)
    except ModelError:
        return "The model's size is not known, so nor is what would help; `thinkscale plan --help` says what is counted"
    training = Training(shape=shape, settings=settings, lengths=lengths, world_size=world_size)
    card = card_here()
    known = min(training.estimate.total / GIB, card.memory_gib if card else float("inf"))
    target = Card(name=card.name if card else "GPU", memory_gib=(1 - LESS) * known)
    ways = "; or ".join(remedy_text(remedy, settings) for remedy in remedies(training, target))
    return f"What would take less, the cheapest first: {ways or 'nothing that is known here'}"
