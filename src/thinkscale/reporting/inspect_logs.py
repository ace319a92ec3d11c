"""A run as files of Inspect (inspect-ai): a `.eval` log for each cell, written in one or few readings of the tables.

A log is one model on one benchmark under one setting, with a sample for each problem and an epoch for each of its
samples; what no cell read (a teacher's responses) is a log for each model. A `.eval` file is a zip of JSON:
`_journal/start.json`, `samples/{id}_epoch_{n}.json`, `summaries.json` and `header.json`, the log without its samples
(as inspect_ai's log/_recorders/eval.py writes them). Rejected: one JSON file for each log, of which a viewer must read
all before it shows anything.
"""

import json
import re
import zipfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeAlias

from thinkscale.keys import JSON
from thinkscale.records import Cell
from thinkscale.reporting.inspect_format import LETTERS, Task, header_of, sample_of, start_of, summary_of
from thinkscale.reporting.traces.details import details, problem_row
from thinkscale.reporting.traces.index import TraceIndex, read_index
from thinkscale.reporting.wording import method_name, setting
from thinkscale.statistics import CellKey
from thinkscale.statistics.cells import cell_key
from thinkscale.store.atomic import atomic_file, writing
from thinkscale.store.tables import read_table

MOST_OPEN = 100
"""Logs that are written side by side in one reading of the responses: each is an open file."""
ROWS_AT_ONCE = 1000
Row: TypeAlias = Mapping[str, JSON]
YEAR_1980 = (1980, 1, 1, 0, 0, 0)
"""The time of every entry, so that the same run gives the same bytes."""

Members: TypeAlias = dict[int, str]
"""Row of a response to the verdict that a cell gives it."""


@dataclass(slots=True)
class _Log:
    """A log under way."""

    task: Task
    members: Members
    metrics: Mapping[str, float]
    archive: zipfile.ZipFile
    summaries: list[JSON] = field(default_factory=list)
    epochs: Counter[str] = field(default_factory=Counter)
    """The last epoch of each problem."""

    def add(self, place: int, row: Row, detail: Row, problem: Row) -> None:
        name = str(problem["id"])
        self.epochs[name] = max(self.epochs[name] + 1, int(str(row["sample"])) + 1)
        sample = sample_of(row, detail, problem, self.epochs[name], self.members[place])
        self.write(f"samples/{name}_epoch_{self.epochs[name]}.json", sample)
        self.summaries.append(summary_of(sample))

    def write(self, name: str, value: JSON) -> None:
        entry = zipfile.ZipInfo(name, YEAR_1980)
        entry.compress_type = zipfile.ZIP_DEFLATED
        text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
        self.archive.writestr(entry, text.encode("utf-8", "replace"))

    def finish(self) -> None:
        start = start_of(self.task, list(self.epochs), max(self.epochs.values(), default=1))
        verdicts = [verdict for verdict in self.members.values() if verdict in LETTERS]
        shares = {"accuracy": verdicts.count("correct") / len(verdicts)} if verdicts else {}
        self.write("_journal/start.json", start)
        self.write("summaries.json", self.summaries)
        self.write("header.json", header_of(start, self.summaries, {**shares, **self.metrics}))


def write_logs(tables: Path, out: Path, run: str, started: float) -> list[Path]:
    """Writes a log for each cell of the tables into `out` and returns the paths, in the order of the cells.

    `run` names the run, `started` is its beginning (Unix time). A log of the same cell is replaced; whatever else lies
    in `out` stays. Raises StorageError.
    """
    index = read_index(tables)
    metrics = _metrics(tables)
    tasks = [(_task(index, group, run, started), group, rows) for group, rows in _groups(index).items()]
    paths = [out / _file_name(task) for task, _, _ in tasks]
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for first in range(0, len(tasks), MOST_OPEN):
        with ExitStack() as stack:
            logs = []
            for path, (task, group, rows) in list(zip(paths, tasks, strict=True))[first : first + MOST_OPEN]:
                stream = stack.enter_context(atomic_file(path))
                archive = stack.enter_context(zipfile.ZipFile(stream, "w"))
                logs.append(_Log(task, rows, metrics.get(_cell_key(index, group), {}), archive))
            with writing(out):
                _fill(tables, index, logs)
    return paths


Group: TypeAlias = tuple[str, str, str, int]
"""Role, benchmark, model, setting; -1 where no cell read the response."""


def _groups(index: TraceIndex) -> dict[Group, Members]:
    """The rows of each log with their verdicts, in the order in which the logs first appear."""
    made: dict[Group, Members] = {}
    columns = index.rows.select("role", "benchmark", "model", "settings", "verdicts", "verdict")
    for place, (role, benchmark, model, settings, verdicts, verdict) in enumerate(columns.iter_rows()):
        for number, said in zip(settings or [-1], verdicts or [verdict], strict=True):
            made.setdefault((role, benchmark, model, number), {})[place] = said
    return made


def _cell_key(index: TraceIndex, group: Group) -> CellKey | None:
    _, benchmark, model, number = group
    if number < 0:
        return None
    item = index.settings[number]
    return replace(item, benchmark=benchmark, model=model)


def _task(index: TraceIndex, group: Group, run: str, started: float) -> Task:
    role, _, model, _ = group
    key = _cell_key(index, group)
    if key is None:
        return Task(name=f"{run} {role}", model=model, arguments={"role": role}, run=run, started=started)
    arguments: dict[str, JSON] = {
        "benchmark": key.benchmark,
        "method": key.method,
        "budget_tokens": key.budget_tokens,
        "waits": key.waits,
        "variant": key.variant,
    }
    name = f"{key.benchmark} {method_name(key.method)}, {setting(key)}"
    return Task(name=name, model=model, arguments=arguments, run=run, started=started)


def _file_name(task: Task) -> str:
    """Time, task and id between underscores, as Inspect reads them from a name."""
    time = task.created.replace(":", "-")
    name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{task.name} {task.model}").strip("-")[:120]
    return f"{time}_{name}_{task.id}.eval"


def _metrics(tables: Path) -> dict[CellKey | None, Mapping[str, float]]:
    """What the run says of each cell."""
    path = tables / "cells.parquet"
    if not path.is_file():
        return {}
    return {
        cell_key(cell): {
            "accuracy": cell.accuracy,
            "accuracy_low": cell.accuracy_low,
            "accuracy_high": cell.accuracy_high,
            "mean_thinking_tokens": cell.mean_thinking_tokens,
        }
        for cell in read_table(path, Cell)
        if cell.k == 1
    }


def _fill(tables: Path, index: TraceIndex, logs: list[_Log]) -> None:
    readers: dict[int, list[_Log]] = {}
    for log in logs:
        for place in log.members:
            readers.setdefault(place, []).append(log)
    places = sorted(readers)
    for some in _slices(places):
        rows = index.rows[some].iter_rows(named=True)
        for place, row, detail in zip(some, rows, details(tables, index, some, None), strict=True):
            problem = problem_row(index, row["problem"])
            for log in readers[place]:
                log.add(place, row, detail, problem)
    for log in logs:
        log.finish()


def _slices(places: list[int]) -> Iterator[list[int]]:
    return (places[first : first + ROWS_AT_ONCE] for first in range(0, len(places), ROWS_AT_ONCE))
