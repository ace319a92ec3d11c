"""The model catalogue: public numbers that agree with each other."""

import pytest

from thinkscale.engines.models import architecture_of, find_model, known_models
from thinkscale.thinking.formats import FORMATS


def test_a_model_is_found_by_hub_id_or_short_name() -> None:
    found = find_model("Qwen/QwQ-32B")
    assert found is not None
    assert found is find_model("qwq-32b")
    assert find_model("somebody/QwQ-32B") is None, "another owner's model is another model"
    assert find_model("QwQ") is None


def test_every_thinking_format_is_one_of_ours() -> None:
    assert {card.thinking_format for card in known_models().values()} == {*FORMATS, "none"}


def test_weak_models_are_sampled_as_s1_did() -> None:
    for name in ("Qwen2.5-7B-Instruct", "Qwen2.5-32B-Instruct"):
        card = find_model(name)
        assert card is not None
        assert "weak" in card.roles
        assert (card.sampling["s1_weak"].temperature, card.sampling["s1_weak"].max_tokens) == (0.05, 32768)


@pytest.mark.parametrize("name", list(known_models()))
def test_sizes_agree_with_the_architecture(name: str) -> None:
    """A dense transformer has about 12 x layers x hidden^2 weights (less with shared heads), and its embeddings."""
    card = known_models()[name]
    sizes = architecture_of(card)
    assert sizes.attention_heads % sizes.kv_heads == 0
    if name in ("DeepSeek-R1", "Qwen3-30B-A3B", "Qwen3-235B-A22B"):
        return  # mixtures of experts have far more
    core = sizes.layers * sizes.hidden_size**2
    assert 8 * core < card.parameters_billions * 1e9 < 30 * core
