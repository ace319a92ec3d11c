"""Fine-tuning: the loss is on the mask, the settings are in force, the weights are reproducible."""

import hashlib
import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from thinkscale.errors import ConfigError, DataError, MissingExtraError, ModelError, StageError
from thinkscale.records import Decision, Step
from thinkscale.training.output import MARKER
from thinkscale.training.settings import Schedule, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import OverLong, TrainingRow, build_row

KILLED = """
import json, os, signal, sys
from pathlib import Path
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import build_row

def kill(step):
    if step.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

folder, model, rows = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
settings = SftSettings(model=model, epochs=3, effective_batch_size=8, learning_rate=1e-2, max_length=64, device="cpu")
train_sft([build_row(*row) for row in rows], settings, folder / "out", kill,
          checkpoints=Checkpoints(folder=folder / "checkpoints", every_steps=2))
"""


@pytest.fixture
def settings(base_model: Path) -> SftSettings:
    return SftSettings(model=str(base_model), epochs=2, learning_rate=1e-2, max_length=64, device="cpu")


def ignore(step: Step) -> None:
    """Steps are in the result too."""


def weights(folder: Path) -> str:
    return hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()


def hand_computed_loss(model_folder: Path, rows: list[TrainingRow]) -> float:
    """Row by row, no padding, no batch: mean of -log p over trained tokens."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    model.train(False)
    total = count = 0.0
    for row in rows:
        with torch.no_grad():
            log_p = torch.log_softmax(model(input_ids=torch.tensor([row.input_ids])).logits[0], dim=-1)
        for position, trained in enumerate(row.trained):
            if trained:
                total -= float(log_p[position - 1, row.input_ids[position]])
                count += 1
    return total / count


def test_importing_the_module_loads_neither_torch_nor_trl() -> None:
    code = (
        "import sys, thinkscale.training.sft; print([m for m in ('torch', 'trl', 'transformers') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_missing_extra_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, rows: list[TrainingRow]
) -> None:
    for name in ("config.json", "model.safetensors", "tokenizer.json"):
        (tmp_path / name).write_text("{}")
    for name in ("torch", "datasets", "trl"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(MissingExtraError, match=r'pip install "thinkscale\[train\]"'):
        train_sft(rows, SftSettings(model=str(tmp_path)), tmp_path / "out", ignore)


def test_a_folder_that_is_no_model_is_refused_with_what_it_lacks(tmp_path: Path, rows: list[TrainingRow]) -> None:
    with pytest.raises(ModelError, match="there is no model folder"):
        train_sft(rows, SftSettings(model=str(tmp_path / "absent")), tmp_path / "out", ignore)
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(ModelError, match=r"lacks weights \(model.safetensors\), a tokenizer") as caught:
        train_sft(rows, SftSettings(model=str(tmp_path)), tmp_path / "out", ignore)
    assert str(tmp_path) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value"), [("epochs", 0), ("learning_rate", 0.0), ("warmup_ratio", 1.0), ("dtype", "float16")]
)
def test_a_setting_out_of_range_is_named(name: str, value: object, tmp_path: Path, rows: list[TrainingRow]) -> None:
    settings = replace(SftSettings(model="base"), **{name: value})  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match=name):
        train_sft(rows, settings, tmp_path / "out", ignore)


@pytest.mark.lab
@pytest.mark.parametrize("micro_batch_size", [None, 4])
def test_the_loss_is_that_of_the_trained_tokens_alone(
    micro_batch_size: int | None, settings: SftSettings, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = replace(settings, effective_batch_size=20, micro_batch_size=micro_batch_size, epochs=1)
    result = train_sft(rows, settings, tmp_path / "out", ignore)
    (step,) = result.steps
    assert step.loss == pytest.approx(hand_computed_loss(base_model, rows), abs=1e-5)


@pytest.mark.lab
def test_plain_trl_has_the_same_losses_and_gradients(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All rows are one step, so that their order, which is ours, plays no part."""
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl.trainer.sft_config import SFTConfig
    from trl.trainer.sft_trainer import SFTTrainer

    settings = replace(settings, effective_batch_size=20, epochs=3)
    ours = train_sft(rows, settings, tmp_path / "ours", ignore)
    labels = [
        [token if trained else -100 for token, trained in zip(row.input_ids, row.trained, strict=True)] for row in rows
    ]
    given = Dataset.from_dict({"input_ids": [list(row.input_ids) for row in rows], "labels": labels})
    monkeypatch.setattr(SFTTrainer, "_send_telemetry", lambda _: None)
    plain = SFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(settings.model, dtype="float32"),
        args=SFTConfig(
            output_dir=str(tmp_path / "theirs"),
            num_train_epochs=3,
            per_device_train_batch_size=20,
            learning_rate=1e-2,
            lr_scheduler_type="cosine",
            warmup_steps=0.05,
            weight_decay=1e-4,
            adam_beta2=0.95,
            bf16=False,
            use_cpu=True,
            max_length=None,
            activation_checkpointing=False,
            dataset_kwargs={"skip_prepare_dataset": True},
            dataloader_pin_memory=False,
            logging_steps=1,
            report_to=[],
            save_strategy="no",
            disable_tqdm=True,
        ),
        train_dataset=given,
        processing_class=AutoTokenizer.from_pretrained(settings.model),
    )
    plain.train()
    theirs = [logs for logs in plain.state.log_history if "grad_norm" in logs]
    for mine, other in zip(ours.steps, theirs, strict=True):
        assert mine.loss == pytest.approx(other["loss"], abs=1e-5)
        assert mine.gradient_norm == pytest.approx(other["grad_norm"], rel=1e-4)
        assert mine.learning_rate == pytest.approx(other["learning_rate"])


