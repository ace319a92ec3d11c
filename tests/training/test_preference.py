"""DPO and SimPO: the losses of the papers, the same however a step is divided, and after any end."""

import json
import math
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.training.preferring import ignore, load, losses_by_hand, random_pairs, reference_of, train_by_hand
from tests.training.test_sft import weights
from thinkscale.errors import ConfigError, DataError, StageError
from thinkscale.records import Step
from thinkscale.training.batches import plan_batches
from thinkscale.training.output import MARKER
from thinkscale.training.preference import train_preference
from thinkscale.training.preference_settings import DPO_LOSSES, SORTED, Method, PreferenceSettings, check_preference
from thinkscale.training.settings import Batching, Lora, Schedule
from thinkscale.training.starting import Checkpoints

pytestmark = pytest.mark.lab

KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.training.preferring import random_pairs
from thinkscale.training.preference import train_preference
from thinkscale.training.preference_settings import Method, PreferenceSettings
from thinkscale.training.starting import Checkpoints

def kill(step):
    if step.step == 5:
        os.kill(os.getpid(), signal.SIGKILL)

folder, settings = Path(sys.argv[1]), json.loads(sys.argv[2])
settings = PreferenceSettings(**{**settings, "method": Method(settings["method"])})
train_preference(random_pairs(20), settings, folder / "out", kill,
                 checkpoints=Checkpoints(folder=folder / "checkpoints", every_steps=2))
