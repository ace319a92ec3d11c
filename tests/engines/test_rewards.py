"""A reward model from a folder: the number that transformers itself gives, whatever shares the pass."""

import json
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")

from thinkscale.engines.catalogue import model_path
from thinkscale.engines.rewards import RewardModel, RewardRequest
from thinkscale.errors import ModelError
from thinkscale.records import Message

pytestmark = pytest.mark.lab
LIMIT = 96


def save_reward_model(folder: Path, *, pad: bool = True, num_labels: int = 1) -> str:
    """A Qwen2 classifier with random weights, large enough that its rewards differ, and the lab's tokenizer."""
    import torch
    from transformers import AutoTokenizer, Qwen2Config, Qwen2ForSequenceClassification

    tokenizer = AutoTokenizer.from_pretrained(model_path("lab"))
    torch.manual_seed(1)
    config = Qwen2Config(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=LIMIT,
        pad_token_id=tokenizer.pad_token_id if pad else None,
        eos_token_id=tokenizer.eos_token_id,
    )
    config.num_labels = num_labels
    model = Qwen2ForSequenceClassification(config)  # type: ignore[no-untyped-call]
    for weights in model.parameters():
        if weights.dim() > 1:
            weights.data.normal_(0, 0.3)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> str:
    return save_reward_model(tmp_path_factory.mktemp("reward"))


def requests(count: int) -> list[RewardRequest]:
    """Conversations of different lengths."""
    return [
        RewardRequest(
            key=str(at),
            messages=(
                Message(role="user", content="Compute 7 a+5 modulo 10."),
                Message(role="assistant", content="a+5=2 " * (at % 7) + f"Final Answer: {at}"),
            ),
        )
        for at in range(count)
    ]


def alone(folder: str, request: RewardRequest) -> float:
    """What transformers gives for the rendered conversation, by itself."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    model: Any = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float64).eval()
    turns = [{"role": message.role, "content": message.content} for message in request.messages]
    ids = tokenizer.apply_chat_template(turns, return_tensors="pt", return_dict=True)["input_ids"]
    with torch.inference_mode():
        return float(model(ids).logits[0, 0])


@pytest.mark.parametrize("batch_tokens", [16, 200, 16384])
def test_rewards_are_those_of_transformers_in_order_and_in_any_company(folder: str, batch_tokens: int) -> None:
    model = RewardModel(folder, dtype="float64", device="cpu", batch_tokens=batch_tokens)
    asked = requests(15)
    found = model.rewards(asked)
    assert [item.key for item in found] == [item.key for item in asked]
    expected = [alone(folder, item) for item in asked]
    assert [item.value for item in found] == pytest.approx(expected, abs=1e-12)
    assert len({round(value, 6) for value in expected}) == 15


def test_a_model_without_a_padding_token_reads_one_at_a_time(tmp_path: Path) -> None:
    folder = save_reward_model(tmp_path, pad=False)
    asked = requests(5)
    found = RewardModel(folder, dtype="float64", device="cpu").rewards(asked)
    assert [item.value for item in found] == pytest.approx([alone(folder, item) for item in asked], abs=1e-12)


def test_what_is_too_long_has_no_reward_and_is_not_cut(folder: str) -> None:
    long = RewardRequest(key="long", messages=(Message(role="user", content="7 " * 200),))
    first, second = RewardModel(folder, device="cpu").rewards([long, requests(1)[0]])
    assert first.value is None
    assert first.num_tokens > LIMIT
    assert second.value is not None
    assert RewardModel(folder, device="cpu").max_tokens == LIMIT
    (short,) = RewardModel(folder, device="cpu", max_tokens=16).rewards([requests(7)[6]])
    assert short.value is None


def test_what_is_no_reward_model_is_refused_in_words(folder: str, random_model: str, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot load a tokenizer"):
        RewardModel(str(tmp_path / "nowhere"), device="cpu")
    with pytest.raises(ModelError, match=r"no weights for score\.weight, which would be random"):
        RewardModel(random_model, device="cpu")
    with pytest.raises(ModelError, match="made for 96 tokens; max_tokens is 97"):
        RewardModel(folder, device="cpu", max_tokens=97)
    with pytest.raises(ModelError, match="has 3 labels; a reward model has one"):
        RewardModel(save_reward_model(tmp_path / "three", num_labels=3), device="cpu")


def test_code_of_a_model_is_run_only_where_the_user_says_so(folder: str, tmp_path: Path) -> None:
    """A model with code of its own, ArmoRM's way: its `score` is the reward, and its logits are not."""
    for file in Path(folder).iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "modeling_own.py").write_text(
        "from dataclasses import dataclass\n"
        "import torch\n"
        "from transformers import Qwen2ForSequenceClassification\n"
        "@dataclass\n"
        "class Output:\n"
        "    logits: torch.Tensor\n"
        "    score: torch.Tensor\n"
        "class Own(Qwen2ForSequenceClassification):\n"
        "    def forward(self, input_ids=None, attention_mask=None, **kwargs):\n"
        "        logits = super().forward(input_ids, attention_mask=attention_mask).logits\n"
        "        return Output(logits=logits.repeat(1, 19), score=2 * logits[:, 0])\n"
    )
    config = json.loads((tmp_path / "config.json").read_text())
    config["auto_map"] = {"AutoModelForSequenceClassification": "modeling_own.Own"}
    config["model_type"] = "qwen2"
    (tmp_path / "config.json").write_text(json.dumps(config))
    asked = requests(3)
    plain = [item.value for item in RewardModel(folder, dtype="float64", device="cpu").rewards(asked)]
    own = RewardModel(str(tmp_path), dtype="float64", device="cpu", trust_remote_code=True).rewards(asked)
    assert [item.value for item in own] == pytest.approx([2 * (value or 0.0) for value in plain])
    untrusted = RewardModel(str(tmp_path), dtype="float64", device="cpu").rewards(asked)
    assert [item.value for item in untrusted] == pytest.approx(plain), "its code was not run"
