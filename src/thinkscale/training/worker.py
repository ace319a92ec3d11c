"""One of the processes of a training that `launch` started here: `python -m thinkscale.training.worker FOLDER`.

Everything between it and the process that a person started goes through a folder that only they can read:

- `job.pickle`: what to do, written before any process is started;
- `events.jsonl`: what the first process hears, a line each, as it happens;
- `result.pickle`: what the first process returned, there whole or not at all;
- `error-RANK.pickle`: what a process raised.

Standard input is a pipe that nobody writes to. It ends when the process that a person started does, however that
ended, and then this one ends too: through a launcher in between, no signal would be sure to come.
"""

import contextlib
import json
import os
import pickle
import shutil
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from thinkscale.errors import ConfigError, StageError, ThinkscaleError
from thinkscale.records import Step
from thinkscale.training.log import Entry, TrainingLog, line_of
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.starting import Checkpoints

JOB, EVENTS, RESULT = "job.pickle", "events.jsonl", "result.pickle"
ERROR = "error-{}.pickle"


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A call of a training function, `train_sft` or another of its form."""

    train: Callable[..., Any]
    rows: tuple[Any, ...]
    settings: TrainingSettings
    out: Path
    checkpoints: Checkpoints | None
    log: Path | None
    hears: tuple[str, ...] = ()
    """Which of `on_held_out` and `on_remark` somebody wants to hear."""
    num_gpus: int = 0
    """GPUs that were taken for it; torch must see as many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """What a process raised. `error` is itself where it survives the way, else a StageError with its text."""

    rank: int
    error: Exception
    is_ours: bool
    """Raised on purpose; where one process does that, the others then fail in waiting for it."""
    trace: str
    at: float
    """Seconds of a clock that all processes share; of several failures the first is the cause."""


def run(folder: Path) -> int:
    """Does the job in `folder` as the process that torchrun's variables say; returns the exit code."""
    rank = int(os.environ["RANK"])
    try:
        job: Job = pickle.loads((folder / JOB).read_bytes())
        with (folder / EVENTS).open("a", encoding="utf-8") if rank == 0 else contextlib.nullcontext() as events:
            result = _called(job, events)
    except Exception as error:  # noqa: BLE001 - raised again by the process that a person started
        _write(folder / ERROR.format(rank), failure_of(rank, error))
        return 1
    if rank == 0:
        _write(folder / RESULT, result)
    return 0


def failure_of(rank: int, error: Exception) -> Failure:
    """What is told of `error` to the process that a person started."""
    return Failure(
        rank=rank,
        error=_portable(error),
        is_ours=isinstance(error, ThinkscaleError),
        trace="".join(traceback.format_exception(error)),
        at=time.time(),
    )


def _called(job: Job, events: IO[str] | None) -> Any:  # noqa: ANN401 - what the training function returns
    """The training function's result; the process with `events` tells of all that it hears."""
    if job.num_gpus:
        _check_gpus(job.num_gpus)

    def tell(what: str, line: str) -> None:
        if events:
            events.write(json.dumps({"of": what, "line": line}) + "\n")
            events.flush()

    def on_step(step: Step) -> None:
        tell("step", line_of(Entry(record=step)))

    hearers: dict[str, Callable[[Any], None]] = {
        "on_held_out": lambda held_out: tell("held_out", line_of(Entry(record=held_out))),
        "on_remark": lambda text: tell("remark", text),
    }
    named = {name: hearers[name] for name in job.hears}
    log = TrainingLog(job.log, (lambda entry: tell("log", line_of(entry)),)) if job.log else None
    return job.train(job.rows, job.settings, job.out, on_step, checkpoints=job.checkpoints, log=log, **named)


def _check_gpus(count: int) -> None:
    """Raises ConfigError where torch would train on the CPU, without a word, though GPUs were taken."""
    import torch

    seen = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if seen < count:
        raise ConfigError(
            f"{count} GPUs were taken, but torch {torch.__version__} sees {seen}; install a torch for this machine's "
            f"CUDA driver, or train on the CPU with --set train.device=cpu"
        )


def _write(path: Path, value: object) -> None:
    temporary = path.with_suffix(".partial")
    temporary.write_bytes(pickle.dumps(value))
    temporary.replace(path)


def _portable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # noqa: BLE001 - pickling runs the error's own code
        return StageError(f"{type(error).__name__}: {error}")
    return error


def _end_with_starter(folder: Path) -> None:
    """Ends this process when standard input does. The first one takes the folder along, that nobody else will."""
    while os.read(sys.stdin.fileno(), 1):
        pass
    if os.environ["RANK"] == "0":
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)


def main() -> None:
    """The process itself."""
    folder = Path(sys.argv[1])
    threading.Thread(target=_end_with_starter, args=(folder,), daemon=True).start()
    code = run(folder)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)  # nothing is left to do, and a group of processes of which one is gone may wait at its end


if __name__ == "__main__":
    from thinkscale.training import worker  # noqa: PLW0406 - what it pickles must be of this module, not `__main__`

    worker.main()
