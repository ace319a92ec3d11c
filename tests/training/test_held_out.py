"""Rows that are not trained on: which they are, what is measured on them, and which weights that leaves."""

import json
import random
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from tests.training.test_sft import hand_computed_loss, ignore, weights
from thinkscale.errors import ConfigError, DataError, StorageError
from thinkscale.records import Decision, HeldOut
from thinkscale.training.held_out import split_held_out
from thinkscale.training.output import MARKER
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import SftResult, prompt_of, train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import TrainingRow, build_row

KILLED = """
import json, os, signal, sys
from pathlib import Path
from thinkscale.training.settings import Lora, SftSettings
from thinkscale.training.sft import train_sft
from thinkscale.training.starting import Checkpoints
from thinkscale.training.tokens import build_row

folder, model, rows, moment = Path(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3]), sys.argv[4]

def end():
    os.kill(os.getpid(), signal.SIGKILL)

if moment == "measuring":
    from thinkscale.training import supervised
    own, calls = supervised.SftTrainer._sums, []
    def sums(self, inputs):
        calls.append(1)
        return own(self, inputs) if len(calls) < 14 else end()
    supervised.SftTrainer._sums = sums
if moment == "writing the best":
    from thinkscale.training import weights
    own = weights.write_weights
    def write(trainer, state, partial):
        own(trainer, state, partial)
        if trainer.state.global_step >= 4:
            end()
    weights.write_weights = write
if moment == "publishing":
    from thinkscale.training import attempt
    own = attempt.write_weights
    def write(trainer, state, partial):
        own(trainer, state, partial)
        end()
    attempt.write_weights = write

settings = SftSettings(model=model, epochs=3, effective_batch_size=4, micro_batch_size=2, learning_rate=3e-2,
                       max_length=64, device="cpu", held_out_rows=6, evaluate_every_steps=2, keep="best",
                       lora=Lora(rank=4, dropout=0.1))
train_sft([build_row(*row) for row in rows], settings, folder / "out", lambda step: None,
          checkpoints=Checkpoints(folder=folder / "checkpoints", every_steps=3))
"""


@pytest.fixture
def settings(base_model: Path) -> SftSettings:
    return SftSettings(
        model=str(base_model),
        epochs=3,
        effective_batch_size=4,
        learning_rate=1e-2,
        max_length=64,
        device="cpu",
        held_out_rows=5,
    )


@pytest.fixture
def few_words(rows: list[TrainingRow]) -> list[TrainingRow]:
    """Rows of eight words at random: that there are eight is learned for all rows, their order for trained ones."""
    return [replace(row, input_ids=tuple(3 + token % 8 for token in row.input_ids)) for row in rows]


def plain(rows: list[TrainingRow]) -> str:
    parts = [(row.problem_id, row.input_ids[: -row.num_trained], row.input_ids[-row.num_trained :]) for row in rows]
    return json.dumps(parts)


def held_out_of(result: SftResult, rows: list[TrainingRow]) -> list[TrainingRow]:
    names = {fate.problem_id for fate in result.fates if fate.reason == "held_out"}
    return [row for row in rows if row.problem_id in names]


def test_the_choice_follows_seed_and_content_and_not_the_order(rows: list[TrainingRow]) -> None:
    split = split_held_out(rows, 5, 1, prompt_of)
    shuffled = random.Random(4).sample(rows, len(rows))
    again = split_held_out(shuffled, 5, 1, prompt_of)
    assert {row.problem_id for row in split.held_out} == {row.problem_id for row in again.held_out}
    assert [row.problem_id for row in split.trained] == [row.problem_id for row in rows if row not in split.held_out]
    assert len(split.held_out) == 5
    assert len(split.trained) == 15
    others = {tuple(row.problem_id for row in split_held_out(rows, 5, seed, prompt_of).held_out) for seed in range(8)}
    assert len(others) == 8
    assert {(fate.problem_id, fate.stage, fate.decision, fate.reason) for fate in split.fates} == {
        (row.problem_id, "train", Decision.DROPPED, "held_out") for row in split.held_out
    }


def test_more_rows_held_out_keep_those_that_were() -> None:
    rows = [build_row(f"p{index}", [index + 3], [5, 6]) for index in range(30)]
    fewer, more = (set(split_held_out(rows, count, 1, prompt_of).held_out) for count in (4, 9))
    assert fewer < more


