"""The training in the report: figures that hold what was logged, and sentences whose numbers are worked out by hand."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from thinkscale.keys import JSON
from thinkscale.records import Decision, Fate, HeldOut, Step
from thinkscale.reporting.data import ReportData
from thinkscale.reporting.document import Bullets, Table
from thinkscale.reporting.figures.training_charts import loss_figure, rewards_figure, speed_figure
from thinkscale.reporting.sections.training_section import training_section, training_told
from thinkscale.reporting.theme import Figure, svg
from thinkscale.reporting.training import TrainingFacts, facts_of_log, smoothed
from thinkscale.reporting.writing import write_report
from thinkscale.training.log import Entry, Readings

ACCOUNT: dict[str, JSON] = {
    "num_rows": 10,
    "num_tokens": 1000,
    "num_trained_tokens": 600,
    "remarks": ["Three rows end without the token that ends a turn."],
    "hyperparameters": {
        "effective_batch_size": 5,
        "max_grad_norm": 1.0,
        "device": "cuda",
        "lora": None,
        "betas": [0.9],
    },
}
READINGS = Readings(
    time="2026-11-21T12:00:00+00:00", seconds=2.0, tokens_per_second=250.0, mfu=0.5, peak_bytes=2 * 1024**3
)


def step(number: int, loss: float, gradient_norm: float = 0.5, padding: float = 0.0) -> Step:
    return Step(
        step=number,
        epoch=number / 2,
        loss=loss,
        learning_rate=1e-5,
        gradient_norm=gradient_norm,
        num_tokens=500,
        padding=padding,
    )


def held_out(number: int, loss: float) -> HeldOut:
    return HeldOut(step=number, epoch=number / 2, num_rows=3, loss=loss, token_accuracy=0.25 + number / 10)


STEPS = (step(1, 4.0, 3.0), step(2, 2.0), step(3, 1.0), step(4, 0.5, padding=0.5))
FACTS = TrainingFacts(
    steps=STEPS,
    held_out=(held_out(0, 3.0), held_out(2, 1.5), held_out(4, 1.8)),
    readings={1: READINGS, 2: replace(READINGS, seconds=6.0, mfu=0.1, peak_bytes=3 * 1024**3), 3: READINGS},
    account=ACCOUNT,
    fates=(
        Fate(problem_id="a", stage="train", decision=Decision.KEPT, reason="thinking_cut", evidence="3 of 9 cut"),
        Fate(problem_id="b", stage="train", decision=Decision.DROPPED, reason="over_long"),
        Fate(problem_id="c", stage="train", decision=Decision.DROPPED, reason="over_long"),
    ),
)
OLD = TrainingFacts(
    steps=tuple(Step(step=n, epoch=n / 2, loss=1 / n, learning_rate=1e-5, gradient_norm=1) for n in (1, 2, 3))
)


def points_of(figure: Figure | None, panel: int) -> dict[str, list[tuple[int, float]]]:
    """Curve to its drawn points, of the marks that are lines."""
    assert figure is not None
    found: dict[str, list[tuple[int, float]]] = {}
    layers: list[dict[str, Any]] = figure.spec["vconcat"][panel]["layer"]
    for layer in layers:
        rows = layer["data"]["values"]
        if layer["mark"]["type"] == "line":
            found.setdefault(rows[0]["curve"], []).extend((row["step"], row["value"]) for row in rows)
    return found


def titles_of(figure: Figure | None) -> list[str]:
    assert figure is not None
    return [panel["layer"][-1]["encoding"]["y"]["title"] for panel in figure.spec["vconcat"]]


def test_sums_and_means_are_weighted() -> None:
    assert FACTS.num_tokens == 2000
    assert FACTS.padding == pytest.approx(0.2)  # 2,000 tokens in 2,500 positions
    assert FACTS.tokens_per_second == 150  # 1,500 tokens of three steps in 10 s
    assert FACTS.mfu == pytest.approx(0.26)  # (2 * 0.5 + 6 * 0.1 + 2 * 0.5) / 10
    assert FACTS.peak_bytes == 3 * 1024**3
    assert FACTS.best == held_out(2, 1.5)
    assert FACTS.epoch_ends == (2,)


def test_what_happened_is_told_in_sentences() -> None:
    assert list(training_told(FACTS)) == [
        "4 steps of 5 rows, 2 epochs over 10 rows with 1,000 tokens, 600 of them (60.0%) trained on. In all 2,000 "
        "tokens went through the model, and padding was 20.0% of what was computed.",
        "1 row was cut in the middle of the thinking (such as a: 3 of 9 cut).",
        "2 rows were left out as too long.",
        "The loss went from 4.000 at step 1 to 0.500 at step 4; over the last epoch it was 0.750 on average.",
        "On 3 held-out rows it went from 3.000 at step 0 to 1.800 at step 4; the least is 1.500 at step 2, and the "
        "share of tokens foreseen from 25.0% to 65.0%. It has risen by 20.0% since: the model learns its rows by heart "
        "(`keep: best` takes the weights of the least loss).",
        "Gradients longer than 1 were cut in 1 of 4 steps; the longest was 3 at step 1.",
        "The steps took 10.0 seconds, 150 tokens a second, padding not counted, a model FLOPs utilization of 26.0%, at "
        "most 3.0 GiB of memory on a GPU (the log lost the readings of 1 step).",
        "Three rows end without the token that ends a turn.",
    ]


def test_a_run_of_old_has_its_loss_curve_and_no_more() -> None:
    assert list(training_told(OLD)) == [
        "3 steps, 1.50 epochs.",
        "The loss went from 1.000 at step 1 to 0.333 at step 3; over the last epoch it was 0.333 on average.",
    ]
    assert points_of(loss_figure(OLD), 0) == {"training": [(1, 1.0), (2, 0.5), (3, 1 / 3)]}
    assert speed_figure(OLD) is None
    assert rewards_figure(OLD) is None


def test_the_loss_figure_holds_training_and_held_out_rows() -> None:
    figure = loss_figure(FACTS)
    assert titles_of(figure) == ["loss", "learning rate", "gradient norm"]
    assert points_of(figure, 0) == {
        "training": [(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.5)],
        "held out": [(0, 3.0), (2, 1.5), (4, 1.8)],
    }
    assert figure is not None
    assert (
        "Held out: 3 rows, the least loss 1.500 at step 2. Gradients are cut at the dotted norm of 1." in figure.caption
    )


def test_the_speed_figure_has_the_panels_that_the_log_can_fill() -> None:
    assert titles_of(speed_figure(FACTS)) == ["tokens a second", "MFU, %", "memory, GiB", "padding, %"]
    whole = replace(FACTS, readings={1: replace(READINGS, computed_per_second=300.0)})
    figure = speed_figure(whole)
    assert titles_of(figure)[0] == "tokens a second"
    assert points_of(figure, 0) == {
        "computed positions, padding included": [(1, 300.0)],
        "tokens of the rows": [(1, 250.0)],
    }
    unpadded = replace(FACTS, steps=STEPS[:3], readings={1: replace(READINGS, mfu=None)})
    assert titles_of(speed_figure(unpadded)) == ["tokens a second", "memory, GiB"]


def test_preference_training_shows_rewards_margin_and_order() -> None:
    steps = tuple(
        replace(
            item, chosen_reward=-0.1 * item.step, rejected_reward=-0.5 * item.step, reward_accuracy=0.5 + item.step / 8
        )
        for item in STEPS
    )
    pairs = (
        replace(held_out(0, 0.7), token_accuracy=None, chosen_reward=0.0, rejected_reward=0.0, reward_accuracy=0.5),
    )
    facts = replace(FACTS, steps=steps, held_out=pairs)
    figure = rewards_figure(facts)
    assert titles_of(figure) == ["reward", "margin", "right order, %"]
    margins = points_of(figure, 1)
    assert [round(value, 9) for _, value in margins["training"]] == [0.4, 0.8, 1.2, 1.6]
    assert margins["held out"] == [(0, 0.0)]
    told = " ".join(training_told(facts))
    assert (
        "The reward margin of chosen over rejected replies went from +0.400 to +1.600, and the share of pairs in "
        "the right order from 62.5% to 100.0%; on the held-out pairs from 0.000 to 0.000 (50.0% to 50.0%). The reward "
        "of the chosen replies fell by 0.300: the margin grows by what is unlearned." in told
    )
    assert training_section(facts, {}).title == "Preference training"


def test_few_steps_have_each_number_once_on_the_axis() -> None:
    figure = loss_figure(OLD)
    assert figure is not None
    axis = svg(figure).rpartition(">step<")[0].rpartition("role-axis-label")[2]
    assert re.findall(r"<text[^>]*>(\d+)</text>", axis) == ["1", "2", "3"]


def test_many_steps_are_drawn_thin_with_their_mean() -> None:
    many = replace(FACTS, steps=tuple(step(number, float(number % 2)) for number in range(1, 161)), held_out=())
    points = points_of(loss_figure(many), 0)["training"]
    assert len(points) == 320
    assert {round(value, 3) for _, value in points[162:318]} == {0.4, 0.6}  # of five steps around two or three are 1


def test_a_running_mean_is_shorter_at_the_ends() -> None:
    assert smoothed([0.0, 3.0, 6.0, 0.0], 3) == [1.5, 3.0, 3.0, 3.0]
    assert smoothed([1.0, 5.0], 1) == [1.0, 5.0]


def test_the_section_has_hyperparameters_and_held_out_rows() -> None:
    told, held, hyperparameters = training_section(FACTS, {}).blocks
    assert isinstance(told, Bullets)
    assert isinstance(held, Table)
    assert held.rows[1] == ("2", "1.00", "1.5000", "45.0%", "the least")
    assert isinstance(hyperparameters, Table)
    assert hyperparameters.rows == (
        ("effective batch size", "5"),
        ("max grad norm", "1"),
        ("device", "cuda"),
        ("lora", "none"),
        ("betas", "0.9"),
    )


def test_a_log_tells_of_its_training() -> None:
    facts = facts_of_log(
        [Entry(record=held_out(0, 3.0)), Entry(record=STEPS[0], readings=READINGS), Entry(record=STEPS[1])], ACCOUNT
    )
    assert facts.steps == STEPS[:2]
    assert facts.held_out == (held_out(0, 3.0),)
    assert facts.readings == {1: READINGS}


def test_a_report_of_a_training_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("thinkscale.reporting.html.javascript_bundle", lambda: "")
    data = ReportData(title="T", recipe="none", models=(), problems_by_benchmark={}, trainings=(FACTS,))
    names = {path.name for path in write_report(data, tmp_path)}
    assert {"training.png", "training.svg", "training_speed.png"} <= names
    text = (tmp_path / "report.md").read_text(encoding="utf-8")
    assert "- In 4 steps of training the loss went from 4.000 to 0.500; on 3 held-out rows from 3.000 to 1.800" in text
    assert "## Training" in text
