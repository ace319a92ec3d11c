"""Two processes over gloo, with shards (FSDP2) or copies (DDP): the curve, the weights and the memory of each.

One start of torchrun makes all trainings; what one process makes of the same rows is made here.
"""

import json
import os
import pickle
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.training.conftest import VOCABULARY
from thinkscale.errors import ConfigError, StageError
from thinkscale.records import to_row
from thinkscale.training.output import MARKER
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import SftResult, train_sft
from thinkscale.training.tokens import TrainingRow, build_row

pytest.importorskip("trl", reason="needs the extra `train`")

pytestmark = [pytest.mark.lab, pytest.mark.timeout(600)]  # two processes load what one does, on the same cores

LOSS = 1e-5
"""How far losses of the same step may be apart: sums are added up in another order."""
WEIGHT = 2e-4
"""How far weights may be apart after 6 steps at a learning rate of 1e-2, 0.02 of a step: AdamW divides by the root of a
mean square, which magnifies the last digits of small gradients."""


def settings_of(model: Path) -> dict[str, SftSettings]:
    """22 rows of which 2 are held out: batches of 8, 8 and 4 rows, in each of 2 epochs."""
    base = SftSettings(
        model=str(model),
        epochs=2,
        effective_batch_size=8,
        learning_rate=1e-2,
        max_length=64,
        held_out_rows=2,
        evaluate_every_steps=2,
        device="cpu",
    )
    return {
        "sharded": base,
        "copied": replace(base, sharding=False),
        "recomputed": replace(base, activation_checkpointing=True, micro_batch_size=1),
        "adapted": replace(base, lora=Lora(rank=4)),
        "autocast": replace(base, dtype="bfloat16"),
        "narrow": replace(base, dtype="bfloat16", weights="bfloat16"),
        "narrow_adapted": replace(base, dtype="bfloat16", weights="bfloat16", lora=Lora(rank=4)),
    }


@pytest.fixture(scope="module")
def rows() -> tuple[TrainingRow, ...]:
    """22 rows of 8 to 30 tokens."""
    made = []
    for index in range(22):
        ids = [3 + (7 * index + 5 * place * (1 + index % 3)) % (VOCABULARY - 3) for place in range(8 + index)]
        made.append(build_row(f"p{index}", ids[:4], [*ids[4:], 2]))
    return tuple(made)


Facts = Mapping[str, tuple[dict[str, Any], dict[str, Any]]]


