"""What is said where a GPU's memory did not suffice."""

import pytest

from thinkscale.errors import StageError
from thinkscale.training.preference_settings import PreferenceSettings
from thinkscale.training.settings import SftSettings, TrainingSettings

MODEL = "Qwen/Qwen2.5-3B"


pytest.importorskip("torch")


def said(settings: TrainingSettings, sequences: tuple[int, ...]) -> str:
    import torch

    from thinkscale.training.shortage import memory_advice

    with pytest.raises(StageError) as caught, memory_advice(settings, sequences, 1):
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB. More")
    return str(caught.value)


def test_what_would_take_less_is_computed_for_this_very_training(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no nvidia-smi
    wide = SftSettings(model=MODEL, dtype="bfloat16", loss="full")
    text = said(wide, (30_000, 20_000))
    assert text.startswith("the GPU's memory did not suffice (CUDA out of memory). What would take less")
    assert "--set train.loss=auto (the same result)" in text
    narrow = SftSettings(model=MODEL, dtype="bfloat16", activation_checkpointing=True)
    text = said(narrow, (30_000, 20_000))
    assert "--set train.weights=bfloat16" in text
    assert "train.loss" not in text
    assert "train.activation_checkpointing" not in text


def test_for_pairs_the_section_is_prefer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    text = said(PreferenceSettings(model=MODEL, dtype="bfloat16"), (9_000, 8_000))
    assert "--set prefer." in text
    assert "train." not in text


def test_of_a_model_whose_size_is_not_known_nothing_is_promised() -> None:
    assert "size is not known" in said(SftSettings(model="nobody/nothing"), (100,))