def test_rows_of_a_problem_or_a_prompt_stay_together() -> None:
    """p0 and p1 share a prompt, p1 and its second row a problem: the three are one group of the ten rows."""
    joined = [build_row("p0", [3, 4], [5]), build_row("p1", [3, 4], [6]), build_row("p1", [7], [8])]
    rows = [*joined, *(build_row(f"q{index}", [10 + index], [9]) for index in range(7))]
    for seed in range(20):
        held_out = set(split_held_out(rows, 4, seed, prompt_of).held_out)
        assert len(held_out & set(joined)) in (0, 3)


def test_a_number_that_groups_cannot_make_is_refused_with_one_that_they_can() -> None:
    rows = [build_row(f"p{index // 2}", [index // 2 + 3], [5, index]) for index in range(10)]
    with pytest.raises(DataError, match=r"held_out_rows is 3, .* set held_out_rows to 2"):
        split_held_out(rows, 3, 1, prompt_of)
    with pytest.raises(ConfigError, match="held_out_rows is 10, but there are 10 rows"):
        split_held_out(rows, 10, 1, prompt_of)


@pytest.mark.lab
def test_what_is_measured_is_what_single_rows_give_before_and_after(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    seen: list[HeldOut] = []
    result = train_sft(rows, settings, tmp_path / "out", ignore, on_held_out=seen.append)
    held_out = held_out_of(result, rows)
    assert len(held_out) == 5
    assert result.statistics.num_rows == 15
    assert tuple(seen) == result.held_out
    assert [(found.step, found.epoch) for found in seen] == [(0, 0.0), (4, 1.0), (8, 2.0), (12, 3.0)]
    assert {found.num_rows for found in seen} == {5}
    assert seen[0].loss == pytest.approx(hand_computed_loss(Path(settings.model), held_out), abs=1e-5)
    assert seen[-1].loss == pytest.approx(hand_computed_loss(tmp_path / "out", held_out), abs=1e-5)
    assert seen[0].token_accuracy == pytest.approx(hand_computed_accuracy(Path(settings.model), held_out), abs=1e-9)


def hand_computed_accuracy(model_folder: Path, rows: list[TrainingRow]) -> float:
    """Row by row: the share of trained tokens that are the likeliest of all."""
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32)
    hits = []
    for row in rows:
        with torch.no_grad():
            likeliest = model(input_ids=torch.tensor([row.input_ids])).logits[0].argmax(dim=-1)
        hits += [
            int(likeliest[place - 1]) == row.input_ids[place] for place, trained in enumerate(row.trained) if trained
        ]
    return sum(hits) / len(hits)


@pytest.mark.lab
def test_measuring_changes_neither_the_steps_nor_the_weights(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """The rows that are left are trained on alone in the second training: dropout and order must not notice."""
    settings = replace(settings, lora=Lora(rank=4, dropout=0.2))
    measured = train_sft(rows, replace(settings, evaluate_every_steps=1), tmp_path / "measured", ignore)
    left = [row for row in rows if row not in held_out_of(measured, rows)]
    alone = train_sft(left, replace(settings, held_out_rows=0), tmp_path / "alone", ignore)
    assert measured.steps == alone.steps
    assert weights(tmp_path / "measured") == weights(tmp_path / "alone")
    assert alone.held_out == ()
    assert [found.step for found in measured.held_out] == list(range(13))


@pytest.mark.lab
@pytest.mark.parametrize("micro_batch_size", [1, 2])
def test_the_measure_does_not_depend_on_how_rows_share_passes(
    micro_batch_size: int, settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    settings = replace(settings, epochs=1, held_out_rows=7, effective_batch_size=2)
    whole = train_sft(rows, settings, tmp_path / "whole", ignore)
    parted = train_sft(
        rows, replace(settings, micro_batch_size=micro_batch_size, micro_batch_tokens=20), tmp_path / "parted", ignore
    )
    for one, other in zip(whole.held_out, parted.held_out, strict=True):
        assert one.loss == pytest.approx(other.loss, abs=1e-5)
        assert one.token_accuracy == pytest.approx(other.token_accuracy, abs=0.02)


@pytest.mark.lab
def test_the_best_weights_are_published_and_the_last_lie_beside_them(
    settings: SftSettings, few_words: list[TrainingRow], tmp_path: Path
) -> None:
    """The held-out loss falls from that of 64 words to that of 8, ln 8 = 2.08, and rises as rows are learned."""
    settings = replace(settings, epochs=20, keep="best", evaluate_every_steps=2)
    result = train_sft(few_words, settings, tmp_path / "out", ignore)
    held_out = held_out_of(result, few_words)
    best = min(result.held_out, key=lambda found: found.loss)
    assert 0 < best.step < result.held_out[-1].step
    assert 2.0 < best.loss < 2.3 < result.held_out[0].loss
    assert hand_computed_loss(tmp_path / "out", held_out) == pytest.approx(best.loss, abs=1e-5)
    assert hand_computed_loss(tmp_path / "out.last", held_out) == pytest.approx(result.held_out[-1].loss, abs=1e-5)
    account = json.loads((tmp_path / "out" / MARKER).read_text())
    assert account["step"] == best.step
    assert account["held_out"] == {
        "num_rows": 5,
        "first": {"step": 0, "loss": result.held_out[0].loss},
        "best": {"step": best.step, "loss": best.loss},
        "last": {"step": 80, "loss": result.held_out[-1].loss},
    }
    assert json.loads((tmp_path / "out.last" / MARKER).read_text())["step"] == 80
    last = train_sft(few_words, replace(settings, keep="last"), tmp_path / "again", ignore)
    assert last.steps == result.steps
    assert weights(tmp_path / "again") == weights(tmp_path / "out.last")
    assert weights(tmp_path / "again.best") == weights(tmp_path / "out")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again", "again.best", "out", "out.last"]


@pytest.mark.lab
def test_where_the_last_are_the_best_nothing_lies_beside_them_any_more(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """Rows whose completions are all the same are learned from each other: the loss falls to the end."""
    same = [replace(row, input_ids=(*row.input_ids[:6], *[7] * (len(row) - 6))) for row in rows]
    train_sft(rows, replace(settings, epochs=8, keep="best"), tmp_path / "out", ignore)
    assert (tmp_path / "out.last").is_dir()
    result = train_sft(same, replace(settings, learning_rate=1e-3, keep="best"), tmp_path / "out", ignore)
    losses = [found.loss for found in result.held_out]
    assert losses == sorted(losses, reverse=True)
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.lab
def test_a_folder_beside_the_output_that_no_training_made_is_not_written_over(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    (tmp_path / "out.best").mkdir()
    (tmp_path / "out.best" / "thesis.txt").write_text("keep me")
    with pytest.raises(ConfigError, match=r"out\.best exists and was not made by a training"):
        train_sft(rows, settings, tmp_path / "out", ignore)
    train_sft(rows, replace(settings, held_out_rows=0, epochs=1), tmp_path / "mine.best", ignore)
    mine = weights(tmp_path / "mine.best")
    with pytest.raises(ConfigError, match=r"mine\.best is another training's model"):
        train_sft(rows, settings, tmp_path / "mine", ignore)
    train_sft(rows, replace(settings, held_out_rows=0, epochs=1), tmp_path / "mine", ignore)
    assert weights(tmp_path / "mine.best") == mine


@pytest.mark.lab
@pytest.mark.parametrize("moment", ["measuring", "writing the best", "publishing"])
def test_a_training_killed_at_any_moment_goes_on_to_the_same_records_and_both_same_models(
    moment: str, settings: SftSettings, rows: list[TrainingRow], tmp_path: Path
) -> None:
    """14 rows in steps of 4 for 3 epochs are 12 steps; checkpoints after 3, 6, 9 and 12, evaluations after 2, 4, ..."""
    settings = replace(
        settings,
        micro_batch_size=2,
        learning_rate=3e-2,
        held_out_rows=6,
        evaluate_every_steps=2,
        keep="best",
        lora=Lora(rank=4, dropout=0.1),
    )
    undisturbed = train_sft(rows, settings, tmp_path / "undisturbed", ignore)
    command = [sys.executable, "-c", KILLED, str(tmp_path), settings.model, plain(rows), moment]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not (tmp_path / "out").exists()
    checkpoints = Checkpoints(folder=tmp_path / "checkpoints", every_steps=3)
    seen: list[HeldOut] = []
    resumed = train_sft(rows, settings, tmp_path / "out", ignore, on_held_out=seen.append, checkpoints=checkpoints)
    assert resumed.resumed_from_step == {"measuring": 6, "writing the best": 6, "publishing": 12}[moment]
    assert resumed.steps == undisturbed.steps
    assert resumed.held_out == undisturbed.held_out == tuple(seen)
    assert weights(tmp_path / "out") == weights(tmp_path / "undisturbed")
    assert weights(tmp_path / "out.last") == weights(tmp_path / "undisturbed.last")
    assert not list((tmp_path / "checkpoints").iterdir())


@pytest.mark.lab
def test_best_weights_that_cannot_be_written_stop_the_training(
    settings: SftSettings, rows: list[TrainingRow], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from thinkscale.training import weights as kept

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(kept, "write_weights", full)
    with pytest.raises(StorageError, match="No space left"):
        train_sft(rows, settings, tmp_path / "out", ignore)
    assert not list(tmp_path.iterdir())
