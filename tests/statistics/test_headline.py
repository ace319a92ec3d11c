"""The accuracy that stands for a model, and the line of JSON that another program reads."""

import json
from pathlib import Path

import pytest

from thinkscale.commands.accuracies import accuracy_line
from thinkscale.errors import RunDirectoryError
from thinkscale.records import Cell
from thinkscale.statistics.headline import headline
from thinkscale.store.run import RunDirectory


def cell(benchmark: str = "math500", method: str = "truncation", budget: int | None = None, **changes: object) -> Cell:
    values: dict[str, object] = {
        "benchmark": benchmark, "model": "student", "method": method, "budget_tokens": budget, "waits": 0,
        "variant": "", "num_problems": 4, "num_scores": 4, "accuracy": 0.75, "accuracy_low": 0.25,
        "accuracy_high": 1.0, "accuracy_of_finished": 0.75, "mean_thinking_tokens": 10.0, "over_budget": 0,
        "correct": 3, "wrong": 1, "no_answer": 0, "cut_off": 0, "ungradable": 0,
    }  # fmt: skip
    return Cell(**{**values, **changes})  # type: ignore[arg-type]


def test_the_headline_is_the_cell_that_nobody_interfered_with() -> None:
    plain = cell()
    others = [
        cell(budget=8000, accuracy=1.0),
        cell(method="budget_forcing", waits=4, accuracy=1.0),
        cell(method="class_conditional", variant="long", accuracy=1.0),
        cell(k=8, accuracy=1.0),
        cell(model="base", accuracy=1.0),
    ]
    assert headline([*others, plain]) == {"math500": plain}
    assert headline([plain, *others]) == {"math500": plain}


def test_without_an_unlimited_cell_the_largest_budget_stands_and_fewest_waits_go_first() -> None:
    large, small = cell(budget=4000, accuracy=0.5), cell(budget=500, accuracy=0.9)
    waiting = cell(method="budget_forcing", waits=1, accuracy=0.9)
    assert headline([small, waiting, large]) == {"math500": large}
    assert headline([waiting]) == {"math500": waiting}


def test_other_methods_alone_give_no_headline() -> None:
    assert headline([cell(method="class_conditional", variant="short"), cell(method="majority", k=4)]) == {}


def test_accuracies_are_one_line_of_json_in_the_order_of_the_benchmarks(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path / "run", "name: small\n") as run:
        run.begin_stage("evaluate", {})
        run.commit("evaluate", "cells", 0, [cell("math500"), cell("aime24", accuracy=1 / 3, accuracy_low=0.1)])
    assert accuracy_line(tmp_path / "run") == '{"math500": 0.75, "aime24": 0.333333}'
    whole = json.loads(accuracy_line(tmp_path / "run", intervals=True))
    assert whole["aime24"] == {"accuracy": 0.333333, "low": 0.1, "high": 1.0, "problems": 4}


def test_a_run_without_an_evaluation_is_refused(tmp_path: Path) -> None:
    with RunDirectory.create_or_open(tmp_path / "run", "name: small\n"):
        pass
    with pytest.raises(RunDirectoryError, match="nothing was evaluated here"):
        accuracy_line(tmp_path / "run")
