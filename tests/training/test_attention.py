"""Rows behind each other do not see each other, and where they would, no training begins."""

# ruff: noqa: ANN401 - torch is loaded where a test needs it, so its types have no name here
import random
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from thinkscale.errors import ConfigError
from thinkscale.training.settings import Batching, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.tokens import TrainingRow, build_row

pytestmark = pytest.mark.lab


def some_rows(lengths: tuple[int, ...] = (5, 2, 40, 11)) -> list[TrainingRow]:
    generator = random.Random(2)
    rows = []
    for length in lengths:
        ids = [generator.randrange(3, 64) for _ in range(length)]
        rows.append(build_row(f"of {length}", ids[:1], ids[1:]))
    return rows


def loaded(folder: Path, implementation: str = "sdpa") -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(folder, attn_implementation=implementation)


def leaky(module: Any, query: Any, key: Any, value: Any, mask: Any, **named: Any) -> Any:
    """Attention that ignores what it is told of boundaries: plain causal over the whole line."""
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    return sdpa_attention_forward(module, query, key, value, None, scaling=named.get("scaling"))


@pytest.mark.parametrize("implementation", ["sdpa", "eager"])
def test_joined_rows_have_the_logits_that_each_has_alone(implementation: str, base_model: Path) -> None:
    import torch

    from thinkscale.training.attention import implementation_of, use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    rows = some_rows()
    model = loaded(base_model, implementation)
    alone = [loaded(base_model)(input_ids=torch.tensor([row.input_ids])).logits[0] for row in rows]
    use_sdpa_by_row(model)
    assert implementation_of(model) == ("sdpa_by_row" if implementation == "sdpa" else implementation)
    inputs = RowArrays(rows).joined((0, 1, 2, 3), implementation_of(model)).inputs
    together = model(**inputs, use_cache=False).logits[0].split([len(row) for row in rows])
    for found, expected in zip(together, alone, strict=True):
        assert torch.allclose(found, expected, atol=1e-5)


def test_gradients_stay_within_a_row_too(base_model: Path) -> None:
    """The logits of one row depend on that row's embeddings alone."""
    import torch

    from thinkscale.training.attention import BY_ROW, use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    model = loaded(base_model)
    use_sdpa_by_row(model)
    inputs = RowArrays(some_rows()).joined((0, 1, 2, 3), BY_ROW).inputs
    embedded = model.get_input_embeddings()(inputs.pop("input_ids")).detach().requires_grad_()
    model(inputs_embeds=embedded, **inputs, use_cache=False).logits[0, 7:47].square().sum().backward()
    moved = embedded.grad[0].abs().sum(-1) > 0
    assert torch.equal(moved, torch.tensor([7 <= place < 47 for place in range(58)]))


def test_a_window_is_kept_within_a_row_that_is_longer(base_model: Path) -> None:
    """Layers that look back 8 tokens, on a row of 40 behind one of 5: as transformers' own masked attention."""
    import torch
    from transformers import AutoConfig, Qwen2ForCausalLM

    from thinkscale.training.attention import BY_ROW, use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    config: Any = AutoConfig.from_pretrained(base_model)
    config.update({"sliding_window": 8, "layer_types": ["sliding_attention"] * 2})
    torch.manual_seed(1)
    model: Any = Qwen2ForCausalLM(config)
    rows = some_rows((5, 40))
    expected = model(input_ids=torch.tensor([rows[1].input_ids])).logits[0]
    full = loaded(base_model)
    full.load_state_dict(model.state_dict())
    assert not torch.allclose(full(input_ids=torch.tensor([rows[1].input_ids])).logits[0], expected, atol=1e-3)
    use_sdpa_by_row(model)
    found = model(**RowArrays(rows).joined((0, 1), BY_ROW).inputs, use_cache=False).logits[0, 5:]
    assert torch.allclose(found, expected, atol=1e-5)


