"""Parameters counted from config.json alone: published totals, and transformers' own models part by part."""

import json
from pathlib import Path
from typing import Any

import pytest

from thinkscale.errors import ModelError
from thinkscale.training.shapes import find_shape, shape_of_config

SMALL = {
    "hidden_size": 48,
    "intermediate_size": 80,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 100,
    "max_position_embeddings": 64,
}


@pytest.mark.parametrize(
    ("hub", "parameters"),
    [  # the totals in the metadata of the published safetensors files
        ("Qwen/Qwen2.5-0.5B-Instruct", 494_032_768),
        ("Qwen/Qwen2.5-1.5B-Instruct", 1_543_714_304),
        ("Qwen/Qwen2.5-3B-Instruct", 3_085_938_688),
        ("Qwen/Qwen2.5-7B-Instruct", 7_615_616_512),
        ("Qwen/Qwen2.5-14B-Instruct", 14_770_033_664),
        ("Qwen/Qwen2.5-32B-Instruct", 32_763_876_352),
        ("Qwen/Qwen2.5-72B-Instruct", 72_706_203_648),
        ("deepseek-ai/DeepSeek-R1-Distill-Qwen-1.5B", 1_777_088_000),
        ("Qwen/Qwen3-8B", 8_190_735_360),
        ("meta-llama/Llama-3.1-8B-Instruct", 8_030_261_248),
        ("meta-llama/Llama-3.2-1B", 1_235_814_400),
        ("mistralai/Mistral-7B-v0.3", 7_248_023_552),
        ("google/gemma-2-2b-it", 2_614_341_888),
        ("google/gemma-2-9b", 9_241_705_984),
    ],
)
def test_the_table_counts_what_is_published(
    hub: str, parameters: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert find_shape(hub).num_parameters == parameters
    assert find_shape(hub.upper()).num_parameters == parameters


@pytest.mark.parametrize(
    ("kind", "more"),
    [
        ("qwen2", {}),
        ("qwen2", {"tie_word_embeddings": True}),
        ("qwen3", {"head_dim": 16}),
        ("qwen3", {"attention_bias": True}),
        ("llama", {"mlp_bias": True, "attention_bias": True}),
        ("llama", {"head_dim": 8}),
        ("mistral", {"head_dim": 12}),
        ("gemma", {"head_dim": 16}),
        ("gemma2", {"head_dim": 16}),
        ("gemma3_text", {"head_dim": 16}),
    ],
)
def test_parts_are_those_of_transformers_models(kind: str, more: dict[str, Any]) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    config = AutoConfig.for_model(kind, **SMALL, **more)
    with torch.device("meta"):
        model: Any = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]
    counted: dict[str, int] = {"embedding": 0, "head": 0, "attention": 0, "mlp": 0, "norms": 0}
    for name, weight in model.named_parameters():
        part = next((part for part in ("embed_tokens", "lm_head", "norm", "self_attn", "mlp") if part in name), None)
        named = {"embed_tokens": "embedding", "lm_head": "head", "norm": "norms", "self_attn": "attention"}
        assert part is not None, name
        counted[named.get(part, part)] += weight.numel()
    shape = shape_of_config(config.to_dict(), kind)
    assert dict(shape.parameters) == counted
    assert shape.num_parameters == sum(weight.numel() for weight in model.parameters())
    assert shape.layer_parameters == sum(weight.numel() for weight in model.model.layers[0].parameters())


def test_a_tied_head_is_multiplied_with_and_a_looked_up_embedding_is_not() -> None:
    tied = shape_of_config({**SMALL, "model_type": "qwen2", "tie_word_embeddings": True}, "tied")
    apart = shape_of_config({**SMALL, "model_type": "qwen2", "tie_word_embeddings": False}, "apart")
    assert apart.num_parameters == tied.num_parameters + 100 * 48
    assert apart.matrix_parameters == tied.matrix_parameters == tied.num_parameters


def test_a_folder_goes_before_the_table_and_other_types_go_by_their_files(tmp_path: Path) -> None:
    config = {**SMALL, "model_type": "phi3", "dtype": "bfloat16", "tie_word_embeddings": False}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    with pytest.raises(ModelError, match="phi3, which is not known part by part"):
        find_shape(str(tmp_path))
    index = {"metadata": {"total_size": 2 * 123_456}}
    (tmp_path / "model.safetensors.index.json").write_text(json.dumps(index), encoding="utf-8")
    shape = find_shape(str(tmp_path))
    assert shape.num_parameters == 123_456
    assert shape.parameters["embedding"] == shape.parameters["head"] == 100 * 48


def test_a_model_of_the_hubs_cache_is_read_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "models--someone--model" / "snapshots" / "abc"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps({**SMALL, "model_type": "llama"}), encoding="utf-8")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert find_shape("someone/model").layers == 3


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({**SMALL, "model_type": "qwen3_moe", "num_experts": 8}, "has experts"),
        ({key: value for key, value in SMALL.items() if key != "hidden_size"} | {"model_type": "llama"}, "hidden_size"),
        ({**SMALL, "model_type": "llama", "vocab_size": True}, "vocab_size"),
    ],
)
def test_what_is_not_known_is_refused_by_name(config: dict[str, Any], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        shape_of_config(config, "model")


def test_an_unknown_id_says_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(ModelError, match=r"hf download nobody/nothing config\.json"):
        find_shape("nobody/nothing")
    (tmp_path / "config.json").write_text("{", encoding="utf-8")
    with pytest.raises(ModelError, match=r"config\.json: cannot be read"):
        find_shape(str(tmp_path))
