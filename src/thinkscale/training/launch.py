"""A training in as many processes as are asked for: here, on other GPUs of this machine, or as one of torchrun's.

One process on the CPU is the process that asks. Those on GPUs, one or several, and several on the CPU are started by
torchrun, each a `worker`, which tell their steps through a folder; what comes back, steps, result or error, is what the
training function itself would give. So a GPU is wholly free again when its training is over: a later stage finds it,
and all others, as they were. Where torchrun started this process already, it is one of them: rank and world come from
its variables.

Rejected: starting the processes ourselves (a free port for the rendezvous cannot be reserved, torchrun's store has
one), and training in this process as the first of several (a signal or an error would have to reach two kinds of
processes, and a GPU's memory would stay taken).

Imports neither torch nor trl.
"""

import json
import os
import pickle
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn, ParamSpec, TypeVar

from thinkscale.errors import ConfigError, StageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.free_gpus import VISIBLE, reserved
from thinkscale.training.log import TrainingLog, entry_of
from thinkscale.training.settings import TrainingSettings
from thinkscale.training.starting import Checkpoints, is_rank, require_extra, world_size
from thinkscale.training.worker import ERROR, EVENTS, JOB, RESULT, Failure, Job

Arguments = ParamSpec("Arguments")
Result = TypeVar("Result")

POLL_SECONDS = 0.1
CLOSING_SECONDS = 15.0
LAST_LINES = 15


def trained_on(
    processes: int | None, train: Callable[Arguments, Result], say: Callable[[str], None] = lambda _text: None
) -> Callable[Arguments, Result]:
    """`train`, to be called with its own arguments, in `processes` processes, each with a free GPU; None: one.

    `train` is a function of a module, of the form of `train_sft`; what it returns or raises is returned or raised
    here. Without a GPU one process trains on the CPU; several do so where the settings' `device` is `cpu`. However
    this process ends, the others end with it. `say` hears which GPUs are used. Under torchrun this process is one of
    torchrun's.

    Beside `train`'s own, a call raises ConfigError where so many GPUs are not free, naming who holds them, and
    StageError where a process is killed.
    """

    def trained(*arguments: Arguments.args, **named: Arguments.kwargs) -> Result:
        if is_rank():
            _check_world(processes)
            return train(*arguments, **named)
        call = Call(*arguments, **named)  # type: ignore[arg-type]  # of the form of train_sft
        count = processes or 1
        on_cpu = call.settings.device == "cpu"
        with nullcontext(()) if on_cpu else reserved(count, say) as gpus:
            if count == 1 and not (gpus and _torch_uses_gpus(say)):
                return train(*arguments, **named)
            require_extra()
            result: Result = _elsewhere(train, call, count, gpus)
            return result

    return trained


class Call:
    """The arguments of a training function."""

    def __init__(
        self,
        rows: Sequence[Any],
        settings: TrainingSettings,
        out: Path,
        on_step: Callable[[Step], None],
        *,
        on_held_out: Callable[[HeldOut], None] | None = None,
        checkpoints: Checkpoints | None = None,
        log: TrainingLog | None = None,
        on_remark: Callable[[str], None] | None = None,
    ) -> None:
        self.rows = rows
        self.settings = settings
        self.out = out
        self.on_step = on_step
        self.on_held_out = on_held_out
        self.checkpoints = checkpoints
        self.log = log
        self.on_remark = on_remark

    def job(self, train: Callable[..., Any], num_gpus: int) -> Job:
        """The call as another process can make it."""
        return Job(
            train=train,
            rows=tuple(self.rows),
            settings=self.settings,
            out=self.out,
            checkpoints=self.checkpoints,
            log=self.log.path if self.log else None,
            hears=tuple(name for name in ("on_held_out", "on_remark") if getattr(self, name) is not None),
            num_gpus=num_gpus,
        )

    def hear(self, line: str) -> None:
        """Hands an event of the first process to whom it is for."""
        event = json.loads(line)
        if event["of"] == "remark":
            if self.on_remark:
                self.on_remark(event["line"])
            return
        entry = entry_of(event["line"])
        if event["of"] == "log":
            if self.log:
                self.log.tell(entry)
        elif isinstance(entry.record, Step):
            self.on_step(entry.record)
        elif self.on_held_out:
            self.on_held_out(entry.record)


def _check_world(processes: int | None) -> None:
    if processes is not None and processes != world_size():
        raise ConfigError(
            f"torchrun started {world_size()} processes, but {processes} are asked for (--gpus, train.processes): "
            f"leave that out under torchrun"
        )


def _torch_uses_gpus(say: Callable[[str], None]) -> bool:
    """Whether torch is one for this machine's driver; says so where it is not."""
    require_extra()
    import torch

    if torch.cuda.is_available():
        return True
    say(f"torch {torch.__version__} cannot use the GPU: training on the CPU. Install a torch for this CUDA driver")
    return False


