"""A tiny base model and rows to train it on."""

import random
from pathlib import Path
from typing import Any

import pytest

from thinkscale.training.tokens import TrainingRow, build_row

VOCABULARY = 64


@pytest.fixture(scope="session")
def base_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Qwen2-architecture model of 22,000 random parameters with a word tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast, Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = Qwen2Config(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=64,
        tie_word_embeddings=True,
        eos_token_id=2,
        pad_token_id=1,
    )
    Qwen2ForCausalLM(config).save_pretrained(folder)
    words = Tokenizer(models.WordLevel({f"w{index}": index for index in range(VOCABULARY)}, unk_token="w0"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    build_tokenizer: Any = PreTrainedTokenizerFast
    tokenizer = build_tokenizer(tokenizer_object=words, unk_token="w0", pad_token="w1", eos_token="w2")
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def rows() -> list[TrainingRow]:
    """20 rows of 8 to 30 tokens: a batch of 16 leaves a short one of 4."""
    generator = random.Random(3)
    made = []
    for index in range(20):
        ids = [generator.randrange(3, VOCABULARY) for _ in range(generator.randint(8, 30))]
        start = generator.randint(2, 6)
        made.append(build_row(f"p{index}", ids[:start], [*ids[start:], 2]))
    return made