"""


@pytest.fixture
def dpo(base_model: Path) -> PreferenceSettings:
    return PreferenceSettings(
        model=str(base_model),
        method=Method.DPO,
        beta=0.1,
        epochs=3,
        effective_batch_size=8,
        learning_rate=3e-3,
        lr_scheduler=Schedule.CONSTANT,
        warmup_ratio=0.0,
        max_length=64,
        device="cpu",
    )


@pytest.fixture
def simpo(dpo: PreferenceSettings) -> PreferenceSettings:
    return replace(dpo, method=Method.SIMPO, beta=2.0, gamma=0.3)


@pytest.fixture(params=["dpo", "simpo"])
def settings(request: pytest.FixtureRequest) -> PreferenceSettings:
    found: PreferenceSettings = request.getfixturevalue(request.param)
    return found


@pytest.mark.parametrize(
    ("fixture", "changes"),
    [
        ("dpo", {}),
        ("dpo", {"beta": 0.5, "sft_weight": 0.2}),
        ("dpo", {"loss_type": "ipo"}),
        ("simpo", {}),
        ("simpo", {"beta": 5.0, "gamma": 1.5, "sft_weight": 1.0}),
    ],
)
def test_losses_gradients_and_rewards_are_those_of_a_loop_written_by_hand(
    fixture: str, changes: dict[str, Any], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """Three steps over all pairs at once: the second and third see weights that the first has moved."""
    rows = random_pairs(7)
    settings = replace(request.getfixturevalue(fixture), effective_batch_size=7, **changes)
    ours = train_preference(rows, settings, tmp_path / "out", ignore)
    by_hand = train_by_hand(Path(settings.model), rows, settings, 3)
    for step, wanted in zip(ours.steps, by_hand, strict=True):
        assert step.loss == pytest.approx(wanted.loss, abs=1e-5)
        assert step.gradient_norm == pytest.approx(wanted.gradient_norm, rel=1e-4)
        assert step.chosen_reward == pytest.approx(wanted.chosen, abs=1e-4)
        assert step.rejected_reward == pytest.approx(wanted.rejected, abs=1e-4)


def test_dpo_begins_at_log_2_and_sees_no_difference_to_its_reference(dpo: PreferenceSettings, tmp_path: Path) -> None:
    first = train_preference(random_pairs(8), dpo, tmp_path / "out", ignore).steps[0]
    assert first.loss == pytest.approx(math.log(2), abs=1e-6)
    assert [first.chosen_reward, first.rejected_reward] == pytest.approx([0, 0], abs=1e-5)


def test_sky_t1s_numbers_give_the_loss_of_llama_factory_and_of_princeton(simpo: PreferenceSettings) -> None:
    """beta 2.0, gamma 0.3: LLaMA-Factory subtracts gamma / beta; princeton-nlp is given that ratio, 0.15."""
    import torch

    from thinkscale.training.preference_losses import ReplyLogProbs, simpo_losses

    found = ReplyLogProbs(*(torch.tensor([value]) for value in (-6.0, -10.0, 4.0, 5.0)))
    (loss,) = simpo_losses(found, 2.0, 0.3)[0].tolist()
    # means -1.5 and -2.0: 2 * 0.5 - 0.3 = 0.7
    assert loss == pytest.approx(math.log1p(math.exp(-0.7)), abs=1e-6)
    assert loss == pytest.approx(math.log1p(math.exp(-2.0 * (0.5 - 0.3 / 2.0))), abs=1e-6)
    assert loss == pytest.approx(math.log1p(math.exp(-2.0 * (0.5 - 0.15))), abs=1e-6)


def test_simpo_is_trls_to_1e_5_with_its_gradient(simpo: PreferenceSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """TRL keeps it among the experimental trainers: its own log-probabilities and loss on a padded batch."""
    import torch
    from trl.trainer.utils import add_fused_lm_head

    from thinkscale.training.pair_passes import PairArrays, reply_tokens
    from thinkscale.training.preference_losses import reply_log_probs, simpo_losses

    monkeypatch.setenv("TRL_EXPERIMENTAL_SILENCE", "1")
    from trl.experimental.cpo import CPOTrainer

    rows = random_pairs(6)
    ours = load(Path(simpo.model))
    add_fused_lm_head(ours, outputs=("log_probs",))
    tensors = PairArrays(rows).tensors(tuple(range(6)), Batching.BY_LENGTH, "sdpa")
    loss = simpo_losses(reply_log_probs(reply_tokens(ours, tensors)), simpo.beta, simpo.gamma)[0].mean()
    loss.backward()  # type: ignore[no-untyped-call]
    theirs = load(Path(simpo.model))
    both = [ids for side in (0, 1) for ids in (row.sequences[side] for row in rows)]
    width = max(len(ids) for ids in both)
    batch = torch.tensor([[*ids, *[1] * (width - len(ids))] for ids in both])
    labels = torch.full_like(batch, -100)
    for line, (ids, row) in enumerate(zip(both, rows * 2, strict=True)):
        labels[line, len(row.prompt_ids) : len(ids)] = batch[line, len(row.prompt_ids) : len(ids)]
    mask = torch.tensor([[1] * len(ids) + [0] * (width - len(ids)) for ids in both])
    logits = theirs(input_ids=batch, attention_mask=mask).logits
    trainer: Any = CPOTrainer
    means = trainer.get_batch_logps(logits, labels, average_log_prob=True, is_encoder_decoder=False)
    asked = SimpleNamespace(
        beta=simpo.beta,
        simpo_gamma=simpo.gamma,
        loss_type="simpo",
        label_smoothing=0.0,
        alpha=0.0,
        accelerator=SimpleNamespace(device="cpu"),
    )
    wanted = trainer.cpo_loss(asked, *means.chunk(2))[0].mean()
    wanted.backward()
    assert loss.item() == pytest.approx(wanted.item(), abs=1e-5)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(mine.grad, other.grad, atol=1e-5)


def curve(result: Any) -> list[tuple[float, float, float, float]]:  # noqa: ANN401 - a PreferenceResult
    return [(step.loss, step.gradient_norm, step.chosen_reward, step.rejected_reward) for step in result.steps]


@pytest.mark.parametrize(
    "division",
    [
        {"micro_batch_size": 1},
        {"micro_batch_size": 4, "batching": Batching.BY_LENGTH},
        {"micro_batch_size": 2, "batching": Batching.SHUFFLED},
        {"batching": Batching.PACKED, "micro_batch_tokens": 60},
        {"activation_checkpointing": True},
        {"attention": "eager", "batching": Batching.BY_LENGTH},
    ],
    ids=str,
)
def test_the_curve_does_not_depend_on_how_a_step_is_divided(
    settings: PreferenceSettings, division: dict[str, Any], tmp_path: Path
) -> None:
    """20 pairs in steps of 8 leave a short step of 4; TRL's mean of means would weigh its pairs otherwise."""
    rows = random_pairs(20)
    whole = train_preference(rows, replace(settings, batching=Batching.PADDING_FREE), tmp_path / "whole", ignore)
    divided = train_preference(rows, replace(settings, **division), tmp_path / "divided", ignore)
    assert len(whole.steps) == 9
    for one, other in zip(curve(whole), curve(divided), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=1e-5)
    assert [step.num_tokens for step in whole.steps] == [step.num_tokens for step in divided.steps]
    assert sum(step.num_tokens for step in whole.steps) == 3 * sum(row.num_tokens for row in rows)
    assert sum(step.num_trained_tokens for step in whole.steps) == 3 * sum(row.num_trained for row in rows)


