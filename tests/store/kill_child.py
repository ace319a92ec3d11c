"""The process that test_kill.py kills: it commits units in any order, then exports."""

import random
import time
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from thinkscale.records import Finish, Grade, Problem, Record, Response, Role, Sampling, Verdict
from thinkscale.store.run import RunDirectory
from thinkscale.store.states import StageState

STAGES = ("collect", "generate")
NUM_UNITS = {"collect": 40, "generate": 300}
ROWS_PER_UNIT = 5


def rows_of(stage: str, unit: int) -> Sequence[Record]:
    numbers = range(unit * ROWS_PER_UNIT, (unit + 1) * ROWS_PER_UNIT)
    if stage == "collect":
        return [Problem(id=f"p{number}", source="lab", question=f"What is {number}?") for number in numbers]
    return [record for number in numbers for record in (_response(number), _grade(number))]


def _response(number: int) -> Response:
    return Response(
        key=f"k{number}",
        role=Role.TEACHER,
        problem_id=f"p{number}",
        model="scripted",
        sample=0,
        thinking=f"It is {number}. " * (number % 50),
        answer_text=str(number),
        thinking_tokens=4 * (number % 50),
        answer_tokens=1,
        finish=Finish.END,
        sampling=Sampling(max_tokens=10),
    )


def _grade(number: int) -> Grade:
    return Grade(response_key=f"k{number}", problem_id=f"p{number}", grader="math", verdict=Verdict.CORRECT)


def work(run: RunDirectory, longest_sleep: float) -> None:
    for stage in STAGES:
        if run.begin_stage(stage, {"name": stage, "version": 1}) is StageState.DONE:
            continue
        done = run.journal.done_units(stage)
        units = [unit for unit in range(NUM_UNITS[stage]) if f"u{unit}" not in done]
        random.shuffle(units)
        for unit in units:
            time.sleep(random.uniform(0, longest_sleep))
            assert run.commit(stage, f"u{unit}", unit, rows_of(stage, unit), seconds=random.random())
            run.journal.set_progress(stage, len(done), NUM_UNITS[stage], "units")
        run.finish_stage(stage)


def main(folder: Path, longest_sleep: float, forever: bool, words: Connection) -> None:
    """Runs to the end, or exports again and again until killed; says on `words` how far it is."""
    with RunDirectory.create_or_open(folder, "recipe: lab\n") as run:
        words.send("ready")
        work(run, longest_sleep)
        words.send("worked")
        run.export_tables(STAGES, always=["cells"])
        words.send("exporting")
        while forever:
            run.export_tables(STAGES, always=["cells"])
            run.write_manifest()
        run.write_manifest()
        words.send("done")
