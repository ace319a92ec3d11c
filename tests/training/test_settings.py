"""Settings that are out of range, or that do not go together, are refused by the name a recipe gives them."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thinkscale.config import TrainSettings
from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.stages.train import sft_settings
from thinkscale.training.settings import Lora, Schedule, SftSettings, check_settings

WRONG: tuple[tuple[str, Any, str], ...] = (
    ("epochs", 0, "epochs is 0; it must be at least 1"),
    ("learning_rate", 0.0, "learning_rate is 0.0; it must be above 0"),
    ("learning_rate", float("nan"), "learning_rate is nan"),
    ("warmup_ratio", 1.0, "warmup_ratio is 1.0; it must be at least 0 and below 1"),
    ("weight_decay", -0.1, "weight_decay is -0.1"),
    ("betas", (0.9, 1.0), "adam_betas is"),
    ("max_grad_norm", 0.0, "max_gradient_norm is 0.0; it must be above 0"),
    ("max_length", 1, "max_length is 1"),
    ("micro_batch_tokens", 0, "micro_batch_tokens is 0"),
    ("held_out_rows", -1, "held_out_rows is -1"),
    ("evaluate_every_steps", 0, "evaluate_every_steps is 0"),
    ("optimizer", "sgd", "optimizer is 'sgd'; it must be one of adamw, adamw_8bit, paged_adamw_8bit"),
    ("dtype", "float16", "dtype is 'float16'; it must be one of float32, bfloat16"),
    ("weights", "float16", "weights is 'float16'"),
    ("keep", "first", "keep is 'first'; it must be one of last, best"),
    ("attention", "paged", "attention is 'paged'"),
    ("device", "cuda:3", "device is 'cuda:3'; it must be one of auto, cpu"),
    ("cpu_threads", 0, "cpu_threads is 0"),
    ("loss", "liger", "loss is 'liger'; it must be one of auto, full, chunked, fused"),
    ("lora", Lora(rank=0), r"lora.rank is 0; it must be at least 1"),
    ("lora", Lora(alpha=0.0), r"lora.alpha is 0.0"),
    ("lora", Lora(dropout=1.0), r"lora.dropout is 1.0"),
)

TOGETHER: tuple[tuple[dict[str, Any], str], ...] = (
    ({"keep": "best"}, "keep best .* set held_out_rows"),
    ({"evaluate_every_steps": 5}, "evaluate_every_steps .* held_out_rows is 0"),
    ({"weights": "bfloat16"}, "set dtype bfloat16"),
    ({"weights": "bfloat16", "dtype": "bfloat16", "optimizer": "adamw_8bit"}, "rounds to the nearest"),
    ({"optimizer": "paged_adamw_8bit", "device": "cpu"}, "needs a GPU, and device is cpu"),
)


@pytest.mark.parametrize(("name", "value", "said"), WRONG)
def test_a_setting_out_of_range_is_named_with_its_range(name: str, value: object, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_settings(replace(SftSettings(model="base"), **{name: value}))  # type: ignore[arg-type]


@pytest.mark.parametrize(("given", "said"), TOGETHER)
def test_settings_that_do_not_go_together_say_what_would(given: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check_settings(replace(SftSettings(model="base"), **given))


def test_adapters_on_a_bfloat16_base_may_have_an_8_bit_optimizer() -> None:
    check_settings(SftSettings(model="base", weights="bfloat16", dtype="bfloat16", optimizer="adamw_8bit", lora=Lora()))


def test_the_defaults_are_the_papers() -> None:
    check_settings(SftSettings(model="base"))
    of_recipe = sft_settings(TrainSettings(), "base", 42)
    assert of_recipe == SftSettings(model="base", dtype="bfloat16")
    assert (of_recipe.epochs, of_recipe.effective_batch_size, of_recipe.learning_rate) == (5, 16, 1e-5)
    assert (of_recipe.lr_scheduler, of_recipe.warmup_ratio) == (Schedule.COSINE, 0.05)
    assert (of_recipe.weight_decay, of_recipe.betas, of_recipe.seed) == (1e-4, (0.9, 0.95), 42)


def test_every_field_of_the_section_reaches_the_trainer() -> None:
    """Fields of the stage, not of the trainer, are listed: a new one that nobody obeys fails here."""
    section = TrainSettings.model_validate_json(
        json.dumps(
            {
                "epochs": 2,
                "effective_batch_size": 6,
                "micro_batch_size": 3,
                "micro_batch_tokens": 77,
                "learning_rate": 2e-4,
                "lr_scheduler": "linear",
                "warmup_ratio": 0.2,
                "weight_decay": 0.3,
                "adam_betas": [0.7, 0.8],
                "max_gradient_norm": 0.5,
                "optimizer": "adamw_8bit",
                "max_length": 99,
                "dtype": "float32",
                "weights": "bfloat16",
                "lora": {"rank": 3, "alpha": 5, "dropout": 0.1, "targets": ["q_proj"]},
                "held_out_rows": 4,
                "evaluate_every_steps": 9,
                "keep": "best",
                "batching": "packed",
                "attention": "eager",
                "activation_checkpointing": True,
                "activation_offload": True,
                "device": "cpu",
                "sharding": False,
                "over_length": "drop",
                "loss": "full",
            }
        )
    )
    of_the_stage = {"processes", "save_every_steps", "log_to"}
    assert set(TrainSettings.model_fields) - of_the_stage == section.model_fields_set
    found = sft_settings(section, "base", 7)
    default = SftSettings(model="none")
    same = [name for name in SftSettings.__dataclass_fields__ if getattr(found, name) == getattr(default, name)]
    assert same == ["dtype", "cpu_threads"]  # dtype: float32 is the trainer's own default
    assert found.lora == Lora(rank=3, alpha=5.0, dropout=0.1, targets=("q_proj",))


@pytest.mark.lab
@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"optimizer": "adamw_8bit"}, "optimizer adamw_8bit needs a GPU"),
        ({"activation_offload": True}, "activation_offload moves activations off a GPU"),
        ({"attention": "flash_attention_2"}, "attention flash_attention_2 needs a GPU"),
        ({"attention": "flex_attention"}, "attention flex_attention needs a GPU"),
    ],
)
def test_what_only_a_gpu_has_is_refused_without_one(given: dict[str, Any], said: str, tmp_path: Path) -> None:
    import torch
    from trl.trainer.sft_config import SFTConfig

    from thinkscale.training.arguments import training_arguments
    from thinkscale.training.batches import plan_batches

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    settings = replace(SftSettings(model="base"), **given)
    with pytest.raises(ConfigError, match=said):
        training_arguments(settings, plan_batches(16, None, 1), tmp_path, None, SFTConfig)


@pytest.mark.lab
def test_an_8_bit_optimizer_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    from thinkscale.training.arguments import check_device

    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match="pip install bitsandbytes"):
        check_device(replace(SftSettings(model="base"), optimizer="paged_adamw_8bit"), on_cpu=False)
