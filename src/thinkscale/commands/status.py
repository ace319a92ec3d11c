"""status: how far a run is, read from its journal while another process writes it."""

import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from thinkscale.keys import JSON
from thinkscale.progress import duration
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import Progress, StoredState

STALE_SECONDS = 60
MOST_FAILURES = 10
WATCH_SECONDS = 2.0


def status(folder: Path) -> dict[str, JSON]:
    """`done`, and for each stage that was begun its state, counts, expected seconds to the end, and time."""
    with RunDirectory.read(folder) as run:
        progress = {item.stage: item for item in run.journal.progress()}
        stages: list[JSON] = []
        for stage in run.journal.stages():
            running = stage.state is not StoredState.DONE
            row: dict[str, JSON] = {"stage": stage.name, "state": stage.state.value, "units": stage.num_units}
            if stage.finished is not None:
                row["seconds"] = round(stage.finished - stage.started, 1)
            if found := progress.get(stage.name):
                row.update(_counts(found, running))
            stages.append(row)
        failures = Counter(event.text for event in run.journal.events() if event.kind == "failure")
        return {
            "run": str(folder),
            "done": run.is_done,
            "stages": stages,
            "failures": dict(failures.most_common(MOST_FAILURES)),
        }


def _counts(progress: Progress, running: bool) -> dict[str, JSON]:
    row: dict[str, JSON] = {"finished": progress.done, "total": progress.total, "of": progress.unit_name}
    if running:
        row["seconds_since_news"] = round(time.time() - progress.updated, 1)
        row["seconds_left"] = None if progress.seconds_left is None else round(progress.seconds_left, 1)
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
    lines += [f"  failed {number:,} times: {text}" for text, number in failures.items()]
    return "\n".join(lines)


def _detail(row: dict[str, JSON]) -> str:
    parts = []
    if "total" in row:
        parts.append(f"{row['finished']:,} of {row['total']:,} {row['of']}")
    if isinstance(seconds := row.get("seconds"), (int, float)):
        parts.append(f"in {duration(seconds)}")
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
