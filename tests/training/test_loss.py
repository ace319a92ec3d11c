"""The loss: of trained tokens alone, the same however its logits are held, and in bounded memory."""

# ruff: noqa: ANN401 - torch is loaded where a test needs it, so its types have no name here
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thinkscale.errors import ConfigError, MissingExtraError
from thinkscale.training.logits import chunk_positions, logit_bytes
from thinkscale.training.settings import SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

pytestmark = pytest.mark.lab

WIDTH, VOCABULARY, POSITIONS = 8, 40, 30


def test_memory_of_logits_by_hand() -> None:
    """Qwen2.5 has 151,936 words: 32,768 positions take 19.9 GB each in float32, a chunk of 441 a quarter of a GiB."""
    assert chunk_positions(151_936) == 441
    assert chunk_positions(10**9) == 1
    assert logit_bytes("full", 32_768, 151_936, half=False) == 59_743_666_176
    assert logit_bytes("full", 32_768, 151_936, half=True) == 69_700_943_872
    assert logit_bytes("chunked", 32_768, 151_936, half=False) == 4 * 441 * 151_936
    assert logit_bytes("chunked", 100, 151_936, half=True) == 6 * 100 * 151_936


def numbers(seed: int = 0) -> tuple[Any, Any, Any, Any]:
    """Hidden states, weight, bias, targets; the logits spread widely."""
    import torch

    made = torch.Generator().manual_seed(seed)
    hidden = 3 * torch.randn(POSITIONS, WIDTH, generator=made)
    weight = torch.randn(VOCABULARY, WIDTH, generator=made)
    bias = torch.randn(VOCABULARY, generator=made)
    return hidden, weight, bias, torch.randint(VOCABULARY, (POSITIONS,), generator=made)


def gradients(loss: Any, *leaves: Any) -> list[Any]:
    import torch

    return list(torch.autograd.grad(loss, leaves))


@pytest.mark.parametrize("chunk", [1, 7, POSITIONS, 1000, None])
@pytest.mark.parametrize("with_bias", [True, False])
def test_chunked_is_full_in_loss_and_gradients(chunk: int | None, with_bias: bool) -> None:
    """Under a factor, as a step's mean has one."""
    import torch

    from thinkscale.training.chunked_loss import chunked_nll

    hidden, weight, bias, targets = numbers()
    leaves = [tensor.requires_grad_() for tensor in ((hidden, weight, bias) if with_bias else (hidden, weight))]
    logits = hidden @ weight.T + (bias if with_bias else 0)
    expected = torch.nn.functional.cross_entropy(logits, targets, reduction="none")
    total, losses = chunked_nll(hidden, weight, bias if with_bias else None, targets, chunk)
    assert torch.allclose(losses, expected, atol=1e-5)
    assert not losses.requires_grad
    assert float(total.detach()) == pytest.approx(float(expected.detach().sum()), rel=1e-6)
    for found, wanted in zip(gradients(total * 0.3, *leaves), gradients(expected.sum() * 0.3, *leaves), strict=True):
        assert torch.allclose(found, wanted, atol=1e-5)


def test_a_loss_by_hand() -> None:
    """Scores 0, ln 3 and 0: probabilities 1/5, 3/5 and 1/5. The gradient of a score is p less 1 where it is right."""
    import torch

    from thinkscale.training.chunked_loss import chunked_nll

    hidden = torch.tensor([[1.0]], requires_grad=True)
    weight = torch.tensor([[0.0], [3.0], [1.0]]).log().clamp(min=0)
    total, _ = chunked_nll(hidden, weight, None, torch.tensor([1]))
    torch.autograd.backward(total)
    assert float(total.detach()) == pytest.approx(0.5108256)  # ln 5/3
    assert hidden.grad is not None
    assert float(hidden.grad) == pytest.approx((3 / 5 - 1) * 1.0986123)


def test_huge_scores_and_no_positions_stay_finite() -> None:
    import torch

    from thinkscale.training.chunked_loss import chunked_nll

    hidden, weight, _, targets = numbers()
    hidden.requires_grad_()
    total, _ = chunked_nll(1e4 * hidden, weight, None, targets, 4)
    assert torch.isfinite(gradients(total, hidden)[0]).all()
    nothing, losses = chunked_nll(hidden[:0], weight, None, targets[:0])
    assert float(nothing.detach()) == 0
    assert len(losses) == 0
    assert gradients(nothing, hidden)[0].abs().sum() == 0