def test_no_mask_is_built_for_joined_rows(base_model: Path) -> None:
    """50 rows of 12: no tensor has a number for each pair of the 600 places, as a dense mask has."""
    from thinkscale.training.attention import use_sdpa_by_row
    from thinkscale.training.collate import RowArrays

    arrays = RowArrays(some_rows((12,) * 50))
    largest = {}
    for implementation in ("sdpa", "eager"):
        model = loaded(base_model, implementation)
        use_sdpa_by_row(model)
        name = model.config._attn_implementation
        with LargestTensor() as mode:
            model(**arrays.joined(tuple(range(50)), name).inputs, use_cache=False)
        largest[name] = mode.numel
    assert largest["sdpa_by_row"] == 600 * 64
    assert largest["eager"] >= 600 * 600


def LargestTensor() -> Any:  # noqa: N802 - a class, made where torch may be loaded
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    class Mode(TorchDispatchMode):  # type: ignore[no-untyped-call]
        numel = 0

        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            for tensor in out if isinstance(out, tuple | list) else (out,):
                if isinstance(tensor, torch.Tensor):
                    self.numel = max(self.numel, tensor.numel())
            return out

    return Mode()  # type: ignore[no-untyped-call]


def test_what_kernels_are_told_of_boundaries() -> None:
    from thinkscale.training.attention import row_arguments

    assert row_arguments("sdpa_by_row", [5, 2, 4]) == {"row_lengths": (5, 2, 4)}
    told = row_arguments("flash_attention_2", [5, 2, 4])
    assert told["cu_seq_lens_q"].tolist() == told["cu_seq_lens_k"].tolist() == [0, 5, 7, 11]
    assert str(told["cu_seq_lens_q"].dtype) == "torch.int32"
    assert (told["max_length_q"], told["max_length_k"]) == (5, 5)
    assert row_arguments("flex_attention", [5, 2, 4]) == {}


def test_what_a_model_adds_to_softmax_attention_is_refused(base_model: Path) -> None:
    import torch

    from thinkscale.training.attention import sdpa_by_row

    layer = loaded(base_model).model.layers[0].self_attn
    states = torch.zeros(1, 4, 6, 8)
    with pytest.raises(ConfigError, match="adds softcap to its attention"):
        sdpa_by_row(layer, states, states, states, None, row_lengths=(2, 4), softcap=30.0)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"layer_types": ["full_attention", "linear_attention"]}, "has layers of linear_attention"),
        ({"attention_chunk_size": 8192}, "attends within chunks"),
        ({"_attn_implementation": "paged_kernel"}, "by paged_kernel, which is not known"),
    ],
)
def test_models_whose_rows_cannot_be_joined_are_padded_or_refused_by_name(changes: dict[str, Any], reason: str) -> None:
    from thinkscale.training.attention import decide_batching

    text_config = SimpleNamespace(**{"layer_types": None, "_attn_implementation": "sdpa", **changes})
    model = SimpleNamespace(
        config=SimpleNamespace(get_text_config=lambda: text_config), _supports_attention_backend=True
    )
    assert decide_batching(SftSettings(model="m"), model) is Batching.BY_LENGTH
    for asked in (Batching.PACKED, Batching.PADDING_FREE):
        with pytest.raises(ConfigError, match=f"{reason}.*Choose batching by_length or auto, or attention sdpa"):
            decide_batching(SftSettings(model="m", batching=asked), model)


def test_auto_joins_rows_where_that_costs_no_square(base_model: Path) -> None:
    from thinkscale.training.attention import decide_batching

    assert decide_batching(SftSettings(model="m"), loaded(base_model)) is Batching.PACKED
    assert decide_batching(SftSettings(model="m", micro_batch_size=2), loaded(base_model)) is Batching.PADDING_FREE
    assert decide_batching(SftSettings(model="m"), loaded(base_model, "eager")) is Batching.BY_LENGTH
    asked = SftSettings(model="m", batching=Batching.PACKED)
    assert decide_batching(asked, loaded(base_model, "eager")) is Batching.PACKED
    asked = SftSettings(model="m", batching=Batching.SHUFFLED)
    model = loaded(base_model)
    assert decide_batching(asked, model) is Batching.SHUFFLED
    assert model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("batching", [Batching.PACKED, Batching.PADDING_FREE])
