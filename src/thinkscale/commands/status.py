"""status: how far a run is, read from its journal while another process writes it."""

import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from thinkscale.engines.meter import meter_text
from thinkscale.keys import JSON
from thinkscale.progress import duration
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import Event, Progress, StoredState
from thinkscale.training.live import training_text

STALE_SECONDS = 60
MOST_EXAMPLE = 200
"""Characters of a failure's text that are shown."""
WATCH_SECONDS = 2.0


def status(folder: Path) -> dict[str, JSON]:
    """`done`; for each stage that was begun its state, counts, time, dollars, and what its engine or training is doing;
    and the failures since the last retry, by kind with the newest as an example."""
    with RunDirectory.read(folder) as run:
        progress = {item.stage: item for item in run.journal.progress()}
        stages: list[JSON] = []
        for stage in run.journal.stages():
            running = stage.state is not StoredState.DONE
            row: dict[str, JSON] = {"stage": stage.name, "state": stage.state.value, "units": stage.num_units}
            if stage.finished is not None:
                row["seconds"] = round(stage.finished - stage.started, 1)
            if stage.usd:
                row["usd"] = round(stage.usd, 6)
            if found := progress.get(stage.name):
                row.update(_counts(found, running))
            stages.append(row)
        return {
            "run": str(folder),
            "done": run.is_done,
            "stages": stages,
            "failures": _failures(run.journal.events()),
        }


_KIND = re.compile(r"([a-z][a-z_]*): ")
"""How the text of a failure begins that has a kind (engines/remote/failures.py)."""


def _failures(events: Iterable[Event]) -> dict[str, JSON]:
    """By kind, the most frequent first: how many there were, and the newest. A retry forgets those before it."""
    counts: dict[str, int] = {}
    newest: dict[str, str] = {}
    for event in events:
        if event.kind == "retry":
            counts.clear()
        elif event.kind == "failure":
            found = _KIND.match(event.text)
            kind = found[1] if found else "other"
            counts[kind] = counts.get(kind, 0) + 1
            newest[kind] = event.text[:MOST_EXAMPLE]
    ordered = sorted(counts, key=lambda kind: (-counts[kind], kind))
    return {kind: {"count": counts[kind], "example": newest[kind]} for kind in ordered}


def _counts(progress: Progress, running: bool) -> dict[str, JSON]:
    row: dict[str, JSON] = {"finished": progress.done, "total": progress.total, "of": progress.unit_name}
    if running:
        row["seconds_since_news"] = round(time.time() - progress.updated, 1)
        row["seconds_left"] = None if progress.seconds_left is None else round(progress.seconds_left, 1)
    if progress.gauges:
        row["training" if "loss" in progress.gauges else "engine"] = progress.gauges
    return row


def status_text(found: dict[str, JSON]) -> str:
    """The status as lines."""
    lines = [f"{found['run']}: {'done' if found['done'] else 'not finished'}"]
    stages = found["stages"]
    assert isinstance(stages, list)
    for row in stages:
        assert isinstance(row, dict)
        lines.append(f"  {row['stage']!s:<10} {row['state']!s:<8} {_detail(row)}".rstrip())
    failures = found["failures"]
    assert isinstance(failures, dict)
    for found_of_kind in failures.values():
        assert isinstance(found_of_kind, dict)
        lines.append(f"  failed {found_of_kind['count']:,} times, such as: {found_of_kind['example']}")
    return "\n".join(lines)


def _detail(row: dict[str, JSON]) -> str:
    parts = []
    if "total" in row:
        parts.append(f"{row['finished']:,} of {row['total']:,} {row['of']}")
    if isinstance(seconds := row.get("seconds"), (int, float)):
        parts.append(f"in {duration(seconds)}")
    gauges = row.get("engine")
    if isinstance(gauges, dict) and "seconds_since_news" in row:
        parts.append(meter_text(gauges))
    elif isinstance(trained := row.get("training"), dict):
        parts.append(training_text(trained))
    elif isinstance(usd := row.get("usd"), (int, float)):
        parts.append(f"${usd:,.2f}")
    if isinstance(left := row.get("seconds_left"), (int, float)):
        parts.append(f"about {duration(left)} left")
    silent = row.get("seconds_since_news")
    if isinstance(silent, (int, float)) and silent > STALE_SECONDS:
        parts.append(f"no news for {duration(silent)}: stopped, or in a long step")
    return ", ".join(parts)


def watch_status(folder: Path, show: Callable[[str], None]) -> None:
    """Shows the status every two seconds until the run is done."""
    while True:
        found = status(folder)
        show(status_text(found))
        if found["done"]:
            return
        time.sleep(WATCH_SECONDS)
