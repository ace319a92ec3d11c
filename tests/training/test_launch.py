"""Trainings in processes of their own: what comes back, what ends with what, and what a second start goes on from."""

import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from thinkscale.errors import ConfigError, DataError, MissingExtraError, StageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.launch import Call, _elsewhere, trained_on
from thinkscale.training.log import Entry, TrainingLog, read_log
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import SftResult, train_sft
from thinkscale.training.starting import Checkpoints, is_first_process, is_rank, world_size
from thinkscale.training.tokens import TrainingRow

pytest.importorskip("trl", reason="needs the extra `train`")

WORKER = "thinkscale.training.worker"


@pytest.fixture
def settings(base_model: Path) -> SftSettings:
    """3 epochs over 20 rows, in steps of 8, 8 and 4."""
    return SftSettings(
        model=str(base_model), epochs=3, effective_batch_size=8, learning_rate=1e-2, max_length=64, device="cpu"
    )


def ignore(step: Step) -> None:
    """Steps are in the result too."""


def workers(folder: Path) -> dict[int, str]:
    """Processes of the launcher and its workers whose environment names `folder`, and the rank of each."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            variables = (entry / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if WORKER.encode() in words and f"TMPDIR={folder}".encode() in variables:
            ranks = [item.decode().partition("=")[2] for item in variables if item.startswith(b"RANK=")]
            found[int(entry.name)] = ranks[0] if ranks else "launcher"
    return found


def gone(folder: Path, seconds: float = 60.0) -> bool:
    """Whether no process is left, after at most so long."""
    until = time.monotonic() + seconds
    while workers(folder) and time.monotonic() < until:
        time.sleep(0.2)
    return not workers(folder)


@pytest.fixture
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder for temporary files; after the test no process and no file of a training may be left in it."""
    import tempfile

    folder = tmp_path / "tmp"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    yield folder
    assert gone(folder)
    assert [path.name for path in folder.glob("thinkscale-*")] == []


