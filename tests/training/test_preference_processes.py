"""Preference training in two processes over gloo: the curve, the margins and the weights of one process."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.preferring import ignore, random_pairs
from tests.training.test_preference import curve
from tests.training.test_sharding import WEIGHT, furthest
from thinkscale.training.launch import trained_on
from thinkscale.training.preference import train_preference
from thinkscale.training.preference_settings import Method, PreferenceSettings
from thinkscale.training.settings import Lora

pytest.importorskip("trl", reason="needs the extra `train`")


@pytest.mark.slow
@pytest.mark.lab
@pytest.mark.parametrize(
    ("method", "sharding", "lora"),
    [
        (Method.DPO, True, None),
        (Method.SIMPO, True, None),
        (Method.DPO, False, None),
        (Method.SIMPO, True, Lora(rank=4)),
    ],
    ids=["dpo_shards", "simpo_shards", "dpo_copies", "simpo_adapters"],
)
def test_two_processes_give_the_curve_of_one(
    method: Method, sharding: bool, lora: Lora | None, base_model: Path, tmp_path: Path
) -> None:
    """22 pairs, 3 of them held out: 19 in steps of 8 leave a step of 3, which two processes cannot share evenly."""
    settings = PreferenceSettings(
        model=str(base_model),
        method=method,
        beta=0.1 if method is Method.DPO else 2.0,
        gamma=0.0 if method is Method.DPO else 0.3,
        epochs=2,
        effective_batch_size=8,
        micro_batch_size=2,
        learning_rate=3e-3,
        max_length=64,
        held_out_rows=3,
        evaluate_every_steps=2,
        sharding=sharding,
        lora=lora,
        device="cpu",
    )
    rows = random_pairs(22)
    alone = train_preference(rows, replace(settings, sharding=True), tmp_path / "alone", ignore)
    both = trained_on(2, train_preference)(rows, settings, tmp_path / "both", ignore)
    assert both.plan.world_size == 2
    assert len(alone.steps) == len(both.steps) == 6
    for one, other in zip(curve(alone), curve(both), strict=True):
        assert one == pytest.approx(other, rel=1e-3, abs=2e-5)
    for mine, theirs in zip(alone.held_out, both.held_out, strict=True):
        assert mine.loss == pytest.approx(theirs.loss, abs=2e-5)
        assert mine.chosen_reward == pytest.approx(theirs.chosen_reward, abs=2e-4)
    assert furthest(tmp_path / "alone", tmp_path / "both") < WEIGHT