@pytest.mark.lab
def test_a_mask_of_one_token_a_row_gives_the_loss_of_that_token(
    settings: SftSettings, tmp_path: Path, rows: list[TrainingRow]
) -> None:
    single = [replace(row, trained=tuple(place == len(row) - 1 for place in range(len(row)))) for row in rows]
    settings = replace(settings, effective_batch_size=20, epochs=1)
    result = train_sft(single, settings, tmp_path / "out", ignore)
    assert result.statistics.num_trained_tokens == 20
    assert result.steps[0].loss == pytest.approx(hand_computed_loss(Path(settings.model), single), abs=1e-5)


@pytest.mark.lab
def test_a_few_rows_are_learned_by_heart(settings: SftSettings, rows: list[TrainingRow], tmp_path: Path) -> None:
    settings = replace(settings, epochs=60, effective_batch_size=4)
    result = train_sft(rows[:4], settings, tmp_path / "out", ignore)
    assert result.steps[0].loss > 3.5
    assert result.steps[-1].loss < 0.1
    assert hand_computed_loss(tmp_path / "out", rows[:4]) < 0.1


@pytest.mark.lab
def test_two_runs_write_identical_weights_and_another_seed_does_not(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    first = train_sft(rows, settings, tmp_path / "first", ignore)
    second = train_sft(rows, settings, tmp_path / "second", ignore)
    train_sft(rows, replace(settings, seed=43), tmp_path / "other", ignore)
    assert first.steps == second.steps
    assert weights(tmp_path / "first") == weights(tmp_path / "second") != weights(tmp_path / "other")


@pytest.mark.lab
@pytest.mark.parametrize(("killed_at", "micro_batch_size"), [(1, None), (3, 4), (5, None)])
def test_a_killed_run_continues_to_identical_weights(
    killed_at: int, micro_batch_size: int | None, settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """20 rows in batches of 8 for 3 epochs are 9 steps; checkpoints after 2, 4, 6 and 8 fall inside and
    between epochs."""
    settings = replace(settings, epochs=3, effective_batch_size=8, micro_batch_size=micro_batch_size)
    undisturbed = train_sft(rows, settings, tmp_path / "undisturbed", ignore)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: Step) -> None:
        if step.step == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(rows, settings, tmp_path / "out", stop, checkpoints=checkpoints)
    assert not (tmp_path / "out").exists()
    resumed = train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    assert resumed.resumed_from_step == (killed_at - 1) // 2 * 2
    assert resumed.steps == undisturbed.steps
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.slow
@pytest.mark.lab
def test_a_process_killed_outright_is_continued_by_another(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = replace(settings, epochs=3, effective_batch_size=8)
    plain_rows = [
        (row.problem_id, row.input_ids[: -row.num_trained], row.input_ids[-row.num_trained :]) for row in rows
    ]
    command = [sys.executable, "-c", KILLED, str(tmp_path), settings.model, json.dumps(plain_rows)]
    assert subprocess.run(command, check=False).returncode == -signal.SIGKILL
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)
    assert train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints).resumed_from_step == 4
    train_sft(rows, settings, tmp_path / "undisturbed", ignore)
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")


@pytest.mark.lab
def test_a_run_killed_after_its_last_step_only_writes(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thinkscale.training import attempt

    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def fail(*_: object) -> None:
        raise RuntimeError("no disk")

    with monkeypatch.context() as patch:
        patch.setattr(attempt, "_publish", fail)
        with pytest.raises(RuntimeError, match="no disk"):
            train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    resumed = train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    undisturbed = train_sft(rows, settings, tmp_path / "undisturbed", ignore)
    assert resumed.resumed_from_step == len(resumed.steps) == 4
    assert resumed.hyperparameters == undisturbed.hyperparameters
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")


@pytest.mark.lab
def test_a_checkpoint_cut_off_in_writing_or_of_another_training_is_not_resumed(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = replace(settings, effective_batch_size=8)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: Step) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(rows, settings, tmp_path / "out", stop, checkpoints=checkpoints)
    other = train_sft(rows, replace(settings, seed=1), tmp_path / "other", ignore, checkpoints=checkpoints)
    assert other.resumed_from_step == 0
    (state,) = checkpoints.folder.glob("*/checkpoint-2/trainer_state.json")
    state.write_text(state.read_text()[:40])
    assert train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints).resumed_from_step == 0


