"""Trainings in the processes that torchrun starts: `-m tests.training.rank_trainings FOLDER`.

FOLDER/cases.pickle holds rows and settings by name; each process writes what it saw to FOLDER/NAME-RANK.json.
"""

import json
import os
import pickle
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from torch.distributed.tensor import DTensor

from thinkscale.records import to_row
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import SftResult, train_sft
from thinkscale.training.tokens import TrainingRow

Cases = dict[str, tuple[tuple[TrainingRow, ...], SftSettings]]


def local_bytes(tensor: torch.Tensor) -> int:
    """Of the part that this process holds."""
    part = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return part.numel() * part.element_size()


def seen(trainer: Any) -> dict[str, Any]:  # noqa: ANN401 - TRL's, untyped
    """What this process holds at the end of a training."""
    trained = [weight for weight in trainer.model.parameters() if weight.requires_grad]
    moments = [value for state in trainer.optimizer.state.values() for value in state.values() if value.dim()]
    return {
        "num_trained": len(trained),
        "num_sharded": sum(isinstance(weight, DTensor) for weight in trained),
        "weight_bytes": sum(map(local_bytes, trained)),
        "moment_bytes": sum(map(local_bytes, moments)),
        "kind": str(trainer.accelerator.distributed_type.value),
        "num_checkpointed": sum(
            "CheckpointWrapper" in {kind.__name__ for kind in type(module).__mro__}
            for module in trainer.model.modules()
        ),
    }


def main() -> None:
    """Every case, one after the other."""
    folder, rank = Path(sys.argv[1]), os.environ["RANK"]
    cases: Cases = pickle.loads((folder / "cases.pickle").read_bytes())
    train, facts = transformers.Trainer.train, {}

    def watched(self: Any, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - transformers' own signature
        done = train(self, *arguments, **named)
        facts.update(seen(self))
        return done

    transformers.Trainer.train = watched  # type: ignore[method-assign]
    for name, (rows, settings) in cases.items():
        result: SftResult = train_sft(rows, settings, folder / name, lambda _step: None)
        told = {"steps": [to_row(step) for step in result.steps], "held_out": [to_row(row) for row in result.held_out]}
        (folder / f"{name}-{rank}.json").write_text(json.dumps({**facts, **told}))


if __name__ == "__main__":
    main()
