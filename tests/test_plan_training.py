"""What `plan` says of a training: with rows of the run, without, for this machine and for others."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from thinkscale.commands.plan_training import ASSUMED_UTILIZATION, Machine, TrainingPlan, find_machine, plan_training
from thinkscale.errors import ConfigError
from thinkscale.pipeline import load_recipe
from thinkscale.training.fit import Card
from thinkscale.training.flops import token_weighted_length, training_flops_per_token
from thinkscale.training.memory import GIB

Typed = Callable[..., tuple[int, str, str]]
H100 = Machine(card=Card(name="H100 80GB", memory_gib=79.6), gpus=1)


@pytest.fixture(autouse=True)
def nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No GPU, and an empty cache of the Hub."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr("thinkscale.commands.plan_training.card_here", lambda: None)


def planned(
    recipe: str, *overrides: str, machine: Machine = H100, is_selected: bool = False, folder: Path = Path()
) -> TrainingPlan:
    loaded = load_recipe(recipe, overrides)
    assert loaded.recipe.train
    return plan_training(loaded, loaded.recipe.train, folder, machine, is_selected=is_selected)


def test_the_papers_training_has_315_steps_and_fits_16_gpus_but_not_8_of_40_gb(typed: Typed) -> None:
    code, text, _ = typed("plan", "s1-32b", "--device", "H100 80GB", "--gpus", "16")
    assert code == 0
    assert "315 steps of 16 rows" in text
    assert "at most 32,768 tokens a pass and 1 pass a step" in text
    assert "of the 79.6 of H100 80GB: fits" in text
    code, text, _ = typed("plan", "s1-32b", "--device", "A100 40GB", "--gpus", "8")
    assert code == 1, "a script stops here"
    assert "of the 39.4 of A100 40GB: DOES NOT FIT" in text
    assert "what would fit, the cheapest first:\n" in text
    assert "--set train.lora.rank=16 --set train.processes=16" in text


def test_json_has_the_same_in_numbers(typed: Typed) -> None:
    code, text, _ = typed("plan", "s1-3b", "--json", "--device", "NVIDIA H100 80GB HBM3")
    assert code == 0
    (row,) = [stage for stage in json.loads(text)["stages"] if stage["stage"] == "train"]
    found = row["training"]
    assert (found["steps"], found["rows"], found["parameters"]) == (315, 1000, 3_085_938_688)
    assert found["peak_bytes"] == sum(found["peak_parts"].values()) + found["reserve"]
    assert found["peak_parts"]["weights"] == 4 * 3_085_938_688
    assert found["fits"] is True
    assert found["remedies"] == []
    assert found["seconds"] == pytest.approx(found["flops"] / (989.4e12 * ASSUMED_UTILIZATION))
    assert f"{found['peak_bytes'] / GIB:8.2f} GiB  in all" in row["training_text"]


def test_rows_that_are_not_there_yet_are_taken_to_be_s1ks_and_the_pass_as_long_as_it_may_be() -> None:
    plan = planned("s1-32b")
    assert "assumed to be as long as s1K's" in plan.rows.source
    assert sum(plan.rows.lengths) == pytest.approx(5_200_000, rel=0.01)
    over = sum(length > 4096 for length in plan.rows.lengths)
    assert 0.68 < over / 1000 < 0.78, "74% of s1K's rows were cut at 4,096"
    assert plan.largest_pass_tokens == 32768
    by_hand = training_flops_per_token(plan.shape, token_weighted_length(plan.rows.lengths))
    assert plan.flops == pytest.approx(by_hand * sum(plan.rows.lengths) * 5)


def test_passes_are_those_of_a_step() -> None:
    assert planned("s1-3b").passes == 16, "one row at a time"
    assert planned("s1-3b", machine=Machine(card=H100.card, gpus=4)).passes == 4
    assert planned("s1-3b", "train.micro_batch_size=null", "train.max_length=6000").passes > 10


def test_changes_that_are_set_change_the_verdict() -> None:
    wide = planned("s1-3b", "train.activation_checkpointing=false", "train.max_length=32768")
    assert wide.is_fitting is False
    changes = [part for said in wide.remedies[0].changes for part in said.split()]
    mended = planned("s1-3b", "train.activation_checkpointing=false", "train.max_length=32768", *changes)
    assert mended.is_fitting is True
    assert mended.memory.total == wide.remedies[0].total


def test_without_a_gpu_there_is_no_verdict_and_no_time(typed: Typed) -> None:
    code, text, _ = typed("plan", "s1-3b")
    assert code == 0
    assert "no GPU here to hold it against: name one with --device" in text
    assert "tokens a second" not in text
    assert planned("s1-3b", machine=Machine(card=None, gpus=1)).is_fitting is None


def test_a_student_of_unknown_size_is_said_to_be_so(typed: Typed) -> None:
    code, text, _ = typed("plan", "s1-3b", "--set", "student.model=nobody/nothing")
    assert code == 0
    assert "memory and time are not known: the size of nobody/nothing is not known" in text


def test_a_device_is_looked_up_or_described() -> None:
    assert find_machine("H200", None, None).card == Card(name="H200", memory_gib=140.4)
    assert find_machine("Blaster 9", 48.0, 2) == Machine(card=Card(name="Blaster 9", memory_gib=48.0), gpus=2)
    assert find_machine(None, 48.0, 4).card == Card(name="a GPU", memory_gib=48.0)
    assert find_machine(None, None, 3) == Machine(card=None, gpus=3)
    with pytest.raises(ConfigError, match=r"--device Blaster 9 is not known .*--gpu-memory-gib"):
        find_machine("Blaster 9", None, None)


def test_an_unknown_device_is_the_callers_mistake(typed: Typed) -> None:
    code, _, said = typed("plan", "s1-3b", "--device", "Blaster 9")
    assert code == 2
    assert "--device Blaster 9 is not known" in said


def test_gpus_that_cannot_share_the_batch_hide_no_other_stage(typed: Typed) -> None:
    code, text, _ = typed("plan", "s1-3b", "--device", "H100 80GB", "--gpus", "3")
    assert code == 0
    assert "memory and time are not known: an effective batch of 16 rows cannot be made of 3 processes" in text
    assert "trajectories" in text


def test_a_runs_own_rows_are_tokenized(tmp_path: Path, typed: Typed) -> None:
    from thinkscale.commands.run import run

    small = ("collect.sources.0.size=60", "select.count=8", "select.sampler=random", "train.effective_batch_size=4")
    run("lab", tmp_path / "run", small, until="select", quiet=True)
    words = [word for part in small for word in ("--set", part)]
    code, text, _ = typed("plan", "lab", "--out", tmp_path / "run", *words, "--json")
    assert code == 0
    (row,) = [stage for stage in json.loads(text)["stages"] if stage["stage"] == "train"]
    found = row["training"]
    assert found["rows_are"] == "this run's rows, tokenized as they will be"
    assert (found["rows"], found["steps"]) == (8, 10)
    plan = planned("lab", *small, is_selected=True, folder=tmp_path / "run")
    assert found["epoch_tokens"] == sum(plan.rows.lengths)
    assert max(plan.rows.lengths) <= found["largest_pass_tokens"] <= 512
    limit = max(plan.rows.lengths) - 1
    over = sum(length > limit for length in plan.rows.lengths)
    limits = (*small, f"train.max_length={limit}")
    refused = planned("lab", *limits, is_selected=True, folder=tmp_path / "run")
    assert f"; {over} are over the {limit:,} of max_length: the training refuses them" in refused.rows.source
    dropped = planned("lab", *limits, "train.over_length=drop", is_selected=True, folder=tmp_path / "run")
    assert len(dropped.rows.lengths) == 8 - over
    with pytest.raises(ConfigError, match="no row has at most 16 tokens"):
        planned(
            "lab", *small, "train.max_length=16", "train.over_length=drop", is_selected=True, folder=tmp_path / "run"
        )


def test_without_the_tokenizer_rows_are_counted_by_characters(tmp_path: Path) -> None:
    from thinkscale.commands.run import run
    from thinkscale.records import Example
    from thinkscale.store.run import RunDirectory

    small = ("collect.sources.0.size=60", "select.count=8", "select.sampler=random")
    run("lab", tmp_path / "run", small, until="select", quiet=True)
    plan = planned("lab", *small, "student.model=Qwen/Qwen2.5-3B", is_selected=True, folder=tmp_path / "run")
    with RunDirectory.read(tmp_path / "run") as made:
        first = next(iter(made.rows(Example, "select")))
    characters = sum(len(turn.content) + len(turn.thinking or "") for turn in first.messages)
    assert plan.rows.lengths[0] == round(characters / 3)
    assert "a token taken to be 3 characters" in plan.rows.source
    assert plan.largest_pass_tokens == 512, "estimated lengths bound no pass"
