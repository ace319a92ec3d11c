"""What a stage is given: its recipe, the run directory, and a place to show progress.

A stage cuts its work into units. A unit is committed whole under its key; on a second start the stage skips
units that are stored. Rows come back in order of unit position, so the order in which units finish never shows.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from thinkscale.config import Recipe
from thinkscale.credentials import redact
from thinkscale.errors import StageError
from thinkscale.progress import Progress
from thinkscale.records import Problem, Record
from thinkscale.store.notes import Notes
from thinkscale.store.run import RunDirectory

R = TypeVar("R")
Section = TypeVar("Section")


@dataclass(frozen=True, slots=True)
class StageContext:
    """One stage of one run. `folder` is where relative paths of the recipe start."""

    stage: str
    recipe: Recipe
    folder: Path
    run: RunDirectory
    progress: Progress
    pilot: int | None = None
    """Responses of a pilot: so many are generated and the stage is left open."""

    def notice(self, text: str) -> None:
        """What a person should know: a line on the terminal, and one in the run's diary. It shows no API key."""
        text = redact(text)
        self.progress.say(text)
        self.run.journal.add_event(self.stage, "notice", text)

    def section(self, settings: Section | None) -> Section:
        """The stage's section of the recipe; StageError where the recipe has none."""
        if settings is None:
            raise StageError(f"the recipe {self.recipe.name!r} has no section `{self.stage}`")
        return settings

    def stored(self) -> set[str]:
        """Keys of the units that are committed."""
        return self.run.journal.done_units(self.stage)

    def is_stored(self, unit: str) -> bool:
        """Whether a unit is committed: for stages with more units than should stand in memory."""
        return self.run.journal.has_unit(self.stage, unit)

    def commit(
        self, unit: str, position: int, records: Iterable[Record], *, seconds: float = 0.0, usd: float = 0.0
    ) -> None:
        """Stores a finished unit, all of it or nothing."""
        self.run.commit(self.stage, unit, position, records, seconds, usd)

    @property
    def notes(self) -> Notes:
        """What is to be remembered until the stage is finished."""
        return Notes(self.run.journal, self.stage)

    def spent_usd(self) -> float:
        """What the stage has cost so far: all that is stored, and what the last invocation lost in flight."""
        stage = self.run.journal.stage(self.stage)
        gauges = [item.gauges for item in self.run.journal.progress() if item.stage == self.stage]
        shown = gauges[0].get("spent_usd") if gauges else None
        return max(stage.usd if stage else 0.0, shown if isinstance(shown, (int, float)) else 0.0)

    def records(self, record_type: type[R], stage: str) -> Iterator[R]:
        """Records that an earlier stage made, in order."""
        return self.run.rows(record_type, stage)

    def problems(self) -> dict[str, Problem]:
        """The collected problems by id."""
        return {problem.id: problem for problem in self.records(Problem, "collect")}