def test_one_process_trains_in_this_one(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    seen: list[int] = []

    def train(
        rows: list[TrainingRow], settings: SftSettings, out: Path, on_step: object, *, log: TrainingLog | None = None
    ) -> str:
        seen.append(os.getpid())
        return f"{len(rows)} rows to {out.name}"

    assert trained_on(None, train)(rows, settings, tmp_path / "out", ignore) == "20 rows to out"
    assert seen == [os.getpid()]


def test_under_torchrun_this_process_is_one_of_its(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "1", "LOCAL_RANK": "1", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)

    def train(rows: list[TrainingRow], settings: SftSettings, out: Path, on_step: object) -> int:
        return os.getpid()

    for processes in (None, 2):
        assert trained_on(processes, train)(rows, settings, tmp_path / "out", ignore) == os.getpid()
    with pytest.raises(ConfigError, match="torchrun started 2 processes, but 4 are asked for"):
        trained_on(4, train)(rows, settings, tmp_path / "out", ignore)


@pytest.mark.lab
@pytest.mark.usefixtures("scratch")
def test_one_process_of_its_own_as_on_a_gpu_makes_the_steps_and_weights_of_this_one(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    here = train_sft(rows, settings, tmp_path / "here", ignore)
    heard: list[Step] = []
    call = Call(rows, settings, tmp_path / "there", heard.append)
    there: SftResult = _elsewhere(train_sft, call, 1, ())
    assert there.steps == here.steps == tuple(heard)
    assert there.hyperparameters == here.hyperparameters
    assert not there.hyperparameters["sharded"]
    written = [(folder / "model.safetensors").read_bytes() for folder in (here.out, there.out)]
    assert written[0] == written[1]


@pytest.mark.parametrize("given", [{"WORLD_SIZE": "4"}, {"WORLD_SIZE": "4", "RANK": "1"}])
def test_variables_of_a_scheduler_alone_make_no_rank(given: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert (is_rank(), world_size(), is_first_process()) == (False, 1, True)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert (is_rank(), world_size(), is_first_process()) == (True, 4, False)


def test_a_missing_extra_is_said_before_anything_starts(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "trl", None)
    with pytest.raises(MissingExtraError, match=r'pip install "thinkscale\[train\]"'):
        trained_on(2, train_sft)(rows, settings, tmp_path / "out", ignore)


@pytest.mark.lab
@pytest.mark.usefixtures("scratch")
def test_an_error_of_a_process_comes_back_as_itself(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    with pytest.raises(DataError, match="20 of 20 training rows are longer than max_length 7") as caught:
        trained_on(2, train_sft)(rows, replace(settings, max_length=7), tmp_path / "out", ignore)
    assert type(caught.value) is DataError
    assert not (tmp_path / "out").exists()


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.usefixtures("scratch")
def test_a_loss_that_is_not_finite_stops_all_processes(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """The first process alone finds it; the others wait for it."""
    with pytest.raises(StageError, match="training step"):
        trained_on(2, train_sft)(rows, replace(settings, learning_rate=1e30, epochs=10), tmp_path / "out", ignore)


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("sharding", [True, False])
def test_a_killed_process_ends_the_others_and_a_second_start_goes_on(
    sharding: bool, settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, scratch: Path
) -> None:
    """9 steps, checkpoints after 2, 4, 6 and 8; killed in step 6 or soon after, it goes on from step 4 or 6."""
    settings = replace(settings, sharding=sharding, held_out_rows=2, evaluate_every_steps=3)
    undisturbed = trained_on(2, train_sft)(rows, settings, tmp_path / "undisturbed", ignore)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def kill(step: Step) -> None:
        if step.step == 5:
            (second,) = [pid for pid, rank in workers(scratch).items() if rank == "1"]
            os.kill(second, signal.SIGKILL)

    with pytest.raises(StageError, match="process 1 of 2 was killed by signal 9") as stopped:
        trained_on(2, train_sft)(rows, settings, tmp_path / "out", kill, checkpoints=checkpoints)
    assert "The same command goes on from the last checkpoint" in str(stopped.value)
    assert gone(scratch)
    assert not (tmp_path / "out").exists()

    told: list[Entry] = []
    steps: list[Step] = []
    measured: list[HeldOut] = []
    log = TrainingLog(tmp_path / "log.jsonl", (told.append,))
    resumed: SftResult = trained_on(2, train_sft)(
        rows,
        settings,
        tmp_path / "out",
        steps.append,
        on_held_out=measured.append,
        checkpoints=checkpoints,
        log=log,
    )
    assert resumed.resumed_from_step in (4, 6)
    assert resumed.steps == tuple(steps) == undisturbed.steps
    assert resumed.held_out == tuple(measured) == undisturbed.held_out
    first, second = ((tmp_path / name / "model.safetensors").read_bytes() for name in ("out", "undisturbed"))
    assert first == second
    assert [entry.record for entry in told if isinstance(entry.record, Step)] == steps
    assert [entry.record for entry in read_log(log.path)] == [entry.record for entry in told]
    assert not list((tmp_path / "checkpoints").iterdir())


STARTER = """
import os, pickle, signal, sys
from pathlib import Path
from thinkscale.training.launch import trained_on
from thinkscale.training.sft import train_sft

folder, moment = Path(sys.argv[1]), sys.argv[2]
rows, settings = pickle.loads((folder / "call.pickle").read_bytes())

def on_step(step):
    if moment == "training" and step.step == 2:
        print("now", flush=True)

trained_on(2, train_sft)(rows, settings, folder / "out", on_step)
"""


@pytest.mark.lab
@pytest.mark.slow
@pytest.mark.parametrize("moment", ["launching", "loading", "training"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM], ids=["killed", "terminated"])
def test_nothing_outlives_the_process_that_started_it(
    number: signal.Signals, moment: str, settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    folder = tmp_path / "tmp"
    folder.mkdir()
    (tmp_path / "call.pickle").write_bytes(pickle.dumps((rows, replace(settings, epochs=100))))
    starter = subprocess.Popen(
        [sys.executable, "-c", STARTER, str(tmp_path), moment],
        env={**os.environ, "TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        text=True,
    )
    with starter:
        wanted = {"launching": {"launcher"}, "loading": {"launcher", "0", "1"}, "training": {"launcher", "0", "1"}}
        while not wanted[moment] <= set(workers(folder).values()):
            assert starter.poll() is None
            time.sleep(0.05)
        if moment == "training":
            assert starter.stdout is not None
            assert starter.stdout.readline() == "now\n"
        starter.send_signal(number)
        assert starter.wait(60) == -number
    assert gone(folder)
    if moment != "launching":  # a process of the training was there to take its folder along
        assert [path.name for path in folder.glob("thinkscale-*")] == []
    assert not (tmp_path / "out").exists()