@pytest.mark.lab
def test_the_hyperparameters_in_force_are_those_asked_for(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    paper = SftSettings(model=settings.model, device="cpu", max_length=64)
    result = train_sft(rows * 4, paper, tmp_path / "paper", ignore)
    expected = {
        "epochs": 5,
        "num_steps": 25,
        "effective_batch_size": 16,
        "micro_batch_size": 16,
        "accumulation_steps": 1,
        "world_size": 1,
        "sharded": False,
        "optimiser": "AdamW",
        "learning_rate": 1e-5,
        "lr_scheduler": "cosine",
        "warmup_steps": 2,
        "weight_decay": 1e-4,
        "betas": [0.9, 0.95],
        "max_grad_norm": 1.0,
        "seed": 42,
        "dtype": "float32",
        "weights": "float32",
        "lora": None,
        "batching": "packed",
        "loss": "chunked",
        "activation_checkpointing": False,
        "activation_offload": False,
        "attention": "sdpa_by_row",
        "device": "cpu",
    }
    assert result.hyperparameters == expected
    assert json.loads((tmp_path / "paper" / MARKER).read_text())["hyperparameters"] == expected
    rates = [step.learning_rate for step in result.steps]
    assert rates[0] == 0
    assert rates[2] == max(rates) == 1e-5
    assert rates[2:] == sorted(rates[2:], reverse=True)
    asked = replace(
        settings, lr_scheduler=Schedule.LINEAR, micro_batch_size=2, weight_decay=0.1, betas=(0.8, 0.9), seed=7
    )
    found = train_sft(rows, asked, tmp_path / "asked", ignore).hyperparameters
    assert (found["lr_scheduler"], found["accumulation_steps"], found["weight_decay"]) == ("linear", 8, 0.1)
    assert (found["betas"], found["seed"], found["learning_rate"]) == ([0.8, 0.9], 7, 1e-2)


@pytest.mark.lab
def test_the_written_folder_loads_and_nothing_else_is_left(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    seen: list[Step] = []
    result = train_sft(rows, settings, tmp_path / "out", seen.append)
    assert capfd.readouterr() == ("", "")
    assert [path.name for path in tmp_path.iterdir()] == ["out"]
    assert tuple(seen) == result.steps
    assert [step.step for step in seen] == [1, 2, 3, 4]
    assert [step.epoch for step in seen] == [0.5, 1.0, 1.5, 2.0]
    AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert AutoTokenizer.from_pretrained(tmp_path / "out").pad_token_id == 1


@pytest.mark.lab
def test_a_folder_is_replaced_only_where_a_training_made_it(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    train_sft(rows, settings, tmp_path / "out", ignore)
    first = weights(tmp_path / "out")
    train_sft(rows, replace(settings, seed=1), tmp_path / "out", ignore)
    assert weights(tmp_path / "out") != first
    beside = tmp_path / ".out.v2.4711.partial"  # another training's, to `out.v2`
    beside.mkdir()
    (tmp_path / ".out.4711.partial").mkdir()
    train_sft(rows, settings, tmp_path / "out", ignore)
    assert beside.is_dir()
    assert not (tmp_path / ".out.4711.partial").exists()
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("keep me")
    with pytest.raises(ConfigError, match="was not made by a training"):
        train_sft(rows, settings, tmp_path / "mine", ignore)


@pytest.mark.lab
def test_over_long_rows_follow_the_policy_with_their_fates(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    long = build_row("long", [3] * 4, [5] * 40, thinking_tokens=38)
    settings = replace(settings, max_length=32, epochs=1)
    with pytest.raises(DataError, match="1 of 21 training rows"):
        train_sft([*rows, long], settings, tmp_path / "out", ignore)
    dropped = train_sft([*rows, long], replace(settings, over_long=OverLong.DROP), tmp_path / "dropped", ignore)
    assert dropped.statistics.num_rows == 20
    assert [(fate.problem_id, fate.decision) for fate in dropped.fates] == [("long", Decision.DROPPED)]
    cut = train_sft([*rows, long], replace(settings, over_long=OverLong.TRUNCATE_MIDDLE), tmp_path / "cut", ignore)
    assert (cut.statistics.num_rows, cut.statistics.longest_tokens) == (21, 32)


@pytest.mark.lab
def test_rows_of_another_tokenizer_or_beyond_the_context_are_refused(settings: SftSettings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"p holds token 64, but .* has 64 tokens"):
        train_sft([build_row("p", [3], [64])], settings, tmp_path / "out", ignore)
    with pytest.raises(ConfigError, match="has a context of 64"):
        train_sft([build_row("p", [3], [4] * 70)], replace(settings, max_length=100), tmp_path / "out", ignore)


@pytest.mark.lab
def test_a_loss_that_is_not_finite_stops_the_training_and_writes_nothing(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    with pytest.raises(StageError, match="training step"):
        train_sft(rows, replace(settings, learning_rate=1e30, epochs=10), tmp_path / "out", ignore)
    assert not list(tmp_path.iterdir())
