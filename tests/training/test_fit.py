"""What fits, what would make it fit, and what is refused before a model is loaded."""

from pathlib import Path

import pytest

from thinkscale.errors import ConfigError
from thinkscale.training.fit import (
    Card,
    Training,
    batching_of,
    card_here,
    fits,
    load_of,
    refuse_what_cannot_fit,
    remedies,
)
from thinkscale.training.memory import GIB
from thinkscale.training.settings import Batching, SftSettings, TrainingSettings
from thinkscale.training.shapes import find_shape

H100 = Card(name="H100", memory_gib=79.6)
SMALL_CARD = Card(name="RTX 4090", memory_gib=23.6)


def training(model: str = "Qwen/Qwen2.5-3B", gpus: int = 1, **changes: object) -> Training:
    settings = SftSettings(model=model, **{"dtype": "bfloat16", **changes})  # type: ignore[arg-type]
    return Training(shape=find_shape(model), settings=settings, world_size=gpus)


def test_without_lengths_the_largest_pass_is_what_the_settings_allow() -> None:
    assert load_of(SftSettings(model="m", max_length=100), (), 1).tokens == 100
    assert load_of(SftSettings(model="m", max_length=100, micro_batch_size=4), (), 1).tokens == 400
    padded = SftSettings(model="m", max_length=100, batching=Batching.BY_LENGTH)
    assert load_of(padded, (), 2).tokens == 8 * 100
    assert load_of(SftSettings(model="m", max_length=100, micro_batch_size=1), (), 16).passes == 1
    assert load_of(SftSettings(model="m", max_length=100, micro_batch_size=1), (), 8).passes == 2
    assert load_of(TrainingSettings(model="m", max_length=100, micro_batch_size=1), (), 1).tokens == 200


def test_with_lengths_it_is_the_largest_of_any_epoch() -> None:
    settings = SftSettings(model="m", effective_batch_size=4, epochs=3, max_length=50)
    found = load_of(settings, (10, 20, 30, 40), 1)
    # 100 tokens in lines of at most 50: two passes, 40 + 10 and 30 + 20
    assert (found.tokens, found.passes, found.longest) == (50, 2, 40)
    assert load_of(settings, (10, 20, 30, 40), 2).tokens == 50
    one_each = SftSettings(model="m", effective_batch_size=4, micro_batch_size=1)
    assert (load_of(one_each, (10, 20, 30, 40), 1).tokens, load_of(one_each, (10, 20, 30, 40), 1).passes) == (40, 4)


def test_rows_are_joined_unless_attention_would_pay_for_it() -> None:
    assert batching_of(SftSettings(model="m")) is Batching.PACKED
    assert batching_of(SftSettings(model="m", micro_batch_size=2)) is Batching.PADDING_FREE
    assert batching_of(SftSettings(model="m", attention="eager")) is Batching.BY_LENGTH
    assert batching_of(SftSettings(model="m", batching=Batching.SHUFFLED)) is Batching.SHUFFLED


def test_remedies_fit_and_the_cheapest_comes_first() -> None:
    wide = training(activation_checkpointing=False)
    assert not fits(wide.estimate, H100)
    found = remedies(wide, H100)
    assert found[0].changes == ("train.activation_checkpointing=true",)
    assert all(remedy.total <= H100.memory_gib * GIB for remedy in found)
    done = training(activation_checkpointing=True)
    assert fits(done.estimate, H100)
    assert found[0].total == done.estimate.total


def test_full_logits_are_the_first_thing_to_go() -> None:
    found = remedies(training(loss="full", activation_checkpointing=True), H100)
    assert found[0].changes == ("train.loss=auto",)


def test_a_remedy_holds_nothing_that_is_not_needed() -> None:
    """7B in float32 does not fit one GPU in any way that keeps the numbers: 16 bytes a parameter are 113 GiB."""
    found = remedies(training("Qwen/Qwen2.5-7B"), H100)
    said = [remedy.changes for remedy in found]
    assert ("train.activation_checkpointing=true", "train.weights=bfloat16") in said
    assert any(changes[-1] == "train.processes=2" for changes in said)
    assert not any(remedy.changes == ("train.activation_checkpointing=true",) for remedy in found)
    lora = next(remedy for remedy in found if "lora" in remedy.changes[-1])
    assert lora.total < min(remedy.total for remedy in found if remedy is not lora)


def test_many_gpus_are_not_offered_8_bit_state() -> None:
    found = remedies(training("Qwen/Qwen2.5-32B", gpus=4, activation_checkpointing=True), H100)
    assert found
    assert not any("8bit" in change for remedy in found for change in remedy.changes)


def test_where_nothing_helps_nothing_is_proposed() -> None:
    assert remedies(training("Qwen/Qwen2.5-72B"), Card(name="tiny", memory_gib=2.0)) == []


def test_a_training_that_cannot_fit_is_refused_with_what_would() -> None:
    settings = training("Qwen/Qwen2.5-7B", activation_checkpointing=True).settings
    with pytest.raises(ConfigError, match=r"takes .* GiB of a GPU, and H100 has 79\.6") as caught:
        refuse_what_cannot_fit(settings, (), 1, card=H100)
    assert "--set train.weights=bfloat16" in str(caught.value)
    assert "--set train.processes=2" in str(caught.value)


def test_what_may_fit_is_started() -> None:
    settings = training(activation_checkpointing=True).settings
    refuse_what_cannot_fit(settings, (), 1, card=H100)
    needed = training(activation_checkpointing=True).estimate.peak.total / GIB
    refuse_what_cannot_fit(settings, (), 1, card=Card(name="close", memory_gib=needed * 0.97))
    with pytest.raises(ConfigError, match="close has"):
        refuse_what_cannot_fit(settings, (), 1, card=Card(name="close", memory_gib=needed * 0.94))


def test_the_card_of_this_machine_is_the_smallest_that_is_visible(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = tmp_path / "nvidia-smi"
    lines = "0, GPU-a, NVIDIA A10, 23028, 4, N/A\\n1, GPU-b, NVIDIA H100 80GB HBM3, 81559, 4, Disabled\\n"
    program.write_text(f"#!/bin/sh\ncase $1 in *query-gpu*) printf '{lines}';; esac\n", encoding="utf-8")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert card_here() == Card(name="NVIDIA A10", memory_gib=23028 / 1024)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    assert card_here() == Card(name="NVIDIA H100 80GB HBM3", memory_gib=81559 / 1024)
    refuse_what_cannot_fit(training(activation_checkpointing=True).settings, (), 1)
    with pytest.raises(ConfigError, match="NVIDIA H100 80GB HBM3 has"):
        refuse_what_cannot_fit(training("Qwen/Qwen2.5-7B").settings, (), 1)
    refuse_what_cannot_fit(training("Qwen/Qwen2.5-7B", device="cpu", dtype="float32").settings, (), 1)


def test_nothing_is_refused_on_a_cpu_or_where_the_size_is_not_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")  # no nvidia-smi
    refuse_what_cannot_fit(training("Qwen/Qwen2.5-72B").settings, (), 1)
    refuse_what_cannot_fit(SftSettings(model="nobody/nothing"), (), 1, card=SMALL_CARD)
