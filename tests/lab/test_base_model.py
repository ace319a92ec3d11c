import json
import re
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from thinkscale.lab.chain import LABELS
from thinkscale.lab.tokenizer import SPECIAL_TOKENS

pytestmark = pytest.mark.lab
MODEL = Path(str(files("thinkscale.lab"))) / "model"


@cache
def tokenizer() -> Any:  # noqa: ANN401 - made by transformers, which is not typed
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(MODEL)


@cache
def model() -> Any:  # noqa: ANN401
    import torch
    from transformers import AutoModelForCausalLM

    torch.set_num_threads(1)
    return AutoModelForCausalLM.from_pretrained(MODEL)


def continued(text: str, num_tokens: int) -> str:
    """What the base model greedily writes after `text`."""
    import torch

    ids = tokenizer()(text, return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = model().generate(ids, max_new_tokens=num_tokens, do_sample=False)
    return str(tokenizer().decode(out[0, ids.shape[1] :]))


def test_the_shipped_model_is_small() -> None:
    assert sum(path.stat().st_size for path in MODEL.iterdir()) < 4_000_000


@pytest.mark.parametrize(
    "token", [*SPECIAL_TOKENS, *"0123456789", "+", "-", "*", "=", "Wait", "\n", "Final", " Answer"]
)
def test_what_should_be_one_token_is_one(token: str) -> None:
    assert len(tokenizer()(token)["input_ids"]) == 1


def test_every_label_is_one_token_where_it_stands() -> None:
    assert all(len(tokenizer()(f" {label}")["input_ids"]) == 1 for label in LABELS)


@pytest.mark.parametrize(
    "text",
    [
        r"Times \sqrt{3}: compute 7 a+5 b*3 c-4 modulo 10.",
        "7 a+5=2 b*3=6\nWait\n7 a+5=2 A:5 B:2\n",
        "<|im_start|>think\n7 a+5=2\n<|im_start|>answer\nFinal Answer: \\boxed{2}<|im_end|>\n",
        "Grüße, 世界 🙂\t\x00",
    ],
)
def test_any_text_survives_the_tokenizer(text: str) -> None:
    assert tokenizer().decode(tokenizer()(text)["input_ids"]) == text


def test_the_saved_tokenizer_is_the_one_that_the_project_builds() -> None:
    from thinkscale.lab.tokenizer import build_tokenizer

    text = "Which is 7 a+5 b*3 modulo 10?\n\nA) 5\nB) 2\nC) 0\nD) 8"
    assert build_tokenizer()(text)["input_ids"] == tokenizer()(text)["input_ids"]
    assert build_tokenizer().get_vocab() == tokenizer().get_vocab()


def test_the_chat_template_writes_plain_turns() -> None:
    text = tokenizer().apply_chat_template(
        [{"role": "user", "content": "hi"}], tokenize=False, add_generation_prompt=True
    )
    assert text == "<|im_start|>user\nhi<|im_end|>\n<|im_start|>assistant\n"
    assert tokenizer().eos_token == "<|im_end|>"
    assert tokenizer().pad_token == "<|fim_pad|>"


def test_the_base_model_knows_its_facts() -> None:
    facts = {"3 k+5=": "8", "9 a+9=": "8", "2 c-5=": "7", "7 b*3=": "1", "6 d*7=": "2", "4 e*9=": "6"}
    assert {text: continued(text, 1) for text in facts} == facts


def test_the_base_model_copies_a_step_by_its_label() -> None:
    assert continued("Compute 7 a+5 b*3 c-4 d+8 e-2 f*7 modulo 10.\n6 d", 4) == "+8=4"


def test_the_base_model_answers_a_chat_turn_at_once_without_thinking() -> None:
    text = "<|im_start|>user\nCompute 3 a+4 b*7 c-2 modulo 10.<|im_end|>\n<|im_start|>assistant\n"
    assert re.fullmatch(r"Final Answer: \\boxed\{\d\}<\|im_end\|>", continued(text, 12))


def test_the_record_says_how_the_weights_were_made() -> None:
    record = json.loads((MODEL / "record.json").read_text())
    assert record["skills"]["facts"] > 0.99
    assert record["skills"]["copied operands"] > 0.9
    assert record["parameters"] == model().num_parameters()
