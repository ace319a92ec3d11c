"""The lab's tokenizer: Qwen2's own splitting rules over a vocabulary of a few hundred entries.

Byte-level, so any text has an encoding; digits stand alone, as in every Qwen2 tokenizer; the chat and
thinking markers of the formats that the package knows are single special tokens.
"""

from collections.abc import Iterator
from typing import Any

VOCABULARY_SIZE = 384
SPECIAL_TOKENS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|fim_pad|>",
    "<think>",
    "</think>",
    "<|begin_of_thought|>",
    "<|end_of_thought|>",
    "<|begin_of_solution|>",
    "<|end_of_solution|>",
)
WORDS = (
    *("Compute", " compute", " modulo", "Times", "Which", " is", " none", "Final", " Answer", "boxed", "sqrt"),
    *("Wait", "Hmm", "Alternatively", "system", "user", "assistant", "think", "answer"),
    *("A", "B", "C", "D", " A", " B", " C", " D"),
    *"abcdefghijkl",
    *(f" {label}" for label in "abcdefghijklmnopqrstuvwxyz"),
)
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)
"""How Qwen2 cuts text before its merges."""
CHAT_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}{{- '<|im_start|>assistant\\n' }}{%- endif %}"
)


def _corpus() -> Iterator[str]:
    for index, word in enumerate(WORDS):
        for _ in range(len(WORDS) + 10 - index):
            yield word
    for piece in ("?\n\n", " \\", "\n\n", "}:"):
        yield from [piece] * 5


def build_tokenizer() -> Any:  # noqa: ANN401 - transformers tokenizers have no common static type
    """The lab's Qwen2Tokenizer, the same ids on every call. Needs transformers."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
    from transformers import Qwen2Tokenizer

    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(SPLIT), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY_SIZE - len(SPECIAL_TOKENS),
        min_frequency=1,
        show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(_corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL_TOKENS])
    return Qwen2Tokenizer(
        tokenizer_object=tokenizer,
        bos_token=None,
        eos_token="<|im_end|>",
        pad_token="<|fim_pad|>",
        extra_special_tokens=list(SPECIAL_TOKENS),
        chat_template=CHAT_TEMPLATE,
        model_max_length=1024,
    )