def test_a_frozen_head_gets_no_gradient() -> None:
    import torch

    from thinkscale.training.chunked_loss import chunked_nll

    hidden, weight, _, targets = numbers()
    hidden.requires_grad_()
    torch.autograd.backward(chunked_nll(hidden, weight, None, targets)[0])
    assert weight.grad is None
    assert hidden.grad is not None


def test_half_precision_keeps_sums_in_float32() -> None:
    """Under autocast to bfloat16 the products are rounded, to 8 bits; full logits under autocast are as far off."""
    import torch

    from thinkscale.training.chunked_loss import chunked_nll

    hidden, weight, _, targets = numbers()
    leaves = [hidden.requires_grad_(), weight.requires_grad_()]
    exact = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
    with torch.autocast("cpu", torch.bfloat16):
        total, losses = chunked_nll(hidden, weight, None, targets, 7)
        rounded = torch.nn.functional.cross_entropy((hidden @ weight.T).float(), targets, reduction="sum")
    assert losses.dtype == torch.float32
    assert float(total.detach()) == pytest.approx(float(rounded.detach()), rel=1e-6)
    assert float(total.detach()) == pytest.approx(float(exact.detach()), rel=2e-2)
    for found, wanted in zip(gradients(total, *leaves), gradients(exact, *leaves), strict=True):
        assert found.dtype == torch.float32
        assert float((found - wanted).norm() / wanted.norm()) < 2e-2


def mixed_rows() -> list[TrainingRow]:
    generator = random.Random(4)
    rows = []
    for length, prompt in ((30, 12), (7, 1), (52, 20)):
        ids = [generator.randrange(3, 64) for _ in range(length)]
        rows.append(build_row(f"of {length}", ids[:prompt], ids[prompt:]))
    return rows


def installed(folder: Path, kind: str) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM

    from thinkscale.training.chunked_loss import install_loss_head

    model = AutoModelForCausalLM.from_pretrained(folder)
    return model, install_loss_head(model, kind)


@pytest.mark.parametrize("joined", [True, False])
def test_every_weight_of_a_model_with_a_tied_head_gets_the_same_gradient(joined: bool, base_model: Path) -> None:
    import torch

    from thinkscale.training.attention import use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    arrays = RowArrays(mixed_rows())
    found: dict[str, dict[str, Any]] = {}
    for kind in ("full", "chunked"):
        model, head = installed(base_model, kind)
        use_sdpa_by_row(model)
        tensors = arrays.joined((0, 1, 2), "sdpa_by_row") if joined else arrays.padded((0, 1, 2))
        head.losses(model, tensors.inputs, tensors.positions, tensors.targets)[0].backward()
        found[kind] = {name: weight.grad for name, weight in model.named_parameters()}
    assert "lm_head.weight" not in found["full"]
    for name, wanted in found["full"].items():
        assert torch.allclose(found["chunked"][name], wanted, atol=1e-5, rtol=1e-4), name


@pytest.mark.parametrize("kind", ["full", "chunked"])
@pytest.mark.parametrize("joined", [True, False])
def test_prompts_and_padding_have_no_part_in_the_gradient(kind: str, joined: bool, base_model: Path) -> None:
    """The gradient of the loss by the last hidden states is nil but where a trained token is predicted."""
    import torch

    from thinkscale.training.attention import use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    rows = mixed_rows()
    model, head = installed(base_model, kind)
    use_sdpa_by_row(model)
    caught: list[Any] = []

    def catch(_module: Any, _inputs: Any, output: Any) -> Any:
        caught.append(output)
        output.retain_grad()
        return output

    model.model.norm.register_forward_hook(catch)
    tensors = RowArrays(rows).joined((0, 1, 2), "sdpa_by_row") if joined else RowArrays(rows).padded((0, 1, 2))
    head.losses(model, tensors.inputs, tensors.positions, tensors.targets)[0].backward()
    moved = (caught[0].grad.abs().sum(-1) > 0).flatten().tolist()
    expected: list[bool] = []
    for row in rows:
        line = [*row.trained[1:], False]
        expected += line if joined else line + [False] * (52 - len(row))
    assert moved == expected
    assert sum(moved) == 18 + 6 + 32
    assert torch.isfinite(caught[0].grad).all()