def test_pairs_behind_each_other_have_no_padding_and_padded_ones_say_how_much(
    simpo: PreferenceSettings, tmp_path: Path
) -> None:
    rows = random_pairs(8)
    joined = train_preference(rows, simpo, tmp_path / "joined", ignore).steps[0]
    padded = train_preference(rows, replace(simpo, batching=Batching.SHUFFLED), tmp_path / "padded", ignore).steps[0]
    assert joined.padding == 0
    computed = 16 * max(len(row) for row in rows)
    assert padded.padding == pytest.approx(1 - sum(row.num_tokens for row in rows) / computed)


@pytest.mark.parametrize("killed_at", [1, 3, 5])
def test_a_killed_run_continues_to_identical_weights(
    settings: PreferenceSettings, killed_at: int, tmp_path: Path
) -> None:
    rows = random_pairs(20)
    settings = replace(settings, held_out_rows=4, evaluate_every_steps=2, effective_batch_size=6)
    undisturbed = train_preference(rows, settings, tmp_path / "undisturbed", ignore)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: Step) -> None:
        if step.step == killed_at:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_preference(rows, settings, tmp_path / "out", stop, checkpoints=checkpoints)
    resumed = train_preference(rows, settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    assert resumed.resumed_from_step == (killed_at - 1) // 2 * 2
    assert (resumed.steps, resumed.held_out) == (undisturbed.steps, undisturbed.held_out)
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.slow
def test_a_process_killed_outright_is_continued_by_another(settings: PreferenceSettings, tmp_path: Path) -> None:
    plain = {
        "method": settings.method.value,
        **{name: getattr(settings, name) for name in ("model", "beta", "gamma", "epochs", "effective_batch_size")},
        **{name: getattr(settings, name) for name in ("learning_rate", "warmup_ratio", "max_length", "device")},
    }
    command = [sys.executable, "-c", KILLED, str(tmp_path), json.dumps(plain)]
    assert subprocess.run(command, check=False, cwd=Path(__file__).parents[2]).returncode == -signal.SIGKILL
    settings = replace(settings, lr_scheduler=Schedule.COSINE)
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)
    resumed = train_preference(random_pairs(20), settings, tmp_path / "out", ignore, checkpoints=checkpoints)
    assert resumed.resumed_from_step == 4
    undisturbed = train_preference(random_pairs(20), settings, tmp_path / "undisturbed", ignore)
    assert resumed.steps == undisturbed.steps
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")


def test_a_reference_that_is_gone_cannot_be_made_from_a_policy_that_has_moved(
    dpo: PreferenceSettings, tmp_path: Path
) -> None:
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=2)

    def stop(step: Step) -> None:
        if step.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_preference(random_pairs(20), dpo, tmp_path / "out", stop, checkpoints=checkpoints)
    (reference,) = checkpoints.folder.glob("*/reference.jsonl")
    reference.write_text(reference.read_text()[:-20])
    with pytest.raises(StageError, match="lacks the reference of 1 passes, and the training has begun"):
        train_preference(random_pairs(20), dpo, tmp_path / "out", ignore, checkpoints=checkpoints)


def test_a_reference_that_was_begun_is_gone_on_with(dpo: PreferenceSettings, tmp_path: Path) -> None:
    """A kill in the middle of a line: what was written whole is not computed again."""
    import torch

    from thinkscale.training.reference import reference_log_probs

    path, seen = tmp_path / "reference.jsonl", []
    accelerator = SimpleNamespace(process_index=0, num_processes=1, is_main_process=True)

    def scores(pairs: tuple[int, ...]) -> tuple[Any, Any]:
        seen.append(pairs)
        return torch.tensor([-1.0 - pair for pair in pairs]), torch.tensor([-0.1 * pair for pair in pairs])

    passes = [(2, 0), (1,)]
    first = reference_log_probs("trained", passes, scores, path, accelerator, has_begun=False)
    path.write_text(path.read_text()[:-3])
    again = reference_log_probs("trained", passes, scores, path, accelerator, has_begun=False)
    assert seen == [(2, 0), (1,), (1,)]
    assert torch.equal(first, again)
    assert again.tolist() == [[-1.0, 0.0], [-2.0, pytest.approx(-0.1)], [-3.0, pytest.approx(-0.2)]]