def test_the_probe_stops_a_training_whose_attention_ignores_boundaries(
    batching: Batching, base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thinkscale.training import attention

    monkeypatch.setattr(attention, "sdpa_by_row", leaky)
    settings = SftSettings(model=str(base_model), max_length=64, device="cpu", batching=batching)
    steps: list[Any] = []
    with pytest.raises(ConfigError, match=f"batching {batching.value} with attention sdpa_by_row.*sees the one before"):
        train_sft(some_rows(), settings, tmp_path / "out", steps.append)
    assert steps == []
    assert not (tmp_path / "out").exists()


def test_under_auto_such_a_training_pads_instead(
    base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thinkscale.training import attention

    rows = some_rows((5, 4, 40, 33))
    settings = SftSettings(model=str(base_model), max_length=64, device="cpu", epochs=2)
    right = train_sft(rows, settings, tmp_path / "right", lambda _step: None)
    monkeypatch.setattr(attention, "sdpa_by_row", leaky)
    padded = train_sft(rows, settings, tmp_path / "padded", lambda _step: None)
    assert [step.padding for step in right.steps] == [0.0, 0.0]
    assert min(step.padding for step in padded.steps) > 0
    assert [step.loss for step in padded.steps] == pytest.approx([step.loss for step in right.steps], abs=1e-5)
    assert not [text for text in right.remarks if "batching" in text]
    assert [text for text in padded.remarks if "sees the one before it" in text and "batching by_length" in text]


def test_where_auto_pads_because_of_the_model_it_says_so(base_model: Path) -> None:
    from thinkscale.training.attention import why_padded

    auto = SftSettings(model="m")
    model = loaded(base_model)
    assert why_padded(auto, model) == ()
    model.set_attn_implementation("eager")
    assert "by eager, which pays" in why_padded(auto, model)[0]
    assert why_padded(replace(auto, attention="eager"), model) == ()  # as asked for
    model.config.layer_types = ["linear_attention", "full_attention"]
    assert "layers of linear_attention" in why_padded(auto, model)[0]
    assert why_padded(replace(auto, batching=Batching.BY_LENGTH), model) == ()


def test_a_loss_that_is_not_that_of_the_logits_gives_way_under_auto_and_is_refused_if_asked_for(
    base_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As where a model does more after its head than its configuration tells: here the sum is doubled."""
    from thinkscale.training import chunked_loss

    own = chunked_loss.chunked_nll

    def doubled(*arguments: Any) -> Any:
        total, losses = own(*arguments)
        return 2 * total, losses

    rows = some_rows()
    settings = SftSettings(model=str(base_model), max_length=64, device="cpu", epochs=2)
    right = train_sft(rows, replace(settings, loss="full"), tmp_path / "right", lambda _step: None)
    monkeypatch.setattr(chunked_loss, "chunked_nll", doubled)
    with pytest.raises(ConfigError, match=r"loss chunked gives .* where the logits of Qwen2ForCausalLM give"):
        train_sft(rows, replace(settings, loss="chunked"), tmp_path / "out", lambda _step: None)
    found = train_sft(rows, settings, tmp_path / "auto", lambda _step: None)
    assert found.hyperparameters["loss"] == "full"
    assert [text for text in found.remarks if "loss chunked gives" in text and "loss full" in text]
    assert [step.loss for step in found.steps] == [step.loss for step in right.steps]


def test_the_probe_notices_positions_that_run_on(base_model: Path) -> None:
    """Rotary positions are relative, so running on is no fault there; learned ones make another row of it."""
    import torch
    from transformers import GPT2Config, GPT2LMHeadModel

    from thinkscale.training.probe import leak_of, probe_rows

    torch.manual_seed(0)
    model: Any = GPT2LMHeadModel(
        GPT2Config(
            vocab_size=64, n_positions=32, n_embd=32, n_layer=1, n_head=2, resid_pdrop=0, embd_pdrop=0, attn_pdrop=0
        )
    )
    rows = probe_rows(64)

    def logits(some: Any, restart: bool) -> list[Any]:
        found = []
        start = 0
        for row in some:
            ids = torch.tensor([row.input_ids])
            places = torch.arange(len(row))[None] + (0 if restart else start)
            found.append(model(input_ids=ids, position_ids=places).logits[0].detach())
            start += len(row)
        return found

    assert leak_of(lambda some: logits(some, True), *rows, 1e-3) is None
    assert "not as it is alone" in str(leak_of(lambda some: logits(some, False), *rows, 1e-3))