@pytest.fixture(scope="module")
def together(base_model: Path, rows: tuple[TrainingRow, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what two processes made, and what each saw."""
    folder = tmp_path_factory.mktemp("together")
    cases = {name: (rows, settings) for name, settings in settings_of(base_model).items()}
    (folder / "cases.pickle").write_bytes(pickle.dumps(cases))
    command = [
        *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--local-addr", "127.0.0.1"),
        *("--nproc-per-node", "2", "-m", "tests.training.rank_trainings", str(folder)),
    ]
    done = subprocess.run(
        command, env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=500, check=False
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return folder


def facts(together: Path, name: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """What the first and the second process saw."""
    first, second = (json.loads((together / f"{name}-{rank}.json").read_text()) for rank in range(2))
    return first, second


@pytest.fixture(scope="module")
def alone(
    base_model: Path, rows: tuple[TrainingRow, ...], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, SftResult]:
    """What one process makes."""
    folder = tmp_path_factory.mktemp("alone")
    return {
        name: train_sft(rows, settings, folder / name, lambda _step: None)
        for name, settings in settings_of(base_model).items()
        if name in ("sharded", "adapted", "autocast", "narrow", "narrow_adapted")
    }


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")


def furthest(first: Path, second: Path) -> float:
    """The largest difference between two models' weights; they have the same names."""
    left, right = weights(first), weights(second)
    assert sorted(left) == sorted(right)
    return max(float((left[name].double() - right[name].double()).abs().max()) for name in left)


@pytest.mark.parametrize("name", ["sharded", "copied", "recomputed", "adapted"])
def test_two_processes_make_the_steps_and_the_model_of_one(
    name: str, together: Path, alone: dict[str, SftResult]
) -> None:
    first, second = facts(together, name)
    expected = alone["adapted" if name == "adapted" else "sharded"]
    assert second["steps"] == second["held_out"] == []  # the first process alone reports
    assert [step["num_tokens"] for step in first["steps"]] == [step.num_tokens for step in expected.steps]
    for found, wanted in zip(first["steps"], map(to_row, expected.steps), strict=True):
        for field in ("step", "epoch", "learning_rate", "num_trained_tokens"):
            assert found[field] == wanted[field]
        assert found["loss"] == pytest.approx(wanted["loss"], abs=LOSS)
        assert found["gradient_norm"] == pytest.approx(wanted["gradient_norm"], rel=1e-4)
    for found, wanted in zip(first["held_out"], map(to_row, expected.held_out), strict=True):
        assert (found["step"], found["num_rows"]) == (wanted["step"], wanted["num_rows"])
        assert found["loss"] == pytest.approx(wanted["loss"], abs=LOSS)
    assert furthest(together / name, expected.out) < WEIGHT


@pytest.mark.parametrize("name", ["sharded", "recomputed", "adapted", "autocast", "narrow", "narrow_adapted"])
def test_shards_are_shards_and_halve_what_a_process_holds(name: str, together: Path) -> None:
    both = facts(together, name)
    for seen in both:
        assert seen["kind"] == "FSDP"
        assert seen["num_sharded"] == seen["num_trained"] > 0
    total = sum(seen["weight_bytes"] for seen in both)
    for seen in both:
        assert seen["weight_bytes"] == pytest.approx(total / 2, rel=0.02)
        assert seen["moment_bytes"] == 2 * seen["weight_bytes"]  # of AdamW, in the type of the weights
    size = 2 if name == "narrow" else 4
    if "adapted" not in name:
        # 64 x 32 embedding; 2 layers of q, o 32 x 32 (q with bias), k, v 32 x 16 with bias, 3 x 32 x 64, two norms
        assert total == size * (64 * 32 + 2 * (2 * 32 * 32 + 32 + 2 * (32 * 16 + 16) + 3 * 32 * 64 + 2 * 32) + 32)


def test_copies_are_whole_in_each_process(together: Path) -> None:
    for name in ("sharded", "copied"):
        account = json.loads((together / name / MARKER).read_text())
        assert account["hyperparameters"]["sharded"] is (name == "sharded")
    for seen, sharded in zip(facts(together, "copied"), facts(together, "sharded"), strict=True):
        assert (seen["kind"], seen["num_sharded"]) == ("MULTI_CPU", 0)
        assert seen["weight_bytes"] == sum(found["weight_bytes"] for found in facts(together, "sharded"))
        assert seen["moment_bytes"] > 1.9 * sharded["moment_bytes"]


def test_activations_are_recomputed_layer_by_layer(together: Path) -> None:
    assert facts(together, "recomputed")[0]["num_checkpointed"] == 2
    assert facts(together, "sharded")[0]["num_checkpointed"] == 0


@pytest.mark.parametrize("name", ["autocast", "narrow", "narrow_adapted"])
def test_in_bfloat16_two_processes_learn_what_one_does(name: str, together: Path, alone: dict[str, SftResult]) -> None:
    """Shards compute in bfloat16 throughout, where autocast of one process keeps norms in float32."""
    first, _ = facts(together, name)
    found = [step["loss"] for step in first["steps"]]
    wanted = [step.loss for step in alone[name].steps]
    assert found == pytest.approx(wanted, rel=0.02)
    assert found[-1] < found[0]


def test_the_published_model_has_the_type_of_the_weights(together: Path) -> None:
    for name in ("sharded", "copied", "adapted", "autocast"):
        assert {str(weight.dtype) for weight in weights(together / name).values()} == {"torch.float32"}, name
    assert {str(weight.dtype) for weight in weights(together / "narrow").values()} == {"torch.bfloat16"}


def test_a_whole_model_where_shards_were_asked_for_is_an_error(base_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    from thinkscale.training.sharding import assert_sharded

    model = AutoModelForCausalLM.from_pretrained(base_model)
    with pytest.raises(StageError, match=r"26 trained weights are not sharded, model.embed_tokens.weight among them"):
        assert_sharded(model)


def test_eight_bit_optimizers_are_refused_with_shards_alone() -> None:
    from thinkscale.training.sharding import sharding_arguments

    settings = SftSettings(model="m", optimizer="paged_adamw_8bit")
    with pytest.raises(ConfigError, match="optimizer paged_adamw_8bit does not work on the shards of 4 processes"):
        sharding_arguments(settings, 4)
    assert sharding_arguments(settings, 1) == {}
    assert sharding_arguments(replace(settings, sharding=False), 4) == {}


def test_gradients_of_shards_are_added_in_float32_at_once(tmp_path: Path) -> None:
    import torch
    from trl.trainer.sft_config import SFTConfig

    from thinkscale.training.sharding import prepare_sharding, sharding_arguments

    settings = SftSettings(model="m", dtype="bfloat16", activation_checkpointing=True)
    given = sharding_arguments(settings, 2)
    config: Any = SFTConfig(output_dir=str(tmp_path), bf16=True, use_cpu=True, **given)
    from accelerate.state import AcceleratorState  # type: ignore[import-untyped]

    try:
        prepare_sharding(config)
        policy = config.fsdp_plugin_args["mixed_precision_policy"]
        assert (policy.param_dtype, policy.reduce_dtype) == (torch.bfloat16, torch.float32)
        assert config.fsdp_plugin_args["activation_checkpointing"] is True
        assert config.activation_checkpointing is False
        assert config.accelerator_config.gradient_accumulation_kwargs == {"sync_each_batch": True}
    finally:
        AcceleratorState._reset_state(reset_partial_state=True)
