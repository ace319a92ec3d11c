"""What every training asks of its surroundings before it loads anything heavy: a model, the libraries, a place.

Imports neither torch nor trl, so that plans and recipes can be read without them.
"""

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from thinkscale.errors import ConfigError, MissingExtraError, ModelError
from thinkscale.keys import content_key
from thinkscale.training.output import MARKER, check_output
from thinkscale.training.settings import TrainingSettings

OTHER_OF = "other_of"
"""The field of MARKER that names the folder beside which weights were written that `keep` does not name."""

Heard = TypeVar("Heard")

_WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_TOKENIZERS = ("tokenizer.json", "tokenizer.model", "vocab.json")


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoints:
    """Where and how often to save what an exact resume needs."""

    folder: Path
    every_steps: int


def require_extra() -> None:
    """Raises MissingExtraError where a library of training is not installed."""
    try:
        import datasets  # noqa: F401
        import torch  # noqa: F401
        import trl  # noqa: F401
    except ImportError as error:
        raise MissingExtraError(
            f'training needs {error.name}, which is not installed; run: pip install "thinkscale[train]"'
        ) from error


def check_model(model: str) -> None:
    """Raises ModelError naming what a model folder lacks. A Hub id is left to transformers."""
    folder = Path(model)
    if not folder.is_dir():
        if folder.is_absolute() or model.count("/") != 1:
            raise ModelError(f"there is no model folder {model}")
        return
    wanted = {"config.json": ("config.json",), "weights (model.safetensors)": _WEIGHTS}
    wanted["a tokenizer (tokenizer.json)"] = _TOKENIZERS
    missing = [what for what, names in wanted.items() if not any((folder / name).is_file() for name in names)]
    if missing:
        raise ModelError(f"{folder} is not a whole model folder: it lacks {', '.join(missing)}")


def other_output(out: Path, keep: str) -> Path:
    """Where the weights lie that `keep` does not name: beside `out`, `.last` where the best are kept, else `.best`."""
    return out.with_name(f"{out.name}.{'last' if keep == 'best' else 'best'}")


def check_outputs(out: Path, settings: TrainingSettings) -> None:
    """Raises ConfigError where a training would write over something that no training made, or another one made."""
    check_output(out)
    beside = other_output(out, settings.keep)
    if not settings.held_out_rows:
        return
    check_output(beside)
    if (beside / MARKER).is_file() and not _is_other_of(out, beside):
        raise ConfigError(
            f"{beside} is another training's model, and the weights that keep {settings.keep} does not name would be "
            f"written there; choose another --out"
        )


def remove_other(out: Path, keep: str) -> None:
    """Removes what an earlier training to `out` left beside it."""
    beside = other_output(out, keep)
    if _is_other_of(out, beside):
        shutil.rmtree(beside)


def _is_other_of(out: Path, beside: Path) -> bool:
    try:
        found = json.loads((beside / MARKER).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and found.get(OTHER_OF) == out.name


def is_rank() -> bool:
    """Whether torchrun (or what sets the same variables) started this process as one of several, or of one.

    All three are asked for: schedulers and images set WORLD_SIZE alone, and then nobody else is there to wait for.
    """
    return all(name in os.environ for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"))


def world_size() -> int:
    """Processes that torchrun started; 1 without it."""
    return int(os.environ["WORLD_SIZE"]) if is_rank() else 1


def is_first_process() -> bool:
    """Whether this is the process, of those that torchrun started, that reports and writes."""
    return not is_rank() or int(os.environ["RANK"]) == 0


def checkpoint_folder(settings: TrainingSettings, checkpoints: Checkpoints | None, rows_key: str) -> Path | None:
    """A folder of its own for this very training: the checkpoints of any other are never found in it."""
    if checkpoints is None:
        return None
    if checkpoints.every_steps < 1:
        raise ConfigError(f"checkpoints every {checkpoints.every_steps} steps; it must be at least 1")
    model = Path(settings.model)
    files = [model / name for name in _WEIGHTS if (model / name).is_file()]
    stamps = [[path.name, path.stat().st_size, path.stat().st_mtime_ns] for path in files]
    return checkpoints.folder / content_key(settings, world_size(), stamps, rows_key)[:16]


def forget(folder: Path | None) -> None:
    """Removes the checkpoints of a training that is over; the first process does it for all."""
    if folder is not None and is_first_process():
        shutil.rmtree(folder, ignore_errors=True)


def both(first: Callable[[Heard], object], second: Callable[[Heard], object] | None) -> Callable[[Heard], None]:
    """Calls one after the other."""

    def tell(heard: Heard) -> None:
        first(heard)
        if second:
            second(heard)

    return tell
