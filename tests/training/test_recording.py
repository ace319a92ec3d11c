"""What a trainer logs becomes records, once each; a loss that is not finite ends the training before that."""

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thinkscale.errors import StageError
from thinkscale.records import HeldOut, Step
from thinkscale.training.log import TrainingLog, read_log

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

STEP = {
    "loss": 1.5,
    "grad_norm": 0.25,
    "learning_rate": 1e-5,
    "epoch": 0.5,
    "num_step_tokens": 120,
    "num_step_trained_tokens": 80,
    "padding": 0.25,
    "entropy": 9.0,
}
PAIRS = {**STEP, "rewards/chosen": 0.5, "rewards/rejected": -0.5, "rewards/accuracies": 0.75}
EVALUATION = {"eval_loss": 1.25, "eval_mean_token_accuracy": 0.5, "epoch": 0.5, "eval_runtime": 3.0}
SUMMARY = {"train_loss": 1.4, "train_runtime": 10.0, "epoch": 1.0}


def arguments() -> Any:  # noqa: ANN401 - stands for transformers' own class
    return SimpleNamespace(device=torch.device("cpu"), learning_rate=1e-3, world_size=1, bf16=False)


def state(step: int, log_history: tuple[dict[str, float], ...] = (), is_first: bool = True) -> Any:  # noqa: ANN401
    return SimpleNamespace(global_step=step, is_world_process_zero=is_first, log_history=log_history)


def test_steps_and_evaluations_are_told_apart_from_the_summary(tmp_path: Path) -> None:
    from thinkscale.training.recording import Recorder

    told: list[Step | HeldOut] = []
    log = TrainingLog(tmp_path / "log.jsonl")
    recorder = Recorder(told.append, told.append, log, num_held_out=7)
    recorder.on_train_begin(arguments(), state(0), None, model=None)  # type: ignore[arg-type]
    for number, logs in enumerate((STEP, EVALUATION, PAIRS, SUMMARY), 1):
        recorder.on_log(arguments(), state(number), None, logs=logs)  # type: ignore[arg-type]
    first, measured, pairs = told
    assert first == Step(
        step=1,
        epoch=0.5,
        loss=1.5,
        learning_rate=1e-5,
        gradient_norm=0.25,
        num_tokens=120,
        num_trained_tokens=80,
        padding=0.25,
    )
    assert measured == HeldOut(step=2, epoch=0.5, num_rows=7, loss=1.25, token_accuracy=0.5)
    assert isinstance(pairs, Step)
    assert (pairs.chosen_reward, pairs.rejected_reward, pairs.reward_accuracy) == (0.5, -0.5, 0.75)
    assert [entry.record for entry in read_log(tmp_path / "log.jsonl")] == told


def test_a_resumed_training_keeps_the_lines_of_its_checkpoint_alone(tmp_path: Path) -> None:
    from thinkscale.training.recording import Recorder, records_of

    path = tmp_path / "log.jsonl"
    history = ({**STEP, "step": 1}, {**EVALUATION, "step": 1}, {**STEP, "step": 2})
    killed = Recorder(lambda _: None, None, TrainingLog(path), num_held_out=7)
    killed.on_train_begin(arguments(), state(0), None, model=None)  # type: ignore[arg-type]
    for logs in (*history, {**STEP, "step": 3}, {**STEP, "step": 4}):
        killed.on_log(arguments(), state(int(logs["step"])), None, logs=logs)  # type: ignore[arg-type]
    resumed = Recorder(lambda _: None, None, TrainingLog(path), num_held_out=7)
    resumed.on_train_begin(arguments(), state(2, history), None, model=None)  # type: ignore[arg-type]
    entries = read_log(path)
    assert [entry.record for entry in entries] == list(records_of(history, num_held_out=7))
    assert all(entry.readings for entry in entries)


def test_token_accuracy_of_pairs_is_left_out() -> None:
    from thinkscale.training.recording import held_out_of

    logs = {**EVALUATION, "step": 1, "eval_rewards/chosen": 0.5, "eval_rewards/rejected": 0.25}
    found = held_out_of(logs, 3)
    assert (found.token_accuracy, found.chosen_reward, found.rejected_reward, found.reward_accuracy) == (
        None,
        0.5,
        0.25,
        None,
    )


@pytest.mark.parametrize(
    ("logs", "message"),
    [
        ({**STEP, "loss": math.nan}, "step 3: the loss is nan and the gradient norm is 0.25; no model was written"),
        ({**STEP, "grad_norm": math.inf}, "the gradient norm is inf"),
        ({**EVALUATION, "eval_loss": math.nan}, "the loss on the held-out rows is nan.*Lower learning_rate .now 0.001"),
    ],
)
@pytest.mark.parametrize("is_first", [True, False])
def test_what_is_not_finite_ends_the_training_in_every_process(
    logs: dict[str, float], message: str, is_first: bool, tmp_path: Path
) -> None:
    from thinkscale.training.recording import Recorder

    told: list[object] = []
    recorder = Recorder(told.append, told.append, TrainingLog(tmp_path / "log.jsonl"))
    with pytest.raises(StageError, match=message):
        recorder.on_log(arguments(), state(3, is_first=is_first), None, logs=logs)  # type: ignore[arg-type]
    assert told == []
    assert not (tmp_path / "log.jsonl").exists()


def test_only_the_first_process_speaks(tmp_path: Path) -> None:
    from thinkscale.training.recording import Recorder

    told: list[object] = []
    recorder = Recorder(told.append, told.append, TrainingLog(tmp_path / "log.jsonl"))
    recorder.on_train_begin(arguments(), state(0, is_first=False), None, model=None)  # type: ignore[arg-type]
    recorder.on_log(arguments(), state(1, is_first=False), None, logs=STEP)  # type: ignore[arg-type]
    assert told == []
    assert not (tmp_path / "log.jsonl").exists()


def test_utilization_follows_from_model_device_and_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    from thinkscale.training import recording

    model = Qwen2ForCausalLM(
        Qwen2Config(
            vocab_size=32,
            hidden_size=16,
            intermediate_size=24,
            num_hidden_layers=2,
            num_attention_heads=2,
            num_key_value_heads=2,
            tie_word_embeddings=False,
        )
    )
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda _device: "NVIDIA H100 80GB HBM3")
    on_gpu = SimpleNamespace(device=torch.device("cuda"), world_size=2, bf16=True)
    speed = recording._speed(model, on_gpu, [10, 30])  # type: ignore[arg-type]
    assert speed is not None
    # In 2 layers 4 x 16 x 16 of attention with 3 x 16 biases, and 3 x 16 x 24 of the MLP; a head of 32 x 16; 5 norms.
    # Lengths weighted by tokens: (100 + 900) / 40 = 25.
    parameters = 2 * (4 * 256 + 48 + 3 * 384) + 512 + 5 * 16
    assert speed.flops_per_token == pytest.approx(6 * parameters + 6 * 2 * 16 * 25)
    assert speed.peak_flops_per_second == pytest.approx(2 * 989e12, rel=0.01)
    assert recording._speed(model, arguments(), [10]) is None
