"""What is shown of a training: the newest numbers, the mean speed of the last steps, and the time that is left."""

from dataclasses import replace
from pathlib import Path

import pytest

from thinkscale.progress import Progress
from thinkscale.records import HeldOut, Step
from thinkscale.training.live import WINDOW, LiveReadings, training_text, watched
from thinkscale.training.log import Entry, Readings, read_log
from thinkscale.training.trackers import TrackedRun

READINGS = Readings(time="2026-11-21T12:00:00.000+00:00", seconds=2.0, peak_bytes=3 * 1024**3, mfu=0.4)


def step(number: int, num_tokens: int = 1000) -> Step:
    return Step(
        step=number, epoch=0.1, loss=1.25, learning_rate=1e-5, gradient_norm=0.5, num_tokens=num_tokens, padding=0.1
    )


def held_out(number: int, loss: float) -> HeldOut:
    return HeldOut(step=number, epoch=0.1, num_rows=5, loss=loss)


def test_before_the_first_step_there_is_nothing_to_show() -> None:
    live = LiveReadings()
    assert live.reading(0, 10) == {}
    assert live.text(0, 10) == ""
    assert live.seconds_left(0, 10) is None


def test_speed_is_a_mean_and_the_time_left_counts_evaluations() -> None:
    live = LiveReadings()
    live.take(Entry(record=held_out(0, 2.0), readings=replace(READINGS, seconds=50.0)))  # before the first step
    live.take(Entry(record=step(1), readings=READINGS))
    live.take(Entry(record=step(2, num_tokens=2000), readings=replace(READINGS, seconds=4.0, mfu=0.1)))
    live.take(Entry(record=held_out(2, 1.5), readings=replace(READINGS, seconds=6.0)))
    row = live.reading(2, 10)
    assert row["tokens_per_second"] == 500  # 3,000 tokens in 6 s
    assert row["mfu"] == pytest.approx(0.2)  # (2 * 0.4 + 4 * 0.1) / 6
    assert (row["held_out_loss"], row["held_out_step"]) == (1.5, 2)
    assert live.seconds_left(2, 10) == 8 * (2 + 4 + 6) / 2
    assert live.text(2, 10) == "loss 1.250, held out 1.500, lr 1.0e-05, 500 tok/s, MFU 20%, 3.0 GiB"


def test_old_steps_leave_the_window() -> None:
    live = LiveReadings()
    live.take(Entry(record=step(1), readings=replace(READINGS, seconds=1000.0)))
    for number in range(2, WINDOW + 2):
        live.take(Entry(record=step(number), readings=READINGS))
    assert live.seconds_left(21, 22) == 2.0


def test_preference_training_shows_its_margin() -> None:
    live = LiveReadings()
    live.take(Entry(record=replace(step(1), chosen_reward=0.5, rejected_reward=-0.25, reward_accuracy=0.75)))
    row = live.reading(1, 2)
    assert (row["margin"], row["reward_accuracy"]) == (0.75, 0.75)
    assert live.text(1, 2) == "loss 1.250, margin +0.750, lr 1.0e-05"
    assert training_text({}) == ""


def test_a_watched_training_counts_logs_and_publishes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    published: list[tuple[int, object]] = []

    class Publisher:
        def set_progress(self, stage: str, done: int, total: int, *others: object) -> None:
            published.append((done, others[-1]))

    progress = Progress(Publisher())
    path = tmp_path / "logs" / "train.jsonl"
    with watched(progress, "train", 2, "steps", path, (), TrackedRun(name="run", config={})) as watch:
        watch.log.begin()
        for number in (1, 2):
            watch.log.add_step(step(number), 1024**2)
            watch.on_step(step(number))
    assert [entry.record.step for entry in read_log(path)] == [1, 2]
    done, gauges = published[-1]
    assert done == 2
    assert isinstance(gauges, dict)
    assert gauges["loss"] == 1.25
    assert "train: 2 steps in" in capsys.readouterr().err
