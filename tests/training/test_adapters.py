"""Adapters: what they train, that the base stays, and that the published model is base plus adapters."""

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.test_sft import ignore, weights
from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.training.output import MARKER
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import TrainingRow

LAYERS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")


@pytest.fixture
def settings(base_model: Path) -> SftSettings:
    return SftSettings(
        model=str(base_model), epochs=2, learning_rate=1e-2, max_length=64, device="cpu", lora=Lora(rank=4, alpha=8.0)
    )


def state_of(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return dict(load_file(folder / "model.safetensors"))


@pytest.mark.lab
def test_the_published_model_is_the_base_with_low_rank_changes_in_all_linear_layers_but_the_head(
    settings: SftSettings, base_model: Path, rows: list[TrainingRow], tmp_path: Path
) -> None:
    import torch

    before = weights(base_model)
    train_sft(rows, settings, tmp_path / "out", ignore)
    assert weights(base_model) == before
    base, tuned = state_of(base_model), state_of(tmp_path / "out")
    assert base.keys() == tuned.keys()
    for name, weight in base.items():
        change = tuned[name] - weight
        if any(layer in name for layer in LAYERS) and name.endswith(".weight"):
            assert 1 <= torch.linalg.matrix_rank(change.double(), rtol=1e-4) <= 4
        else:
            assert not change.any(), name


@pytest.mark.lab
def test_the_merged_model_gives_the_logits_of_base_and_adapters(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    from thinkscale.training import attempt
    from thinkscale.training import weights as kept

    ids = torch.tensor([rows[0].input_ids])
    seen = []
    own = kept.write_weights

    def write(trainer: object, state: object, folder: Path) -> None:
        model = trainer.model.eval()  # type: ignore[attr-defined]
        with torch.no_grad():
            seen.append(model(input_ids=ids).logits)
            with model.disable_adapter():
                seen.append(model(input_ids=ids).logits)
        own(trainer, state, folder)  # type: ignore[arg-type]

    monkeypatch.setattr(attempt, "write_weights", write)
    train_sft(rows, settings, tmp_path / "out", ignore)
    adapted, bare = seen
    published = AutoModelForCausalLM.from_pretrained(tmp_path / "out", dtype=torch.float32)
    base = AutoModelForCausalLM.from_pretrained(settings.model, dtype=torch.float32)
    with torch.no_grad():
        assert torch.allclose(published(input_ids=ids).logits, adapted, atol=1e-5)
        assert torch.equal(base(input_ids=ids).logits, bare)
    assert (adapted - bare).abs().max() > 0.1


@pytest.mark.lab
def test_the_account_counts_what_is_trained(settings: SftSettings, rows: list[TrainingRow], tmp_path: Path) -> None:
    """Width 32, 4 heads of 8, 2 of them for keys, inner width 64, 2 layers, 64 tokens, tied:
    weights: 64*32 + 2*(32*32+32 + 2*(32*16+16) + 32*32 + 3*32*64 + 2*32) + 32 = 20,768
    adapters of rank 4: 2*4*((32+32) + 2*(32+16) + (32+32) + 3*(32+64)) = 4,096.
    """
    adapted = train_sft(rows, settings, tmp_path / "adapted", ignore)
    account = json.loads((tmp_path / "adapted" / MARKER).read_text())
    assert account["parameters"] == {"num_parameters": 20768, "num_trained": 4096} == adapted.parameters
    whole = train_sft(rows, replace(settings, lora=None), tmp_path / "whole", ignore)
    assert whole.parameters == {"num_parameters": 20768, "num_trained": 20768}


@pytest.mark.lab
def test_targets_are_trained_and_no_others(settings: SftSettings, rows: list[TrainingRow], tmp_path: Path) -> None:
    import torch

    settings = replace(settings, lora=Lora(rank=2, targets=("v_proj", "q_proj")))
    train_sft(rows, settings, tmp_path / "out", ignore)
    base, tuned = state_of(Path(settings.model)), state_of(tmp_path / "out")
    changed = {name for name, weight in base.items() if not torch.equal(weight, tuned[name])}
    assert changed == {
        f"model.layers.{layer}.self_attn.{part}_proj.weight" for layer in range(2) for part in ("q", "v")
    }


@pytest.mark.lab
def test_a_target_that_is_not_there_is_refused(settings: SftSettings, rows: list[TrainingRow], tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"names c_attn, but .* it has down_proj, gate_proj, k_proj"):
        train_sft(rows, replace(settings, lora=Lora(targets=("q_proj", "c_attn"))), tmp_path / "out", ignore)


@pytest.mark.lab
@pytest.mark.parametrize("is_tied", [True, False])
def test_an_adapter_of_the_head_is_refused(
    is_tied: bool, settings: SftSettings, rows: list[TrainingRow], base_model: Path, tmp_path: Path
) -> None:
    """TRL's and our own losses read its weights, and TRL refuses it by an error that is not ours."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    config: Any = AutoConfig.from_pretrained(base_model)
    config.tie_word_embeddings = is_tied
    build: Any = AutoModelForCausalLM
    build.from_config(config).save_pretrained(tmp_path / "base")
    AutoTokenizer.from_pretrained(base_model).save_pretrained(tmp_path / "base")
    settings = replace(settings, model=str(tmp_path / "base"), lora=Lora(targets=("q_proj", "lm_head")))
    with pytest.raises(ConfigError, match=r"lora.targets names lm_head, the head, which can have no adapter"):
        train_sft(rows, settings, tmp_path / "out", ignore)


@pytest.mark.lab
def test_without_peft_the_extra_is_named(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    train_sft(rows[:4], replace(settings, lora=None), tmp_path / "warm", ignore)
    monkeypatch.setitem(sys.modules, "peft", None)
    with pytest.raises(MissingExtraError, match=r'pip install "thinkscale\[lora\]"'):
        train_sft(rows, settings, tmp_path / "out", ignore)


@pytest.mark.lab
def test_an_adapted_training_continues_to_identical_weights(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = replace(settings, epochs=3, effective_batch_size=8, lora=Lora(rank=4, dropout=0.3))
    undisturbed = train_sft(rows, settings, tmp_path / "undisturbed", ignore)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: object) -> None:
        if getattr(step, "step", 0) == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_sft(rows, settings, tmp_path / "out", stop, checkpoints=checkpoints)
    resumed = train_sft(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    assert resumed.resumed_from_step == 4
    assert resumed.steps == undisturbed.steps
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")


@pytest.mark.lab
@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")
def test_merging_reads_an_adapter_of_transposed_layers_the_right_way_round() -> None:
    """GPT-2 keeps its weights transposed."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import GPT2Config, GPT2LMHeadModel

    from thinkscale.training.adapters import merged_state

    torch.manual_seed(0)
    config = GPT2Config(vocab_size=16, n_positions=8, n_embd=8, n_layer=1, n_head=2, bos_token_id=1, eos_token_id=2)
    base: Any = GPT2LMHeadModel(config)
    adapted: Any = get_peft_model(base, LoraConfig(r=2, target_modules=["c_attn", "c_fc"], fan_in_fan_out=True))
    for name, weight in adapted.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(weight)
    ids = torch.tensor([[1, 2, 3, 4]])
    adapted.eval()
    with torch.no_grad():
        wanted = adapted(input_ids=ids).logits
        fresh: Any = GPT2LMHeadModel(config)
        fresh.eval()
        fresh.load_state_dict(merged_state(adapted, adapted.state_dict()))
        assert torch.allclose(fresh(input_ids=ids).logits, wanted, atol=1e-5)
