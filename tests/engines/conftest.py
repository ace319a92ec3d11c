"""A tiny model with random weights and the lab's tokenizer: enough to check what does not depend on skill."""

from pathlib import Path

import pytest

from thinkscale.engines.catalogue import model_path


@pytest.fixture(scope="session")
def random_model(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A folder with a random Qwen2 model. Its weights are large, so that greedy choices are far from ties."""
    torch = pytest.importorskip("torch")
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForCausalLM

    tokenizer = AutoTokenizer.from_pretrained(model_path("lab"))
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
    )
    model = Qwen2ForCausalLM(config)
    for weights in model.parameters():
        if weights.dim() > 1:
            weights.data.normal_(0, 0.3)
    folder: Path = tmp_path_factory.mktemp("random_model")
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)