@pytest.mark.parametrize("lora", [None, Lora(rank=4, alpha=8.0)], ids=["all weights", "adapters"])
def test_one_model_is_loaded_and_no_second(
    settings: PreferenceSettings, lora: Lora | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import transformers

    loaded = []
    whole = transformers.AutoModelForCausalLM.from_pretrained

    def counting(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - transformers' own
        loaded.append(arguments)
        return whole(*arguments, **named)

    monkeypatch.setattr(transformers.AutoModelForCausalLM, "from_pretrained", counting)
    settings = replace(settings, lora=lora, epochs=6, learning_rate=1e-2)
    result = train_preference(random_pairs(16), settings, tmp_path / "out", ignore)
    assert len(loaded) == 1
    first, last = result.steps[0], result.steps[-1]
    assert last.loss < first.loss
    assert margin(last) > margin(first)
    model = load(tmp_path / "out")
    assert {name for name, _ in model.named_parameters()} == {
        name for name, _ in load(Path(settings.model)).named_parameters()
    }


def margin(step: Any) -> float:  # noqa: ANN401 - a Step or a HeldOut
    return float(step.chosen_reward - step.rejected_reward)


def test_held_out_pairs_are_measured_before_during_and_after(settings: PreferenceSettings, tmp_path: Path) -> None:
    rows = [replace(row, problem_id=f"p{number // 2}") for number, row in enumerate(random_pairs(16))]
    settings = replace(settings, held_out_rows=4, effective_batch_size=4, evaluate_every_steps=2, micro_batch_size=2)
    seen: list[Any] = []
    result = train_preference(rows, settings, tmp_path / "out", ignore, on_held_out=seen.append)
    assert tuple(seen) == result.held_out
    assert [item.step for item in result.held_out] == [0, 2, 4, 6, 8, 9]
    held = {fate.problem_id for fate in result.fates if fate.reason == "held_out"}
    assert len(held) == 2
    of_held = [row for row in rows if row.problem_id in held]
    model = load(Path(settings.model))
    loss, chosen, rejected = losses_by_hand(model, of_held, settings, reference_of(model, of_held))
    before = result.held_out[0]
    assert (before.num_rows, before.token_accuracy) == (4, None)
    assert before.loss == pytest.approx(loss.item(), abs=1e-5)
    assert before.chosen_reward == pytest.approx(sum(chosen) / 4, abs=1e-4)
    assert before.rejected_reward == pytest.approx(sum(rejected) / 4, abs=1e-4)


@pytest.mark.slow
def test_the_logits_of_a_pass_never_stand_whole(simpo: PreferenceSettings, tmp_path: Path) -> None:
    """The largest tensor of forward and backward, under a vocabulary that dwarfs everything else."""
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode
    from transformers import Qwen2Config, Qwen2ForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    from thinkscale.training.pair_passes import PairArrays, reply_tokens
    from thinkscale.training.preference_losses import reply_log_probs, simpo_losses

    class Largest(TorchDispatchMode):  # type: ignore[no-untyped-call]
        elements = 0

        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401
            found = func(*args, **(kwargs or {}))
            for item in found if isinstance(found, (list, tuple)) else [found]:
                if isinstance(item, torch.Tensor):
                    self.elements = max(self.elements, item.numel())
            return found

    vocabulary, rows = 131_072, random_pairs(40)
    config = Qwen2Config(
        vocab_size=vocabulary, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=64,
    )  # fmt: skip
    model = Qwen2ForCausalLM(config)
    add_fused_lm_head(model, outputs=("log_probs",))
    tensors = PairArrays(rows).tensors(tuple(range(40)), Batching.BY_LENGTH, "sdpa")
    with Largest() as largest:  # type: ignore[no-untyped-call]
        losses, _, _ = simpo_losses(reply_log_probs(reply_tokens(model, tensors)), 2.0, 0.3)
        losses.sum().backward()  # type: ignore[no-untyped-call]
    whole = tensors["inputs"]["input_ids"].numel() * vocabulary
    assert whole > 300_000_000
    assert largest.elements < whole / 3


def test_training_json_says_method_and_pairs(settings: PreferenceSettings, tmp_path: Path) -> None:
    rows = random_pairs(16)
    train_preference(rows, settings, tmp_path / "out", ignore)
    account = json.loads((tmp_path / "out" / MARKER).read_text())
    assert (account["method"], account["beta"], account["num_pairs"]) == (settings.method.value, settings.beta, 16)
    assert account["num_tokens"] == sum(row.num_tokens for row in rows)
    assert ("gamma" in account, "loss_type" in account) == (
        settings.method is Method.SIMPO,
        settings.method is Method.DPO,
    )


@pytest.mark.parametrize("loss", sorted(set(DPO_LOSSES) - {"sigmoid", "ipo"}))
def test_every_other_loss_of_trl_trains(loss: str, dpo: PreferenceSettings, tmp_path: Path) -> None:
    smoothing = 0.1 if loss in ("robust", "exo_pair") else 0.0
    settings = replace(dpo, loss_type=loss, label_smoothing=smoothing, learning_rate=1e-3)
    if loss in SORTED:
        settings = replace(settings, micro_batch_size=settings.effective_batch_size)
    result = train_preference(random_pairs(8), settings, tmp_path / "out", ignore)
    assert result.steps[-1].loss < result.steps[0].loss


@pytest.mark.parametrize(
    ("fixture", "changes", "message"),
    [
        ("dpo", {"beta": 0.0}, "beta is 0.0; it must be above 0"),
        ("simpo", {"gamma": -0.1}, "gamma is -0.1; it must be at least 0"),
        ("simpo", {"sft_weight": math.nan}, "beta"),
        ("dpo", {"gamma": 0.3}, "the target margin is SimPO's"),
        ("dpo", {"loss_type": "simpo"}, "there is no DPO loss 'simpo'; there are sigmoid, ipo"),
        ("dpo", {"label_smoothing": 0.1}, "the loss sigmoid has none; choose loss_type robust"),
        ("dpo", {"loss_type": "exo_pair"}, "above 0.0"),
        ("dpo", {"loss_type": "robust", "label_smoothing": 0.5}, "below 0.5"),
        ("dpo", {"loss_type": "aot", "micro_batch_size": 4}, "a step must be one forward pass"),
        ("dpo", {"loss_type": "aot"}, "a step must be one forward pass"),  # packed: passes of max_length tokens
        ("dpo", {"loss_type": "aot", "micro_batch_size": 8, "micro_batch_tokens": 64}, "no micro_batch_tokens"),
        ("dpo", {"loss_type": "aot", "micro_batch_size": 8, "batching": Batching.PACKED}, "other than packed"),
        ("simpo", {"loss_type": "ipo"}, "SimPO has one loss"),
        ("simpo", {"label_smoothing": 0.5}, "below 0.5"),
        ("simpo", {"lora": Lora(dropout=0.1)}, "lora.dropout has no effect"),
        ("simpo", {"lora": Lora(targets=("lm_head",))}, "lm_head"),
        ("simpo", {"held_out_rows": 20}, "one must be trained on"),
    ],
)
def test_settings_that_cannot_be_met_are_named(
    fixture: str, changes: dict[str, Any], message: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as caught:
        train_preference(random_pairs(20), replace(request.getfixturevalue(fixture), **changes), tmp_path / "o", ignore)
    assert message in str(caught.value)
    assert not list(tmp_path.iterdir())


def test_pairs_that_do_not_fit_are_refused_before_a_model_is_loaded(simpo: PreferenceSettings, tmp_path: Path) -> None:
    rows = random_pairs(20)
    with pytest.raises(DataError, match="of 20 pairs are longer than max_length 16"):
        train_preference(rows, replace(simpo, max_length=16), tmp_path / "out", ignore)
    check_preference(simpo, plan_batches(8, None, 1))


def test_importing_the_module_loads_neither_torch_nor_trl() -> None:
    code = "import sys, thinkscale.training.preference; print([m for m in ('torch', 'trl') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
