"""grade: a verdict for every teacher response."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count, islice

from thinkscale.config import GradeSettings
from thinkscale.grading.execution import Limits
from thinkscale.keys import combined_key
from thinkscale.progress import Task
from thinkscale.records import Problem, Response
from thinkscale.stages.context import StageContext
from thinkscale.verification.panel import verify
from thinkscale.verification.verifier import VerifierSettings

RESPONSES_PER_UNIT = 256


@dataclass(frozen=True, slots=True)
class Unit:
    """Responses that are graded and stored together."""

    key: str
    position: int
    size: int


def verifier_settings(settings: GradeSettings | None) -> VerifierSettings:
    """What a recipe's `grade` section says to the verifier; other stages grade by the same section."""
    settings = settings or GradeSettings()
    limits = Limits(cpu_seconds=settings.cpu_seconds, memory_bytes=settings.memory_mib << 20)
    return VerifierSettings(symbolic=settings.symbolic, limits=limits, isolation=settings.isolation)


def grade(context: StageContext) -> None:
    """Grades the teacher's responses in their order."""
    settings = context.section(context.recipe.grade)
    total = context.run.journal.num_rows("responses", ["generate"])
    units: deque[Unit] = deque()
    with context.progress.task(context.stage, total, "responses") as task:
        items = _waiting(context, units, task)
        grades = verify(items, verifier_settings(settings), settings.workers)
        for first in grades:
            unit = units.popleft()
            context.commit(unit.key, unit.position, [first, *islice(grades, unit.size - 1)])
            task.advance(unit.size)


def _waiting(context: StageContext, units: deque[Unit], task: Task) -> Iterator[tuple[Problem, Response]]:
    """Every response without a stored grade, with its problem; its unit goes to the right of `units`."""
    problems = context.problems()
    responses = context.records(Response, "generate")
    stored = context.stored()
    for position in count():
        chunk = list(islice(responses, RESPONSES_PER_UNIT))
        if not chunk:
            return
        unit = Unit(combined_key(response.key for response in chunk), position, len(chunk))
        if unit.key in stored:
            task.advance(unit.size)
            continue
        units.append(unit)
        yield from ((problems[response.problem_id], response) for response in chunk)