def _elsewhere(train: Callable[..., Any], call: Call, count: int, gpus: Sequence[str]) -> Any:  # noqa: ANN401
    """What `train` gives in `count` other processes."""
    with tempfile.TemporaryDirectory(prefix="thinkscale-training-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        (folder / JOB).write_bytes(pickle.dumps(call.job(train, len(gpus))))
        events = Lines(folder / EVENTS)
        with _started(folder, count, _environment(call.settings, gpus)) as launcher:
            code = None
            while code is None:
                code = launcher.poll()  # before the lines, so that none is left when it has ended
                for line in events.new():
                    call.hear(line)
                time.sleep(POLL_SECONDS if code is None else 0)
        if code or not (folder / RESULT).is_file():
            raise_cause(folder, count)
        return pickle.loads((folder / RESULT).read_bytes())


@contextmanager
def _started(folder: Path, count: int, environment: dict[str, str]) -> Iterator["subprocess.Popen[bytes]"]:
    """torchrun with its workers; they are gone when the block ends."""
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"),
        *("--nproc-per-node", str(count), "--max-restarts", "0"),
        *("--redirects", "3", "--log-dir", str(folder / "logs")),
        *("-m", "thinkscale.training.worker", str(folder)),
    ]
    with (folder / "launcher.log").open("wb") as log:
        launcher = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment,
            start_new_session=True,
        )
    assert launcher.stdin is not None
    try:
        yield launcher
    finally:
        with suppress(OSError):
            launcher.stdin.close()  # every worker ends; its session is its own, so no signal would reach it
        with suppress(ProcessLookupError):
            launcher.terminate()
        try:
            launcher.wait(CLOSING_SECONDS)
        except subprocess.TimeoutExpired:
            launcher.kill()
            launcher.wait()


def _environment(settings: TrainingSettings, gpus: Sequence[str]) -> dict[str, str]:
    environment = {"OMP_NUM_THREADS": str(settings.cpu_threads), **os.environ}
    if gpus:
        environment[VISIBLE] = ",".join(gpus)
    if settings.device == "cpu":
        environment[VISIBLE] = ""
    return environment


class Lines:
    """The whole lines that were added to a file since it was last asked."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.read_bytes = 0

    def new(self) -> list[str]:
        try:
            with self.path.open("rb") as file:
                file.seek(self.read_bytes)
                added = file.read()
        except FileNotFoundError:
            return []
        whole = added[: added.rfind(b"\n") + 1]
        self.read_bytes += len(whole)
        return whole.decode("utf-8").splitlines()


def raise_cause(folder: Path, count: int) -> NoReturn:
    """Raises what ended the training: an error that was raised on purpose, else a signal, else the first failure."""
    failures = sorted(_failures(folder), key=lambda failure: (not failure.is_ours, failure.at))
    if failures and failures[0].is_ours:
        raise failures[0].error
    log = (folder / "launcher.log").read_text(encoding="utf-8", errors="replace")
    dead = killed(log)
    if dead:
        rank, number = dead
        raise StageError(
            f"process {rank} of {count} was killed by signal {number}{_guess(number)}; the others were "
            f"stopped. The same command goes on from the last checkpoint"
        )
    if failures:
        first = failures[0]
        raise StageError(
            f"process {first.rank} of {count} failed: {type(first.error).__name__}: {first.error}"
        ) from RuntimeError(first.trace)
    raise StageError(f"the {count} processes of the training ended without a result:\n{_last_lines(folder, log)}")


def killed(log: str) -> tuple[int, int] | None:
    """The process that a signal ended, and the signal, by the launcher's own account.

    Its "root cause" is the failure that it saw first, which may be a survivor that lost its connection; and those that
    it stops itself end by SIGTERM.
    """
    ends = re.findall(r"rank\s*: (\d+)[^\n]*\n\s*exitcode\s*: -(\d+)", log)
    return next(((int(rank), int(number)) for rank, number in ends if int(number) != signal.SIGTERM), None)


def _failures(folder: Path) -> Iterator[Failure]:
    for path in folder.glob(ERROR.format("*")):
        failure: Failure = pickle.loads(path.read_bytes())
        yield failure


def _guess(signal_number: int) -> str:
    return " (SIGKILL: often the system, when its memory is full)" if signal_number == 9 else ""


def _last_lines(folder: Path, log: str) -> str:
    """The end of what a process wrote that did not even begin, else of what the launcher did."""
    written = (path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.glob("logs/**/stderr.log")))
    text = next((part for part in written if "Traceback" in part), log)
    return "\n".join(text.strip().splitlines()[-LAST_LINES:])