def test_the_largest_tensor_of_the_chunked_loss_is_one_chunk() -> None:
    """Counted over every operation of both passes; full holds all positions at once. 2,000 words, 600 positions."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    from thinkscale.training.chunked_loss import chunked_nll

    class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
        numel = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else (out,):
                if isinstance(tensor, torch.Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return out

    def largest(chunk: int | None) -> int:
        hidden = torch.randn(600, 4, requires_grad=True)
        weight = torch.randn(2000, 4, requires_grad=True)
        targets = torch.randint(2000, (600,))
        with Largest() as mode:  # type: ignore[no-untyped-call]
            if chunk is None:
                loss = torch.nn.functional.cross_entropy(hidden @ weight.T, targets, reduction="sum")
            else:
                loss = chunked_nll(hidden, weight, None, targets, chunk)[0]
            torch.autograd.backward(loss)
        return int(mode.numel)

    assert largest(None) == 600 * 2000
    assert largest(32) == 32 * 2000
    assert largest(10) == 10 * 2000


def plain(**changes: Any) -> Any:
    import torch

    config = SimpleNamespace(**changes)
    return SimpleNamespace(
        get_output_embeddings=lambda: torch.nn.Linear(4, 9, bias=False),
        config=SimpleNamespace(get_text_config=lambda: config),
    )


def test_which_loss_a_model_gets() -> None:
    import torch

    from thinkscale.training.chunked_loss import decide_loss

    cpu = torch.device("cpu")
    assert decide_loss("auto", plain(), cpu) == "chunked"
    assert decide_loss("auto", plain(logit_scale=1.0, final_logit_softcapping=None), cpu) == "chunked"
    assert decide_loss("full", plain(), cpu) == "full"
    capped = plain(final_logit_softcapping=30.0)
    assert decide_loss("auto", capped, cpu) == "full"
    with pytest.raises(ConfigError, match=r"loss chunked .* final_logit_softcapping 30.0 between .* choose loss full"):
        decide_loss("chunked", capped, cpu)
    assert decide_loss("auto", plain(), cpu, adds_loss=True) == "full"
    with pytest.raises(ConfigError, match="loss fused is a GPU kernel"):
        decide_loss("fused", plain(), cpu)
    with pytest.raises(MissingExtraError, match="pip install liger-kernel"):
        decide_loss("fused", plain(), torch.device("cuda"))


def test_the_probe_notices_a_head_that_is_not_all(base_model: Path) -> None:
    """A model that doubles its logits after the head, and whose configuration does not say so."""
    from thinkscale.training.probe import loss_fault

    model, head = installed(base_model, "chunked")
    assert loss_fault(model, model, head, rough=False) is None
    own = model.forward

    def doubled(*arguments: Any, **named: Any) -> Any:
        out = own(*arguments, **named)
        if hasattr(out, "logits"):
            out.logits = 2 * out.logits
        return out

    model.forward = doubled
    assert "does more between its last hidden state and its logits" in str(loss_fault(model, model, head, rough=False))
    assert loss_fault(model, model, replace(head, kind="full"), rough=False) is None


def test_the_balance_of_experts_is_in_the_loss(base_model: Path, tmp_path: Path) -> None:
    """A model of 4 experts, 2 for a token: the step's loss is that of the model itself."""
    import torch
    from transformers import AutoTokenizer, Qwen2MoeConfig, Qwen2MoeForCausalLM

    torch.manual_seed(0)
    config = Qwen2MoeConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, moe_intermediate_size=16, num_hidden_layers=2,
        shared_expert_intermediate_size=16, num_attention_heads=4, num_key_value_heads=2, num_experts=4,
        num_experts_per_tok=2, max_position_embeddings=64, router_aux_loss_coef=0.5, eos_token_id=2, pad_token_id=1,
    )  # fmt: skip
    model: Any = Qwen2MoeForCausalLM(config)
    model.save_pretrained(tmp_path / "experts")
    AutoTokenizer.from_pretrained(base_model).save_pretrained(tmp_path / "experts")
    (row, *_) = mixed_rows()
    ids = torch.tensor([row.input_ids])
    labels = torch.where(torch.tensor([row.trained]), ids, -100)
    expected = model(input_ids=ids, labels=labels, output_router_logits=True)
    settings = SftSettings(
        model=str(tmp_path / "experts"), epochs=1, effective_batch_size=1, max_length=64, device="cpu"
    )
    result = train_sft([row], settings, tmp_path / "out", lambda _step: None)
    assert float(expected.aux_loss.detach()) > 0.5
    assert result.steps[0].loss == pytest.approx(float(expected.loss.detach()), abs=1e-5)
    assert result.hyperparameters["loss"] == "full"
    with pytest.raises(ConfigError, match="loss chunked is not right for Qwen2MoeForCausalLM"):
        train_sft([row], replace(settings, loss="chunked"), tmp_path / "refused", lambda _step: None)
