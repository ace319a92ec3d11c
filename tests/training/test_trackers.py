"""Trackers: what they are told, and that none of them can stop a training.

The modules below have the signatures of the libraries' own (trackio 0.27: init, Run.log, Run.finish; wandb 0.30: init,
Run.log, Run.finish), as their documentation gives them.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from thinkscale.errors import MissingExtraError
from thinkscale.records import HeldOut, Step
from thinkscale.training.log import Entry, Readings
from thinkscale.training.trackers import TrackedRun, Trackers, values_of

TRACKIO = """
def init(project, name=None, group=None, space_id=None, server_url=None, space_storage=None, dataset_id=None,
         bucket_id=None, config=None, resume="never", settings=None, private=None, embed=True, auto_log_gpu=None,
         gpu_log_interval=10.0, webhook_url=None, webhook_min_level=None):
    print("* Trackio project initialized")
    CALLS.append(("init", project, group, space_id, config, embed))
    return Run()

class Run:
    def log(self, metrics, step=None):
        CALLS.append(("log", metrics, step))
    def finish(self):
        CALLS.append(("finish",))

CALLS = []
"""
WANDB = """
def init(entity=None, project=None, dir=None, id=None, name=None, notes=None, tags=None, config=None,
         config_exclude_keys=None, config_include_keys=None, allow_val_change=None, group=None, job_type=None,
         mode=None, force=None, reinit=None, resume=None, resume_from=None, fork_from=None, save_code=None,
         tensorboard=None, sync_tensorboard=None, monitor_gym=None, settings=None):
    CALLS.append(("init", project, name, group, config, settings))
    if FAIL == "init":
        raise OSError("no network, token hf_abcdefghijklmnopqrstuvwxyz0123456789")
    return Run()

class Run:
    def log(self, data, step=None, commit=None):
        CALLS.append(("log", data, step))
        if FAIL == "log":
            raise RuntimeError("broken pipe")
    def finish(self, exit_code=None):
        CALLS.append(("finish",))
        if FAIL == "finish":
            raise RuntimeError("cannot sync")

CALLS, FAIL = [], ""
"""
RUN = TrackedRun(name="out", config={"learning_rate": 1e-5, "model": "/home/someone/models/base", "lora": {"rank": 4}})
STEP = Entry(
    record=Step(step=3, epoch=0.5, loss=1.5, learning_rate=1e-5, gradient_norm=0.7, num_tokens=100, padding=0.25),
    readings=Readings(time="2026-11-21T12:00:00+00:00", seconds=2.0, tokens_per_second=50.0, peak_bytes=1024),
)
HELD_OUT = Entry(record=HeldOut(step=3, epoch=0.5, num_rows=9, loss=1.25, token_accuracy=0.5))


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trackio.py").write_text(TRACKIO, encoding="utf-8")
    (tmp_path / "wandb.py").write_text(WANDB, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("trackio", "wandb"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    for name in ("WANDB_PROJECT", "WANDB_NAME", "WANDB_RUN_GROUP", "TRACKIO_SPACE_ID"):
        monkeypatch.delenv(name, raising=False)


def calls_of(name: str) -> list[tuple[object, ...]]:
    calls: list[tuple[object, ...]] = sys.modules[name].CALLS
    return calls


@pytest.mark.usefixtures("installed")
def test_both_are_told_of_the_run_its_steps_and_its_end(capsys: pytest.CaptureFixture[str]) -> None:
    told: list[str] = []
    trackers = Trackers(("trackio", "wandb"), RUN, told.append)
    trackers.take(STEP)
    trackers.take(HELD_OUT)
    trackers.close()
    config = {"learning_rate": 1e-5, "model": "base", "lora": {"rank": 4}}  # no folder of the machine
    first, *others = calls_of("trackio")
    assert first == ("init", "thinkscale", "out", None, config, False)
    assert others == [("log", values_of(STEP), 3), ("log", values_of(HELD_OUT), 3), ("finish",)]
    opened, *rest = calls_of("wandb")
    assert opened[:2] == ("init", "thinkscale")
    assert str(opened[2]).startswith("out-20")
    assert opened[3:5] == ("out", config)
    assert rest == others
    assert told == []
    assert capsys.readouterr().out == ""  # what trackio prints is no result of ours


def test_numbers_go_by_the_names_that_transformers_uses() -> None:
    assert values_of(STEP) == {
        "train/epoch": 0.5,
        "train/loss": 1.5,
        "train/learning_rate": 1e-5,
        "train/grad_norm": 0.7,
        "train/num_tokens": 100,
        "train/num_trained_tokens": 0,
        "train/padding": 0.25,
        "train/seconds": 2.0,
        "train/tokens_per_second": 50.0,
        "train/peak_bytes": 1024,
    }
    assert values_of(HELD_OUT) == {"eval/epoch": 0.5, "eval/loss": 1.25, "eval/token_accuracy": 0.5}
    pairs = HeldOut(step=3, epoch=1, num_rows=9, loss=1, chosen_reward=0.5, rejected_reward=-0.5, reward_accuracy=1)
    values = values_of(Entry(record=pairs))
    assert values["eval/rewards/margins"] == 1.0
    assert values["eval/rewards/accuracies"] == 1.0


@pytest.mark.usefixtures("installed")
def test_what_the_environment_says_of_wandb_holds(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WANDB_PROJECT", "WANDB_NAME", "WANDB_RUN_GROUP"):
        monkeypatch.setenv(name, "mine")
    trackers = Trackers(("wandb",), RUN, print)
    trackers.take(STEP)
    assert calls_of("wandb")[0][1:4] == (None, None, None)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(("where", "logs"), [("init", 0), ("log", 1), ("finish", 2)])
def test_one_that_fails_is_told_once_and_left_out(
    where: str, logs: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told: list[str] = []
    trackers = Trackers(("wandb", "trackio"), RUN, told.append)
    import wandb  # type: ignore[import-not-found]  # the module that the fixture wrote

    monkeypatch.setattr(wandb, "FAIL", where)
    trackers.take(STEP)
    trackers.take(HELD_OUT)
    trackers.close()
    assert len(told) == 1
    assert told[0].startswith("wandb failed and is left out from here on (")
    assert "hf_abc" not in told[0]
    assert sum(call[0] == "log" for call in calls_of("wandb")) == logs
    assert sum(call[0] == "log" for call in calls_of("trackio")) == 2
    capsys.readouterr()


def test_one_that_is_not_installed_is_named_with_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "wandb", raising=False)
    with pytest.raises(MissingExtraError, match="log_to names wandb, which is not installed; run: pip install wandb"):
        Trackers(("wandb",), RUN, print)


def test_nothing_is_imported_that_nobody_asked_for() -> None:
    code = (
        "import sys; from thinkscale.training import live, trackers; "
        "trackers.Trackers((), trackers.TrackedRun(name='x', config={}), print); "
        "print(*[name for name in ('wandb', 'trackio', 'torch', 'transformers') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
