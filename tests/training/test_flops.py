"""Arithmetic against published figures, and the table of devices against the names that drivers give."""

import pytest

from thinkscale.keys import JSON
from thinkscale.training.flops import (
    find_device,
    flops_per_token,
    peak_flops,
    token_weighted_length,
    training_flops_per_token,
    utilization,
)
from thinkscale.training.shapes import shape_of_config


def test_palm_reaches_its_published_utilization() -> None:
    """Appendix B of arXiv 2204.02311: 238.3K tokens/s on 6,144 TPU v4 of 275 TFLOP/s are 46.2%, 45.7% without
    attention."""
    whole = flops_per_token(540.35e9, 118, 48 * 256, 2048, is_causal=False)
    assert round(100 * utilization(238.3e3, whole, 275e12, 6144), 1) == 46.2
    assert round(100 * utilization(238.3e3, 6 * 540.35e9, 275e12, 6144), 1) == 45.7


def test_nanogpt_counts_the_same_for_gpt2() -> None:
    """transformer_sizing.ipynb of karpathy/nanoGPT prints palm_flops 875062886400 for GPT-2 (124M) and 1,024 tokens;
    it leaves out position embeddings and the biases."""
    parameters = 50257 * 768 + 12 * (12 * 768 * 768 + 2 * 768) + 768
    assert 1024 * flops_per_token(parameters, 12, 768, 1024, is_causal=False) == 875_062_886_400


def test_megatron_reaches_its_published_utilization() -> None:
    """Table 5 of arXiv 2205.05198: 530B, 105 layers of width 20,480, batch 280, 37.83 s on 280 A100 are 56.0%."""
    parameters = 12 * 105 * 20480**2 + 51200 * 20480
    flops = flops_per_token(parameters, 105, 20480, 2048, is_causal=False)
    assert round(100 * utilization(280 * 2048 / 37.83, flops, 312e12, 280), 1) == 56.0


def test_a_shape_by_hand() -> None:
    config: dict[str, JSON] = {
        **{"model_type": "llama", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 2},
        **{"num_attention_heads": 2, "num_key_value_heads": 1, "vocab_size": 10, "tie_word_embeddings": False},
    }
    shape = shape_of_config(config, "small")
    # a layer: queries and output 2 x 8 x 8, keys and values 2 x 8 x 4, MLP 3 x 8 x 16, norms 2 x 8; head 8 x 10
    matrix = 2 * (128 + 64 + 384 + 16) + 8 + 80
    assert training_flops_per_token(shape, 30) == 6 * matrix + 6 * 2 * 8 * 30
    assert training_flops_per_token(shape, 30, is_adapter=True) == pytest.approx(4 * matrix + 6 * 2 * 8 * 30)
    assert training_flops_per_token(shape, 30, has_reference=True) == pytest.approx(8 * matrix + 8 * 2 * 8 * 30)


def test_attention_goes_by_the_length_of_the_row_that_a_token_stands_in() -> None:
    assert token_weighted_length([10, 30]) == (100 + 900) / 40
    lengths = [3, 5, 9]
    whole = flops_per_token(0, 1, 1, token_weighted_length(lengths)) * sum(lengths)
    assert whole == pytest.approx(sum(6 * length * length for length in lengths))


@pytest.mark.parametrize(
    ("name", "device", "teraflops"),
    [
        ("NVIDIA H100 80GB HBM3", "H100 SXM", 989.4),
        ("NVIDIA H100 PCIe", "H100 PCIe", 756.5),
        ("NVIDIA H100 NVL", "H100 NVL", 835.5),
        ("H100 80GB", "H100 SXM", 989.4),
        ("NVIDIA H200", "H200", 989.4),
        ("NVIDIA GH200 480GB", "GH200", 989.4),
        ("NVIDIA B200", "B200", 2250),
        ("NVIDIA A100-SXM4-80GB", "A100 80GB", 312),
        ("NVIDIA A100-PCIE-40GB", "A100 40GB", 312),
        ("NVIDIA A10", "A10", 125),
        ("NVIDIA A10G", "A10G", 70),
        ("NVIDIA L4", "L4", 121),
        ("NVIDIA L40S", "L40S", 362.05),
        ("NVIDIA RTX 6000 Ada Generation", "RTX 6000 Ada", 364.2),
        ("NVIDIA GeForce RTX 4090", "RTX 4090", 165.2),
        ("nvidia geforce rtx 3090", "RTX 3090", 71),
        ("AMD Instinct MI300X", "MI300X", 1307.4),
    ],
)
def test_a_device_is_found_by_the_drivers_name(name: str, device: str, teraflops: float) -> None:
    found = find_device(name)
    assert found is not None
    assert found.name == device
    assert peak_flops(name) == teraflops * 1e12
    assert found.source


@pytest.mark.parametrize("name", ["Tesla V100-SXM2-32GB", "NVIDIA H100 80GB HBM3 MIG 1g.10gb", "CPU", ""])
def test_an_unknown_device_has_no_peak(name: str) -> None:
    assert find_device(name) is None
    assert peak_flops(name) is None


def test_float32_goes_by_the_ordinary_cores_and_other_dtypes_are_not_known() -> None:
    assert peak_flops("NVIDIA A100-SXM4-80GB", "float32") == 19.5e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "int4") is None
