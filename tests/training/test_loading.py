"""What a training says of its model and rows before it begins, and of how it went."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_sft import ignore
from thinkscale.errors import ConfigError, ModelError, StageError
from thinkscale.training.output import MARKER
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

pytestmark = pytest.mark.lab


@pytest.fixture
def settings(base_model: Path) -> SftSettings:
    return SftSettings(model=str(base_model), epochs=1, learning_rate=1e-2, max_length=64, device="cpu")


def changed(base_model: Path, folder: Path, file: str, **fields: object) -> str:
    shutil.copytree(base_model, folder)
    found = json.loads((folder / file).read_text())
    (folder / file).write_text(json.dumps(found | fields))
    return str(folder)


def test_a_tokenizer_with_tokens_that_its_model_has_not_is_refused(
    settings: SftSettings, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    from transformers import AutoTokenizer

    folder = tmp_path / "base"
    shutil.copytree(base_model, folder)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(["<|begin_of_thought|>"])
    tokenizer.save_pretrained(folder)
    with pytest.raises(ModelError, match=r"tokens that its model has not \(<\|begin_of_thought\|>; the model has 64\)"):
        train_sft(rows, replace(settings, model=str(folder)), tmp_path / "out", ignore)


def test_a_base_model_that_does_not_stop_where_rows_end_stops_there_once_trained(
    settings: SftSettings, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """Rows end with w2; this base model stops at w1, as Qwen2.5's base models stop at the end of a text alone."""
    from transformers import GenerationConfig

    model = changed(base_model, tmp_path / "base", "generation_config.json", eos_token_id=1)
    told: list[str] = []
    result = train_sft(rows, replace(settings, model=model), tmp_path / "out", ignore, on_remark=told.append)
    assert "rows end with w2, where the base model's settings do not stop; the trained model's will" in told
    assert result.remarks == tuple(told)
    assert json.loads((tmp_path / "out" / MARKER).read_text())["remarks"] == told
    assert GenerationConfig.from_pretrained(tmp_path / "out").eos_token_id == [2, 1]
    untouched = train_sft(rows, settings, tmp_path / "untouched", ignore)
    assert GenerationConfig.from_pretrained(tmp_path / "untouched").eos_token_id == 2
    assert not [remark for remark in untouched.remarks if "stop" in remark]


def test_rows_that_never_end_their_turn_are_counted(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    cut = [build_row("cut", [3, 4], [5, 6, 7]), build_row("cut too", [3, 4], [5, 6])]
    result = train_sft([*rows, *cut], settings, tmp_path / "out", ignore)
    assert result.remarks[0].startswith("2 of 22 rows do not end with an end-of-turn token (w2)")
    assert "has no chat template" in result.remarks[1]


def test_adapters_are_warned_of_a_token_that_the_base_never_learned_and_of_a_low_rate(
    settings: SftSettings, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    folder = tmp_path / "base"
    shutil.copytree(base_model, folder)
    model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.no_grad():
        model.get_output_embeddings().weight[2] *= 0.01
    model.save_pretrained(folder)
    settings = replace(settings, learning_rate=1e-5)
    adapted = replace(settings, model=str(folder), lora=Lora(rank=2))
    found = train_sft(rows, adapted, tmp_path / "out", ignore).remarks
    assert any("hardly ever trained on w2" in remark for remark in found)
    assert any("learning_rate 1e-05 is usual for all weights" in remark for remark in found)
    whole = train_sft(rows, replace(settings, model=str(folder)), tmp_path / "whole", ignore).remarks
    trained = train_sft(rows, replace(settings, lora=Lora(rank=2)), tmp_path / "trained", ignore).remarks
    assert not any("hardly ever" in remark for remark in (*whole, *trained))


def test_a_training_that_makes_held_out_rows_worse_says_so(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """Random rows teach nothing of others: at once too fast, or after a while too much."""
    fast = replace(settings, held_out_rows=4, learning_rate=0.3, warmup_ratio=0.0, epochs=2)
    worse = train_sft(rows, fast, tmp_path / "fast", ignore)
    assert "never fell below that of the untrained model" in worse.remarks[-1]
    long = replace(settings, held_out_rows=4, epochs=30, evaluate_every_steps=1)
    over = train_sft(rows, long, tmp_path / "long", ignore)
    assert "the held-out loss was lowest after step" in over.remarks[-1]
    assert "lie beside these in long.best, and keep best publishes them" in over.remarks[-1]


def test_a_gpu_whose_memory_does_not_suffice_is_answered_with_what_would_help(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from thinkscale.training.supervised import SftTrainer

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a capacity of 79 GiB")

    monkeypatch.setattr(SftTrainer, "training_step", full)
    settings = replace(settings, micro_batch_size=1, activation_checkpointing=True)
    with pytest.raises(StageError, match=r"CUDA out of memory\)\. What would take less, .*: nothing that is known"):
        train_sft(rows, settings, tmp_path / "out", ignore)
    assert not list(tmp_path.iterdir())  # what takes least is what CUDA itself does; see test_shortage.py for more


def test_rows_of_another_tokenizer_are_refused_among_the_held_out_too(settings: SftSettings, tmp_path: Path) -> None:
    rows = [build_row(f"p{index}", [3 + index], [64]) for index in range(4)]
    with pytest.raises(ConfigError, match=r"holds token 64, but .* has 64 tokens"):
        train_sft(rows, replace(settings, held_out_rows=1), tmp_path / "out", ignore)
