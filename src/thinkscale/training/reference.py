"""DPO's reference: the log-probabilities of every reply under the model as it is before its first step.

They are computed by the policy itself, sharded as it is, when a training begins: two numbers a pair, and never a second
model. They are written down as they are made, so that a killed training goes on where it was, and one that resumes
from a checkpoint, whose policy has moved, reads what it began with. Rejected: TRL's own way, a second model that is
loaded for them under FSDP, or adapters switched off in each step. Imports torch.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object  # type: ignore[import-untyped]

from thinkscale.errors import StageError
from thinkscale.training.packing import Pass
from thinkscale.training.sharding import from_first

NAME = "reference.jsonl"

Scores = Callable[[Pass], tuple[torch.Tensor, torch.Tensor]]
"""From pairs to the summed log-probabilities of their chosen and of their rejected replies."""
Known = dict[int, tuple[float, float]]
Scored = tuple[Pass, list[float], list[float]]


def reference_log_probs(
    of: str,
    passes: Sequence[Pass],
    scores: Scores,
    path: Path,
    accelerator: Any,  # noqa: ANN401 - accelerate is untyped
    *,
    has_begun: bool,
) -> torch.Tensor:
    """(pairs, 2) log-probabilities of chosen and rejected replies; every process calls it with the same `passes`.

    What `path` holds of the set of pairs called `of` is taken from there, the rest is computed and added to it. Raises
    StageError where something is missing and the policy `has_begun` to move.
    """
    known: Known = from_first(lambda: _read(path, of))
    todo = [pairs for pairs in passes if any(pair not in known for pair in pairs)]
    if todo and has_begun:
        raise StageError(
            f"{path} lacks the reference of {len(todo)} passes, and the training has begun, so it cannot be computed "
            f"any more; remove the folder {path.parent} to begin anew"
        )
    rank, world = accelerator.process_index, accelerator.num_processes
    for start in range(0, len(todo), world):
        mine = todo[min(start + rank, len(todo) - 1)]  # all processes make as many passes as any other
        with torch.no_grad():
            chosen, rejected = scores(mine)
        found: list[Scored] = gather_object([(mine, chosen.tolist(), rejected.tolist())])
        for scored in found:
            known |= _by_pair(*scored)
        if accelerator.is_main_process:
            _append(path, of, found)
    return torch.tensor([known[pair] for pair in sorted(known)], dtype=torch.float32).reshape(-1, 2)


def _by_pair(pairs: Sequence[int], chosen: Sequence[float], rejected: Sequence[float]) -> Known:
    return dict(zip(pairs, zip(chosen, rejected, strict=True), strict=True))


def _append(path: Path, of: str, found: Sequence[Scored]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as lines:
        for pairs, chosen, rejected in found:
            row = {"of": of, "pairs": list(pairs), "chosen": chosen, "rejected": rejected}
            lines.write(json.dumps(row) + "\n")


def _read(path: Path, of: str) -> Known:
    """What was written whole; a line that a kill cut off is made anew."""
    known: Known = {}
    if not path.is_file():
        return known
    whole = path.read_bytes()
    whole = whole[: whole.rfind(b"\n") + 1]
    path.write_bytes(whole)
    for line in whole.decode("utf-8").splitlines():
        row = json.loads(line)
        if row["of"] == of:
            known |= _by_pair(row["pairs"], row["chosen"], row["rejected"])
    return known
