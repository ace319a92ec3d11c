"""The accuracies of a run as one line of JSON, as Sky-T1's eval.py prints them: `{"math500": 0.812, ...}`."""

import json
from pathlib import Path

from thinkscale.errors import RunDirectoryError
from thinkscale.keys import JSON
from thinkscale.records import Cell
from thinkscale.statistics.headline import headline
from thinkscale.store.run import RunDirectory

DIGITS = 6


def accuracies(folder: Path) -> dict[str, Cell]:
    """Benchmark to the cell that stands for the model (statistics/headline.py).

    Raises RunDirectoryError where the run has no evaluation.
    """
    with RunDirectory.read(folder) as run:
        found = headline(run.rows(Cell, "evaluate"))
    if not found:
        raise RunDirectoryError(f"{folder}: nothing was evaluated here with thinking that is not cut short by a prompt")
    return found


def accuracy_line(folder: Path, intervals: bool = False) -> str:
    """One JSON object on one line: benchmark to accuracy, or with `intervals` to accuracy, low, high and problems.

    Accuracies are fractions; a response that was cut off counts as wrong.
    """
    made: dict[str, JSON] = {}
    for name, cell in accuracies(folder).items():
        accuracy = round(cell.accuracy, DIGITS)
        made[name] = accuracy
        if intervals:
            low, high = round(cell.accuracy_low, DIGITS), round(cell.accuracy_high, DIGITS)
            made[name] = {"accuracy": accuracy, "low": low, "high": high, "problems": cell.num_problems}
    return json.dumps(made, ensure_ascii=False)
